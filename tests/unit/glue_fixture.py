"""Writes a tiny GLUE folder in the official layout, so that the local source meets real formats without real data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from harness.tasks.glue import TASKS, Task

_SUBJECTS = ("The gardener", "A pilot", "My neighbour", 'The "quiet singer', "An old clock", 'The so-called "expert"')
_VERBS = ("repairs", "watches", "follows", "paints", "forgets")
_OBJECTS = (
    "the bridge.",
    "a yellow kite.",
    'the poster that says "open.',
    "two loaves of bread.",
    "every letter, twice.",
)

# Headers of the official files. CoLA's train and dev have none. Test files lack the label.
_HEADERS = {
    "cola": ("source", "label", "star", "sentence"),
    "sst2": ("sentence", "label"),
    "mrpc": ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
    "stsb": (
        "index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2", "score",
    ),
    "qqp": ("id", "qid1", "qid2", "question1", "question2", "is_duplicate"),
    "mnli": ("index", "promptID", "pairID", "genre", "sentence1", "sentence2", "label1", "gold_label"),
    "qnli": ("index", "question", "sentence", "label"),
    "rte": ("index", "sentence1", "sentence2", "label"),
    "wnli": ("index", "sentence1", "sentence2", "label"),
}  # fmt: skip
# The official files of these tasks spell labels as words, the others as ids.
_WORD_LABELS = ("mnli", "qnli", "rte")


def sentence(number: int) -> str:
    """The `number`-th sentence; about every second one holds an unbalanced or a balanced double quote."""
    subject = _SUBJECTS[number % len(_SUBJECTS)]
    verb = _VERBS[number // len(_SUBJECTS) % len(_VERBS)]
    return f"{subject} {verb} {_OBJECTS[number % len(_OBJECTS)]}"


def write_glue(folder: str | Path, rows: int = 48, tasks: Iterable[str] | None = None, *, words: bool = False) -> Path:
    """Write `rows` training rows, and a third as many in every other file, of the given tasks (default: all nine).

    With `words` the sentences are of the words that tests/tiny.py's tokenizer knows, and the labels follow from them.
    Returns the folder, to be used as `data.path` or `GLUE_DIR`.
    """
    for name in tasks or TASKS:
        task = TASKS[name]
        directory = Path(folder) / task.local.folder
        directory.mkdir(parents=True, exist_ok=True)
        for split, stem in task.local.files.items():
            count = rows if split == "train" else rows // 3
            lines = _lines(task, is_test=split in task.test_sets, rows=count, words=words)
            (directory / f"{stem}.tsv").write_bytes("".join(f"{line}\n" for line in lines).encode())
    return Path(folder)


def write_diagnostic(folder: str | Path, rows: int = 7) -> None:
    """Add GLUE's diagnostic set to such a folder; its numbers start at 100."""
    path = Path(folder) / "diagnostic/diagnostic.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    body = [f"{100 + row}\t{sentence(row)}\t{sentence(row + 1)}" for row in range(rows)]
    path.write_text("\n".join(["index\tsentence1\tsentence2", *body]) + "\n", encoding="utf-8")


def _lines(task: Task, *, is_test: bool, rows: int, words: bool) -> list[str]:
    header = _test_header(task) if is_test else _HEADERS[task.name]
    write = _known_sentence if words else sentence
    body = ["\t".join(_field(task, column, row, write, is_test=is_test) for column in header) for row in range(rows)]
    return body if task.name == "cola" and not is_test else ["\t".join(header), *body]


def _test_header(task: Task) -> tuple[str, ...]:
    index = "id" if task.name == "qqp" else "index"
    ids = ("#1 ID", "#2 ID") if task.name == "mrpc" else ()
    return (index, *ids, *task.local.test_text)


def _known_sentence(number: int) -> str:
    """One to five words of tests/tiny.py's vocabulary; which letters depends on the row's number modulo 10."""
    row = number // 2
    return " ".join(f"{'abcdefghij'[(row + word) % 10]}{row % 10}" for word in range(1 + number % 5))


def _field(task: Task, column: str, row: int, write: Callable[[int], str], *, is_test: bool) -> str:
    texts = task.local.test_text if is_test or task.name == "cola" else task.local.text
    if column in texts:
        return write(2 * row + texts.index(column))
    if column == "label" or column == task.local.label:
        return _label(task, row)
    return str(row) if column in ("index", "id") else f"{column.strip('#')}-{row}"


def _label(task: Task, row: int) -> str:
    if task.is_regression:
        return f"{row % 11 / 2:.3f}"  # 0.000 to 5.000
    label = row % len(task.labels)
    return task.labels[label] if task.name in _WORD_LABELS else str(label)
