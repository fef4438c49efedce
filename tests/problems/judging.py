"""Judges samples in the sandbox, and makes problems in EvalPlus's format from HumanEval's."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterable

from codex_jax.problems.humaneval import row_of
from codex_jax.problems.load import load_problems
from codex_jax.problems.problem import Problem
from codex_jax.sandbox.pool import run_jobs
from codex_jax.scoring.judge import Judge, Judgement
from codex_jax.storage.jsonl import Json, write_objects


def judge_all(pairs: Iterable[tuple[Problem, Json]], timeout: float = 20.0) -> list[Judgement]:
    """The judgements on (problem, sample) pairs, in their order. timeout: CPU seconds per case."""
    judge = Judge(timeout)

    def job(problem, sample):
        return lambda run: judge.judge(problem, problem.program(sample), run)

    answers = run_jobs((job(*pair) for pair in pairs), workers=2)
    return [judgement for _, judgement in sorted(answers, key=lambda answer: answer[0])]


def evalplus_rows(count: int) -> list[Json]:
    """HumanEval's first problems in EvalPlus's format: half of the inputs of their tests are base, half are plus."""
    rows = []
    for problem in load_problems("humaneval").problems.values():
        if len(rows) == count:
            break
        row, scope = row_of(problem), {}
        exec(f"{problem.reference}\n{row['test']}", scope)
        function, calls = scope[problem.entry_point], []

        def candidate(*arguments, function=function, calls=calls):
            calls.append(copy.deepcopy(list(arguments)))
            return function(*arguments)

        scope["check"](candidate)
        if len(calls) > 1:
            half = (len(calls) + 1) // 2
            rows.append({**row, "contract": "", "base_input": calls[:half], "plus_input": calls[half:], "atol": 0})
    return rows


def write_evalplus(path, count: int) -> list[Json]:
    """evalplus_rows, also written to a file."""
    rows = evalplus_rows(count)
    write_objects(path, rows)
    assert [json.loads(line) for line in path.read_text().splitlines()] == rows  # JSON can hold all of the inputs
    return rows


def run_linear(code: str, seconds: int = 20) -> None:
    """Runs code in a process whose CPU time is limited. What takes linear time needs a small part of it."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))\n"
    subprocess.run([sys.executable, "-c", limit + code], check=True)
