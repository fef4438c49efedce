"""The best mesh, remat policy and levers for a slice: guessed from many, compiled for few."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from codex_jax.errors import InputError
from codex_jax.planning.candidates import Candidate, candidates, changes, distinct
from codex_jax.planning.chips import chips_of
from codex_jax.planning.compiling import Job, plan

SLACK = 0.08  # of HBM


def compiled(job: Job, found: list[Candidate]) -> Iterator[dict[str, Any]]:
    """Each candidate's plan, one after the other; a failed one is a row with its `error`.

    They are compiled beside the thread that asks, so that Ctrl-C is heard at once: the compiler itself hears nothing.
    """
    rows: queue.Queue[dict[str, Any] | BaseException] = queue.Queue()

    def work() -> None:
        for one in found:
            row: dict[str, Any] = {
                "flags": changes(job.config, one.config),
                "estimated_bytes": one.memory.total,
                "guessed_seconds": one.seconds,
                "remat": one.config.model.remat,
                "fits": False,
                "step_seconds": None,
            }
            try:
                row |= plan(Job(one.config, job.length, job.masked), one.topology)
            except Exception as error:  # whatever a compiler may raise is the answer for this row alone
                row["error"] = " ".join(str(error).split())[:200]
            except BaseException as error:
                rows.put(error)
                return
            rows.put(row)

    threading.Thread(target=work, daemon=True).start()
    for _ in found:
        while True:
            try:
                row = rows.get(timeout=0.2)
                break
            except queue.Empty:
                continue
        if isinstance(row, BaseException):
            raise row
        yield row


def rank(rows: list[dict[str, Any]], free: float) -> list[dict[str, Any]]:
    """The fastest first; after those that leave so much of HBM free come those that fit, and then the others."""

    def key(row: dict[str, Any]) -> tuple:
        roomy = row["fits"] and row["peak_bytes"] <= row["hbm_bytes"] * (1 - free)
        return not roomy, not row["fits"], row["step_seconds"] or float("inf")

    return sorted(rows, key=key)


def search(
    job: Job, topology: str, count: int, free: float, optimizer: bool, report: Callable[[int, str], None]
) -> tuple[list[dict[str, Any]], bool]:
    """(ranked rows of at most `count` compiled plans, whether it was interrupted); InputError where nothing fits."""
    # Estimates are mostly high, and compiling tells: a little more than fits may fit.
    found = distinct(candidates(job, topology, free - SLACK, optimizer), count)
    if not found:
        raise InputError(
            f"by the estimate nothing fits {chips_of(topology)} chips of {topology} with {free:.0%} of HBM free: "
            "without --topology the smallest slices that do are listed"
        )
    rows: list[dict[str, Any]] = []
    interrupted = False
    try:
        report(0, f"compiling the best {len(found)} guesses")
        for row in compiled(job, found):
            rows.append(row)
            mfu = f"MFU {row['mfu']:.3f}" if row.get("mfu") else "does not fit"
            report(1, f"{' '.join(row['flags'])}: {row.get('error', mfu)}")
    except KeyboardInterrupt:
        interrupted = True
    return rank(rows, free), interrupted
