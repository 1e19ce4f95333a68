"""What this machine has, what it lacks, and how to get it: ``agentmem doctor``.

The quick checks read metadata and look for files; nothing heavy is imported unless ``deep`` asks for it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from agentmem.errors import AgentMemError, StoreError
from agentmem.files.data_directory import holds_notes
from agentmem.integrations.install_size import CPU_TORCH, has_accelerator, installed_sizes
from agentmem.notes.address import is_url, shown

__all__ = ["Check", "checks", "worst"]

Verdict = Literal["ok", "warn", "fail"]

_MINIMUM_FREE = 1 << 30
_READ = 1_000
"""Notes of a memory that are looked at, of each of its users as many."""
_MOSTLY = 0.5
"""Share of a note's letters from which it is written in other scripts."""
_MANY = 0.05
"""Share of the notes in other scripts that is worth a word."""
_MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
_OF_CUDA = ("nvidia-", "cuda-", "triton")
# Two connections that checkpoint a write-ahead log at the same instant could damage the database before this version.
_WAL_RESET_FIXED = (3, 51, 3)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report: what was looked at, how it stands, and what to do when it does not stand well."""

    name: str
    status: Verdict
    detail: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def checks(*, deep: bool = False, path: Path | str | None = None, embedder: str | None = None) -> list[Check]:
    """Look at everything that agentmem needs or can use.

    Args:
        deep: also import the libraries and compute: hash the packaged model, embed a text, open a Chroma
            collection, ask torch for its devices.
        path: where a memory lies or will lie, a directory or the address of a database, for the disk space and what its notes need;
            by default the current directory.
        embedder: with which that memory is opened, as for :class:`~agentmem.memory.Memory`.
    """
    found = [
        _python(),
        *_sqlite(),
        *_libraries(),
        _weight(),
        _embedder(),
        _small_model(),
        _disk(Path("." if is_url(path) else path or ".")),
    ]
    found += [
        _optional("matplotlib", "pictures", "viz"),
        _optional("onnxruntime", "fast embedding; without it MiniLM runs in numpy, other models on torch", "onnx"),
        _optional("openai", "OpenAI-compatible servers", "openai"),
    ]
    found += _foreign()
    found += _notes(path if is_url(path) else Path(path or "."), embedder)
    if deep:
        found += [_caught(*check) for check in _deep_checks()]
    return found


def worst(found: list[Check]) -> Verdict:
    """``fail`` if any check failed, else ``warn`` if any warned, else ``ok``."""
    statuses = {check.status for check in found}
    return "fail" if "fail" in statuses else "warn" if "warn" in statuses else "ok"


def _python() -> Check:
    return Check("python", "ok", f"{sys.version.split()[0]} in {sys.prefix}")


def _sqlite() -> Iterator[Check]:
    """The library itself, and FTS5, which distributions may leave out: the schema of every store begins with such a table."""
    number = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < (3, 37):
        yield Check("sqlite", "fail", number, "agentmem needs SQLite 3.37 or newer; install a newer Python.")
    elif sqlite3.sqlite_version_info < _WAL_RESET_FIXED:
        detail = f"{number}; before 3.51.3 two writing processes can, very rarely, damage a write-ahead log"
        yield Check("sqlite", "ok", detail)
    else:
        yield Check("sqlite", "ok", number)
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE probe USING fts5(words, tokenize='porter unicode61')")
        except sqlite3.OperationalError as error:
            yield Check("full text", "fail", str(error), "use a Python whose sqlite3 was built with FTS5.")
        else:
            yield Check("full text", "ok", "FTS5, with which stores are made and brought up to date")


def _libraries() -> Iterator[Check]:
    for name, purpose in (
        ("torch", "local models and weight edits"),
        ("transformers", "local models"),
        ("sentence-transformers", "embedding models other than the packaged one"),
        ("chromadb", "the vector index of large memories"),
        ("safetensors", "weights on disk"),
        ("networkx", "the note graph"),
    ):
        number = _version(name)
        if number is None or find_spec(name.replace("-", "_")) is None:
            yield Check(name, "fail", f"not installed: {purpose}", f"pip install {name}")
        else:
            yield Check(name, "ok", number)


def _weight() -> Check:
    """What agentmem and its dependencies take up, and whether much of it is of no use here."""
    sizes = installed_sizes()
    cuda = sum(size for name, size in sizes.items() if name.startswith(_OF_CUDA))
    largest = ", ".join(f"{name} {size / 1e6:,.0f}" for name, size in list(sizes.items())[:3])
    told = f"{sum(sizes.values()) / 1e6:,.0f} MB in {len(sizes)} packages (MB: {largest})"
    if cuda and not has_accelerator():
        told += f"; {cuda / 1e6:,.0f} MB of it are torch's libraries for CUDA, and no device for them was found"
        return Check("weight", "warn", told, f"the CPU build of torch is smaller: {CPU_TORCH}")
    return Check("weight", "ok", told)


def _embedder() -> Check:
    from agentmem.embedding.weights_files import packaged_minilm

    try:
        directory = packaged_minilm()
    except AgentMemError as error:
        return Check("embedder", "warn", error.message, error.hint)
    size = (directory / "model.safetensors").stat().st_size
    return Check("embedder", "ok", f"all-MiniLM-L6-v2, packaged, {size / 1e6:.0f} MB (`--deep` checks its sha256)")


def _small_model() -> Check:
    from agentmem.llm.small_model import small_model_path

    directory = small_model_path()
    weights = list(directory.glob("*.safetensors"))
    if not weights:
        return Check(
            "small model",
            "warn",
            "the model for demonstrations is not here",
            "reinstall agentmem, or name your own model.",
        )
    return Check("small model", "ok", f"{sum(f.stat().st_size for f in weights) / 1e6:.0f} MB, comes with agentmem")


def _disk(path: Path) -> Check:
    there = next(p for p in (path.absolute(), *path.absolute().parents) if os.path.exists(p))  # noqa: PTH110 - Path.exists raises where a folder may not be entered
    free = shutil.disk_usage(there).free
    detail = f"{free / 1e9:.1f} GB free at {there}"
    if not os.access(there, os.W_OK):
        return Check("disk", "warn", f"{there} cannot be written", "choose another directory for the memory.")
    if free < _MINIMUM_FREE:
        return Check("disk", "warn", detail, "free some space: a full disk stops remembering, and loses nothing.")
    return Check("disk", "ok", detail)


def _optional(name: str, purpose: str, extra: str) -> Check:
    number = _version(name)
    if number is None:
        return Check(name, "warn", f"not installed: {purpose}", f"install the `{extra}` extra: pip install {name}")
    return Check(name, "ok", number)


def _foreign() -> Iterator[Check]:
    """Another distribution has the same import name; whichever was installed last wins, file by file."""
    if _version("agentmem") is not None:
        yield Check(
            "other agentmem",
            "warn",
            f"the unrelated distribution `agentmem` {_version('agentmem')} is installed and overlaps with agentmem-toolkit",
            "pip uninstall agentmem, then install agentmem-toolkit again.",
        )


def _notes(path: Path | str, name: str | None) -> Iterator[Check]:
    """Whether the embedder of the memory at ``path``, if there is one, is for the scripts that its notes are written in."""
    if isinstance(path, str):
        yield _caught("notes", partial(_in_database, path, name))
        return
    try:
        if not holds_notes(path):
            return
        yield _caught("notes", partial(_fits, path, name))
    except StoreError:
        return  # the disk's own check says so


def _in_database(url: str, name: str | None) -> Check:
    from agentmem.memory import is_begun

    return _fits(url, name) if is_begun(url) else Check("notes", "ok", f"no memory yet at {shown(url)}")


def _fits(path: Path | str, name: str | None) -> Check:
    from agentmem.embedding.embedders import make_embedder
    from agentmem.extract.scripts import outside
    from agentmem.memory import Memory

    embedder = make_embedder(name)
    with Memory(path, embedder=embedder, read_only=True) as memory:
        stored, whose = memory.stats()["embedder"], memory.users()
        whose = [each for each in whose if each.user or each.agent] or whose  # what is shared, each of them sees
        if stored not in (None, embedder.fingerprint):
            detail = f"embedded by {stored}, which is not looked at here"
            return Check("notes", "ok", detail)
        share = max(1, _READ // max(1, len(whose)))
        read = [memory.notes(user=each.user, agent=each.agent, limit=share) for each in whose[:_READ]]
        notes = {note.id: note.content for part in read for note in part}
    others = sum(outside(content, embedder.scripts) > _MOSTLY for content in notes.values())
    if embedder.scripts is None or others < _MANY * len(notes) or not notes:
        return Check("notes", "ok", f"{len(notes):,} looked at are in scripts that the embedder is for")
    detail = f"{others / len(notes):.0%} of {len(notes):,} looked at are in scripts that the embedder is not for"
    return Check(
        "notes",
        "warn",
        f"{detail} ({', '.join(embedder.scripts)} alone): found by their words, hardly by what they mean",
        f'open the memory with embedder="{_MULTILINGUAL}", and call rebuild("vectors").',
    )


def _deep_checks() -> Iterator[tuple[str, Callable[[], Check]]]:
    yield "embedder works", _embedder_works
    yield "torch works", _torch_works
    yield "chromadb works", _chroma_works
    for module in ("transformers", "sentence_transformers"):
        yield f"{module} works", partial(_imports, module)


def _caught(name: str, check: Callable[[], Check]) -> Check:
    """Whatever breaks inside a library is a finding here, not a crash of the doctor."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return Check(name, "fail", reason, getattr(error, "hint", "") or "reinstall the library; its import fails.")


def _embedder_works() -> Check:
    from agentmem.embedding.embedders import make_embedder, verify_minilm

    verify_minilm()
    embedder = make_embedder()
    near, far = (
        embedder.embed(["a dog barks", "a puppy is barking", "the stock market fell"])[1:]
        @ embedder.embed(["a dog barks"])[0]
    )
    if near <= far:
        return Check("embedder works", "fail", f"cosines {near:.2f} and {far:.2f} in the wrong order", "reinstall it.")
    return Check(
        "embedder works",
        "ok",
        f"sha256 verified; {type(embedder).__name__}: related {near:.2f}, unrelated {far:.2f}",
    )


def _torch_works() -> Check:
    import torch

    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    total = float(torch.ones(8, 8, device=device).sum())
    if total != 64.0:
        return Check("torch works", "fail", f"64 ones add up to {total} on {device}", "check the driver of the device.")
    return Check("torch works", "ok", f"{device}, {torch.get_num_threads()} threads")


def _chroma_works() -> Check:
    import tempfile

    import chromadb
    import numpy as np
    from chromadb.config import Settings

    rows = np.eye(2, dtype=np.float32)

    with tempfile.TemporaryDirectory() as directory:
        client = chromadb.PersistentClient(directory, Settings(anonymized_telemetry=False))
        collection = client.create_collection("doctor", embedding_function=None)
        collection.add(ids=["a", "b"], embeddings=rows)
        nearest = collection.query(query_embeddings=rows[:1], n_results=1)["ids"]
    if nearest != [["a"]]:
        return Check("chromadb works", "fail", f"the nearest of two was {nearest}", "reinstall chromadb.")
    return Check("chromadb works", "ok", "wrote and found two vectors")


def _imports(module: str) -> Check:
    __import__(module)
    return Check(f"{module} works", "ok", "imported")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
