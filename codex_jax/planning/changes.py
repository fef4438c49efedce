"""The settings in which two configs differ, as flags of a command and as lines of an experiment file."""

import dataclasses
import json
import shlex
from collections.abc import Mapping
from typing import Any

from codex_jax.cli import ExperimentArgs
from codex_jax.config import MeshConfig, TrainConfig


def differences(before: Any, after: Any, prefix: str = "") -> dict[str, Any]:
    """The settings of config `before` that `after` has another value of, such as {"mesh.fsdp": 128}."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if dataclasses.is_dataclass(new):
            changed |= differences(old, new, f"{prefix}{field.name}.")
        elif old != new:
            changed[prefix + field.name] = new
    return changed


def flags(settings: Mapping[str, Any]) -> list[str]:
    """{"mesh.fsdp": 128, "optimizer.offload": False} -> --mesh.fsdp 128 --optimizer.no-offload, one list item each."""
    words: list[str] = []
    for name, value in settings.items():
        section, dot, last = name.replace("_", "-").rpartition(".")
        if isinstance(value, bool):
            words.append(f"--{section}{dot}{'' if value else 'no-'}{last}")
        else:
            words += [f"--{section}{dot}{last}", str(value)]
    return words


def run_arguments(args: ExperimentArgs) -> str:
    """The experiment and the flags that make this run of it; without --topology, and flags of a single command."""
    changed = differences(args.defaults, args)
    changed.pop("topology", None)
    return shlex.join([args.experiment, *flags(changed)])


def plan_command(arguments: str, topology: str, settings: Mapping[str, Any]) -> str:
    """The command that plans a run with other settings on a slice. arguments: of the run, as by run_arguments."""
    return f"python -m codex_jax.plan {arguments} {shlex.join(flags({'topology': topology, **settings}))}"


def experiment_lines(before: TrainConfig, after: TrainConfig) -> list[str]:
    """Arguments of TrainConfig(...) that make `after` of `before`, such as model=ModelConfig(..., remat="dots"),."""
    lines = []
    for name in dict.fromkeys(path.partition(".")[0] for path in differences(before, after)):
        old, new = getattr(before, name), getattr(after, name)
        if dataclasses.is_dataclass(new):
            # A mesh is written whole, because the sizes of its axes belong together.
            whole = isinstance(new, MeshConfig)
            changed = differences(MeshConfig() if whole else old, new)
            settings = [f"{key}={_literal(value)}" for key, value in changed.items()]
            lines.append(f"{name}={type(new).__name__}({', '.join(settings if whole else ['...', *settings])}),")
        else:
            lines.append(f"{name}={_literal(new)},")
    return lines


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)
