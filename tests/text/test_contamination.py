from codex_jax.problems.load import load_problems
from codex_jax.text.contamination import make_index
from codex_jax.text.hashing import words

SOLUTION = "".join(f"    value_{n} = step_{n}(value_{n - 1}, {n})\n" for n in range(1, 12))
INDEX = make_index([("one", SOLUTION), ("short", "return x + 1"), ("two", SOLUTION.replace("step", "walk"))])


def test_a_document_with_a_solution_is_found_whatever_its_whitespace():
    around = "import os\n\n\ndef helper(a):\n    return os.getcwd()\n" * 20
    assert INDEX.find(words(around)) == ""
    assert INDEX.find(words(around + "def f(value_0):\n" + SOLUTION + around)) == "one"
    assert INDEX.find(words(around + SOLUTION.replace("\n", "\n\n").replace("    ", "\t"))) == "one"
    assert INDEX.find(words(around + SOLUTION.replace("step", "walk"))) == "two"


def test_half_of_the_runs_decide():
    lines = SOLUTION.splitlines(keepends=True)
    assert INDEX.find(words("".join(lines[:8]))) == "one"
    assert INDEX.find(words("".join(lines[:3]))) == ""
    assert INDEX.find(words("".join(reversed(lines)))) == ""


def test_a_text_too_short_to_tell_is_not_looked_for():
    assert INDEX.find(words("def f(x):\n    return x + 1\n")) == ""
    assert make_index([]).find(words("anything at all")) == ""


def test_every_problem_of_humaneval_is_found_by_its_prompt():
    problems = list(load_problems("humaneval").problems.values())
    texts = [(problem.task_id, text) for problem in problems for text in (problem.prompt, problem.canonical_solution)]
    index = make_index(texts)
    for problem in problems:
        assert index.find(words("import sys\n\n" + problem.prompt + "    pass\n"))
    solved = [problem for problem in problems if len(words(problem.canonical_solution)) >= 20]
    assert len(solved) > 130
    assert all(index.find(words("x = 1\n" + problem.canonical_solution)) for problem in solved)
