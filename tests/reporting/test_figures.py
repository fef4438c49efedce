import pytest

from codex_jax.reporting.figures import draw_figures, save_figure

BASE = {"pass@1": 0.0, "mean_logp": 0.125, "oracle": 0.5, "by_blocks": {"1": 0.5, "2": 0.25}}
TUNED = {
    "pass@1": 0.25,
    "pass@10": 0.75,
    "mean_logp": 0.5,
    "oracle": 1.0,
    "intervals_95": {"mean_logp": [0.25, 0.625]},
    "by_blocks": {"1": 0.5, "10": 0.125, "2": 0.25},
    "by_blocks_95": {"1": [0.25, 1.0], "2": [0.25, 0.25], "10": [0.0, 0.25]},
}


def axes_of(name, models):
    return draw_figures(models)[name].axes[0]


def bars(axes):
    return [round(bar.get_height(), 6) for bar in axes.patches]


def labels(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def test_the_headline_has_a_bar_for_each_way_of_choosing():
    axes = axes_of("headline", {"tuned": TUNED, "base": BASE})
    assert labels(axes) == ["base\npass@1", "tuned\npass@1", "tuned\nmean log p", "tuned\npass@10", "tuned\noracle"]
    assert bars(axes) == [0, 25, 50, 75, 100]
    assert [text.get_text() for text in axes.texts] == ["0.0%", "25.0%", "50.0%", "75.0%", "100.0%"]
    axes = axes_of("headline", {"base": BASE})
    assert labels(axes) == ["base\npass@1", "base\nmean log p", "base\noracle"]


def test_rankings_have_a_bar_per_model_and_its_interval():
    axes = axes_of("rankings", {"base": BASE, "tuned": TUNED})
    assert labels(axes) == ["mean log p", "oracle"]
    assert bars(axes) == [12.5, 50, 50, 100]
    (segments,) = (line.get_segments() for line in axes.containers[3].errorbar[2])
    assert [segment[:, 1].tolist() for segment in segments] == [[25.0, 62.5], [100.0, 100.0]]


def test_blocks_are_in_numerical_order():
    axes = axes_of("blocks", {"base": {"pass@1": 0.0}, "tuned": TUNED})
    (line,) = axes.lines[:1]
    assert line.get_xdata().tolist() == [1, 2, 10]
    assert line.get_ydata().tolist() == [50.0, 25.0, 12.5]
    assert axes.get_xticks().tolist() == [1, 2, 10]
    # The paper's range: pass rates fall by a factor of 2 to 3 with each block.
    (band,) = (item.get_paths()[0].vertices.tolist() for item in axes.collections if item.get_alpha() == 0.12)
    assert [1.0, 50.0] in band
    assert [2.0, 25.0] in band
    assert [2.0, pytest.approx(50 / 3)] in band


def test_figures_without_values_are_left_out():
    assert list(draw_figures({"m": {"pass@1": 0.5}})) == ["headline"]
    assert list(draw_figures({"m": {"pass@1": 0.5, "random": 0.5, "oracle": 0.5}})) == ["headline"]
    assert list(draw_figures({"m": BASE})) == ["headline", "rankings", "blocks"]


def test_names_are_shown_as_text(tmp_path):
    names = [
        "$x",
        "$\\frac{1$",
        "_hidden",
        "a\x1b\n",
        "汉\udcff",
        "m" * 300,
        "m" * 299 + "n",
        "m" * 20 + "!" + "m" * 20,
        "m" * 301,
    ]
    figures = draw_figures(dict.fromkeys(names, TUNED))
    legend = [text.get_text() for text in figures["rankings"].axes[0].get_legend().get_texts()]
    assert legend[:5] == ["$x", "$\\frac{1$", " _hidden", "a\\x1b\\n", "汉\\udcff"]
    assert len(set(legend)) == len(names)
    assert max(map(len, legend)) < 50
    for name, figure in figures.items():
        save_figure(figure, tmp_path / name)
    assert "frac" in (tmp_path / "rankings.svg").read_text()
