"""python -m codex_jax.corpus SOURCE... --out DIR/NAME --tokenizer SPEC: source files to sharded TFRecords.

python -m codex_jax.corpus stats DIR shows what the whitespace tokens save on a finished corpus.
"""

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.corpus_build import local, publish, token_savings
from codex_jax.corpus_build.settings import Settings, check_name
from codex_jax.errors import InputError
from codex_jax.records.manifest import MANIFEST_NAME, Manifest
from codex_jax.text.splits import Boundaries


@dataclass(frozen=True, kw_only=True)
class Args(Settings):
    """Filters, deduplicates, splits, tokenizes and packs source files.

    An interrupted build goes on where it stopped when the same command is given again.
    """

    out: str  # DIR/NAME of the data set; with --beam also one such as gs://BUCKET/DIR/NAME
    workers: int = 2  # processes
    beam: str | None = None  # build on this Apache Beam runner instead (extra: beam), such as DirectRunner
    beam_options: tuple[str, ...] = ()
    """The runner's own options, such as --beam-options project=P region=R"""


def show(manifest: Manifest, seconds: float) -> None:
    """The tables at the end."""
    splits = Table(title=f"{manifest['name']} {manifest['version']}")
    for column in ("split", "documents", "bytes", "tokens", "tokens/byte", "records", "shards"):
        splits.add_column(column, justify="left" if column == "split" else "right")
    for name, split in manifest["splits"].items():
        share = split["tokens"] / max(split["bytes"], 1)
        numbers = [f"{number:,}" for number in (split["documents"], split["bytes"], split["tokens"])]
        splits.add_row(name, *numbers, f"{share:.3f}", f"{split['records']:,}", f"{len(split['shards']):,}")
    dropped = Table(title=f"{manifest['documents']:,} documents of {manifest['bytes']:,} bytes read")
    dropped.add_column("left out because")
    dropped.add_column("documents", justify="right")
    for reason, count in manifest["dropped"].items():
        dropped.add_row(reason, f"{count:,}")
    console = terminal.tables()
    console.print(dropped)
    console.print(splits)
    print(f"digest {manifest['digest']}  {seconds:.0f} s")


def prepare(args: Args) -> tuple[Path, Path]:
    """(the folder to build in, the folder it becomes); InputError where something else is there."""
    out = Path(args.out)
    final, staging = out / args.version, out / f".{args.version}.incomplete"
    if (out / MANIFEST_NAME).exists():
        raise InputError(f"{out} is itself a version of a data set: give the folder above it, or another --out")
    if final.exists():
        raise InputError(f"{final} is there already: choose another --out or --version, or remove it")
    return staging, final


def build(args: Args) -> Manifest:
    """Builds aside and renames; what a failure leaves of a build that can go on is kept."""
    out, (staging, final) = Path(args.out), prepare(args)
    try:
        staging.mkdir(parents=True, exist_ok=True)
        earlier = publish.earlier_boundaries(out, args.seed)
        if args.beam:
            manifest = on_beam(args, str(staging), earlier)
        else:
            manifest = local.build(args.only(), staging, out.name, args.workers, earlier)
        staging.rename(final)
    except OSError as error:
        raise InputError(f"{error}: mend that and give the same command again: what is done is kept") from None
    except local.InterruptedBuildError:
        raise
    except InputError:
        publish.clear(staging)
        with contextlib.suppress(OSError):  # it holds other versions
            out.rmdir()
        raise
    return manifest


def on_beam(args: Args, folder: str, earlier: Boundaries | None) -> Manifest:
    """Builds with Apache Beam, in a folder that may lie elsewhere."""
    try:
        from codex_jax.corpus_build import beam
    except ImportError as error:
        raise InputError(f"--beam needs an extra ({error}): pip install 'codex_jax[beam]'") from None
    return beam.build(args.only(), folder, args.out.rsplit("/", 1)[-1], args.beam or "", args.beam_options, earlier)


def main(args: Args) -> None:
    """The command."""
    began = time.monotonic()
    args.check()
    check_name(Path(args.out))
    if args.workers < 1:
        raise InputError(f"--workers must be at least 1, not {args.workers}")
    if "://" not in args.out:
        manifest = build(args)
    elif args.beam:
        manifest = on_beam(args, f"{args.out}/{args.version}", None)
    else:
        raise InputError(f"--out {args.out}: only --beam writes there; give a folder of this machine")
    show(manifest, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args, subcommands={"stats": (token_savings.main, token_savings.Args)}))
