"""Logs the metrics of training steps."""

import resource

import jax

from codex_jax.config import TrainConfig
from codex_jax.runs.metrics import WriteMetrics
from codex_jax.terminal import Report
from codex_jax.training.clock import Clock
from codex_jax.training.loop import Step
from codex_jax.training.optimizer import learning_rate

GIB = 2**30
TOTAL = "total_seconds/"  # with the name of a phase: its seconds since the process began; TensorBoard groups them


class Log:
    """Advances the progress bar after each finished step, and writes the metrics of every config.log_every-th step."""

    def __init__(
        self,
        config: TrainConfig,
        tokens: int,
        write: WriteMetrics,
        report: Report,
        clock: Clock,
        ideal_seconds: float = 0.0,
    ) -> None:
        """tokens: per batch, over all hosts. ideal_seconds: of a step at the devices' peak; 0: unknown."""
        self._config, self._tokens, self._write, self._report = config, tokens, write, report
        self._clock, self._ideal_seconds = clock, ideal_seconds
        self._learning_rate = learning_rate(config.optimizer, config.steps)
        self._interval, self._before = 0, clock.seconds()  # steps since the last logged step, and the time until then

    def __call__(self, step: Step) -> None:
        """See loop.Action."""
        self._interval += 1
        self._clock.finish_step()
        if step.is_due(self._config.log_every):
            self._report(1, self._log(step))
        else:
            self._report(1)

    def _log(self, step: Step) -> str:
        values = {name: float(value) for name, value in step.metrics.items()}
        if "update_norm" in values:
            values["update_ratio"] = values["update_norm"] / max(values["parameter_norm"], 1e-30)
        values["learning_rate"] = float(self._learning_rate(step.number - 1))
        values["tokens_seen"] = float(step.number * self._tokens)
        speed = self._speed()
        self._write(step.number, **values, **speed)
        mfu = f"  MFU {speed['mfu']:.1%}" if "mfu" in speed else ""
        return f"loss {values['loss']:.3f}  {speed['tokens_per_second']:,.0f} tokens/s{mfu}"

    def _speed(self) -> dict[str, float]:
        # Steps, stalls and waiting for data count, but not evaluations and saves.
        now, before, interval = self._clock.seconds(), self._before, self._interval
        passed = {name: (now.get(name, 0.0) - before.get(name, 0.0)) / interval for name in ("steps", "stalls", "data")}
        data, seconds = passed["data"], sum(passed.values())
        self._interval, self._before = 0, now
        speed = {
            "tokens_per_second": self._tokens / seconds,
            "step_seconds": seconds,
            "data_seconds": data,
            "goodput": now["steps"] / now["total"],
            "memory_gib": memory_bytes() / GIB,
        }
        speed |= {f"{TOTAL}{name}": value for name, value in now.items()}
        return speed | ({"mfu": self._ideal_seconds / seconds} if self._ideal_seconds else {})


def memory_bytes() -> int:
    """The most memory that was in use on one of this host's devices; on a CPU, by this process."""
    peaks = [(device.memory_stats() or {}).get("peak_bytes_in_use", 0) for device in jax.local_devices()]
    return max(peaks) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
