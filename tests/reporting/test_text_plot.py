import math

from codex_jax.reporting.text_plot import points, text_curve

ROWS = [{"step": 2, "loss": 1.0}, {"step": 0, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 3, "loss": math.nan}]


def test_points_are_in_the_order_of_steps_without_what_cannot_be_drawn():
    assert points([*ROWS, {"loss": 9.0}, {"step": 4, "loss": "x"}, {"step": 5}], "loss") == [(0, 3.0), (2, 2.0)]


def test_a_curve_in_characters_has_its_ends_where_they_belong():
    first, second = text_curve([[(0, 5.0), (10, 1.0)]], width=6, height=2)
    assert first == "5 ⠁⠀⠀⠀"
    assert second == "1 ⠀⠀⠀⢀"


def test_curves_share_one_plot_and_few_points_are_no_error():
    assert text_curve([], 20, 4) == []
    assert len(text_curve([[(1, 1.0)], [(1, 2.0)]], 20, 4)) == 4
    assert text_curve([[(1, 1.0)]], 1, 1) == ["1 ⠁"]
