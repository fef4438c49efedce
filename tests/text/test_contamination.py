from codex_jax.problems.load import load_problems
from codex_jax.text.contamination import make_index
from codex_jax.text.hashing import word_hashes

SOLUTION = "".join(f"    value_{n} = step_{n}(value_{n - 1}, {n})\n" for n in range(1, 12))
INDEX = make_index([("one", SOLUTION), ("short", "return x + 1"), ("two", SOLUTION.replace("step", "walk"))])


def test_a_solution_is_found_regardless_of_whitespace():
    padding = "import os\n\n\ndef helper(a):\n    return os.getcwd()\n" * 20
    assert INDEX.find(word_hashes(padding)) == ""
    assert INDEX.find(word_hashes(padding + "def f(value_0):\n" + SOLUTION + padding)) == "one"
    assert INDEX.find(word_hashes(padding + SOLUTION.replace("\n", "\n\n").replace("    ", "\t"))) == "one"
    assert INDEX.find(word_hashes(padding + SOLUTION.replace("step", "walk"))) == "two"


def test_half_of_a_texts_runs_make_a_document_contaminated():
    lines = SOLUTION.splitlines(keepends=True)
    assert INDEX.find(word_hashes("".join(lines[:8]))) == "one"
    assert INDEX.find(word_hashes("".join(lines[:3]))) == ""
    assert INDEX.find(word_hashes("".join(reversed(lines)))) == ""


def test_short_texts_are_not_protected():
    assert INDEX.find(word_hashes("def f(x):\n    return x + 1\n")) == ""
    assert make_index([]).find(word_hashes("anything at all")) == ""


def test_every_problem_of_humaneval_is_found_by_its_prompt():
    problems = list(load_problems("humaneval").problems.values())
    texts = [(problem.task_id, text) for problem in problems for text in (problem.prompt, problem.canonical_solution)]
    index = make_index(texts)
    for problem in problems:
        assert index.find(word_hashes("import sys\n\n" + problem.prompt + "    pass\n"))
    long_enough = [problem for problem in problems if len(word_hashes(problem.canonical_solution)) >= 20]
    assert len(long_enough) > 130
    assert all(index.find(word_hashes("x = 1\n" + problem.canonical_solution)) for problem in long_enough)
