"""Figures as files, and as SVG that can stand inside an HTML page with others."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from harness.reporting.bootstrap import Bootstrap
from harness.reporting.figures import figures
from harness.reporting.scores import Scores

DPI = 250  # of the PNG


@dataclass(frozen=True)
class Drawing:
    """A figure of one group of runs: `svg`, `png` and `pdf` are its files, `stem` is their name without the ending."""

    scores: Scores
    stem: str
    title: str
    caption: str
    svg: bytes
    png: bytes
    pdf: bytes

    @property
    def inline(self) -> Markup:
        """The SVG as an element of an HTML page: scales, has no background, and its ids are its own.

        Matplotlib numbers the parts of every figure in the same way, and its style sheet would reach the whole page.
        """
        text = self.svg.decode()
        foreign = r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>"
        text = re.sub(foreign, "", text[text.index("<svg") :], flags=re.DOTALL)
        text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.stem}-", text)
        text = text.replace("fill: #ffffff", "fill: none", 1)  # the first is the background
        size = Markup('width="{}" role="img" aria-label="{}"').format(self.width, self.title)
        return Markup(re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', lambda _: size, text, count=1).strip())

    @property
    def width(self) -> int:
        """In CSS pixels: half as large again as on paper, where text of 7 points is read from closer."""
        return round(1.5 * float(re.search(rb'<svg [^>]*?width="([\d.]+)pt"', self.svg)[1]) * 4 / 3)


def draw(boards: Sequence[Scores], bootstrap: Bootstrap) -> list[Drawing]:
    """Every figure that the records suffice for, in the order of the groups."""
    drawings = []
    for index, scores in enumerate(boards):
        for figure in figures(scores, bootstrap):
            stem = figure.name + (f"-{index + 1}" if len(boards) > 1 else "")
            drawings.append(Drawing(scores, stem, figure.title, figure.caption, *_files(figure.canvas)))
    return drawings


def _files(figure: Canvas) -> list[bytes]:
    """SVG, PNG and PDF, without dates: equal figures are equal files.

    The canvases are used directly, since `savefig` finds the layout and draws everything twice for each format.
    """
    figure.draw_without_rendering()  # finds the layout
    figure.set_layout_engine("none")
    figure.dpi = DPI
    svg, png, pdf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    FigureCanvasAgg(figure).print_png(png)
    FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})
    FigureCanvasPdf(figure).print_pdf(pdf, metadata={"CreationDate": None})
    return [file.getvalue() for file in (svg, png, pdf)]


def figure_files(drawings: Sequence[Drawing]) -> dict[str, str | bytes]:
    """Every figure as SVG, PNG and PDF by file name, and a document that shows them with their captions."""
    files: dict[str, str | bytes] = {}
    lines = ["# Figures", ""]
    for one in drawings:
        files |= {f"figures/{one.stem}.{kind}": getattr(one, kind) for kind in ("svg", "png", "pdf")}
        lines += [f"## {one.title}", "", f"![{one.title}]({one.stem}.png)", "", one.caption, ""]
        lines += [f"For print: [{one.stem}.pdf]({one.stem}.pdf), [{one.stem}.svg]({one.stem}.svg).", ""]
    return files | ({"figures/README.md": "\n".join(lines)} if drawings else {})
