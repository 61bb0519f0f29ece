"""Rows of one table divided into train, validation and test: stratified, with equal texts on one side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.errors import UserError
from harness.tasks.reading import Division

STRATA = 10  # of equal size by score, for a regression


def divide(rows: pd.DataFrame, division: Division, *, texts: Sequence[str]) -> dict[str, pd.DataFrame]:
    """`train`, and `validation` and `test` where `division` has a share for them, each in the order of `rows`.

    Every label has its share of each split to within a row, as far as whole groups of equal texts allow, and at least
    one training row; a group goes with the label of its first row. `UserError` where a label has one row only, or a
    split would be empty.
    """
    groups = np.arange(len(rows))
    if division.keep_duplicates_together:
        groups = rows.groupby(list(texts), sort=False).ngroup().to_numpy()
    strata = _strata(rows["label"])
    shuffled = np.random.default_rng(division.seed).permutation(len(rows))
    first = pd.DataFrame({"group": groups, "stratum": strata}).drop_duplicates("group").set_index("group")["stratum"]
    sizes = np.bincount(groups)
    stratum_of = first.sort_index().to_numpy()  # by group
    order = pd.unique(groups[shuffled])
    shares = {"test": division.test, "validation": division.validation}
    room = _room(np.bincount(stratum_of, weights=sizes).astype(int), shares)
    place = np.full(len(sizes), "train", dtype=object)
    for group in order:
        stratum, size = stratum_of[group], sizes[group]
        split = next((name for name, left in room.items() if left[stratum] >= size), None)
        if split is not None:
            place[group] = split
            room[split][stratum] -= size
    places = place[groups]
    found = {name: rows[places == name] for name in ("train", "validation", "test") if shares.get(name) != 0}
    for name, part in found.items():
        if part.empty:
            raise UserError(
                f"task.split.{name}: {shares.get(name, 1 - sum(shares.values())):g} of {len(rows)} rows with "
                f"{len(sizes)} texts is an empty split; give a larger share"
                + (", or task.split.keep_duplicates_together=false" if len(sizes) < len(rows) else "")
            )
    return found


def _strata(labels: pd.Series) -> np.ndarray:
    """The number of each row's stratum: its label, or for numbers one of `STRATA` ranges with about as many rows."""
    if pd.api.types.is_float_dtype(labels):
        return pd.qcut(labels.rank(method="first"), min(STRATA, len(labels)), labels=False).to_numpy()
    counts = labels.value_counts()
    if (single := counts[counts == 1]).size:
        others = f" and {single.size - 1} others" if single.size > 1 else ""
        raise UserError(
            f"label {single.index[0]!r}{others} has one row only, which no stratified split can divide; "
            "task.min_label_rows=2 drops such rows"
        )
    return pd.factorize(labels, sort=True)[0]


def _room(sizes: np.ndarray, shares: dict[str, float]) -> dict[str, np.ndarray]:
    """Rows of each stratum in each split: whole numbers next to the exact shares, by largest remainder."""
    free = sizes - 1  # one row of each stays in train
    room = {}
    for name, share in shares.items():
        exact = share * sizes
        rows = np.floor(exact).astype(int)
        missing = round(share * sizes.sum()) - rows.sum()
        rows[np.argsort(rows - exact, kind="stable")[:missing]] += 1
        room[name] = np.minimum(rows, free)
        free = free - room[name]
    return room
