"""The page of a report: what stands in it, that it needs nothing else, and that it works in a real browser."""

import json
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from harness.records.record import load_records, write_plan
from harness.report import main
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.documents import make_report
from harness.reporting.page import make_page
from harness.reporting.table import Table
from tests.conftest import CHROMIUM
from tests.fixtures.make_records import make_record, make_sweep, write_all, write_predictions_of

ATTACK = '<script>alert("x")</script>'
VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """A parsed page: its elements, whether they are nested rightly, tables as texts, and the JSON of the runs."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.tables, self.data = [], [], {}, ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append((tag, attributes))
        if tag == "table":
            self.caption, self.rows = "", []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag
        if tag == "table":
            self.tables[" ".join(self.caption.split())] = self.rows

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        if "caption" in tags:
            self.caption += data
        elif tags and ("td" in tags or "th" in tags):
            self.rows[-1][-1] += data.strip("\n")
        if self.open and self.open[-1][1].get("id") == "runs-data":
            self.data += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three tasks and methods with predictions, one failed and one diverged run, and text that must be escaped."""
    folder = tmp_path_factory.mktemp("results")
    labels = np.random.default_rng(0).integers(0, 2, 300)
    for task in ("rte", "mrpc", "cola"):
        for rate in (1e-4, 1e-3, 3e-3):
            runs = [make_record(task, "full", seed=0, rate=rate / 10)]
            runs += [make_record(task, size=size, seed=seed, rate=rate) for size in (8, 64) for seed in (0, 1)]
            for run in runs:
                run["training"]["history"] = [{"epoch": epoch, "loss": 1 / epoch} for epoch in (1, 2, 3)]
            write_predictions_of(folder, runs, labels=labels, accuracy=0.8)
    failed = make_record("rte", seed=7, status="failed", error=f"ValueError: {ATTACK} & so on")
    custom = {"name": "own", "title": f"Own {ATTACK}", "kind": "classification", "labels": ["a", "b"]}
    custom |= {"metrics": ["accuracy"], "headline": "accuracy", "pair": False}
    other = make_record(custom, source="synthetic", suffix=ATTACK.replace("/", "")) | {}
    other["provenance"]["command"] = f"python -m harness.run {ATTACK}"
    write_all(folder, [failed, make_record("rte", seed=8, status="diverged", error="loss is nan"), other])
    write_plan(folder, ["mrpc-never-started"])
    return folder


@pytest.fixture(scope="module")
def text(results):
    assert main([str(results)]) == 0
    return (results / "report.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_else(text):
    page = Page(text)
    for name in ("src", "href", "xlink:href", "srcset", "action"):
        for tag, attributes in page.elements:
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert "@import" not in text and not re.search(r"url\((?!#)", text) and "fetch(" not in text
    assert {"charset": "utf-8"} in page.all("meta") and "viewport" in [meta.get("name") for meta in page.all("meta")]


def test_ids_are_unique_and_references_lead_somewhere(text):
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert len(page.all("svg")) == 3
    links = [attributes.get(name, "") for _, attributes in page.elements for name in ("href", "xlink:href")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(page.ids)
    assert set(re.findall(r"url\(#(.+?)\)", text)) <= set(page.ids)


def test_what_comes_from_records_is_escaped(text):
    assert ATTACK not in text
    assert len(Page(text).all("script")) == 2  # the data and the page's own
    assert "ValueError: &lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; so on" in text
    assert [row[2] for row in json.loads(Page(text).data)["rows"]].count(f"Own {ATTACK}") == 1


def test_numbers_are_those_of_the_tables(results, text):
    report = make_report(load_records(results), Bootstrap(results), with_figures=False)
    shown = Page(text).tables
    assert len(report.tables) > 4
    for table in report.tables:
        rows = [[cell.replace("`", "") for cell in row] for row in [table.header, *table.rows]]
        assert shown[table.title] == rows


def test_a_score_tells_its_seeds_interval_and_runs(text):
    details = [button["data-detail"] for button in Page(text).all("button") if "data-detail" in button]
    (detail,) = [one for one in details if one.startswith("MRPC, Adapters (64): ")]
    lines = detail.split("\n")
    assert re.fullmatch(r"Seeds: 2: \d\d\.\d \(seed 0\), \d\d\.\d \(seed 1\)", lines[1])
    assert re.fullmatch(r"95% interval: \d\d\.\d to \d\d\.\d", lines[2])
    assert lines[4].count("mrpc-adapter") == 2


def test_the_sections_are_there_with_verdicts_and_failures(text):
    page = Page(text)
    assert {"group-1", "group-2", "published", "statements", "failures", "runs", "provenance"} <= set(page.ids)
    assert re.search(
        r'class="points">[+−]\d\.\d \[−?\d+\.\d, −?\d+\.\d\] <small>points on the mean; rows and seeds: ', text
    )
    assert "on the mean (adapters of size 64)&#39;: not judged. " in text.partition('id="statements"')[0]
    rows = page.tables["Runs that failed or diverged"]
    assert [row[0] for row in rows] == ["Status", "failed", "diverged"]
    assert "loss is nan" in rows[2] and "mrpc-never-started" in text
    assert "device cpu; precision fp32; torch 2.9.0" in text


def test_the_sweep_marks_what_was_chosen_and_where_it_lies_on_the_edge(tmp_path):
    rates = {1e-4: 0.7, 1e-3: 0.9, 1e-2: 0.8}
    records = [make_record(size=64, rate=rate, score=score) for rate, score in rates.items()]
    records += [make_record(size=8, rate=rate, score=1 - score) for rate, score in rates.items() if rate < 1e-2]
    files = make_report(records, Bootstrap(tmp_path)).files
    assert Page(files["report.html"]).tables["MRPC, F1"] == [
        ["Rate", "Adapters (8)", "Adapters (64)"],
        ["1e-4", "★ 30.0 ▼", "70.0"],
        ["1e-3", "10.0", "★ 90.0"],
        ["0.01", "–", "80.0"],
    ]
    assert 'style="--share:1.00"' in files["report.html"] and 'style="--share:0.00"' in files["report.html"]


def test_learning_curves_need_two_epochs(results, text):
    figures = results / "figures"
    assert (figures / "learning_curves-1.svg").exists() and not (figures / "learning_curves-2.svg").exists()


def test_the_pages_of_the_same_records_are_the_same(results, text):
    report = make_report(load_records(results), Bootstrap(results), missing=["mrpc-never-started"])
    assert report.files["report.html"] == text


def test_no_record_and_only_failures_make_a_page(tmp_path):
    empty = Page(make_report([], Bootstrap(tmp_path)).files["report.html"])
    assert json.loads(empty.data)["rows"] == []
    failed = make_report([make_record(status="failed", error=None)], Bootstrap(tmp_path)).files["report.html"]
    assert "no reason recorded" in failed and "No verdict: there are no runs of both" in failed
    assert len(json.loads(Page(failed).data)["rows"]) == 1


def test_statements_have_a_section_of_their_own(tmp_path):
    table = Table("What the paper says", ["Statement", "Verdict"], [["Size <hardly> matters", "holds"]], ["a note"])
    page = Page(make_page("x", [], [], [], Bootstrap(tmp_path), statements=table))
    assert "statements" in page.ids and page.tables[table.title] == [table.header, *table.rows]
    assert "statements" not in Page(make_page("x", [], [], [], Bootstrap(tmp_path))).ids


# What a reader does. Errors are collected from before the page's own script on.
LISTEN = "<script>const errors = []; addEventListener('error', (event) => errors.push(event.message));</script>"
READ = """<script>
const pick = (selector, root = document) => root.querySelector(selector);
const column = (table, i) => [...table.tBodies[0].rows].map((row) => row.cells[i].textContent);
const main = pick("table.sortable"), all = pick("#all-runs"), told = {};
const heading = (table, title) => [...table.tHead.rows[0].cells].find((cell) => cell.textContent === title);
const press = (table, title) => pick("button", heading(table, title)).click();
told.first = column(all, 0).length;
told.count = pick("#count").textContent;
pick("#more").click();
told.more = column(all, 0).length;
press(main, "MRPC");
told.up = column(main, heading(main, "MRPC").cellIndex);
told.sorted = heading(main, "MRPC").getAttribute("aria-sort");
press(main, "MRPC");
told.down = column(main, heading(main, "MRPC").cellIndex);
told.foot = main.tFoot.rows.length;
press(all, "Seed");
press(all, "Seed");
told.seeds = [...new Set(column(all, 6))];
const say = (element, value) => {
  element.value = value;
  element.dispatchEvent(new Event("input", { bubbles: true }));
};
const options = [...document.querySelectorAll("#filters option")];
say(options.find((option) => option.value === "RTE").parentNode, "RTE");
told.tasks = [...new Set(column(all, 2))];
say(pick("#filters input"), "full S1");
told.filtered = pick("#count").textContent;
pick(".detail").focus();
told.tip = pick("#tip").textContent;
document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
told.hidden = pick("#tip").hidden;
told.errors = errors;
document.body.append(Object.assign(document.createElement("pre"), { id: "told", textContent: JSON.stringify(told) }));
</script>"""


def browse(path, *options):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", *options]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    return done.stdout


@pytest.mark.browser
def test_the_page_works_in_a_browser(tmp_path):
    records = list(make_sweep(rates=2, seeds=2, sizes=2))
    text = make_report(records, Bootstrap(tmp_path)).files["report.html"]
    page, shot = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(text.replace("<head>", f"<head>{LISTEN}").replace("</body>", f"{READ}</body>"), encoding="utf-8")
    shoot = [f"--screenshot={shot}", "--window-size=1280,900"]
    dom = browse(page, "--dump-dom", *shoot, f"--user-data-dir={tmp_path}/profile")
    told = json.loads(re.search(r'<pre id="told">(.*?)</pre>', dom)[1])
    assert told["errors"] == []
    assert (told["first"], told["more"]) == (200, 400)
    assert told["count"] == f"{len(records)} of {len(records)} runs, the first 200 are shown"
    for order, values in (("up", 1), ("down", -1)):
        numbers = [float(value.split()[0]) for value in told[order]]
        assert numbers == sorted(numbers)[::values] and len(set(numbers)) > 2
    assert (told["sorted"], told["foot"]) == ("ascending", 1)
    assert told["seeds"] == ["1"]
    assert told["tasks"] == ["RTE"]
    assert told["filtered"].startswith("8 of ")
    assert told["tip"].startswith("CoLA, ") and told["hidden"]
    assert shot.read_bytes().startswith(b"\x89PNG")
