"""Sheets to grade by hand."""

import csv
import html.parser

import pytest

from codex_jax.errors import InputError
from codex_jax.scoring.grading_sheet import COLUMNS, SheetItem, read_grades, write_sheet

HOSTILE = '</pre><script>alert(1)</script>" onclick="x'
ITEMS = [
    SheetItem("t/0", "0", "def f(x):\n    return x\n", "Returns x.", "=HYPERLINK(1)"),
    SheetItem("t/0", "1", "def f(x): return ','", HOSTILE, HOSTILE),
    SheetItem("=1+1", "0", "-x", 'Has "quotes",\nand lines', "\ud800"),
]


class Text(html.parser.HTMLParser):
    """The tags and the text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_a_csv_file_is_read_back(tmp_path):
    path = tmp_path / "sheet.csv"
    write_sheet(path, ITEMS)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*COLUMNS]
    assert [row["sampled_docstring"] for row in rows] == ["'=HYPERLINK(1)", HOSTILE, "\\ud800"]
    assert not any(cell.startswith(("=", "-", "+", "@")) for row in rows for cell in row.values())
    with pytest.raises(InputError, match="has no grades"):
        read_grades(path)
    for row, grade in zip(rows, ("Right", "", "no"), strict=True):
        row["grade"] = grade
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    assert read_grades(path) == {("t/0", "0"): True, ("=1+1", "0"): False}


def test_a_page_shows_what_a_model_wrote_as_text(tmp_path):
    path = tmp_path / "sheet.html"
    write_sheet(path, ITEMS)
    page = Text()
    page.feed(path.read_text())
    sections = [attrs for tag, attrs in page.tags if tag == "section"]
    assert [(one["data-task"], one["data-sample"]) for one in sections] == [item[:2] for item in ITEMS]
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert sum(tag == "input" for tag, _ in page.tags) == 2 * len(ITEMS)
    assert page.text.count(HOSTILE) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"task_id,sample\nt/0,0\n", "no column 'grade'"),
        (b"", "no column 'task_id'"),
        (b"task_id,sample,grade\nt/0,0,maybe\n", "line 2: the grade 'maybe'"),
        (b"task_id,sample,grade\nt/0,0,right\nt/0,0,wrong\n", "line 3: sample 0 of 't/0' is graded twice"),
        (b"task_id,sample,grade\n\xff,0,right\n", "not a CSV file"),
        (b"task_id,sample,grade\nt/0\n", "has no grades"),
    ],
)
def test_broken_sheets(tmp_path, content, message):
    path = tmp_path / "sheet.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_grades(path)
    with pytest.raises(InputError, match="cannot read"):
        read_grades(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot write"):
        write_sheet(tmp_path / "no" / "sheet.csv", ITEMS)
