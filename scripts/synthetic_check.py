"""How hard is the synthetic suite? Scores of the majority class, of a bag of words, and of recorded full fine-tuning.

    python scripts/synthetic_check.py [--rows 2000] [--results DIR]

All scores are the task's headline metric x 100 on its first evaluation set. The bag of words (unigrams and bigrams of
each sentence, and how far the two overlap) is trained on the same number of rows as the runs it is compared with.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack
from scipy.stats import spearmanr
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from harness.data.sources.synthetic.suite import Synthetic
from harness.errors import UserError
from harness.records.record import load_records
from harness.tasks.glue import TASKS
from harness.tasks.kinds import Regression
from harness.tasks.task import Task

SHUFFLE_SEED = 1
_METRICS = {
    "matthews_correlation": matthews_corrcoef,
    "f1": f1_score,
    "accuracy": accuracy_score,
    # The ranks of a constant are undefined; it orders nothing, so 0.
    "spearman": lambda gold, guess: spearmanr(gold, guess)[0] if np.ptp(guess) else 0.0,
}


def overlap_features(columns: list[list[str]]) -> np.ndarray:
    """Shared words, Jaccard index and length difference of each pair: [rows, 3]."""
    features = []
    for first, second in zip(*columns, strict=True):
        one, two = set(first.lower().split()), set(second.lower().split())
        shared = len(one & two)
        features.append((shared, 10 * shared / len(one | two), abs(len(first.split()) - len(second.split()))))
    return np.array(features, dtype=float)


def bag_of_words_score(task: Task, rows: int = 2000, columns: tuple[str, ...] | None = None) -> float:
    """The headline score of a bag-of-words model that sees `columns` (default: all text columns)."""
    columns = columns or task.columns
    data = Synthetic("").load(task)
    train = data["train"].shuffle(seed=SHUFFLE_SEED)
    train = train.select(range(min(rows, len(train))))
    held_out = data[task.evaluation_sets[0]]
    parts = []
    for column in columns:
        vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", binary=True)
        parts.append((vectorizer.fit_transform(train[column]), vectorizer.transform(held_out[column])))
    if len(columns) == 2:
        pair = ([list(split[column]) for column in columns] for split in (train, held_out))
        parts.append(tuple(csr_matrix(overlap_features(texts)) for texts in pair))
    inputs, held_out_inputs = (hstack(blocks).tocsr() for blocks in zip(*parts, strict=True))
    model = Ridge(alpha=10.0) if isinstance(task.kind, Regression) else LogisticRegression(C=0.3, max_iter=500)
    model.fit(inputs, train["label"])
    return _METRICS[task.headline](held_out["label"], model.predict(held_out_inputs))


def majority_score(task: Task) -> float:
    """The headline score of the most common training label (regression: the mean)."""
    data = Synthetic("").load(task)
    labels, gold = np.array(data["train"]["label"]), data[task.evaluation_sets[0]]["label"]
    model = DummyRegressor() if isinstance(task.kind, Regression) else DummyClassifier(strategy="most_frequent")
    model.fit(np.zeros((len(labels), 1)), labels)
    return _METRICS[task.headline](gold, model.predict(np.zeros((len(gold), 1))))


def recorded_scores(results_dir: str | Path) -> dict[str, float]:
    """Best score of a completed `full` run on synthetic data, by task."""
    best: dict[str, float] = {}
    for record in load_records(results_dir):
        config = record["config"]
        if record["status"] != "completed" or config["method"]["name"] != "full":
            continue
        if record["data"]["source"] != "synthetic":
            continue
        task = TASKS[config["task"]["name"]]
        score = record["scores"][task.evaluation_sets[0]][task.headline]
        if score is not None:
            best[task.name] = max(score, best.get(task.name, score))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000, help="training rows of the bag of words (default 2000)")
    parser.add_argument("--results", type=Path, help="results_dir with records of `full` runs on synthetic data")
    arguments = parser.parse_args()
    recorded = recorded_scores(arguments.results) if arguments.results else {}
    print(f"{'task':8}{'metric':24}{'majority':>10}{'words':>10}{'full':>10}")
    for task in TASKS.values():
        if task.name == "wnli":
            continue
        scores = (majority_score(task), bag_of_words_score(task, arguments.rows), recorded.get(task.name))
        shown = "".join(f"{'-' if score is None else format(100 * score, '.1f'):>10}" for score in scores)
        print(f"{task.title:8}{task.headline:24}{shown}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
