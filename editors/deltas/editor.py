"""What all editors share that add a matrix to what some projections compute: state, contexts, hooks, packs.

A subclass says how a set of requests becomes a :class:`~agentmem.editors.deltas.records.Book`, and which delta a set of
visible records adds at a layer. ``y += x Δᵀ`` happens in a forward hook, at every token, so cached, uncached and
batched generation see the same model; a row to which nothing is visible keeps its bits.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from agentmem.editors import packs
from agentmem.editors.core.requests import named, unstored
from agentmem.editors.core.scopes import per_row
from agentmem.editors.core.sessions import OUTSIDE, BookSession, BookShadow
from agentmem.editors.deltas import records
from agentmem.editors.deltas.records import Book
from agentmem.editors.hooks import Hook, is_own_forward
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.editors.structure import first_tensor
from agentmem.errors import EditError, PackMismatch, UnknownEdit
from agentmem.notes.edit import EditorStatus, EditReceipt, EditRequest, Route
from agentmem.notes.note import Scope
from agentmem.runtime.forks import at_fork

__all__ = ["DeltaEditor", "LowRank", "Visible"]

LowRank = tuple[Tensor, Tensor]
"""(left [d_model, n], right [d_key, n]) fp32: Δ = left @ right.T."""

Visible = tuple[int, ...]
"""Which records of a book a request may see, by position."""

_KEPT_VIEWS = 16  # sets of visible records whose deltas are kept at hand


class DeltaEditor(ABC):
    """Facts as low-rank changes beside the weights, behind the :class:`~agentmem.notes.protocols.Editor` protocol.

    Args:
        port: the model.
        renderer: how prompts become tokens.
        sites: by layer, the projection whose output is changed.
        settings: what the meaning of a pack depends on.
        on_progress: called with (edits done, total) during long writes.
        default_scope: whose requests those are that come outside of :meth:`request`.
    """

    method: str

    def __init__(
        self,
        port: ModelPort,
        renderer: Renderer,
        sites: Mapping[int, nn.Module],
        settings: Mapping[str, Any],
        *,
        on_progress: Callable[[int, int], None] | None = None,
        default_scope: Scope | None = None,
    ) -> None:
        self.port, self.renderer = port, renderer
        self.sites = dict(sites)
        self.default_scope, self.on_progress = default_scope, on_progress
        self._free_lock()
        at_fork(self._free_lock)
        self._main = Book(self.method, port.fingerprint(), tuple(sorted(settings.items())))
        self._session: ContextVar[BookSession] = ContextVar("agentmem_book_session", default=OUTSIDE)
        self._routes: ContextVar[tuple[Route, ...]] = ContextVar("agentmem_delta_routes", default=())
        self._views: dict[tuple[int, Visible], tuple[Book, dict[int, LowRank]]] = {}
        self._handles: list[Any] = []
        self._wanted = True
        self._shadows = 0

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.RLock()

    # What a method decides

    @abstractmethod
    def _learn(self, book: Book, fresh: Sequence[EditRequest]) -> tuple[dict[str, EditReceipt], Book]:
        """Receipts by id, and the book with what could be learnt; ``book`` itself is only read."""

    @abstractmethod
    def _without(self, book: Book, ids: set[str]) -> Book:
        """The book that would be there had these never been written."""

    @abstractmethod
    def _deltas(self, book: Book, visible: Visible) -> Mapping[int, LowRank]:
        """By layer, the delta that these records make together."""

    def _joined(self, outer: Book, shadow: BookShadow) -> Book:
        """A shadow's changes applied to the state outside it."""
        if outer is shadow.base:
            return shadow.book
        added, removed = shadow.changes()
        return outer.with_records(added, removed & outer.ids)

    def _details(self, book: Book) -> dict[str, object]:
        """What :meth:`status` tells besides the common figures."""
        del book
        return {}

    def _seen(self, layer: int, x: Tensor, book: Book, sets: Sequence[Visible]) -> tuple[Route, ...] | None:
        """Routes to report for a prefill, one per row, when this layer can tell; rows of ``x`` are in order."""
        del layer, x, book, sets
        return None

    # What the memory holds

    @property
    def book(self) -> Book:
        """The state that the calling context sees: its shadow's inside one, else the shared one."""
        shadow = self._session.get().shadow
        return self._main if shadow is None else shadow.book

    def edits(self) -> tuple[EditRequest, ...]:
        """What the side memory holds now, sorted by id."""
        return tuple(record.request for record in self.book.records)

    def state_hash(self) -> str:
        """sha256 of the pack that :meth:`save` would write."""
        return self.book.hash

    def status(self) -> EditorStatus:
        """A report on the state; ``irregular`` means that the hooks are not where they should be."""
        book = self.book
        state = "empty" if not book.records else "active" if self._handles else "detached"
        if self._wanted and bool(self._handles) != self._needed():
            state = "irregular"
        details: dict[str, object] = {
            "layers": tuple(self.sites),
            "key_site": self.port.structure.ffn_out_path,
            "in_shadow": self._session.get().shadow is not None,
        }
        return EditorStatus(
            method=self.method, state=state, edits=len(book), keys=len(book) * len(self.sites),
            size_bytes=len(book.bytes), state_hash=book.hash, base_fingerprint=book.fingerprint,
            details=details | self._details(book),
        )  # fmt: skip

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
            book = self.book
            asked = [named(request) for request in requests]
            stored = {record.id: record.request for record in book.records}
            fresh = unstored(asked, stored)
            names = {str(request.id) for request in asked} & set(stored)
            receipts = {name: EditReceipt(name, "aliased", "it was already there", keys=1) for name in names}
            if fresh:
                told, after = self._learn(book, sorted(fresh, key=lambda request: str(request.id)))
                receipts |= told
                self._replace(after)
            return [receipts[str(request.id)] for request in asked]

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove edits exactly: the state is as if they had never been written.

        Raises:
            UnknownEdit: an id is not held; nothing is removed then.
        """
        with self._lock:
            unwanted = list(dict.fromkeys(ids))
            missing = [i for i in unwanted if i not in self.book.ids]
            if missing:
                raise UnknownEdit(f"There is no edit {missing[0]!r}.", hint="editor.edits() lists what there is.")
            if unwanted:
                self._replace(self._without(self.book, set(unwanted)))
            return unwanted

    def dump(self) -> bytes:
        """The whole state as the bytes of a pack; equal states give equal bytes."""
        return self.book.bytes

    def save(self, path: Path | str) -> str:
        """Write the whole state as one pack, atomically; returns the sha256 of its bytes."""
        return packs.write_file(path, self.book.bytes)

    def load(self, path: Path | str | bytes) -> None:
        """Replace the state by a saved pack, given by path or by its bytes.

        Raises:
            PackMismatch: it is damaged, or belongs to another base model or to other options; the state stays.
        """
        held = records.parse(path)
        self._check(held)
        with self._lock:
            self._replace(self._main.with_records(held.records, self._main.ids, held.shared))

    def _check(self, held: Book) -> None:
        if held.method != self.method:
            raise PackMismatch(
                f"This is a {held.method!r} pack.", hint=f'load it with make_editor("{held.method}", …).'
            )
        if held.fingerprint != self._main.fingerprint:
            raise PackMismatch(
                "The pack belongs to another base model, tokenizer or chat template.",
                hint="load it onto the model it was made with, or write its edits anew from list_edits(pack).",
            )
        if held.settings != self._main.settings:
            raise PackMismatch(
                f"The pack was made with {dict(held.settings)}, this editor has {dict(self._main.settings)}.",
                hint="build the editor with the pack's options, or write its edits anew from list_edits(pack).",
            )

    def _replace(self, book: Book) -> None:
        shadow = self._session.get().shadow
        if shadow is not None:
            shadow.book = book
        else:
            self._main = book
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
    def shadow(self) -> Iterator[BookShadow]:
        """A private copy of the state for this context: dropped at the end unless ``commit()`` was called."""
        shadow = BookShadow(self.book, self._commit)
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

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """Which edit would answer each prompt; ``Route(None)`` throughout where a method cannot tell."""
        del scope
        return [Route(None) for _ in prompts]

    def explain(self) -> list[Route]:
        """The routes of this context's last request, one per row."""
        return list(self._routes.get())

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
        return self._wanted and (bool(self._main.records) or self._shadows > 0)

    def _sync(self) -> None:
        """No edits, no hooks: the model is then its base in every respect."""
        if self._needed() and not self._handles:
            self._handles = [
                module.register_forward_hook(Hook(partial(self._add, layer))) for layer, module in self.sites.items()
            ]
        elif not self._needed():
            for handle in self._handles:
                handle.remove()
            self._handles = []

    @contextmanager
    def _within(self, **changes: Any) -> Iterator[None]:
        token = self._session.set(self._session.get().changed(**changes))
        try:
            yield
        finally:
            self._session.reset(token)

    def _commit(self, shadow: BookShadow) -> None:
        """Bring what changed in a shadow into the state that was current outside it."""
        with self._lock:
            added, removed = shadow.changes()
            taken = {record.id for record in added} & (set(self._main.ids) - removed)
            if taken:
                raise EditError(
                    f"Edit {min(taken)!r} was written by somebody else meanwhile.",
                    hint="verify again in a new shadow.",
                )
            self._main = shadow.base = shadow.book = self._joined(self._main, shadow)
            self._sync()

    # In the forward

    def _add(self, layer: int, _module: nn.Module, args: Any, output: Any) -> Any:
        """The hook: y + x Δᵀ for every row that sees an edit."""
        if is_own_forward():
            return None
        session, book = self._session.get(), self.book
        if session.silent or not book.records:
            self._routes.set(())
            return None
        x, y = cast("Tensor", first_tensor(args)), cast("Tensor", output)
        scopes = session.scopes if session.scopes is not None else (self.default_scope,)
        seen = {scope: book.visible(scope) for scope in set(scopes)}
        sets = [seen[scope] for scope in per_row(scopes, x.shape[0])]
        if x.dim() < 3 or x.shape[1] > 1:  # a lone token belongs to a request whose routes are known
            routes = self._seen(layer, x, book, sets)
            if routes is not None:
                self._routes.set(routes)
        distinct = [chosen for chosen in dict.fromkeys(sets) if chosen]
        if not distinct:
            return None
        if len(distinct) == 1 and all(sets):
            return _plus(x, y, self._view(book, distinct[0], layer, x.device))
        changed = y.clone()
        for chosen in distinct:
            rows = torch.tensor([i for i, other in enumerate(sets) if other == chosen], device=y.device)
            changed[rows] = _plus(x[rows.to(x.device)], y[rows], self._view(book, chosen, layer, x.device))
        return changed

    def _view(self, book: Book, visible: Visible, layer: int, device: torch.device) -> LowRank:
        """One layer's delta of a set of visible records, solved for once and kept where it is used."""
        key = (id(book), visible)
        with self._lock:
            held = self._views.get(key)
            if held is None or held[0] is not book:
                while len(self._views) >= _KEPT_VIEWS:
                    del self._views[next(iter(self._views))]
                held = (book, dict(self._deltas(book, visible)))
                self._views[key] = held
            left, right = held[1][layer]
            if right.device != device:
                held[1][layer] = (left.to(device), right.to(device))
            return held[1][layer]


def _plus(x: Tensor, y: Tensor, delta: LowRank) -> Tensor:
    left, right = delta
    return (y.to(left.dtype) + (x.to(right.dtype) @ right) @ left.T).to(y.dtype)
