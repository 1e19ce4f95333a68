"""What editors behind a codebook of keys share: state, scopes, shadows, packs, hooks.

The gate decides, from the key of a request, which edit answers it; what an answering edit does to the model is the
method's own affair (:mod:`agentmem.editors.grace` adds a vector, :mod:`agentmem.editors.wise` a side memory).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from agentmem.editors import packs
from agentmem.editors.background import background_groups
from agentmem.editors.core.scopes import per_row
from agentmem.editors.gate.calibration import calibrate
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.config import GateConfig
from agentmem.editors.gate.naming import Asked
from agentmem.editors.gate.routing import Router, Routes, View, as_route
from agentmem.editors.gate.shadow import OUTSIDE, Session, Shadow
from agentmem.editors.packs import Calibration
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.errors import EditError, PackMismatch, UnknownEdit
from agentmem.notes.edit import EditorStatus, EditReceipt, EditRequest, Route
from agentmem.notes.note import Scope
from agentmem.runtime.forks import at_fork

__all__ = ["GatedEditor"]


class GatedEditor:
    """An editor whose edits answer the requests whose keys lie within their radii.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        config: how keys are made and matched.
        background: prompts that calibrate the key space, as texts or as groups of paraphrases; built-in when
            ``None``.
        calibration: a key space found earlier on the same model, to save the time.
        on_progress: called with (edits done, total) during long writes.
        default_scope: whose requests those are that come outside of :meth:`request`.
    """

    method = ""
    layer: int
    _main: Codebook
    _router: Router

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        config: GateConfig,
        *,
        background: Sequence[str] | Sequence[Sequence[str]] | None,
        calibration: Calibration | None,
        on_progress: Callable[[int, int], None] | None,
        default_scope: Scope | None,
    ) -> None:
        self._gate = config
        self.port = ModelPort(model, tokenizer, layers=config.layers)
        self.renderer = Renderer(tokenizer, chat=config.chat)
        self.default_scope = default_scope
        self.on_progress = on_progress
        self._background = background
        self._calibration = calibration
        self._free_lock()
        at_fork(self._free_lock)
        self._session: ContextVar[Session] = ContextVar("agentmem_session", default=OUTSIDE)
        self._routes: ContextVar[Routes] = ContextVar("agentmem_routes", default=tuple)
        self._wanted = True
        self._shadows = 0
        self._opening = self.renderer.opening if config.positions == "turns" else ()
        if calibration is not None:
            self.port.read_keys_at(calibration.layer)

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.RLock()

    # What a method adds

    def _written(self, book: Codebook, requests: Sequence[EditRequest]) -> tuple[list[EditReceipt], Codebook]:
        """Receipts and the codebook with these requests."""
        raise NotImplementedError

    def _without(self, book: Codebook, ids: Sequence[str]) -> Codebook:
        """The codebook without these edits."""
        return book.with_edits((), ids)

    def _details(self, book: Codebook) -> dict[str, object]:
        """What the method has to say about a state."""
        raise NotImplementedError

    def _unpacked(self, pack: packs.Pack) -> Codebook:
        """The codebook in a pack of this model and method.

        Raises:
            PackMismatch: its parts do not fit this model.
        """
        raise NotImplementedError

    def _joined(self, added: Sequence[packs.PackedEdit], removed: set[str], shadow: Codebook) -> Codebook:
        """The shared codebook with what a shadow added and without what it removed."""
        outer = self._main
        return outer.with_edits(added, removed & outer.ids, outer.calibration or shadow.calibration)

    # What the memory holds

    @property
    def codebook(self) -> Codebook:
        """The state that the calling context sees: its shadow's inside one, else the shared one."""
        shadow = self._session.get().shadow
        return self._main if shadow is None else shadow.codebook

    def edits(self) -> tuple[EditRequest, ...]:
        """What the side memory holds now, sorted by id."""
        return tuple(edit.request for edit in self.codebook.edits)

    def state_hash(self) -> str:
        """sha256 of the pack that :meth:`save` would write."""
        return self.codebook.hash

    def status(self) -> EditorStatus:
        """A report on the state; ``irregular`` means that the pack on disk would not be what is in use."""
        book = self.codebook
        state = "empty" if not book else "active" if self._router.attached else "detached"
        if self._wanted and self._router.attached != self._needed():
            state = "irregular"
        details: dict[str, object] = {
            "layers": self.port.structure.layers_path,
            "key_site": self.port.structure.ffn_out_path or "residual stream after the last layer",
            "key_layer": self.port.key_layer,
            "key_dim": int(book.keys.shape[1]),
            "reach": book.reach,
            "in_shadow": self._session.get().shadow is not None,
        }
        details |= self._details(book)
        return EditorStatus(
            method=self.method, state=state, edits=len(book), keys=len(book.keys),
            size_bytes=len(book.bytes), state_hash=book.hash, base_fingerprint=book.fingerprint, details=details,
        )  # fmt: skip

    # Changing it

    def calibrate(self) -> Calibration:
        """The key space; computed from the background prompts once, at the first write at the latest."""
        with self._lock:
            if self._calibration is None:
                self._calibration = self._key_space()
            return self._calibration

    def adopt(self, calibration: Calibration) -> None:
        """Take over the key space of another editor on the same model, unless this one has its own already."""
        with self._lock:
            if self._calibration is None:
                self.port.read_keys_at(calibration.layer)
                self._calibration = calibration

    def _key_space(self) -> Calibration:
        return calibrate(self.port, self.renderer, self._gate, self.background_groups())

    def background_groups(self) -> list[tuple[str, ...]]:
        """The background prompts that calibrate this editor, in groups that ask the same."""
        given = self._background
        if given is None:
            return list(background_groups())
        return [(group,) if isinstance(group, str) else tuple(group) for group in given]

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
            receipts, after = self._written(self.codebook, requests)
            self._replace(after)
            return receipts

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove edits exactly: the state is as if they had never been written.

        Raises:
            UnknownEdit: an id is not held; nothing is removed then.
        """
        with self._lock:
            unwanted = list(dict.fromkeys(ids))
            missing = [i for i in unwanted if i not in self.codebook.ids]
            if missing:
                raise UnknownEdit(f"There is no edit {missing[0]!r}.", hint="editor.edits() lists what there is.")
            self._replace(self._without(self.codebook, unwanted))
            return unwanted

    def dump(self) -> bytes:
        """The whole state as the bytes of a pack; equal states give equal bytes."""
        return self.codebook.bytes

    def save(self, path: Path | str) -> str:
        """Write the whole state as one pack, atomically; returns the sha256 of its bytes."""
        return packs.write_file(path, self.codebook.bytes)

    def load(self, path: Path | str | bytes) -> None:
        """Replace the state by a saved pack, given by path or by its bytes.

        Raises:
            PackMismatch: it is damaged, or belongs to another base model or other options; the state stays.
        """
        pack = packs.read_pack(path)
        self._check(pack)
        book = self._unpacked(pack)
        with self._lock:
            if pack.calibration is not None:
                self.port.read_keys_at(pack.calibration.layer)
                self._calibration = pack.calibration
            self._replace(book)

    def _check(self, pack: packs.Pack) -> None:
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
                hint="build the editor with the pack's options.",
            )
        moved = pack.calibration is not None and pack.calibration.layer != self._held_layer()
        if moved and self._session.get().shadow is not None and self._main:
            raise PackMismatch(
                "The pack's keys come from another layer than those of the edits outside the shadow.",
                hint="load it outside of editor.shadow().",
            )
        depth = self.port.structure.d_key
        if pack.calibration is not None and pack.calibration.mean.shape != (depth,):
            raise PackMismatch("The pack's keys have another width.", hint="write its edits anew.")

    def _held_layer(self) -> int | None:
        return self._main.calibration.layer if self._main.calibration is not None else None

    def _replace(self, book: Codebook) -> None:
        shadow = self._session.get().shadow
        if shadow is not None:
            shadow.codebook = book
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
    def shadow(self) -> Iterator[Shadow]:
        """A private copy of the state for this context: dropped at the end unless ``commit()`` was called."""
        shadow = Shadow(self.codebook, self._commit)
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
        """Which edit would answer each prompt, without generating."""
        book = self.codebook
        if not book or book.calibration is None or not prompts:
            return [Route(None) for _ in prompts]
        ids = [self.renderer.prompt(prompt) for prompt in prompts]
        with self._lock:
            keys = book.calibration.keys(self.port.keys(ids).numpy())
        asked = scope if scope is not None else self.default_scope
        matches = book.match(keys, [asked] * len(prompts), [Asked(prompt, True) for prompt in prompts])
        return [as_route({len(row) - 1: match}) for row, match in zip(ids, matches, strict=True)]

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
        if self._needed():
            self._router.attach()
        else:
            self._router.detach()

    @contextmanager
    def _within(self, **changes: Any) -> Iterator[None]:
        token = self._session.set(self._session.get().changed(**changes))
        try:
            yield
        finally:
            self._session.reset(token)

    def _view(self) -> View | None:
        session, book = self._session.get(), self.codebook
        if session.silent or not book:
            self._routes.set(tuple)
            return None
        scopes = session.scopes if session.scopes is not None else (self.default_scope,)
        return View(book, lambda batch: per_row(scopes, batch))

    def _on_routes(self, routes: Routes) -> None:
        self._routes.set(routes)

    def _commit(self, shadow: Shadow) -> None:
        """Bring what changed in a shadow into the state that was current outside it."""
        with self._lock:
            added, removed = shadow.changes()
            outer = self._main
            taken = {edit.id for edit in added} & (set(outer.ids) - removed)
            if taken:
                raise EditError(
                    f"Edit {min(taken)!r} was written by somebody else meanwhile.",
                    hint="verify again in a new shadow.",
                )
            self._main = self._joined(added, removed, shadow.codebook)
            shadow.rebase(self._main)
            self._sync()
