"""The settings in which two configs differ, as flags of a command and as lines of an experiment file."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from codex_jax.cli import ExperimentArgs
from codex_jax.config import differences


def flags(settings: Mapping[str, Any]) -> list[str]:
    """{"mesh.fsdp": 128, "optimizer.offload": False} -> ["--mesh.fsdp", "128", "--optimizer.no-offload"]."""
    words: list[str] = []
    for name, value in settings.items():
        section, dot, last = name.replace("_", "-").rpartition(".")
        if isinstance(value, bool):
            words.append(f"--{section}{dot}{'' if value else 'no-'}{last}")
        else:
            words += [f"--{section}{dot}{last}", str(value)]
    return words


def run_arguments(args: ExperimentArgs) -> str:
    """The experiment and its changed flags, as a shell string. Leaves out --topology and flags of a single command."""
    changed = differences(args.defaults, args)
    changed.pop("topology", None)
    return shlex.join([args.experiment, *flags(changed)])


def plan_command(arguments: str, topology: str, settings: Mapping[str, Any]) -> str:
    """The command that plans a run with other settings on a slice. arguments: from run_arguments."""
    return f"python -m codex_jax.plan {arguments} {shlex.join(flags({'topology': topology, **settings}))}"


def experiment_lines(settings: Mapping[str, Any]) -> list[str]:
    """The settings as lines of an experiment file, such as `model=ModelConfig(..., remat="dots"),`."""
    sections: dict[str, list[str]] = {}
    for name, value in settings.items():
        section, _, last = name.rpartition(".")
        sections.setdefault(section, []).append(f"{last}={json.dumps(value) if isinstance(value, str) else value}")
    top = [f"{setting}," for setting in sections.pop("", [])]
    return top + [f"{name}={name.title()}Config(..., {', '.join(changed)})," for name, changed in sections.items()]
