import subprocess
import sys

import pytest

from codex_jax import terminal

TITLE = "\x1b]0;owned\x07"  # sets the terminal's title
MARKUP = ["[/x]", "[red]", "c[red].jsonl", "[bold]a[/bold]", ":smile:", "[link=https://x]y[/link]"]
CONTROLS = {
    TITLE: "\\x1b]0;owned\\x07",
    "a\rb\x08c\x7fd": "a\\rb\\x08c\\x7fd",
    "\x9b2J": "\\x9b2J",
    "a\u202eb\u2066c\u200bd": "a\\u202eb\\u2066c\\u200bd",
    "a\u2028b\nc": "a\\u2028b\\nc",
    "\udcff\U000e0041": "\\udcff\\U000e0041",
}


def test_plain_text_stays_as_it_is():
    for text in ("", "x = 1", "é汉 \u00a0\u3000", "C:\\x1b", *MARKUP):
        assert terminal.plain(text) == text
    assert terminal.plain("a\nb\tc\x1b", keep="\n\t") == "a\nb\tc\\x1b"


@pytest.mark.parametrize(("text", "shown"), CONTROLS.items())
def test_nothing_that_controls_a_terminal_is_printed(text, shown, capsys):
    terminal.say(text)
    terminal.show(text, [[text, "n"], [text, text]])
    out = capsys.readouterr().out
    assert out.count(shown) == 5
    with terminal.progress(text, 1) as report:
        report(1, text)
    err = capsys.readouterr().err
    assert err.count(shown) == 2
    terminal.note(text)
    err += capsys.readouterr().err
    assert not any(one in out + err for one in text if not one.isprintable() and one != "\n")


@pytest.mark.parametrize("text", MARKUP)
def test_markup_is_shown_as_text(text, capsys):
    terminal.show(text, [[text, text], [text, text]])
    assert capsys.readouterr().out.count(text) == 5


def test_a_progress_bar_shows_markup_as_text():
    code = "import sys; from codex_jax import terminal\n"
    code += "sys.stderr.isatty = lambda: True\n"
    code += f"with terminal.progress('[/x]', 1) as report:\n    report(1, '[red]' + {TITLE!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[/x]" in done.stderr
    assert TITLE not in done.stderr


class Time:
    """A clock that is set by hand."""

    now = 0.0

    def monotonic(self):
        return self.now


def test_the_time_left_is_from_what_was_finished_in_this_command(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "time", clock := Time())
    with terminal.progress("x", 100, done=40) as report:
        clock.now = 60  # compiling
        report()
        for _ in range(9):
            clock.now += 3
            report()
        assert (
            capsys.readouterr().err.splitlines()[-1] == "x 49/100 elapsed 1m24s left 2m33s"
        )  # 10 s after the one before
    assert capsys.readouterr().err == "x 50/100 elapsed 1m27s left 2m30s\n"


def test_the_time_left_is_unknown_after_one_report_and_none_at_the_end():
    estimate = terminal.Estimate(3)
    assert str(estimate) == "?"
    estimate.add(1)
    assert str(estimate) == "?"
    assert str(terminal.Estimate(3, done=3)) == "0s"


def test_what_happens_once_is_soon_forgotten_and_what_recurs_counts(monkeypatch):
    monkeypatch.setattr(terminal, "time", clock := Time())
    estimate = terminal.Estimate(1_000_000)
    for step in range(1, 400_001):
        clock.now += 1 + (5000 if step == 100 else 0) + (100 if step % 100 == 0 else 0)
        estimate.add(1)
        if step == 1000:
            assert estimate.seconds() == pytest.approx(2 * 999_000, rel=0.1)
    assert estimate.seconds() == pytest.approx(2 * 600_000, rel=0.01)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (1085, "18m05s"), (7260, "2h01m"), (86400 * 20 + 4 * 3600, "20d04h")],
)
def test_durations(seconds, text):
    assert terminal.duration(seconds) == text
