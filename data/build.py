"""python data/build.py NAME --out DIR: writes a data set in the format of TensorFlow Datasets, without TensorFlow."""

import contextlib
import importlib
import io
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

from codex_jax import cli
from codex_jax.errors import InputError

NAMES = tuple(sorted(path.parent.name for path in Path(__file__).parent.glob("*/*_dataset_builder.py")))


@dataclass(frozen=True)
class Args:
    """Writes DIR/NAME/VERSION as ArrayRecord files, which tfds.data_source reads."""

    name: tyro.conf.Positional[str]  # apps, building_blocks or humaneval
    out: Path
    manual_dir: Path | None = None  # for apps: the folder that contains APPS, the unpacked release


def main(args: Args) -> None:
    """Runs the command."""
    if args.name not in NAMES:
        raise InputError(f"no data set {args.name!r} in this folder: give one of {', '.join(NAMES)}")
    # Imported here because it takes seconds.
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    module = importlib.import_module(f"{args.name}.{args.name}_dataset_builder")
    config = tfds.download.DownloadConfig(manual_dir=args.manual_dir)
    try:
        builder = module.Builder(data_dir=args.out, file_format="array_record")
        if Path(builder.data_path).exists():
            raise InputError(f"{builder.data_path} exists already: choose another --out, or remove it")
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not (args.manual_dir and args.manual_dir.is_dir()):
            raise InputError(f"--manual-dir is needed: {builder.MANUAL_DOWNLOAD_INSTRUCTIONS}")
        with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as downloads:
            try:
                builder.download_and_prepare(download_dir=downloads, download_config=config)
            finally:
                with contextlib.suppress(OSError):  # only an empty folder, left by a failure, is removed
                    Path(builder.data_path).parent.rmdir()
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error}") from None
    splits = ", ".join(f"{name} {split.num_examples}" for name, split in sorted(builder.info.splits.items()))
    print(f"{builder.data_path}: {splits}")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
