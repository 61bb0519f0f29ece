"""A small server on 127.0.0.1 that plays the Hugging Face hub, for tests of the real download code without a network.

    with fake_hub(glue_repo(["cola"]), model_repo()) as hub:
        subprocess.run([...], env=hub.environment(tmp_path))

Libraries read `HF_ENDPOINT` when they are imported, so the code under test runs in another process.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from harness.sources.hub import REPO, REVISION
from harness.tasks.glue import AX, TASKS, Task

GLUE_ROWS = {"train": 24, "evaluation": 6, "test": 4}  # in each split of `glue_repo`


@dataclass
class Repo:
    """A repository with one commit. `kind` is "datasets" or "models"."""

    name: str
    kind: str
    commit: str
    files: dict[str, bytes]


@dataclass
class Hub:
    """The running server; `log` holds "METHOD /path" of each request. The switches may be changed while it runs.

    `hang` and `die` are regular expressions, searched for in the paths of requests.
    """

    url: str
    repos: tuple[Repo, ...]
    status: int | None = None  # answer everything with this status: 401, 404, 503, ...
    hang: str | None = None  # never answer these requests; "" is all of them
    die: str | None = None  # cut the connection half-way through these files, every time
    log: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Variables for a process that knows no other hub, with its cache in `home` and time limits of a second."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "GLUE_DIR"))}
        return kept | {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "HF_HUB_ETAG_TIMEOUT": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
            **more,
        }


@contextmanager
def fake_hub(*repos: Repo, status: int | None = None, hang: str | None = None, die: str | None = None) -> Iterator[Hub]:
    """Serve the repositories until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.block_on_close = False
    hub = Hub(f"http://127.0.0.1:{server.server_port}", repos, status=status, hang=hang, die=die)
    server.hub = hub
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def glue_repo(tasks: Iterable[str], commit: str = REVISION) -> Repo:
    """A tiny `nyu-mll/glue`: parquet files and a README that lists configs, splits and features."""
    files: dict[str, bytes] = {}
    configs = []
    for name in tasks:
        task = (TASKS | {AX.name: AX})[name]
        splits = {split: f"{name}/{split}-00000-of-00001.parquet" for split in _splits(task)}
        files |= {path: _parquet(task, split) for split, path in splits.items()}
        data_files = [{"split": split, "path": f"{name}/{split}-*"} for split in splits]
        configs.append((name, {"config_name": name, "data_files": data_files}, _dataset_info(task)))
    card = {"dataset_info": [info for _, _, info in configs], "configs": [config for _, config, _ in configs]}
    # JSON is YAML.
    files["README.md"] = f"---\n{json.dumps(card, indent=1)}\n---\n# GLUE, tiny, at {commit}\n".encode()
    return Repo(REPO, "datasets", commit, files)


def model_repo(name: str = "tiny/bert", commit: str = "ab" * 20, width: int = 16, layers: int = 2) -> Repo:
    """A BERT with random weights and a tokenizer that knows letters, digits and a few words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "the", *letters, *(f"##{one}" for one in letters)]
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=64,
    )
    with tempfile.TemporaryDirectory() as scratch, torch.random.fork_rng():
        folder = Path(scratch)
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return Repo(name, "models", commit, files)


def _splits(task: Task) -> tuple[str, ...]:
    return task.splits


def _rows(task: Task, split: str) -> int:
    return GLUE_ROWS["test" if split in task.test_sets else "train" if split == "train" else "evaluation"]


def _parquet(task: Task, split: str) -> bytes:
    rows = _rows(task, split)
    labels = [row % 6 if task.is_regression else row % len(task.labels) for row in range(rows)]
    table = pa.table(
        {column: [f"{split} row {row}, {column}" for row in range(rows)] for column in task.hub_text}
        | {
            "label": pa.array(
                [-1] * rows if split in task.test_sets else labels, pa.float32() if task.is_regression else pa.int64()
            ),
            "idx": pa.array(range(rows), pa.int32()),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _dataset_info(task: Task) -> dict:
    names = {str(number): word for number, word in enumerate(task.labels)}
    label = {"dtype": "float32"} if task.is_regression else {"dtype": {"class_label": {"names": names}}}
    return {
        "config_name": task.name,
        "features": [
            *({"name": column, "dtype": "string"} for column in task.hub_text),
            {"name": "label", **label},
            {"name": "idx", "dtype": "int32"},
        ],
        "splits": [{"name": split, "num_examples": _rows(task, split), "num_bytes": 1} for split in _splits(task)],
    }


def _entries(repo: Repo) -> list[dict]:
    """Every file and folder, as the tree call of the hub tells of them."""
    folders = {parent.as_posix() for path in repo.files for parent in PurePosixPath(path).parents} - {"."}
    return [
        *({"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in sorted(folders)),
        *({"type": "file", "path": path, "size": len(data), "oid": _sha1(data)} for path, data in repo.files.items()),
    ]


def _lies_in(path: str, folder: str, *, deep: bool) -> bool:
    parents = [parent.as_posix() for parent in PurePosixPath(path).parents]
    return (folder or ".") in (parents if deep else parents[:1])


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body)

    def log_message(self, *_) -> None:
        pass

    def _answer(self, body: bytes = b"") -> None:
        hub: Hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        hub.log.append(f"{self.command} {path}")
        if hub.hang is not None and re.search(hub.hang, path):
            hub.released.wait()
            self.close_connection = True
        elif hub.status is not None:
            self._fail(hub.status, {401: "", 404: "RepoNotFound"}.get(hub.status, ""))
        else:
            self._serve(path, body)

    def _serve(self, path: str, body: bytes) -> None:
        for repo in self.server.hub.repos:
            prefix = f"datasets/{repo.name}" if repo.kind == "datasets" else repo.name
            if match := re.fullmatch(f"/{re.escape(prefix)}/resolve/([^/]+)/(.+)", path):
                return self._file(repo, *match.groups())
            if match := re.fullmatch(f"/api/{repo.kind}/{re.escape(repo.name)}(?:/([^/]+)/([^/]+)(?:/(.*))?)?", path):
                return self._api(repo, match[1] or "revision", match[2] or "main", match[3] or body.decode())
        self._fail(404, "RepoNotFound")

    def _api(self, repo: Repo, call: str, revision: str, rest: str) -> None:
        if not self._knows(repo, revision):
            return
        if call == "revision":
            siblings = [{"rfilename": path} for path in repo.files]
            info = {"id": repo.name, "sha": repo.commit, "siblings": siblings, "private": False, "tags": []}
            self._send(json.dumps(info).encode(), repo)
        elif call == "tree":
            deep = "recursive=true" in self.path.lower()
            entries = [entry for entry in _entries(repo) if _lies_in(entry["path"], rest, deep=deep)]
            if entries:
                self._send(json.dumps(entries).encode(), repo)
            else:
                self._fail(404, "EntryNotFound", repo)
        elif call == "paths-info":
            asked = json.loads(rest)["paths"]
            self._send(json.dumps([entry for entry in _entries(repo) if entry["path"] in asked]).encode(), repo)
        else:
            self._fail(404, "")

    def _file(self, repo: Repo, revision: str, name: str) -> None:
        if not self._knows(repo, revision):
            return
        if name in repo.files:
            die = self.server.hub.die
            self._send(repo.files[name], repo, die=die is not None and bool(re.search(die, name)))
        else:
            self._fail(404, "EntryNotFound", repo)

    def _knows(self, repo: Repo, revision: str) -> bool:
        if revision not in (repo.commit, "main"):
            self._fail(404, "RevisionNotFound")
            return False
        return True

    def _send(self, data: bytes, repo: Repo, die: bool = False) -> None:
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(span[1]) if span else 0
        end = int(span[2]) + 1 if span and span[2] else len(data)
        part = data[start:end]
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(data)}")
        self.send_header("ETag", f'"{_sha1(data)}"')
        self.send_header("X-Repo-Commit", repo.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(part[: len(part) // 2] if die else part)
        self.close_connection = die or self.close_connection

    def _fail(self, status: int, code: str, repo: Repo | None = None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if repo:
            self.send_header("X-Repo-Commit", repo.commit)
        self.send_header("Content-Length", "0")
        self.end_headers()
