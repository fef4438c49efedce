"""Sheets on which a person grades sampled docstrings: CSV for a spreadsheet, or HTML for a browser.

They do not show how back-generation has graded, so that the two can be compared.
"""

import csv
import html
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_text_atomic
from codex_jax.storage.jsonl import Json

COLUMNS = ("task_id", "sample", "grade", "code", "docstring", "sampled_docstring")
RIGHT, WRONG = {"right", "yes", "true", "1"}, {"wrong", "no", "false", "0"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell that a spreadsheet evaluates begins with
MAX_FIELD = 1 << 24  # characters of a cell
PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Docstrings to grade</title>
<style>
body {{ font-family: sans-serif; max-width: 60em; margin: auto; }}
pre {{ background: #f4f4f4; padding: 0.6em; white-space: pre-wrap; }}
</style>
<h1>Docstrings to grade</h1>
<p>A docstring is right if it says exactly what the code does. A copy of the code is wrong.
<button id="save">Save grades.csv</button> Then: python -m codex_jax.grade ... --grades grades.csv</p>
{items}
<script>
document.getElementById("save").onclick = () => {{
  const quoted = (text) => '"' + text.replaceAll('"', '""') + '"';
  const lines = ["task_id,sample,grade"];
  for (const item of document.querySelectorAll("section")) {{
    const chosen = item.querySelector("input:checked");
    lines.push([item.dataset.task, item.dataset.sample, chosen ? chosen.value : ""].map(quoted).join(","));
  }}
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\\n") + "\\n"], {{type: "text/csv"}}));
  link.download = "grades.csv";
  link.click();
}};
</script>
</html>
"""
ITEM = """\
<section data-task="{task_id}" data-sample="{sample}"><h2>{task_id}, sample {sample}</h2>
<pre>{code}</pre><p>The problem's own docstring:</p><pre>{docstring}</pre>
<p>The sampled docstring:</p><pre>{sampled_docstring}</pre>
<label><input type="radio" name="grade {number}" value="right">right</label>
<label><input type="radio" name="grade {number}" value="wrong">wrong</label></section>
"""


class SheetItem(NamedTuple):
    """A docstring to grade."""

    task_id: str
    sample: str
    code: str
    docstring: str  # the problem's own
    sampled_docstring: str


def write_sheet(path: Path, items: Iterable[SheetItem]) -> None:
    """Writes a sheet; its suffix, .csv or .html, decides the form. InputError if it cannot be written."""
    text = _html(items) if path.suffix == ".html" else _csv(items)
    try:
        write_text_atomic(path, text.encode("utf-8", "backslashreplace").decode())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _csv(items: Iterable[SheetItem]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for item in items:
        # A quote in front keeps a spreadsheet from evaluating text that a model wrote.
        cells = {name: f"'{value}" if value.startswith(FORMULA) else value for name, value in item._asdict().items()}
        writer.writerow({**cells, "grade": ""})
    return file.getvalue()


def _html(items: Iterable[SheetItem]) -> str:
    escaped = ({name: html.escape(value) for name, value in item._asdict().items()} for item in items)
    return PAGE.format(items="".join(ITEM.format(number=n, **fields) for n, fields in enumerate(escaped)))


def sample_name(row: Json) -> str:
    """The number of a sample as it stands in a sheet."""
    return str(row.get("sample", ""))


def read_grades(path: Path) -> dict[tuple[str, str], bool]:
    """(task_id, sample) -> whether the docstring is right; those without a grade are left out. InputError if broken."""
    grades: dict[tuple[str, str], bool] = {}
    try:
        csv.field_size_limit(MAX_FIELD)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS[:3] if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path} has no column {missing[0]!r}: give a CSV sheet that --sheet wrote")
            for row in reader:
                grade = (row["grade"] or "").strip().lower()
                key = ((row["task_id"] or "").removeprefix("'"), (row["sample"] or "").strip())
                if grade not in RIGHT | WRONG | {""}:
                    raise InputError(f"{path} line {reader.line_num}: the grade {grade!r} is neither right nor wrong")
                if key in grades:
                    raise InputError(f"{path} line {reader.line_num}: sample {key[1]} of {key[0]!r} is graded twice")
                if grade:
                    grades[key] = grade in RIGHT
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8: {error}") from None
    if not grades:
        raise InputError(f"{path} has no grades: write right or wrong in its column grade")
    return grades
