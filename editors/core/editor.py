"""What every editor does in the same way: the course of writes, deletions and loads, contexts, shadows, hooks on and off.

A method says how requests become a state (:meth:`SideMemoryEditor._learn`), which state is left when some leave, how a pack
is read, and what its hooks do with a state that a request may see.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from agentmem.editors import packs
from agentmem.editors.compiled import forget_compiled
from agentmem.editors.core.config import EditorConfig, checked
from agentmem.editors.core.requests import named, unstored
from agentmem.editors.core.sessions import OUTSIDE, Routes, Session, Shadow, View
from agentmem.editors.core.state import State
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.errors import EditError, InvalidArgument, PackMismatch, UnknownEdit
from agentmem.notes.edit import EditorStatus, EditReceipt, EditRequest, Route
from agentmem.notes.note import Scope
from agentmem.runtime.forks import at_fork

__all__ = ["SideMemoryEditor"]

S = TypeVar("S", bound=State[Any])


class _Packed(Protocol):
    """A pack as it was read, of whichever layout."""

    @property
    def method(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def settings(self) -> Any: ...


class SideMemoryEditor(ABC, Generic[S]):
    """Facts beside a model, behind the :class:`~agentmem.notes.protocols.Editor` protocol.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        config: all options at once.
        on_progress: called with (edits done, total) during long writes.
        default_scope: whose requests those are that come outside of :meth:`request`.
        options: fields of the method's configuration; those given go before ``config``'s.

    Raises:
        InvalidArgument: an unknown option, or one out of range.
        LayerNotFound: the decoder layers could not be found.
    """

    method: str
    options: ClassVar[type[EditorConfig]]
    config: Any
    _main: S

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        config: EditorConfig | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        default_scope: Scope | None = None,
        **options: object,
    ) -> None:
        if config is not None and not isinstance(config, self.options):
            raise InvalidArgument(
                f"{type(config).__name__} is no configuration of {self.method!r}.",
                hint=f"give a {self.options.__name__}, or its options by name.",
            )
        given = config.model_dump() if config is not None else {}
        self.config = checked(self.options, self.method, given | options)
        self.port = ModelPort(model, tokenizer, layers=self.config.layers)
        self.renderer = Renderer(tokenizer, chat=self.config.chat)
        self.on_progress, self.default_scope = on_progress, default_scope
        self._free_lock()
        at_fork(self._free_lock)
        self._session: ContextVar[Session] = ContextVar("agentmem_session", default=OUTSIDE)
        self._routes: ContextVar[Routes] = ContextVar("agentmem_routes", default=tuple)
        self._wanted = True
        self._shadows = 0

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.RLock()

    # What a method decides

    @abstractmethod
    def _learn(self, state: S, fresh: Sequence[EditRequest]) -> tuple[dict[str, EditReceipt], S]:
        """Receipts by id, and the state with what could be learnt of requests that are not stored; ``state`` is only read."""

    @abstractmethod
    def _without(self, state: S, ids: set[str]) -> S:
        """The state that would be there had these edits never been written."""

    @abstractmethod
    def _joined(self, added: Sequence[Any], removed: set[str], inner: S) -> S:
        """The shared state, which somebody has changed meanwhile, with what a shadow, now ``inner``, added and without what it removed."""

    @abstractmethod
    def _opened(self, pack: Path | str | bytes) -> S:
        """The state in a pack of this editor's kind.

        Raises:
            PackMismatch: it is damaged, or does not fit.
        """

    @abstractmethod
    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """Which edit would answer each prompt, without generating; ``Route(None)`` throughout where a method cannot tell."""

    @property
    @abstractmethod
    def _attached(self) -> bool:
        """Whether the hooks are installed."""

    @abstractmethod
    def _install(self) -> None:
        """Install the hooks; doing it twice is doing it once."""

    @abstractmethod
    def _uninstall(self) -> None:
        """Remove the hooks; doing it twice is doing it once."""

    def _details(self, state: S) -> dict[str, object]:
        """What :meth:`status` tells besides the common figures."""
        del state
        return {}

    # What the memory holds

    @property
    def state(self) -> S:
        """What the calling context sees: its shadow's state inside one, else the shared one."""
        shadow = self._session.get().shadow
        return self._main if shadow is None else shadow.state

    def edits(self) -> tuple[EditRequest, ...]:
        """What the side memory holds now, sorted by id."""
        return tuple(edit.request for edit in self.state.edits)

    def state_hash(self) -> str:
        """sha256 of the pack that :meth:`save` would write."""
        return self.state.hash

    def status(self) -> EditorStatus:
        """A report on the state; ``irregular`` means that the hooks are not where they should be."""
        held = self.state
        state = "empty" if not held else "active" if self._attached else "detached"
        if self._wanted and self._attached != self._needed():
            state = "irregular"
        return EditorStatus(
            method=self.method, state=state, edits=len(held), keys=self._key_count(held), size_bytes=len(held.bytes),
            state_hash=held.hash, base_fingerprint=held.fingerprint,
            details={"in_shadow": self._session.get().shadow is not None} | self._details(held),
        )  # fmt: skip

    def _key_count(self, state: S) -> int:
        return sum(edit.key_count for edit in state.edits)

    # Changing it

    def write(self, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        """Learn facts; all or nothing, except that requests that cannot be learnt are reported as ``failed``.

        Args:
            requests: the facts. Ids are derived from the content when absent, so writing twice changes nothing.

        Returns:
            One receipt per request, in order.

        Raises:
            InvalidArgument: a prompt or target is empty, or an id comes twice.
            EditError: an id is already taken by a different edit.
        """
        with self._lock:
            state = self.state
            asked = [named(request) for request in requests]
            names = [str(request.id) for request in asked]
            stored = {name: state.by_id[name] for name in names if name in state.by_id}
            fresh = unstored(asked, {name: edit.request for name, edit in stored.items()})
            receipts = {
                name: EditReceipt(name, "aliased", "it was already there", keys=edit.key_count)
                for name, edit in stored.items()
            }
            if fresh:
                told, after = self._learn(state, fresh)
                receipts |= told
                self._replace(after)
            return [receipts[name] for name in names]

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove edits exactly: the state is as if they had never been written.

        Raises:
            UnknownEdit: an id is not held; nothing is removed then.
        """
        with self._lock:
            unwanted = list(dict.fromkeys(ids))
            missing = [i for i in unwanted if i not in self.state.ids]
            if missing:
                raise UnknownEdit(f"There is no edit {missing[0]!r}.", hint="editor.edits() lists what there is.")
            if unwanted:
                self._replace(self._without(self.state, set(unwanted)))
            return unwanted

    def dump(self) -> bytes:
        """The whole state as the bytes of a pack; equal states give equal bytes."""
        return self.state.bytes

    def save(self, path: Path | str) -> str:
        """Write the whole state as one pack, atomically; returns the sha256 of its bytes."""
        return packs.write_file(path, self.state.bytes)

    def load(self, path: Path | str | bytes) -> None:
        """Replace the state by a saved pack, given by path or by its bytes.

        Raises:
            PackMismatch: it is damaged, or belongs to another base model or other options; the state stays.
        """
        state = self._opened(path)
        with self._lock:
            self._take(state)

    def _take(self, state: S) -> None:
        """Go on with a state that was loaded."""
        self._replace(state)

    def _check(self, pack: _Packed) -> None:
        """Refuse what another method, model or recipe has made.

        Raises:
            PackMismatch: it does not fit.
        """
        if pack.method != self.method:
            raise PackMismatch(
                f"This is a {pack.method!r} pack.", hint=f'load it with make_editor("{pack.method}", …).'
            )
        if pack.fingerprint != self._main.fingerprint:
            raise PackMismatch(
                "The pack belongs to another base model, tokenizer or chat template.",
                hint="load it onto the model it was made with, or write its edits anew from list_edits(pack).",
            )
        if dict(pack.settings) != dict(self._main.settings):
            raise PackMismatch(
                f"The pack was made with {dict(pack.settings)}, this editor has {dict(self._main.settings)}.",
                hint="build the editor with the pack's options, or write its edits anew from list_edits(pack).",
            )

    def _replace(self, state: S) -> None:
        shadow = self._session.get().shadow
        if shadow is not None:
            shadow.state = state
        else:
            self._main = state
        self._sync()

    # Asking

    @contextmanager
    def request(self, scope: Scope | None = None, scopes: Sequence[Scope] | None = None) -> Iterator[None]:
        """Requests inside see the edits that ``scope`` admits (``scopes``: one per batch row)."""
        with self._within(scopes=(scope,) if scopes is None else tuple(scopes)):
            yield

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Requests inside see the bare base model."""
        with self._within(silent=True):
            yield

    @contextmanager
    def shadow(self) -> Iterator[Shadow[S]]:
        """A private copy of the state for this context: dropped at the end unless ``commit()`` was called."""
        shadow = Shadow(self.state, self._commit)
        with self._lock:
            self._shadows += 1
            self._sync()
        try:
            with self._within(shadow=shadow):
                yield shadow
        finally:
            with self._lock:
                self._shadows -= 1
                self._sync()

    def explain(self) -> list[Route]:
        """The routes of this context's last request, one per row."""
        return list(self._routes.get()())

    def attach(self) -> None:
        """Let requests see the edits again after :meth:`detach`."""
        with self._lock:
            self._wanted = True
            self._sync()

    def detach(self) -> None:
        """Take every hook off the model; the edits are kept."""
        with self._lock:
            self._wanted = False
            self._sync()

    def _needed(self) -> bool:
        return self._wanted and (bool(self._main) or self._shadows > 0)

    def _sync(self) -> None:
        """No edits, no hooks: the model is then its base in every respect."""
        if self._needed() != self._attached:
            forget_compiled()
        if self._needed():
            self._install()
        else:
            self._uninstall()

    @contextmanager
    def _within(self, **changes: Any) -> Iterator[None]:
        token = self._session.set(self._session.get().changed(**changes))
        try:
            yield
        finally:
            self._session.reset(token)

    def _view(self) -> View[S] | None:
        """What the running forward sees; ``None`` when that is the bare model."""
        session, state = self._session.get(), self.state
        if session.silent or not state:
            self._routes.set(tuple)
            return None
        return View(state, session.scopes if session.scopes is not None else (self.default_scope,))

    def _commit(self, shadow: Shadow[S]) -> None:
        """Bring what changed in a shadow into the state that was current outside it."""
        with self._lock:
            added, removed = shadow.changes()
            taken = {edit.id for edit in added} & (self._main.ids - removed)
            if taken:
                raise EditError(
                    f"Edit {min(taken)!r} was written by somebody else meanwhile.",
                    hint="verify again in a new shadow.",
                )
            alone = self._main is shadow.base
            self._main = shadow.state if alone else self._joined(added, removed, shadow.state)
            shadow.rebase(self._main)
            self._sync()
