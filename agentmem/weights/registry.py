"""The weights as a projection: a model with its editor, the active pack, and the registry that both must agree with."""

from __future__ import annotations

import copy
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError, JobLocked, ModelError, PackMismatch
from agentmem.notes.clock import micros
from agentmem.notes.protocols import Editor
from agentmem.notes.rows import EditRow
from agentmem.records.transaction import Transaction
from agentmem.runtime.forks import at_fork
from agentmem.weights.pack_store import PackStore

__all__ = ["METHOD", "PackFiles", "WeightRegistry"]

_PACKS = "packs"
"""Under this key the store lists the packs that it ever named and whose files may still be there."""

METHOD = "grace"
"""The name under which the active pack is kept, whatever tiers it has."""

MOMENT = 1.0
"""Seconds that a fork waits for a request to the model."""

MakeEditor = Callable[[Any, Any], Editor]


class PackContents(NamedTuple):
    """What a pack says of itself.

    Attributes:
        edits: ids of the edits that it answers for.
        waiting: those among them that no weights hold until the next consolidation writes them anew.
        base: fingerprint of the model that it was written on; ``None`` without a pack.
    """

    edits: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    base: str | None = None


class PackFiles(NamedTuple):
    """What can be done with the bytes of a pack without a model: take edits out, and read what it says of itself."""

    drop: Callable[[bytes, Sequence[str]], bytes]
    read: Callable[[bytes], PackContents]


class WeightRegistry:
    """Keeps the live editor equal to the active pack, and the active pack equal to the registry.

    Every change of the weights is: write a new pack file, then flip one row in the same transaction that changes the
    registry. Other processes see the row and load the file before their next request.

    Args:
        stranded: asked in a forked child why a model of the parent's cannot be used there, in words; empty when it can.

    Attributes:
        trouble: why the active pack cannot be served on the attached model (damaged, or written on another base). The model
            then answers without edits, notes stand in for them, and a rebuild writes the edits anew.

    Args:
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(
        self,
        core: Core,
        pack_store: PackStore,
        make_editor: MakeEditor,
        files: PackFiles,
        stranded: Callable[[Any], str] = lambda model: "",
        fail: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._core = core
        self._why_stranded = stranded
        self._make_editor = make_editor
        self._files = files
        self._fail = fail
        self.pack_store = pack_store
        self.lock = threading.RLock()
        self.editor: Editor | None = None
        self.model: Any = None
        self.tokenizer: Any = None
        self._loaded: str | None = None
        self.trouble: PackMismatch | None = None
        self._rested = False
        self._stranded: tuple[Any, str] | None = None
        at_fork(self._in_child, rest=self._rest, parent=self._go_on)

    def _rest(self, deadline: float) -> bool:
        """Before a fork: is another thread at work on the model? A fork waits a moment only, since that may take minutes."""
        patience = MOMENT if self.model is not None else 0.0
        self._rested = self.lock.acquire(timeout=max(0.0, min(patience, deadline - time.monotonic())))
        return True

    def _go_on(self) -> None:
        if self._rested:
            self._rested = False
            self.lock.release()

    def _in_child(self) -> None:
        """In a forked child, a model that another thread was working on is given up: its edits may be half on it."""
        rested, self._rested = self._rested, False
        self.lock = threading.RLock()
        if self.model is None:
            return
        why = self._why_stranded(self.model)
        if why or not rested:
            self._stranded = self.model, why or "This process was forked while another thread was using the model."
            self.editor = self.model = self.tokenizer = None

    @property
    def attached(self) -> bool:
        return self.editor is not None

    def need(self) -> Editor:
        """The editor, or an error that says how to get one."""
        if self.editor is None and self._stranded is not None:
            raise ModelError(
                self._stranded[1],
                hint="attach a model that was loaded in this process: memory.attach(model, tokenizer).",
            )
        if self.editor is None:
            raise ModelError(
                "No language model is attached to this memory.",
                hint="Memory(path, model='small'), or memory.attach(model, tokenizer).",
            )
        return self.editor

    def attach(self, model: Any, tokenizer: Any) -> None:
        """Put the active edits onto ``model`` through hooks; its weights stay as they are.

        The model that was attached before keeps its edits until this one has them, and for good when it cannot have them.
        """
        if self._stranded is not None and model is self._stranded[0]:
            raise ModelError(self._stranded[1], hint="load the model anew in this process, and attach that one.")
        with self.lock:
            former, state = self.editor, (self._loaded, self.trouble)
            editor = self._make_editor(model, tokenizer)
            try:
                self._sync(editor, force=True)
            except BaseException:
                editor.detach()
                self._loaded, self.trouble = state
                raise
            if former is not None:
                former.detach()
            self.editor, self.model, self.tokenizer = editor, model, tokenizer
            self._stranded = None

    def detach(self) -> None:
        """Take the edits off the model again; it is then the base, bit for bit."""
        with self.lock:
            if self.editor is not None:
                self.editor.detach()
            self.editor = self.model = self.tokenizer = None
            self._loaded = self.trouble = None

    @contextmanager
    def serving(self) -> Iterator[Editor]:
        """One request: the editor as the registry has it now, held for the length of the block."""
        with self.lock:
            editor = self.need()
            self._sync(editor)
            yield editor

    def _sync(self, editor: Editor, *, force: bool = False) -> None:
        sha = self._active()
        if force or sha != self._loaded:
            self._load(editor, sha)

    def _active(self) -> str | None:
        with self._core.reading(EVERYBODY) as tx:
            active = tx.ledger.active_pack(METHOD)
        return active[0] if active else None

    def _load(self, editor: Editor, sha: str | None) -> None:
        self.trouble = None
        try:
            if sha is not None:
                self.pack_store.get(sha)  # the hash is checked before any byte is believed
                editor.load(self.pack_store.path(sha))
        except PackMismatch as error:
            # Another process may name the next pack, and remove this one, between the row and the bytes.
            if (newer := self._active()) != sha:
                self._load(editor, newer)
                return
            self.trouble = error
        if sha is None or self.trouble is not None:
            held = [e.id for e in editor.edits() if e.id is not None]
            if held:
                editor.delete(held)
        self._loaded = sha

    def need_sound(self) -> None:
        """Raise what keeps the active pack from being served: a new pack would lose the edits of the old one."""
        if self.trouble is not None:
            raise PackMismatch(
                self.trouble.message, hint='memory.rebuild("weights") writes the edits anew, on the attached model.'
            ) from self.trouble

    def drop(self, tx: Transaction, edit_ids: Sequence[str]) -> int:
        """Inside a write transaction: make a pack without these edits the active one. Needs no model.

        A pack that cannot be read cannot lose single edits, so it goes as a whole: nobody is served from it anyway, and what
        else it held stands in the registry, to be written anew.
        """
        active = tx.ledger.active_pack(METHOD)
        if active is None or not edit_ids:
            return 0
        try:
            data = self.pack_store.get(active[0])
            held = self._files.read(data).edits
        except PackMismatch:
            tx.ledger.set_active_pack(METHOD, None, micros(self._core.clock.now()))
            return len(set(edit_ids))
        doomed = sorted(held & set(edit_ids))
        if doomed:
            sha = self._put(tx, self._files.drop(data, doomed)) if held - set(doomed) else None
            self._fail("pack:written")
            tx.ledger.set_active_pack(METHOD, sha, micros(self._core.clock.now()))
        return len(doomed)

    def rehearsing(self) -> WeightRegistry:
        """The same registry for a transaction that will be taken back: no pack that it makes becomes a file."""
        other = copy.copy(self)
        other.pack_store = self.pack_store.unwritten()
        other._fail = lambda step: None
        return other

    def retire(self, tx: Transaction, note_ids: Sequence[str], reason: str) -> int:
        """Inside a write transaction: take the edits of notes out that no longer say what the weights say."""
        return self.take_out(tx, tx.ledger.edits(note_ids=note_ids) if note_ids else [], reason)

    def take_out(self, tx: Transaction, edits: Sequence[EditRow], reason: str) -> int:
        """Inside a write transaction: take these edits out of pack and registry, with a line in the ledger for each."""
        if edits:
            self.drop(tx, [edit.id for edit in edits])
            tx.ledger.delete_edits([edit.id for edit in edits])
        now = micros(self._core.clock.now())
        for edit in edits:
            details = {"reason": reason, "version": edit.note_version}
            tx.ledger.append(now, "retired", note_id=edit.note_id, edit_id=edit.id, details=details)
        return len(edits)

    def unlearn(self, tx: Transaction, owners: Sequence[int]) -> int:
        """Inside a write transaction: take the edits out that were taught by questions of these owners which have been erased."""
        gone: list[EditRow] = []
        for owner in owners:
            taught = [edit for edit in tx.ledger.edits(state=None, owners=[owner]) if edit.taught]
            marks = {mark for edit in taught for mark in edit.taught}
            standing = tx.evidence.standing(owner, marks) if marks else set()
            gone += [edit for edit in taught if edit.taught - standing]
        return self.take_out(tx, gone, "a question that it was learnt from was forgotten")

    def publish(self, tx: Transaction, data: bytes, keep: set[str], known: set[str]) -> str | None:
        """Inside a write transaction: make ``data``, less what is no longer in ``keep``, the active pack.

        Args:
            keep, known: ids of the edits in the registry, now and when the work on ``data`` began.

        Raises:
            JobLocked: an edit came into the registry meanwhile, which this pack would lose.
        """
        held = self._files.read(data).edits
        if keep - held - known:
            raise JobLocked(
                "Somebody else wrote edits into the weights meanwhile.", hint="run it again; nothing was changed."
            )
        gone = sorted(held - keep)
        rest = self._files.drop(data, gone) if gone else data
        sha = self._put(tx, rest) if held & keep else None
        self._fail("pack:written")
        tx.ledger.set_active_pack(METHOD, sha, micros(self._core.clock.now()))
        return sha

    def contents(self) -> PackContents:
        """What the active pack says of itself; checked, and read once.

        Raises:
            PackMismatch: it is missing or damaged.
        """
        sha = self._active()
        while sha is not None:
            try:
                return self._files.read(self.pack_store.get(sha))
            except PackMismatch:
                if (newer := self._active()) == sha:
                    raise
                sha = newer
        return PackContents()

    def refresh(self) -> None:
        """After a commit: bring the live editor up to date, and remove packs that nobody serves."""
        with self.lock:
            if self.editor is not None:
                # What was in trouble may have been written anew under the same name.
                self._sync(self.editor, force=self.trouble is not None)
            self._fail("pack:served")
            self.collect()

    def follow(self) -> tuple[str, ...]:
        """:meth:`refresh` for a call that has committed: what it did stands, so trouble is told in words, not raised.

        Every request serves what the registry says then, and the next change or open removes the files.
        """
        try:
            self.refresh()
        except (AgentMemError, OSError) as error:
            return (
                f"the weights could not follow at once: {error.message if isinstance(error, AgentMemError) else error}",
            )
        return ()

    def collect(self) -> int:
        """Remove packs that are not active; a crash, or a forgotten edit, leaves such files."""
        if self._core.store.read_only:
            return 0
        # Inside a write transaction, so that no pack is removed between its file and its row.
        with self._core.writing(EVERYBODY) as tx:
            active, known = tx.ledger.active_pack(METHOD), _listed(tx)
            kept = [active[0]] if active else []
            removed = self.pack_store.collect(kept, known)
            left = [*kept, *(sha for sha in known if sha not in kept and self.pack_store.path(sha).exists())]
            if sorted(left) != sorted(known):
                _list(tx, left)
            return removed

    def left(self) -> list[str]:
        """Packs that were made here, that nobody serves, and that are still there: they could not be removed."""
        with self._core.reading(EVERYBODY) as tx:
            active, known = tx.ledger.active_pack(METHOD), _listed(tx)
        return [
            self.pack_store.path(sha).name
            for sha in known
            if (active is None or sha != active[0]) and os.path.lexists(self.pack_store.path(sha))
        ]

    def unclear(self) -> list[str]:
        """Names of files among the packs that are damaged packs of nobody, or not packs."""
        active = self._active()
        return self.pack_store.unclear([active] if active else [])

    def _put(self, tx: Transaction, data: bytes) -> str:
        """Inside a write transaction: a pack in the pack store, and in the list of those that are removed one day."""
        sha = self.pack_store.put(data)
        if sha not in (known := _listed(tx)):
            _list(tx, [*known, sha])
        return sha


def _listed(tx: Transaction) -> list[str]:
    return [str(sha) for sha in json.loads(tx.meta_get(_PACKS) or "[]")]


def _list(tx: Transaction, packs: Sequence[str]) -> None:
    tx.meta_set(_PACKS, json.dumps(list(packs)) if packs else None)
