"""HumanEval (paper section 2.2), and every file in its form: a test is any code over candidate(...)."""

from codex_jax.problems.problem import PAPER_STOPS, TEXT_FIELDS, humaneval_path, problem_of
from codex_jax.problems.task import Part, Task
from codex_jax.storage.jsonl import Json

NAME = "HumanEval"
FIELDS = TEXT_FIELDS  # text that every problem has
MARK = "test"  # the field by which such a problem is recognised
path = humaneval_path


def task_of(row: Json) -> Task:
    """A problem; its prompt and reference solution define the helpers that its test may use."""
    problem = problem_of(row)
    return Task(
        task_id=problem.task_id,
        prompt=problem.prompt,
        entry_point=problem.entry_point,
        parts=(Part("test", (problem.test,)),),
        reference=problem.prompt + problem.canonical_solution,
        opening=problem.prompt,
        helpers=problem.prompt + problem.canonical_solution,
        stops=PAPER_STOPS,
        blocks=problem.blocks,
    )
