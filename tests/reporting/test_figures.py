"""Figures from records alone: which are drawn, their axes, sizes, captions and files."""

import pytest

from harness.reporting.bootstrap import Bootstrap
from harness.reporting.drawings import draw, figure_files
from harness.reporting.figure_style import COLUMN, PAGE, name_parameters, name_rates, panels
from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores
from tests.fixtures.drawn import drawn
from tests.fixtures.make_records import make_record


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((4e-5, 1.2e-3), [5e-5, 1e-4, 2e-4, 5e-4, 1e-3]), ((1e-7, 1.0), [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1])],
)
def test_log_ticks_are_at_1_2_and_5_or_at_powers_of_ten(ends, expected):
    _, (ax,) = panels(1)
    ax.set_xlim(*ends)
    name_rates(ax, "learning rate")
    ticks = [tick for tick in ax.get_xticks() if ends[0] <= tick <= ends[1] * (1 + 1e-9)]
    assert ticks == pytest.approx(expected)
    texts = ax.xaxis.get_major_formatter().format_ticks(ticks)
    assert texts[:2] == (["5e-5", "1e-4"] if ends[0] == 4e-5 else ["1e-7", "1e-6"])


def test_parameters_are_counted_in_thousands_and_millions():
    _, (ax,) = panels(1)
    ax.set_xlim(8e4, 3e6)
    name_parameters(ax)
    texts = ax.xaxis.get_major_formatter().format_ticks([1e5, 2e5, 1e6])
    assert texts == ["100k", "200k", "1M"]


def test_figures_have_the_widths_of_a_two_column_paper(tradeoff):
    found = drawn(tradeoff)
    assert found["tradeoff"].canvas.get_figwidth() == COLUMN
    assert found["tradeoff_by_task"].canvas.get_figwidth() == PAGE


def test_ticks_are_at_round_steps():
    _, (ax,) = panels(1)
    for top in (1.7, 4.0, 3.3, 88.0):
        ax.set_ylim(0, top)
        first, second = ax.get_yticks()[:2]
        assert f"{second - first:e}"[0] in "125"


def test_panels_share_a_label_that_is_the_same_in_all(tradeoff):
    canvas = drawn(tradeoff)["tradeoff_by_task"].canvas
    assert {ax.get_xlabel() + ax.get_ylabel() for ax in canvas.axes} == {""}
    assert canvas.get_supxlabel() == "trained parameters (log scale)"
    assert canvas.get_supylabel() == "score − full fine-tuning (points)"


def test_two_points_are_no_curve():
    assert drawn([make_record("mrpc", "full", 0.9), *(make_record("mrpc", size=size) for size in (8, 64))]) == {}


def test_synthetic_data_are_named_in_the_caption():
    records = [make_record("mrpc", size=size, source="synthetic") for size in (1, 8, 64)]
    assert "synthetic data (NOT GLUE)" in drawn(records)["sizes"].caption


def test_files_are_the_same_for_the_same_records(tradeoff, tmp_path):
    boards = [group_scores(group) for group in comparable_groups(tradeoff)]
    files = figure_files(draw(boards, Bootstrap(tmp_path)))
    kinds = ("svg", "png", "pdf")
    assert {"figures/README.md", *(f"figures/tradeoff.{kind}" for kind in kinds)} <= set(files)
    pdf = files["figures/tradeoff.pdf"]
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf and b"ModDate" not in pdf
    assert b"FontFile2" in pdf  # TrueType, which every publisher takes
    assert b"date" not in files["figures/tradeoff.svg"].lower()
    assert files["figures/tradeoff.png"].startswith(b"\x89PNG")
    assert "![Score against trained parameters](tradeoff.png)" in files["figures/README.md"]
    assert "[tradeoff.pdf](tradeoff.pdf)" in files["figures/README.md"]
    assert b"Points: mean over" not in files["figures/tradeoff.svg"]  # a paper sets its own caption
    assert figure_files(draw(boards, Bootstrap(tmp_path))) == files
    assert "figures/paired_differences.png" not in files  # there are no predictions
