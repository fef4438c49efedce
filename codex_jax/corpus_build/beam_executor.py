"""Runs tasks on an Apache Beam runner (DirectRunner, Dataflow, Flink, Spark), which serves as a pool of workers.

Beam distributes only the tasks. They read and write files in the work folder, which every worker must reach.
"""

import pickle
from collections.abc import Iterator, Sequence
from functools import partial

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from codex_jax import terminal
from codex_jax.corpus_build.executors import InterruptedBuildError
from codex_jax.corpus_build.tasks import Marker, Task, read_markers, run_task
from codex_jax.errors import InputError
from codex_jax.storage.remote_files import Folder


class BeamExecutor:
    """Runs one pipeline per phase that has unfinished tasks."""

    def __init__(self, runner: str, options: Sequence[str]) -> None:
        """options: the runner's own options, such as region=REGION."""
        self._flags = [f"--runner={runner}", *(f"--{option}" for option in options)]

    def run(self, label: str, work: Folder, tasks: Sequence[Task]) -> Iterator[Marker]:
        """See Executor."""
        with terminal.progress(label, sum(task.size for task in tasks), unit="bytes") as report:
            markers = read_markers(work, tasks)
            unfinished = [number for number, marker in enumerate(markers) if marker is None]
            report(sum(task.size for task, marker in zip(tasks, markers, strict=True) if marker is not None))
            if unfinished:
                self._run_pipeline(work, [tasks[number] for number in unfinished])
                made = read_markers(work, [tasks[number] for number in unfinished])
                for number, marker in zip(unfinished, made, strict=True):
                    markers[number] = marker
                    report(tasks[number].size)
        for task, marker in zip(tasks, markers, strict=True):
            if marker is None:
                raise InterruptedBuildError(f"{task.name}.json is missing in {work}: do all workers reach that folder?")
            yield marker

    def _run_pipeline(self, work: Folder, tasks: Sequence[Task]) -> None:
        try:
            with beam.Pipeline(options=PipelineOptions(self._flags)) as pipeline:
                _ = (
                    pipeline
                    | beam.Create([pickle.dumps(task) for task in tasks])
                    | beam.Reshuffle()
                    | beam.Map(partial(_run_pickled, work))
                )
        except InputError as error:
            raise InputError(str(error).split(" [while running")[0]) from None  # Beam appends the step's name
        except Exception as error:
            raise InterruptedBuildError(
                f"the Beam pipeline failed: {error}; finished work is kept: fix that and give the same command again"
            ) from error

    def shutdown(self) -> None:
        """Does nothing: no worker runs between phases."""


def _run_pickled(work: Folder, task: bytes) -> None:
    run_task(work, pickle.loads(task))
