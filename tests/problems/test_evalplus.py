import json

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.evalplus import problem_of
from codex_jax.problems.load import load_problems
from tests.problems.judging import evalplus_rows, judge_all, write_evalplus

# Makes a function return another value of the same type.
OFF_BY_ONE = """

def _next(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return value + "."
    return [*value, 0] if isinstance(value, list) else [value]

_right = {name}
def {name}(*arguments):
    return _next(_right(*arguments))
"""
ROW = {
    "task_id": "t/0",
    "prompt": "def half(x, n):\n",
    "entry_point": "half",
    "canonical_solution": "    return x / 2\n",
    "base_input": [[3, 0]],
    "plus_input": [[5, 1], [7, 2]],
    "atol": 0,
}


def suites_of(row, *completions):
    problem = problem_of(row)
    return [judgement.suites for judgement in judge_all([(problem, {"completion": text}) for text in completions])]


def test_references_pass_and_off_by_one_ones_fail(tmp_path):
    rows = write_evalplus(tmp_path / "p.jsonl", 40)
    benchmark = load_problems(str(tmp_path / "p.jsonl"))
    assert (benchmark.name, len(benchmark.problems)) == ("EvalPlus", 40)
    pairs = [(benchmark.problems[row["task_id"]], row) for row in rows]
    right = [(problem, {"completion": row["canonical_solution"]}) for problem, row in pairs]
    whole = [(problem, {"solution": row["prompt"] + row["canonical_solution"]}) for problem, row in pairs]
    wrong = [
        (problem, {"completion": row["canonical_solution"] + OFF_BY_ONE.format(name=row["entry_point"])})
        for problem, row in pairs
    ]
    found = judge_all(right + whole + wrong)
    assert [judgement.result for judgement in found[:80]] == ["passed"] * 80
    assert [
        problem.task_id for (problem, _), judgement in zip(wrong, found[80:], strict=True) if judgement.passed
    ] == []


def test_base_and_plus_have_results_of_their_own():
    right, base_only, plus_only, none = suites_of(
        ROW,
        "    return x / 2\n",
        "    return x / 2 if n == 0 else 0\n",
        "    return x / 2 if n else 0\n",
        "    return 0\n",
    )
    assert right == {"base": "passed", "plus": "passed"}
    assert base_only == {"base": "passed", "plus": "failed: AssertionError: input 0"}
    assert plus_only == {"base": "failed: AssertionError: input 0", "plus": "passed"}
    assert set(none.values()) == {"failed: AssertionError: input 0"}


def test_the_tolerance_of_the_problem_or_of_floats():
    near, far = "    return x / 2 + 1e-7\n", "    return x / 2 + 1e-3\n"
    assert [found["plus"] == "passed" for found in suites_of(ROW, near, far)] == [True, False]
    assert [found["plus"] == "passed" for found in suites_of({**ROW, "atol": 0.01}, near, far)] == [True, True]
    whole = {**ROW, "canonical_solution": "    return x // 2\n"}
    assert [found["plus"] == "passed" for found in suites_of(whole, "    return x // 2\n", near)] == [True, False]


def test_any_zero_of_a_polynomial_passes():
    rows = {row["entry_point"]: row for row in evalplus_rows(40)}
    row = {**rows["find_zero"], "base_input": [[[-6, 11, -6, 1]]], "plus_input": [], "atol": 1e-4}  # zeros 1, 2, 3
    found = suites_of(row, "    return 1.0\n", "    return 3\n", "    return 1.5\n")
    assert [suites["base"] == "passed" for suites in found] == [True, True, False]


def test_an_input_that_a_solution_changes_is_restored():
    row = {
        **ROW,
        "prompt": "def total(x):\n",
        "entry_point": "total",
        "canonical_solution": "    x.append(1)\n    return sum(x)\n",
        "base_input": [[[1, 2]], [[1, 2]]],
        "plus_input": [],
    }
    for suites in suites_of(row, row["canonical_solution"], "    return sum(x) + 1\n", row["canonical_solution"]):
        assert suites["base"] == "passed"


def test_a_slow_reference_raises_the_time_limit():
    slow = "    import time\n    while time.process_time() < began + {}:\n        pass\n    return x\nimport time\n"
    slow += "began = time.process_time()\n"
    row = {**ROW, "canonical_solution": slow.format(0.5), "plus_input": []}
    problem = problem_of(row)
    found = judge_all([(problem, {"completion": slow.format(seconds)}) for seconds in (1.0, 9.0)], timeout=0.2)
    assert [judgement.result for judgement in found] == ["passed", "timed out"]


def test_a_reference_that_fails_is_reported():
    problem = problem_of({**ROW, "canonical_solution": "    return x / n\n"})
    (found,) = judge_all([(problem, {"completion": "    return 0\n"})])
    assert found.suites["base"].startswith("failed: RuntimeError: the reference solution fails on input 0")


MBPP = {
    "task_id": "Mbpp/2",
    "prompt": '"""\nThe shared items.\nassert similar_elements((3, 4), (5, 4)) == (4,)\n"""\n',
    "entry_point": "similar_elements",
    "canonical_solution": "def similar_elements(a, b):\n    assert type(a) is tuple\n    return tuple({*a} & {*b})\n",
    "base_input": [[[3, 4], [5, 4]]],
    "plus_input": [[[1, 2, 3, 9, 100], [3, 2, 100]]],
    "assertion": "assert similar_elements((3, 4), (5, 4)) == (4,)",
}
OTHER = {
    **MBPP,
    "task_id": "Mbpp/t2",
    "entry_point": "shared",
    "assertion": "assert set(shared((3,), (5,))) == set(())",
}
OTHER["canonical_solution"] = MBPP["canonical_solution"].replace("similar_elements", "shared")


def passes(row, *solutions):
    """Whether each program passes base and plus."""
    problem = problem_of(row)
    found = judge_all([(problem, {"solution": text}) for text in solutions])
    return [judgement.passed for judgement in found]


def test_a_task_of_mbpp_has_evalplus_s_types_and_rule():
    assert problem_of(MBPP).opening == ""  # the prompt is not a part of the program
    right = "def similar_elements(a, b):\n    return (x for x in a if x in b and type(a) is tuple)\n"
    short = "def similar_elements(a, b):\n    return [x for x in a if x in b][:1]\n"
    assert passes(MBPP, MBPP["canonical_solution"], right, short) == [True, True, False]
    exact = {**MBPP, "task_id": "Mbpp/3", "entry_point": "shared", "assertion": OTHER["assertion"]}
    exact["canonical_solution"] = OTHER["canonical_solution"].replace("is tuple", "is list")
    same = exact["canonical_solution"].replace("tuple(", "list(")
    assert passes(exact, exact["canonical_solution"], same) == [True, False]


def test_in_another_task_the_assertion_decides_on_types_and_comparison():
    right = "def shared(a, b):\n    return sorted((x for x in a if x in b), reverse=type(a) is tuple)\n"
    short = "def shared(a, b):\n    return [x for x in a if x in b][:2]\n"
    assert passes(OTHER, OTHER["canonical_solution"], right, short) == [True, True, False]
    in_order = {**OTHER, "assertion": "assert list(shared((1, 2), (1,))) == [1]"}
    right = "def shared(a, b):\n    return filter(b.__contains__, sorted(a, reverse=True))\n"
    in_order["canonical_solution"] = right
    assert passes(in_order, right, right.replace("True", "False")) == [True, False]


def test_an_answer_that_cannot_be_compared():
    row = {
        **MBPP,
        "task_id": "Mbpp/t3",
        "entry_point": "starts",
        "canonical_solution": "import re\ndef starts(x):\n    return re.match('a', x)\n",
        "base_input": [["a"], ["b"]],
        "plus_input": [["ab"]],
        "assertion": "assert starts('a')\nassert not starts('b')",
    }
    answers = ["x == 'a'", "x[0] == 'a'", "x[0] == 'a' or None", "x[0] == 'a' or ''", "x[0] == 'a' or 0"]
    solutions = [f"def starts(x):\n    return {answer}\n" for answer in answers]
    assert passes(row, row["canonical_solution"], *solutions) == [True, False, True, True, False, False]
    boolean = {**row, "canonical_solution": "def starts(x):\n    return x[0] == 'a'\n"}
    assert passes(boolean, *solutions) == [False, True, False, False, True]
    named = {key: value.replace("starts", "check_str") for key, value in row.items() if isinstance(value, str)}
    named |= {"task_id": "Mbpp/794", "base_input": [["a"], ["b"]], "plus_input": []}
    solutions = [text.replace("starts", "check_str") for text in solutions]
    assert passes(named, named["canonical_solution"], *solutions) == [True, True, True, True, False, False]


def test_a_second_answer_of_some_tasks_of_mbpp():
    source = "def {}(*x):\n    return {}\n"
    for name, inputs, answers in (
        ("are_equivalent", [[1, 2]], {"False": True, "object()": True, "1 / 0": False}),
        ("sum_div", [[8]], {"7": True, "0": True, "8": False}),
        ("surface_Area", [[3, 4]], {"33": True, "35": True, "34": False}),
        ("digit_distance_nums", [[123, 54]], {"69": True, "5": True, "6": False}),
    ):
        right = source.format(name, next(iter(answers)))
        row = {**MBPP, "entry_point": name, "base_input": inputs, "plus_input": [], "canonical_solution": right}
        row["task_id"] = "Mbpp/800"
        assert passes(row, *(source.format(name, answer) for answer in answers)) == list(answers.values())
        if name != "are_equivalent":
            row |= {"prompt": "x = 0\n", "task_id": "HumanEval/1"}  # no task of MBPP
            assert passes(row, source.format(name, list(answers)[1])) == [False]


@pytest.mark.parametrize("plus", [[], {}])
def test_a_program_must_run_even_without_inputs(plus):
    row = {**ROW, "base_input": [], "plus_input": plus}
    assert passes(row, "def half(x, n):\n    return 0\n", "def half(x, n) return", "", "raise KeyError\n") == [
        *(True, False, False, False)
    ]


def test_an_object_stands_for_its_names():
    row = {**ROW, "plus_input": {"ab": 1}, "canonical_solution": "    return str(x) + str(n)\n"}
    found = suites_of(row, row["canonical_solution"], "    return f'{x}{n}' if x != 'a' else 0\n")
    assert [suites["plus"] == "passed" for suites in found] == [True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_input": 3}, "base_input of 't/0' is not a list of lists"),
        ({"plus_input": [3]}, "plus_input of 't/0' is not a list of lists"),
        ({"plus_input": None}, "plus_input"),
        ({"atol": -1}, "atol of 't/0'"),
        ({"atol": "0"}, "atol of 't/0'"),
        ({"assertion": "assert ("}, "the assertion of 't/0' is not Python"),
        ({"prompt": None}, "'prompt' is missing"),
        ({"task_id": "Mbpp/75"}, "base_input of 'Mbpp/75' is not what EvalPlus has for this task"),
    ],
)
def test_the_error_names_the_line_of_a_bad_problem(tmp_path, change, message):
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, **change}) + "\n")
    with pytest.raises(InputError, match=message) as caught:
        load_problems(str(path))
    assert f"{path} line 2: " in str(caught.value)
