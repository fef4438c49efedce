from pathlib import Path

import pytest

from codex_jax.reporting import tables
from codex_jax.reporting.statistics import best, by_problem, summarize
from tests.reporting.test_statistics import contest, rows

WHERE = Path("r.jsonl")


def cells(shown):
    """By title, the rows below the header, without intervals."""
    return {
        title: [[cell.split(" (")[0] if "to" in cell else cell for cell in row] for row in body]
        for title, (_, *body) in shown
    }


def test_tables_of_models():
    values = summarize(
        rows("a", [True, False], mean_logp=[-1, -2]) + rows("b", [False, False], mean_logp=[-1, -1]), WHERE
    )
    shown = cells(tables.model_tables({"base": values, "other": values}))
    assert shown["Pass rates"] == [["base", "25.0%"], ["other", "25.0%"]]
    assert shown["One sample per problem, chosen by"] == [
        ["random", "25.0%", "25.0%"],
        ["mean log p", "50.0%", "50.0%"],
        ["oracle", "50.0%", "50.0%"],
    ]
    assert tables.measure(values, "pass@1") == "25.0% (0.0 to 50.0)"


def test_apps_as_in_the_paper():
    results = contest("a", "interview", ("passed", True), ("failed: X", False))
    results += contest("b", "competition", ("timed out", True), ("failed: X", True))
    shown = dict(tables.model_tables({"m": summarize(results, WHERE, ks=(1,))}))
    assert shown["m by difficulty (with timeouts as passes)"] == [
        ["", "interview, 1 problems", "competition, 1 problems"],
        ["raw pass@1", "50.0% (50.0%)", "0.0% (50.0%)"],
        ["filtered pass@1", "100.0% (100.0%)", "0.0% (50.0%)"],
    ]
    titles = [title for title in shown if title.startswith("Pass rates")]
    assert titles == ["Pass rates", "Pass rates of the samples that pass the examples in the statement"]
    assert shown["Pass rates"][0] == ["model", "pass@1", "pass@1 with timeouts"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`x` **y** _z_ ~u~", r"\`x\` \*\*y\*\* \_z\_ \~u\~"),
        ("<script>alert(1)</script>", "&#60;script&#62;alert(1)&#60;/script&#62;"),
        ("![i](http://x)", r"!\[i\](http&#58;//x)"),
        ("www.x.org &amp; $e$", "www&#46;x.org &#38;amp; &#36;e&#36;"),
        ("a\nb\x1b\u202e", r"a\\nb\\x1b\\u202e"),
    ],
)
def test_markdown_shows_names_as_they_are(text, shown):
    assert tables.markdown([(text, [["m", text], [text, "1"]])]) == (
        f"## {shown}\n\n| m | {shown} |\n| --- | --- |\n| {shown} | 1 |\n"
    )


def test_problems_and_the_best():
    results = rows("a", [True, False], result=["passed", "timed out"])
    assert tables.by_problem(by_problem(results))[1][1] == ["a", "2", "1", "1", "50.0%"]
    values = summarize(results, WHERE, ks=(1,))
    title, shown = tables.best_of_files(best({"T 0.2": values}, (1,)))
    assert (title, shown[1]) == ("Best of the files", ["pass@1", "50.0% (50.0 to 50.0)", "T 0.2"])
    assert tables.percent(None) == ""
