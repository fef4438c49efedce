"""python experiments/benches/spread.py runs/demo runs/seed1 runs/seed2: results of the demo by seed, and their mean."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import tyro

from codex_jax import cli
from codex_jax.errors import InputError


@dataclass(frozen=True)
class Args:
    """Prints a Markdown table of the results of several runs of the demo."""

    folders: tyro.conf.Positional[tuple[Path, ...]]


def read(folder: Path) -> dict[str, float]:
    """The results of one demo by name; InputError if its results.json is missing or incomplete."""
    try:
        result: dict[str, Any] = json.loads((folder / "results.json").read_text())
        supervised = result["supervised"]
        blocks = {f"pass@1, chains of {count}": rate for count, rate in supervised["by_blocks"].items()}
        return {
            "base pass@1": result["base"]["pass@1"],
            "supervised pass@1": supervised["pass@1"],
            "pass@10": supervised["pass@10"],
            "pass@100": supervised["pass@100"],
            "highest mean log p": supervised["mean_logp"],
            "oracle": supervised["oracle"],
            **blocks,
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} has no complete results.json ({error!r}): run the demo with --out {folder}"
        ) from None


def main(args: Args) -> None:
    """The command."""
    if not args.folders:
        raise InputError("name a folder that the demo wrote, such as runs/demo")
    runs = [read(folder) for folder in args.folders]
    print(f"| | {' | '.join(folder.name for folder in args.folders)} | mean |")
    print("|---|" + "---:|" * (len(runs) + 1))
    for name in runs[0]:
        values = [run[name] for run in runs if name in run]
        print(f"| {name} | {' | '.join(f'{value:.1%}' for value in values)} | {mean(values):.1%} |")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
