"""Learning curves: losses of the training and scores of every epoch."""

import pytest

from tests.fixtures.drawn import drawn, lines_of
from tests.fixtures.make_records import make_record


def test_learning_curves_have_a_line_per_cell_and_thin_ones_per_seed():
    records = [make_record("mrpc", "full", seed=seed) for seed in (0, 1)]
    for record, losses in zip(records, ((0.6, 0.4, 0.2), (0.8, 0.4, 0.4)), strict=True):
        record["training"]["history"] = [{"epoch": i, "loss": loss} for i, loss in enumerate(losses, 1)]
    (ax,) = drawn(records)["learning_curves"].canvas.axes
    assert list(lines_of(ax)["Full fine-tuning"].get_ydata()) == pytest.approx([0.7, 0.4, 0.3])
    assert [list(line.get_ydata()) for line in ax.get_lines()[:2]] == [[0.6, 0.4, 0.2], [0.8, 0.4, 0.4]]
    assert ax.get_ylim() == pytest.approx((0, 1.05 * 0.8))
    assert all(tick == int(tick) for tick in ax.get_xticks())


def with_losses(record, means, every=200):
    """575 steps, three epochs."""
    record["config"]["train"]["epochs"] = 3
    record["training"]["losses"] = {"every": every, "means": means}
    return record


def test_losses_of_every_few_steps_are_drawn_at_the_middle_of_their_steps():
    records = [with_losses(make_record("mrpc", "full", seed=seed), [0.6, 0.4, 0.2 + seed]) for seed in (0, 1)]
    figure = drawn(records)["learning_curves"]
    assert figure.caption.startswith("Mean training loss of every hundredth of a run, for")
    (ax,) = figure.canvas.axes
    line = lines_of(ax)["Full fine-tuning"]
    assert list(line.get_xdata()) == pytest.approx([100 * 3 / 575, 300 * 3 / 575, 487.5 * 3 / 575])
    assert list(line.get_ydata()) == pytest.approx([0.6, 0.4, 0.7])
    del records[1]["training"]["losses"]  # by an older version
    records[0]["training"]["history"].append({"epoch": 2, "loss": 0.3})
    records[1]["training"]["history"].append({"epoch": 2, "loss": 0.4})
    (ax,) = drawn(records)["learning_curves"].canvas.axes
    assert list(lines_of(ax)["Full fine-tuning"].get_ydata()) == pytest.approx([0.5, 0.35])


def test_many_losses_have_a_band_from_the_lowest_to_the_highest_seed():
    records = [
        with_losses(make_record("mrpc", "full", seed=seed), [0.5 + seed / 10] * 96, every=6) for seed in (0, 1, 2)
    ]
    figure = drawn(records)["learning_curves"]
    assert "the chosen config of each cell; bands: its seeds. " in figure.caption
    (ax,) = figure.canvas.axes
    (line,), (band,) = ax.get_lines(), ax.collections
    assert len(line.get_xdata()) == 96 and line.get_marker() in ("", "None")
    assert list(line.get_ydata()) == pytest.approx([0.6] * 96)
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.5, 0.7))
    assert "the chosen config of each cell. " in drawn(records[:1])["learning_curves"].caption  # a single seed


def test_scores_of_every_epoch_have_panels_of_their_own():
    records = [with_losses(make_record("mrpc", "full", 0.9), [0.6, 0.4, 0.2])]
    records += [with_losses(make_record("rte", size=64), [0.6, 0.4, 0.2])]
    records[0]["training"]["history"] = [
        {"epoch": epoch, "loss": 0.5, "scores": {"validation": {"f1": score, "accuracy": 0.1}}}
        for epoch, score in ((1, 0.7), (2, None))
    ] + [{"epoch": 3, "loss": 0.4}]
    figure = drawn(records)["learning_curves"]
    assert [ax.get_title() for ax in figure.canvas.axes] == ["MRPC", "RTE", "MRPC"]
    ax = figure.canvas.axes[2]
    assert ax.get_ylabel() == "F1 × 100, selection split"
    (line,) = ax.get_lines()
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 3], pytest.approx([70, 90]))
    assert "Scores: on the selection split" in figure.caption
