"""Searches for the best settings on a slice: estimates many candidates and compiles the most promising ones."""

import concurrent.futures
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from codex_jax.errors import InputError
from codex_jax.planning.candidates import FREE, Candidate, candidates, distinct
from codex_jax.planning.changes import flags
from codex_jax.planning.chips import parse_topology
from codex_jax.planning.training_plan import Job, TrainingPlan, plan_training

SLACK = 0.08  # fraction of HBM by which estimates, which are mostly too high, may exceed the limit

Result = TypeVar("Result")


@dataclass(frozen=True)
class SearchSettings:
    """The settings of --search."""

    compile: int = 6  # number of candidates to compile
    free: float = FREE  # fraction of HBM to leave free
    change_optimizer: bool = False  # also try a bfloat16 first moment, and moments in the host's memory

    def check(self) -> None:
        """InputError for invalid settings."""
        if self.compile < 1 or not 0 <= self.free < 1:
            raise InputError("--compile must be at least 1, and --free from 0 to below 1")


@dataclass(frozen=True)
class Tried:
    """A candidate that was compiled."""

    candidate: Candidate
    plan: TrainingPlan | None  # None if the compiler failed
    error: str = ""

    @property
    def fits(self) -> bool:
        """Whether the candidate fits the slice."""
        return self.plan is not None and self.plan.fits

    def to_json(self) -> dict[str, Any]:
        """The entry that plan --search --json prints."""
        candidate = self.candidate
        failed = {"fits": False, "step_seconds": None, "error": self.error}
        return {
            "flags": flags(candidate.settings),
            "estimated_bytes": candidate.memory.total,
            "guessed_seconds": candidate.seconds,
            "remat": candidate.config.model.remat,
        } | (self.plan.to_json() if self.plan else failed)


def in_background(function: Callable[..., Result], *args: Any) -> Result:
    """Returns function(*args), run in another thread, so that Ctrl-C need not wait for the compiler."""
    future: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def work() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    while not future.done():
        concurrent.futures.wait([future], timeout=0.2)
    return future.result()


def rank(tried: list[Tried], free: float) -> list[Tried]:
    """Sorts by speed: first those that leave this fraction of HBM free, then others that fit, then the rest."""

    def key(one: Tried) -> tuple[bool, bool, float]:
        plan = one.plan
        if plan is None or plan.speed is None:
            return True, True, math.inf
        roomy = plan.fits and plan.peak_bytes <= plan.hbm_bytes * (1 - free)
        return not roomy, not plan.fits, plan.speed.step_seconds

    return sorted(tried, key=key)


def search(
    job: Job, topology: str, settings: SearchSettings, report: Callable[[int, str], None]
) -> tuple[list[Tried], bool]:
    """Returns (the ranked compiled candidates, whether Ctrl-C ended the search); InputError if nothing fits.

    report(n, note): called with the number of plans compiled since the last call.
    """
    fitting = candidates(job, topology, settings.free - SLACK, settings.change_optimizer)
    found = distinct(fitting, settings.compile)
    if not found:
        raise InputError(
            f"by the estimate nothing fits {parse_topology(topology).chips} chips of {topology} with "
            f"{settings.free:.0%} of HBM free: without --topology the smallest slices that do are listed"
        )
    tried: list[Tried] = []
    interrupted = False
    try:
        report(0, f"compiling the best {len(found)} guesses")
        for one in found:
            try:
                plan = in_background(plan_training, Job(one.config, job.length, job.masked), topology)
                tried.append(Tried(one, plan))
                note = f"MFU {plan.speed.mfu:.3f}" if plan.speed else "does not fit"
            except Exception as error:  # a compiler failure affects only this candidate
                note = " ".join(str(error).split())[:200]
                tried.append(Tried(one, None, note))
            report(1, f"{' '.join(flags(one.settings))}: {note}")
    except KeyboardInterrupt:
        interrupted = True
    return rank(tried, settings.free), interrupted
