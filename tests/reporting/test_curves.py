from codex_jax.reporting.curves import draw_curves

ROWS = [{"step": 1, "loss": 3.0, "pass@1": 0.5}, {"step": 2, "loss": 2.0}, {"step": 2, "validation_loss": 2.5}]


def test_a_panel_for_each_metric_and_a_curve_for_each_run():
    figure = draw_curves({"one": ROWS, "two": ROWS[:1]})
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["loss (nats per token)", "pass@k"]
    loss, passed = shown
    assert [line.get_label() for line in loss.lines] == ["one loss", "one validation_loss", "two loss"]
    assert list(loss.lines[0].get_ydata()) == [3.0, 2.0]
    assert len(passed.lines) == 2


def test_without_metrics_there_is_no_figure():
    assert draw_curves({"one": [{"step": 1}]}) is None
    assert draw_curves({}) is None
