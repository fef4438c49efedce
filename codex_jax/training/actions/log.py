"""Logs the metrics of training steps."""

import time

from codex_jax.config import TrainConfig
from codex_jax.runs.metrics import WriteMetrics
from codex_jax.terminal import Report
from codex_jax.training.loop import Step
from codex_jax.training.optimizer import learning_rate
from codex_jax.training.step import Metrics


class Log:
    """Advances the progress bar after each finished step, and writes the metrics of every config.log_every-th step."""

    def __init__(self, config: TrainConfig, tokens: int, write: WriteMetrics, report: Report) -> None:
        """tokens: per batch, over all hosts. The first interval of tokens_per_second begins now."""
        self._config, self._tokens, self._write, self._report = config, tokens, write, report
        self._learning_rate = learning_rate(config.optimizer, config.steps)
        self._interval, self._began = 0, time.monotonic()  # steps since the last logged step, and its time

    def __call__(self, step: Step) -> None:
        """See loop.Action."""
        self._interval += 1
        if step.is_due(self._config.log_every):
            self._report(1, self._log(step.number, step.metrics))
        else:
            self._report(1)

    def _log(self, number: int, metrics: Metrics) -> str:
        values = {name: float(value) for name, value in metrics.items()}
        now = time.monotonic()
        speed = self._tokens * self._interval / (now - self._began)
        self._interval, self._began = 0, now
        rate = float(self._learning_rate(number - 1))
        self._write(number, **values, learning_rate=rate, tokens_per_second=speed)
        return f"loss {values['loss']:.3f}  {speed:,.0f} tokens/s"
