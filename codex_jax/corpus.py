"""python -m codex_jax.corpus SOURCE... --out DIR/NAME --tokenizer SPEC: builds sharded TFRecords from source files.

python -m codex_jax.corpus stats DIR shows how many tokens the whitespace tokens save on a finished corpus.
"""

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from codex_jax import cli, terminal
from codex_jax.corpus_build import publish, token_savings
from codex_jax.corpus_build.executors import Executor, InterruptedBuildError, LocalExecutor
from codex_jax.corpus_build.phases import Build
from codex_jax.corpus_build.settings import Settings, check_name
from codex_jax.errors import InputError
from codex_jax.records.manifest import MANIFEST_NAME, Manifest
from codex_jax.storage.paths import is_remote
from codex_jax.storage.remote_files import open_folder


@dataclass(frozen=True, kw_only=True)
class Args(Settings):
    """Filters, deduplicates, splits, tokenizes and packs source files. Repeat the command to resume a build."""

    out: str  # DIR/NAME of the data set; with --beam it may be a URI such as gs://BUCKET/DIR/NAME
    workers: int = 2  # number of local processes
    beam: str | None = None  # Apache Beam runner for the tasks, such as DirectRunner (needs the extra: beam)
    beam_options: tuple[str, ...] = ()  # the runner's own options, such as --beam-options project=P region=R


def show(manifest: Manifest, seconds: float) -> None:
    """Prints the numbers of dropped documents and the sizes of the splits."""
    dropped = [["dropped because", "documents"]]
    dropped += [[reason, f"{count:,}"] for reason, count in manifest["dropped"].items()]
    terminal.show(f"{manifest['documents']:,} documents of {manifest['bytes']:,} bytes read", dropped)
    splits = [["split", "documents", "bytes", "tokens", "tokens/byte", "records", "shards"]]
    for name, split in manifest["splits"].items():
        counts = [f"{count:,}" for count in (split["documents"], split["bytes"], split["tokens"])]
        ratio = split["tokens"] / max(split["bytes"], 1)
        splits.append([name, *counts, f"{ratio:.3f}", f"{split['records']:,}", f"{len(split['shards']):,}"])
    terminal.show(f"{manifest['name']} {manifest['version']}", splits)
    terminal.say(f"digest {manifest['digest']}  {seconds:.0f} s")


def make_executor(args: Args) -> Executor:
    """Local processes, or the Beam runner of --beam. InputError if Beam is not installed."""
    if not args.beam:
        return LocalExecutor(args.workers)
    try:
        from codex_jax.corpus_build.beam_executor import BeamExecutor
    except ImportError as error:
        raise InputError(f"--beam needs an extra ({error}): pip install 'codex_jax[beam]'") from None
    return BeamExecutor(args.beam, args.beam_options)


def build_local(args: Args, executor: Executor) -> Manifest:
    """Builds in a hidden local folder, which is renamed at the end. An interrupted build keeps it and can resume."""
    out = Path(args.out)
    final, staging = out / args.version, out / f".{args.version}.incomplete"
    if (out / MANIFEST_NAME).exists():
        raise InputError(f"{out} is itself a version of a data set: give the folder above it, or another --out")
    if final.exists():
        raise InputError(f"{final} exists already: choose another --out or --version, or delete it")
    folder = open_folder(str(staging))
    try:
        staging.mkdir(parents=True, exist_ok=True)
        earlier = publish.earlier_boundaries(out, args.seed)
        manifest = Build(args.settings(), folder, out.name, executor, earlier).run()
        staging.rename(final)
    except InterruptedBuildError:
        raise
    except InputError:
        executor.shutdown()  # so that no task writes to the folder any more
        folder.clear()
        with contextlib.suppress(OSError):  # it may contain other versions
            out.rmdir()
        raise
    return manifest


def build_remote(args: Args, executor: Executor) -> Manifest:
    """Builds in place on shared storage. Readers require the manifest, which is written last."""
    folder = open_folder(f"{args.out}/{args.version}")
    if MANIFEST_NAME in folder.names():
        raise InputError(f"{folder} exists already: choose another --out or --version, or delete it")
    return Build(args.settings(), folder, args.out.rsplit("/", 1)[-1], executor).run()


def main(args: Args) -> None:
    """Builds the corpus and prints its tables."""
    began = time.monotonic()
    args.check()
    check_name(Path(args.out))
    if args.workers < 1:
        raise InputError(f"--workers must be at least 1, not {args.workers}")
    remote = is_remote(args.out)
    if remote and not args.beam:
        raise InputError(f"--out {args.out}: only --beam writes there; give a folder of this machine")
    executor = make_executor(args)
    try:
        manifest = (build_remote if remote else build_local)(args, executor)
    except OSError as error:
        raise InputError(f"{error}: fix that and give the same command again: finished work is kept") from None
    finally:
        executor.shutdown()
    show(manifest, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args, subcommands={"stats": (token_savings.main, token_savings.Args)}))
