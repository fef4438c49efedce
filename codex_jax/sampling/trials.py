"""Samples of a model while it is trained: completions of a prompt, and pass rates on a benchmark."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

from codex_jax import terminal
from codex_jax.config import MeshConfig, TrainConfig, TrialsConfig
from codex_jax.errors import InputError
from codex_jax.model.decode import unstack
from codex_jax.parallel.mesh import make_mesh
from codex_jax.problems.load import Benchmark, load_problems
from codex_jax.problems.problem import PAPER_STOPS
from codex_jax.runs.metrics import WriteMetrics
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import sample_all
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.programs import check_mesh, param_shapes
from codex_jax.sampling.sampler import for_decoding, task_key
from codex_jax.sampling.samples_file import sample_fingerprint, to_row
from codex_jax.storage.jsonl import Json, write_objects
from codex_jax.training.loop import Step

FOLDER, BATCH, PROMPT_TASK = "trials", 32, "prompt"


def load(config: TrialsConfig) -> Benchmark | None:
    """The problems of the trials; None if there are none. InputError if they cannot be read."""
    SamplingParams(config.temperature, 0.95, config.max_new_tokens).check()
    return load_problems(config.problems) if config.problems else None


class Trials:
    """Draws samples every config.eval_every steps and after the last. `score` runs beside the training."""

    def __init__(self, config: TrainConfig, tokenizer: Any, benchmark: Benchmark | None, write: WriteMetrics) -> None:
        """write: see runs.metrics.open_metrics; it gets pass@k at the step of the samples, when they are scored."""
        trials = config.trials
        self._config, self._tokenizer, self._write = config, tokenizer, write
        stops = benchmark.stops if benchmark else PAPER_STOPS
        self._params = SamplingParams(trials.temperature, 0.95, trials.max_new_tokens, stops)
        self._prompts = {name: problem.prompt for name, problem in benchmark.problems.items()} if benchmark else {}
        self._prompts |= {PROMPT_TASK: trials.prompt} if trials.prompt else {}
        self._model = for_decoding(config.model)
        # The parameters are split as in training along `model` only.
        self._mesh = make_mesh(MeshConfig(data=-1, fsdp=1, model=config.mesh.model))
        check_mesh(self._model, self._mesh)
        self._engine: Any = None  # keeps its compiled programs
        self._is_main = jax.process_index() == 0
        self._scored: list[tuple[int, subprocess.Popen[str]]] = []  # (step, the process that scores its samples)

    def __call__(self, step: Step) -> None:
        """See loop.Action."""
        if self._prompts and step.is_due(self._config.eval_every) and not step.stopped:
            self._draw(step.number, step.state.params)
        if step.stopped:
            for _, process in self._scored:  # the resumed run scores these samples
                process.terminate()
            return
        self._collect(wait=step.last)

    def resume(self, start: int, rows: list[Json]) -> None:
        """Scores the samples of steps up to `start` that have no pass@k in `rows`, the lines of metrics."""
        scored = {row["step"] for row in rows if any(name.startswith("pass@") for name in row)}
        for path in sorted((self._config.folder / FOLDER).glob("*.jsonl")) if self._is_main else []:
            if path.stem.isdecimal() and int(path.stem) <= start and int(path.stem) not in scored:
                self._score(int(path.stem))

    def _draw(self, number: int, params: Any) -> None:
        shapes = param_shapes(self._model, self._mesh)
        placed = jax.tree.map(
            lambda leaf, shape: jax.device_put(leaf.astype(shape.dtype), shape.sharding), params, shapes
        )
        weights = unstack(placed)
        engine = self._engine = self._engine or Engine(self._model, weights, self._tokenizer, self._mesh)
        engine.weights = weights
        trials, requests, names = self._config.trials, [], []
        rows: list[Json] = []
        for name, prompt in self._prompts.items():
            try:
                tokens = engine.encode(prompt, self._params)
            except InputError:  # it does not fit in the context: its samples are empty, and fail
                same = {"task_id": name, "completion": "", "temperature": trials.temperature}
                rows += [{**same, "sample": n} for n in range(trials.n) if name != PROMPT_TASK]
                continue
            names.append(name)
            count = 1 if name == PROMPT_TASK else trials.n
            requests.append(SampleRequest(tokens, task_key(name), range(count)))
        for index, sample_number, sample, _ in sample_all(engine, requests, self._params, self._config.seed, BATCH):
            if names[index] == PROMPT_TASK:
                terminal.note(f"step {number}: {trials.prompt}{sample.completion}") if self._is_main else None
                continue
            fingerprint = sample_fingerprint([trials.temperature, number], self._prompts[names[index]])
            rows.append(to_row(names[index], sample_number, sample, trials.temperature, fingerprint))
        engine.weights = None  # frees their memory
        if rows and self._is_main:
            self._score(number, rows)

    def _score(self, number: int, rows: list[Json] | None = None) -> None:
        # rows: samples to write first; None if they are in the folder.
        path = self._config.folder / FOLDER / f"{number}.jsonl"
        try:
            path.parent.mkdir(exist_ok=True)
            Path(f"{path}_results.jsonl").unlink(missing_ok=True)
            if rows:
                Path(f"{path}_results.jsonl.partial").unlink(missing_ok=True)  # of other samples of this step
                write_objects(path, rows)
            command = [sys.executable, "-m", "codex_jax.score", str(path), "--problems", self._config.trials.problems]
            command += ["--k", ",".join(str(k) for k in (1, 10, 100) if k <= self._config.trials.n), "--json"]
            # A session of its own: a Ctrl-C that stops the training lets it finish.
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
            self._scored.append((number, process))
        except OSError as error:
            terminal.warn(f"the samples of step {number} are not scored: {error.strerror}; training goes on")

    def _collect(self, wait: bool) -> None:
        waiting = []
        for number, process in self._scored:
            if not wait and process.poll() is None:
                waiting.append((number, process))
                continue
            output, error = process.communicate()
            if process.returncode not in (0, 1):
                reason = (error.strip().splitlines() or ["no message"])[-1]
                terminal.warn(f"the samples of step {number} are not scored: {reason}; training goes on")
                continue
            result = json.loads(output)
            self._write(number, **{name: value for name, value in result.items() if name.startswith("pass@")})
        self._scored = waiting
