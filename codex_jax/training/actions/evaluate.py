"""Measures the validation loss."""

import itertools
import math
from contextlib import closing
from functools import partial
from typing import Any

import jax
from jax.sharding import Mesh

from codex_jax.config import TrainConfig
from codex_jax.records.dataset import Dataset
from codex_jax.records.prefetch import prefetch
from codex_jax.runs.metrics import WriteMetrics, read_metrics
from codex_jax.storage.jsonl import Json
from codex_jax.training.loop import Step
from codex_jax.training.step import EvalStep, to_global


class Evaluate:
    """Evaluates every config.eval_every steps and after the last, and logs the values."""

    def __init__(
        self, config: TrainConfig, data: Dataset, mesh: Mesh, eval_step: EvalStep, write: WriteMetrics
    ) -> None:
        """eval_step: from make_eval_step. write: logs values, see runs.metrics.open_metrics."""
        self.values: dict[str, float] = {}  # of the latest evaluation
        self.best, self._lowest, self._since = 0, math.inf, 0  # the step with the lowest loss, it, evaluations since
        self._config, self._data, self._mesh, self._write = config, data, mesh, write
        self._eval_step = eval_step

    def __call__(self, step: Step) -> None:
        """See loop.Action."""
        if step.is_due(self._config.eval_every) and not step.stopped:
            self.run(step.number, step.state.params)

    def is_missing(self, number: int) -> bool:
        """Whether a killed process saved step `number` but did not evaluate it as it should have."""
        if not self._config.eval_every or number % self._config.eval_every:
            return False
        rows = read_metrics(self._config.folder)
        return not any(row["step"] == number and "validation_loss" in row for row in rows)

    def run(self, number: int, params: Any) -> None:
        """Evaluates the parameters after step `number`."""
        self.values = self._measure(params)
        self._compare(number, self.values.get("validation_loss", math.inf))
        self._write(number, **self.values)

    def recall(self, rows: list[Json]) -> None:
        """Compares later evaluations with those in lines of metrics."""
        for row in rows:
            if "validation_loss" in row:
                self._compare(row["step"], row["validation_loss"])

    @property
    def is_over(self) -> bool:
        """Whether the loss has not fallen for config.patience evaluations."""
        return 0 < self._config.patience <= self._since

    def _compare(self, number: int, loss: float) -> None:
        if loss < self._lowest:
            self.best, self._lowest, self._since = number, loss, 0
        else:
            self._since += 1

    def _measure(self, params: Any) -> dict[str, float]:
        # The loss in nats per target and, if every token is a target, in bits per byte of text.
        config, name = self._config, self._config.data.validation_split
        split = self._data.manifest["splits"].get(name)
        if not split or not split["records"]:
            return {}
        total = weight = 0.0
        batches = 0
        rows = self._data.sequential(name, config.batch_size, jax.process_index(), jax.process_count())
        rows = itertools.islice(rows, config.eval_batches or None)
        with closing(prefetch(rows, partial(to_global, self._mesh))) as prefetched:
            for batch in prefetched:
                loss, count = self._eval_step(params, batch)
                total, weight, batches = total + float(loss), weight + float(count), batches + 1
        values = {"validation_loss": total / max(weight, 1.0)}
        if "loss_mask" not in batch:
            evaluated = min(1.0, batches * config.batch_size / split["records"])  # fraction of the split
            values["bits_per_byte"] = total / evaluated / split["bytes"] / math.log(2)
        return values
