"""Samples judged in the sandbox, and problems in EvalPlus's form made of HumanEval's own."""

import copy
import json
from collections.abc import Iterable

from codex_jax.problems.problem import load_problems
from codex_jax.problems.task import Task
from codex_jax.sandbox.pool import run_jobs
from codex_jax.scoring.judge import Judge, Judgement
from codex_jax.storage.jsonl import Json, write_objects


def judge_all(pairs: Iterable[tuple[Task, Json]], timeout: float = 20.0) -> list[Judgement]:
    """The judgements on (task, sample) pairs, in their order."""
    judge = Judge(timeout)

    def job(task, sample):
        return lambda run: judge.judge(task, task.program(sample), run)

    answers = run_jobs((job(*pair) for pair in pairs), workers=2)
    return [judgement for _, judgement in sorted(answers, key=lambda answer: answer[0])]


def evalplus_rows(count: int) -> list[Json]:
    """HumanEval's first problems in EvalPlus's form: what their tests call, half of it base and half of it plus."""
    rows = []
    for problem in load_problems("humaneval"):
        if len(rows) == count:
            break
        scope: Json = {}
        exec(f"{problem.prompt}{problem.canonical_solution}\n{problem.test}", scope)
        function, calls = scope[problem.entry_point], []

        def candidate(*arguments, function=function, calls=calls):
            calls.append(copy.deepcopy(list(arguments)))
            return function(*arguments)

        scope["check"](candidate)
        if len(calls) > 1:
            half = (len(calls) + 1) // 2
            fields = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
            row = {name: getattr(problem, name) for name in fields}
            rows.append({**row, "contract": "", "base_input": calls[:half], "plus_input": calls[half:], "atol": 0})
    return rows


def write_evalplus(path, count: int) -> list[Json]:
    """Those rows, also in a file."""
    rows = evalplus_rows(count)
    write_objects(path, rows)
    assert [json.loads(line) for line in path.read_text().splitlines()] == rows  # so JSON has all of the inputs
    return rows
