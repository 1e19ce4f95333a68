"""The tiered editor: facts enter a GRACE codebook one by one, and move into WISE shards by the dozen."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agentmem.editors import packs
from agentmem.editors.core.requests import named, taken, unstored
from agentmem.editors.core.sessions import Shadow
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.editor import GatedEditor
from agentmem.editors.packs import Calibration
from agentmem.editors.registry import make_editor
from agentmem.editors.tiers import pack as tiers
from agentmem.editors.tiers.pack import TieredPack
from agentmem.editors.wise.library import Library
from agentmem.errors import PackMismatch, UnknownEdit
from agentmem.notes.edit import EditorStatus, EditReceipt, EditRequest, Route
from agentmem.notes.note import Scope
from agentmem.runtime.forks import at_fork

if TYPE_CHECKING:
    from agentmem.editors.grace.editor import GraceEditor

__all__ = ["TieredEditor"]

Waiting = dict[str, EditRequest]


@dataclass
class _Both:
    """A private copy of both tiers; ``commit`` makes it everybody's."""

    fresh: Shadow[Codebook]
    settled: Shadow[Library]
    waiting: Waiting
    _publish: Callable[[Waiting], None]

    def commit(self) -> None:
        """Make the changes so far visible to everybody."""
        self.fresh.commit()
        self.settled.commit()
        self._publish(dict(self.waiting))


class TieredEditor:
    """Two tiers behind one :class:`~agentmem.notes.protocols.Editor`.

    ``write`` learns facts in GRACE's codebook: seconds for a batch, exact to take back. :meth:`settle` moves facts
    from there into WISE shards of up to 64 records, where their number no longer costs a vector each. Both tiers are read
    with the same keys; a request is answered by one of them or by the base.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        fresh, settled: options of the GRACE and of the WISE tier.
        shared: options of both: ``background``, ``calibration``, ``on_progress``, ``default_scope``.

    Raises:
        InvalidArgument: an unknown option, or one out of range.
        LayerNotFound: the decoder layers could not be found.
    """

    method = tiers.METHOD

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        fresh: dict[str, Any] | None = None,
        settled: dict[str, Any] | None = None,
        **shared: Any,
    ) -> None:
        self.fresh = cast("GatedEditor[Codebook]", make_editor("grace", model, tokenizer, **shared, **(fresh or {})))
        self.settled = cast("GatedEditor[Library]", make_editor("wise", model, tokenizer, **shared, **(settled or {})))
        self._main: Waiting = {}
        self._shadow: ContextVar[_Both | None] = ContextVar("agentmem_tiers", default=None)
        self._free_lock()
        at_fork(self._free_lock)

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.RLock()

    @property
    def waiting(self) -> tuple[EditRequest, ...]:
        """Requests that no tier holds: their shard went when another of its records was forgotten without the model."""
        return tuple(self._waiting[key] for key in sorted(self._waiting))

    @property
    def _waiting(self) -> Waiting:
        shadow = self._shadow.get()
        return self._main if shadow is None else shadow.waiting

    # What the memory holds

    def edits(self) -> tuple[EditRequest, ...]:
        """Everything the editor answers for, sorted by id; what waits is among it."""
        held = (*self.fresh.edits(), *self.settled.edits(), *self._waiting.values())
        return tuple(sorted(held, key=lambda request: str(request.id)))

    def tier_of(self, id: str) -> str:
        """``fresh``, ``settled`` or ``waiting``.

        Raises:
            UnknownEdit: it is in none.
        """
        places = {"fresh": self.fresh.state.ids, "settled": self.settled.state.ids, "waiting": self._waiting}
        for name, ids in places.items():
            if id in ids:
                return name
        raise UnknownEdit(f"There is no edit {id!r}.", hint="editor.edits() lists what there is.")

    def dump(self) -> bytes:
        """The whole state as the bytes of a pack; equal states give equal bytes."""
        return self._packed().dump()

    def state_hash(self) -> str:
        """sha256 of the pack that :meth:`save` would write."""
        return hashlib.sha256(self.dump()).hexdigest()

    def save(self, path: Path | str) -> str:
        """Write the whole state as one pack, atomically; returns the sha256 of its bytes."""
        return packs.write_file(path, self.dump())

    def status(self) -> EditorStatus:
        """A report on both tiers; ``details`` has theirs, and how many edits wait."""
        fresh, settled, data = self.fresh.status(), self.settled.status(), self.dump()
        states = {fresh.state, settled.state}
        rank = ("irregular", "detached", "active", "empty")
        return EditorStatus(
            method=self.method,
            state=next(state for state in rank if state in states),
            edits=fresh.edits + settled.edits + len(self._waiting),
            keys=fresh.keys + settled.keys,
            size_bytes=len(data),
            state_hash=hashlib.sha256(data).hexdigest(),
            base_fingerprint=fresh.base_fingerprint,
            details={
                "tiers": {"fresh": fresh.edits, "settled": settled.edits, "waiting": len(self._waiting)},
                "fresh": fresh.details,
                "settled": settled.details,
            },
        )

    def calibrate(self) -> Calibration:
        """The key space, which both tiers share."""
        found = self.fresh.calibrate()
        self.settled.adopt(found)
        return found

    # Changing it

    def write(self, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        """Learn facts in the fresh tier; see :meth:`~agentmem.editors.core.editor.SideMemoryEditor.write`.

        Raises:
            InvalidArgument: a prompt or target is empty, or an id comes twice.
            EditError: an id is already taken by a different edit.
        """
        with self._lock:
            asked = [named(request) for request in requests]
            receipts = {r.id: r for r in self._held_already(asked)}
            rest = [request for request in asked if request.id not in receipts]
            receipts |= {r.id: r for r in self._contradicting(rest)}
            written = self.fresh.write([request for request in rest if request.id not in receipts])
            receipts |= {r.id: r for r in written}
            return [receipts[str(request.id)] for request in asked]

    def _held_already(self, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        elsewhere = {str(r.id): r for r in (*self.settled.edits(), *self._waiting.values())}
        unstored(requests, elsewhere)
        return [EditReceipt(str(r.id), "aliased", "it was already there") for r in requests if r.id in elsewhere]

    def _contradicting(self, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        """The fresh tier refuses contradictions among its own; those with the other tier show in how it routes."""
        targets = {str(r.id): r.target.strip() for r in self.settled.edits()}
        refused = []
        for scope in dict.fromkeys(request.scope for request in requests) if targets else ():
            mine = [request for request in requests if request.scope == scope]
            routes = self.settled.probe([request.prompt for request in mine], scope)
            for request, owner in zip(mine, (route.edit_id for route in routes), strict=True):
                if owner is not None and targets[owner] != request.target.strip():
                    why = taken(owner)
                    refused.append(EditReceipt(str(request.id), "failed", why))
        return refused

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove edits exactly: the state is as if they had never been written.

        Raises:
            UnknownEdit: an id is not held; nothing is removed then.
        """
        with self._lock:
            unwanted = list(dict.fromkeys(ids))
            places = {id: self.tier_of(id) for id in unwanted}
            for editor, name in ((self.fresh, "fresh"), (self.settled, "settled")):
                if mine := [id for id in unwanted if places[id] == name]:
                    editor.delete(mine)
            for id in unwanted:
                self._waiting.pop(id, None)
            return unwanted

    def settle(self, ids: Sequence[str] = ()) -> list[EditReceipt]:
        """Move edits of the fresh tier into shards, together with everything that waits.

        What a shard cannot learn stays in the fresh tier, or goes there.

        Args:
            ids: edits of the fresh tier.

        Returns:
            One receipt per edit that was to move; ``failed`` ones say why they did not.

        Raises:
            UnknownEdit: an id is not held; nothing is moved then.
        """
        with self._lock:
            fresh = {str(r.id): r for r in self.fresh.edits()}
            moving = [fresh[id] for id in dict.fromkeys(ids) if self.tier_of(id) == "fresh"]
            waiting = list(self.waiting)
            if not moving and not waiting:
                return []
            self.calibrate()
            receipts = self.settled.write([*waiting, *moving])
            learnt = {r.id for r in receipts if r.ok}
            if done := [str(r.id) for r in moving if r.id in learnt]:
                self.fresh.delete(done)
            back = self.fresh.write([r for r in waiting if r.id not in learnt])
            for id in learnt | {r.id for r in back if r.ok}:
                self._waiting.pop(id, None)
            return receipts

    @contextmanager
    def taught(self, found: Sequence[bytes]) -> Iterator[None]:
        """Writes inside take over the values of GRACE that another editor on the same model has found for the very same requests.

        Raises:
            PackMismatch: a pack is damaged, or of another model or recipe.
        """
        fresh = [part for data in found if (part := tiers.parse(data).fresh) is not None]
        with cast("GraceEditor", self.fresh).taught(fresh):
            yield

    def load(self, path: Path | str | bytes) -> None:
        """Replace the state by a saved pack, of two tiers or of GRACE alone.

        Raises:
            PackMismatch: it is damaged, or belongs to another base model or other options; the state stays.
        """
        pack = tiers.parse(path)
        if pack.fingerprint != self.fresh.status().base_fingerprint:
            raise PackMismatch(
                "The pack belongs to another base model, tokenizer or chat template.",
                hint="load it onto the model it was made with, or write its edits anew from list_edits(pack).",
            )
        with self._lock:
            before = self._packed()
            try:
                self._take(pack)
            except BaseException:
                self._take(before)
                raise

    def _take(self, pack: TieredPack) -> None:
        for editor, part in ((self.fresh, pack.fresh), (self.settled, pack.settled)):
            if part is not None:
                editor.load(part)
            elif held := [str(request.id) for request in editor.edits()]:
                editor.delete(held)
        self._waiting.clear()
        self._waiting.update({str(request.id): request for request in pack.waiting})

    def _packed(self) -> TieredPack:
        parts = [editor.dump() if editor.state else None for editor in (self.fresh, self.settled)]
        return TieredPack(self.fresh.state.fingerprint, parts[0], parts[1], self.waiting)

    # Asking

    @contextmanager
    def request(self, scope: Scope | None = None, scopes: Sequence[Scope] | None = None) -> Iterator[None]:
        """Requests inside see the edits that ``scope`` admits (``scopes``: one per batch row)."""
        with self.fresh.request(scope, scopes), self.settled.request(scope, scopes):
            yield

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Requests inside see the bare base model."""
        with self.fresh.silence(), self.settled.silence():
            yield

    @contextmanager
    def shadow(self) -> Iterator[_Both]:
        """A private copy of the state for this context: dropped at the end unless ``commit()`` was called."""
        with ExitStack() as stack:
            fresh = stack.enter_context(self.fresh.shadow())
            settled = stack.enter_context(self.settled.shadow())
            both = _Both(fresh, settled, dict(self._waiting), self._publish)
            token = self._shadow.set(both)
            stack.callback(self._shadow.reset, token)
            yield both

    def _publish(self, waiting: Waiting) -> None:
        self._main = waiting

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """Which edit would answer each prompt, without generating."""
        found = (self.fresh.probe(prompts, scope), self.settled.probe(prompts, scope))
        return [_answering(*pair) for pair in zip(*found, strict=True)]

    def explain(self) -> list[Route]:
        """The routes of this context's last request, one per row."""
        found = (self.fresh.explain(), self.settled.explain())
        return [_answering(*pair) for pair in zip_longest(*found, fillvalue=Route(None))]

    def attach(self) -> None:
        """Let requests see the edits again after :meth:`detach`."""
        self.fresh.attach()
        self.settled.attach()

    def detach(self) -> None:
        """Take every hook off the model; the edits are kept."""
        self.fresh.detach()
        self.settled.detach()


def _answering(fresh: Route, settled: Route) -> Route:
    """The route that answers; when neither does, the one that came nearer."""
    first, second = (fresh, settled) if fresh.edit_id is not None or settled.edit_id is None else (settled, fresh)
    if first.edit_id is None:
        return min(first, second, key=lambda route: route.distance - route.radius)
    return replace(first, margin=min(first.margin, second.distance - first.distance))
