"""Where a task's own rows lie and how they are read: the part of a task's settings that data sources follow."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import PurePath
from typing import Any

from harness.errors import UserError

WHOLE = "rows"  # the name of the one file that is divided into splits
DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}


@dataclass(frozen=True)
class Division:
    """Shares of rows that become the validation and the test split; either may be 0, and then it is not made."""

    validation: float = 0.0
    test: float = 0.0
    seed: int = 0
    keep_duplicates_together: bool = True


@dataclass(frozen=True)
class HubSet:
    """A data set on the Hugging Face hub. `revision` is a full commit hash, None the newest commit."""

    name: str
    config: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Reading:
    """How a task's own rows are read. Columns go by name, or by position (a number in digits) without a header.

    `files` are (split, path) pairs, or one pair `WHOLE` whose rows `division` divides; with a file per split, or a data
    set on the hub, `division` takes the splits that are missing from the training rows. `spellings` are pairs of a
    value in the file and its label; without any, values are the labels. Rows with other values are dropped, or an
    error, as `unknown_labels` says; so are rows of labels with fewer than `min_label_rows` rows (dropped). `folder` is
    where the files may lie below `data.path`. `expected_rows` is the number of rows with text and label that the
    complete files have; another number is a warning.
    """

    label: str = "label"
    files: tuple[tuple[str, str], ...] = ()
    hub: HubSet | None = None
    division: Division = Division()
    folder: str = ""
    spellings: tuple[tuple[str, str], ...] = ()
    unknown_labels: str = "error"
    min_label_rows: int = 1
    format: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    header: bool = True
    encoding: str | None = None
    missing: tuple[str, ...] = ()
    expected_rows: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether one file holds all splits."""
        return self.hub is None and self.files[0][0] == WHOLE

    def has(self, split: str) -> bool:
        """Whether the settings promise this split; of the splits on the hub nothing is known before it is asked."""
        given = split in dict(self.files) or (split == "train" and self.is_whole)
        return given or self.hub is not None or getattr(self.division, split, 0) > 0

    def content_settings(self) -> dict[str, Any]:
        """Whatever decides which rows come out of given bytes, as plain values."""
        return {key: value for key, value in asdict(self).items() if key not in ("files", "folder", "expected_rows")}


# Settings that only make sense with rows of the task's own.
READING_KEYS = (
    "label", "file", "files", "hub", "folder", "split", "spellings", "unknown_labels", "min_label_rows", "format",
    "delimiter", "quoting", "header", "encoding", "missing", "expected_rows",
)  # fmt: skip


def given(settings: Any) -> Any:
    """Settings without those that are None, and without sections of which nothing is left."""
    if not isinstance(settings, Mapping):
        return settings
    kept = {key: given(value) for key, value in settings.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}


def reading_from(settings: Mapping[str, Any]) -> Reading | None:
    """The reading that a task's settings describe; None where they name no rows. `UserError` names a wrong setting."""
    settings = given(settings)
    name = settings["name"]
    places = [key for key in ("file", "files", "hub") if key in settings]
    if len(places) != 1:
        if places:
            raise UserError(f"task.{places[0]} and task.{places[1]}: give one of them, the rows of {name} lie there")
        if extra := [key for key in READING_KEYS if key in settings]:
            raise UserError(
                f"task.{extra[0]} says how rows are read, but nothing says where they lie; give task.file, task.files "
                "or task.hub.name"
            )
        return None
    files, hub = _places(settings)
    options = {key: settings[key] for key in _PLAIN if key in settings}
    reading = Reading(
        label=str(settings.get("label", "label")),
        files=files,
        hub=hub,
        division=_division(settings.get("split", {}), is_whole=bool(files) and files[0][0] == WHOLE, given=dict(files)),
        folder=settings.get("folder", name),
        spellings=_spellings(settings),
        missing=tuple(_word(value, "missing") for value in settings.get("missing", ())),
        **options,
    )
    if not reading.header and not all(column.isdigit() for column in (reading.label, *_texts(settings))):
        raise UserError("task.header=false: a file without a header needs task.text and task.label as positions from 0")
    return _checked(reading)


_PLAIN = (
    "unknown_labels", "min_label_rows", "format", "delimiter", "quoting", "header", "encoding", "expected_rows",
)  # fmt: skip


def describe_reading(reading: Reading) -> dict[str, Any]:
    """The settings from which `reading_from` makes an equal reading, without folders of one machine."""
    usual = Reading()
    found: dict[str, Any] = {
        item.name: getattr(reading, item.name)
        for item in fields(Reading)
        if item.name in _PLAIN and getattr(reading, item.name) != getattr(usual, item.name)
    }
    found |= {"label": reading.label, "folder": reading.folder}
    names = {split: _portable(path) for split, path in reading.files}
    if reading.hub:
        found["hub"] = given(asdict(reading.hub))
    elif reading.is_whole:
        found["file"] = names[WHOLE]
    else:
        found["files"] = names
    if reading.division != Division():
        found["split"] = asdict(reading.division)
    if reading.spellings:
        found["spellings"] = dict(reading.spellings)
    if reading.missing:
        found["missing"] = list(reading.missing)
    return found


def label_names(labels: Any) -> tuple[str, ...]:
    """The labels of a list or of a mapping from values to labels, each once and in order; `UserError` for others."""
    if labels is None:
        return ()
    if isinstance(labels, Mapping):
        return tuple(dict.fromkeys(_word(label, "labels") for label in labels.values()))
    if not isinstance(labels, (list, tuple)):
        raise UserError(f"task.labels={labels}: give a list of labels, or a mapping from values in the file to labels")
    return tuple(_word(label, "labels") for label in labels)


def _places(settings: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...], HubSet | None]:
    if "hub" in settings:
        if "name" not in settings["hub"]:
            raise UserError("task.hub has no name; give task.hub.name=OWNER/NAME, the data set's id on the hub")
        return (), HubSet(**settings["hub"])
    if "file" in settings:
        return ((WHOLE, settings["file"]),), None
    if "train" not in settings["files"]:
        raise UserError("task.files has no train; give task.files.train, or one task.file that is divided")
    return tuple(settings["files"].items()), None


def _division(split: Mapping[str, Any], *, is_whole: bool, given: Mapping[str, str]) -> Division:
    if is_whole:
        split = {"validation": 0.1, "test": 0.1} | split
    for name in given:
        if split.get(name):
            raise UserError(
                f"task.split.{name}={split[name]}: task.files.{name} is that split already; give one of them"
            )
    division = Division(**split)
    if division.validation + division.test >= 1:
        raise UserError(
            f"task.split.validation={division.validation:g} and test={division.test:g} leave no training rows"
        )
    return division


def _spellings(settings: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    labels = settings.get("labels")
    if isinstance(labels, Mapping):
        return tuple(sorted((_word(value, "labels"), _word(label, "labels")) for value, label in labels.items()))
    return tuple(sorted(settings.get("spellings", {}).items()))


def _checked(reading: Reading) -> Reading:
    if reading.delimiter is not None and len(DELIMITERS.get(reading.delimiter, reading.delimiter)) != 1:
        raise UserError(
            f"task.delimiter={reading.delimiter!r} is not one character; give one, or {', '.join(DELIMITERS)}"
        )
    try:
        codecs.lookup(reading.encoding or "utf-8")
    except LookupError:
        raise UserError(
            f"task.encoding={reading.encoding} is unknown; give one of Python's, such as utf-8, cp1252, mac_roman"
        ) from None
    return reading


def _texts(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(column) for column in settings.get("text", ("sentence",)))


def _word(value: Any, key: str) -> str:
    """A value or label as it stands in a file; YAML makes numbers of some and booleans of others."""
    if isinstance(value, bool) or value is None:
        raise UserError(f"task.{key}: YAML reads yes, no, on, off and null as other things than words; quote them")
    return str(value)


def _portable(path: str) -> str:
    """A path below `data.path` as it is, any other cut to the file's name."""
    parts = PurePath(path).parts
    inside = not PurePath(path).is_absolute() and ".." not in parts and not path.startswith("~")
    return path if inside else parts[-1]
