"""The weights as a projection: a model with its editor, the active pack, and the registry that both must agree with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agentmem.core import EVERYBODY, Core
from agentmem.errors import AgentMemError, ModelError, PackMismatch, PackUnreachable
from agentmem.notes.protocols import Editor
from agentmem.runtime.forks import at_fork
from agentmem.weights.active_pack import METHOD, ActivePack, PackContents, PackFiles
from agentmem.weights.pack_store import Packs
from agentmem.weights.served import Served

__all__ = ["METHOD", "PackContents", "PackFiles", "WeightRegistry"]

MOMENT = 1.0
"""Seconds that a fork waits for a request to the model."""

MakeEditor = Callable[[Any, Any], Editor]


class WeightRegistry(ActivePack):
    """Keeps the live editor equal to the active pack, and the active pack equal to the registry.

    Other processes see which pack is active, and load it before their next request.

    Args:
        stranded: asked in a forked child why a model of the parent's cannot be used there, in words; empty when it can.
        monotonic: seconds, for the rest between two attempts to fetch a pack.
    """

    def __init__(
        self,
        core: Core,
        pack_store: Packs,
        make_editor: MakeEditor,
        files: PackFiles,
        stranded: Callable[[Any], str] = lambda model: "",
        fail: Callable[[str], None] = lambda step: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(core, pack_store, files, fail)
        self._why_stranded = stranded
        self._make_editor = make_editor
        self.lock = threading.RLock()
        self.editor: Editor | None = None
        self.model: Any = None
        self.tokenizer: Any = None
        self._monotonic = monotonic
        self._served = Served()
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

    @property
    def trouble(self) -> PackMismatch | PackUnreachable | None:
        """Why the active pack cannot be served on the attached model (damaged, out of reach, or written on another base).

        The model then answers without edits, and notes stand in for them.
        """
        return self._served.trouble

    @property
    def behind(self) -> PackMismatch | PackUnreachable | None:
        """Why the active pack could not be had, where the one before it is served, less what is no longer in the registry."""
        return self._served.behind

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
            former, state = self.editor, self._served
            editor = self._make_editor(model, tokenizer)
            try:
                self._sync(editor, force=True)
            except BaseException:
                editor.detach()
                self._served = state
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
            self._served = Served()

    @contextmanager
    def serving(self) -> Iterator[Editor]:
        """One request: the editor as the registry has it now, held for the length of the block."""
        with self.lock:
            editor = self.need()
            self._sync(editor)
            yield editor

    def _sync(self, editor: Editor, *, force: bool = False) -> None:
        sha, owed = self._wanted()
        if force or self._served.is_due(sha, self._monotonic()):
            self._load(editor, sha)
        if owed or self._served.behind is not None:
            self.owing = self.owing or owed
            self._prune(editor)

    def _load(self, editor: Editor, sha: str | None) -> None:
        if sha is None:
            self._clear(editor)
            self._served = Served()
            return
        try:
            data = self._bytes(sha)  # the hash is checked before any byte is believed
        except (PackMismatch, PackUnreachable) as error:
            # Another process may name the next pack, and remove this one, between the row and the bytes.
            if (newer := self._active()) != sha:
                self._load(editor, newer)
                return
            self._go_without(editor, sha, error)
            return
        try:
            editor.load(data)
        except PackMismatch as error:
            self._clear(editor)
            self._served = Served(sha, trouble=error)
        else:
            self._served = Served(sha)

    def _go_without(self, editor: Editor, sha: str, error: PackMismatch | PackUnreachable) -> None:
        """A pack cannot be had: what is held of the one before it goes on, as far as it stands in the registry."""
        if self.pack_store.shared:
            self._prune(editor)
            self._served = self._served.without(sha, error, self._monotonic(), goes_on=bool(editor.edits()))
        else:
            self._clear(editor)
            self._served = Served(sha, trouble=error)

    def _prune(self, editor: Editor) -> None:
        """Take out of a live editor what is not in the registry, wherever the pack is."""
        with self._core.reading(EVERYBODY) as tx:
            listed = {edit.id for edit in tx.ledger.edits()}
        gone = [edit.id for edit in editor.edits() if edit.id is not None and edit.id not in listed]
        if gone:
            editor.delete(gone)

    @staticmethod
    def _clear(editor: Editor) -> None:
        held = [e.id for e in editor.edits() if e.id is not None]
        if held:
            editor.delete(held)

    def need_sound(self) -> None:
        """Raise what keeps the active pack from being served: a new pack would lose the edits of the old one."""
        error = self.trouble or self.behind
        if isinstance(error, PackUnreachable):
            raise PackUnreachable(error.message, hint=error.hint) from error
        if error is not None:
            raise PackMismatch(
                error.message, hint='memory.rebuild("weights") writes the edits anew, on the attached model.'
            ) from error

    def refresh(self) -> None:
        """After a commit: bring the live editor up to date, and remove packs that nobody serves.

        Raises:
            PackUnreachable: where they are kept cannot be reached; it is noted down, and whoever comes next goes on.
        """
        with self.lock:
            if self.editor is not None:
                # What was in trouble may have been written anew under the same name.
                self._sync(self.editor, force=self.trouble is not None or self.behind is not None)
            self._fail("pack:served")
            self.settle()
            if self.editor is not None:
                self._sync(self.editor)
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
