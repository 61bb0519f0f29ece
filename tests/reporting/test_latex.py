"""The LaTeX tables compile in a paper of two columns, without a warning; `test_table.py` has what they consist of."""

import shutil
import subprocess

import numpy as np
import pytest

from harness.records.record import load_records
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.documents import make_report
from harness.reporting.latex import PACKAGES
from tests.fixtures.make_records import make_record, write_all, write_predictions_of

PAPER = r"""\documentclass[twocolumn]{{article}}
\usepackage{{{packages}}}
\begin{{document}}
See Table~\ref{{tab:glue}}.
{inputs}
\end{{document}}
"""


@pytest.fixture
def files(tmp_path):
    """The tables of two groups: deviations, single seeds, constant predictions, failures, other data, odd names."""
    records = [make_record("mrpc", size=size, score=0.8 + size / 1e3, seed=s) for size in (8, 64) for s in range(3)]
    records += [make_record("rte", size=8, score=0.6, degenerate=True), make_record("mrpc", "full", score=0.85)]
    records += [make_record("rte", "full", status="failed", error="50 % of a_b & {c}")]
    records += [make_record("stsb", score=None), make_record("cola", source="synthetic_#1", score=-0.02)]
    write_all(tmp_path, records)
    made = make_report(records, Bootstrap(tmp_path), with_figures=False).files
    compared = "tables/methods_compared.tex"
    return {name: text for name, text in made.items() if name.endswith(".tex")} | {
        compared: methods(tmp_path)[compared]
    }


def methods(folder):
    """The tables of four methods, with intervals over rows and seeds."""
    labels = np.random.default_rng(0).integers(0, 2, 100)
    names = {"adapter": None, "bitfit": 40_000, "layernorm": 10_000, "full": None}
    for task in ("rte", "qnli"):
        for name, trained in names.items():
            runs = [make_record(task, name, trained=trained, seed=seed) for seed in range(3)]
            write_predictions_of(folder / "methods", runs, labels=labels)
    return make_report(load_records(folder / "methods"), Bootstrap(folder / "methods"), with_figures=False).files


def test_there_is_a_file_per_table(files):
    names = {name.removeprefix("tables/").removesuffix(".tex") for name in files}
    assert names == {"glue", "glue_2", "differences", "by_size", "by_size_2", "methods", "methods_2",
                     "methods_compared", "published", "published_2"}  # fmt: skip
    assert r"\label{tab:glue-2}" in files["tables/glue_2.tex"]
    for text in files.values():
        assert text.count(r"\begin{tabular}") == 1 and text.count(r"\par ") <= 2
        assert "NOTES.md" in text.splitlines()[0]


@pytest.mark.tex
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_they_compile_in_two_columns_without_a_warning(files, tmp_path):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    inputs = "\n".join(rf"\input{{{name.removesuffix('.tex')}}}" for name in files)
    (tmp_path / "paper.tex").write_text(PAPER.format(packages=",".join(PACKAGES), inputs=inputs), encoding="utf-8")
    for _ in range(2):  # the second time with references
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(encoding="utf-8", errors="replace")
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
    told = [line for line in log.splitlines() if "Warning" in line or line.startswith(("Overfull", "!"))]
    assert not told
