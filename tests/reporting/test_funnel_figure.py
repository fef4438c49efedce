import pytest

from codex_jax.reporting.figures import save_figure
from codex_jax.reporting.funnel_figure import SHOWN, draw_funnel

DROPPED = {f"reason_{n}": 20 - n for n in range(SHOWN + 2)}
FOUND = sum(DROPPED.values()) + 7


def bars(figure):
    """The widths of the bars, by label."""
    (axes,) = figure.axes
    return {one.get_label(): [bar.get_width() for bar in one] for one in axes.containers}


def test_a_bar_for_all():
    widths = bars(draw_funnel({"found": FOUND, "kept": 7, "dropped": DROPPED}, "functions"))
    assert widths["kept (7)"] == [7]
    assert widths["reason 0 (20)"] == [20]
    assert widths["other reasons (21)"] == [21]
    assert sum(map(sum, widths.values())) == FOUND


def test_a_bar_for_each_group(tmp_path):
    groups = {
        "$a_b": {"found": 5, "kept": 3, "dropped": {"x": 2}},
        "c": {"found": 4, "kept": 1, "dropped": {"x": 1, "y": 2}},
    }
    figure = draw_funnel({"found": 9, "kept": 4, "dropped": {"x": 3, "y": 2}, "groups": groups}, "functions")
    assert bars(figure) == {"kept (4)": [3, 1], "x (3)": [2, 1], "y (2)": [0, 2]}
    save_figure(figure, tmp_path / "funnel")
    assert (tmp_path / "funnel.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("report", [{"found": 0, "kept": 0, "dropped": {}}, {"found": 2, "kept": 2, "dropped": {}}])
def test_nothing_dropped_or_nothing_found(report, tmp_path):
    save_figure(draw_funnel(report, "none"), tmp_path / "funnel")
