"""Deciding, once per request and row at prefill, which edit answers; and replaying the rows that one does.

The hooks sit on the backbone (token ids in, last hidden state out), so the head, its loss and ``logits_to_keep``
see patched states without knowing. Rows that no edit answers keep their bits: they are not computed again.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from agentmem.editors.caches import fresh_copy
from agentmem.editors.core.sessions import Routes, View
from agentmem.editors.gate.apart import Apart, HeldApart, apart
from agentmem.editors.gate.codebook import Codebook, KeyMatch
from agentmem.editors.gate.framing import LONGEST, Framing
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.gate.replay import Forward, Replay, cache_of, window_works
from agentmem.editors.hooks import Hook, KeyTap, install_tap, is_own_forward, remove_tap
from agentmem.editors.port import ModelPort
from agentmem.notes.edit import Route
from agentmem.notes.note import Scope

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

__all__ = ["Call", "Decisions", "Router", "as_route"]

B = TypeVar("B", bound=Codebook)

Decisions = dict[int, KeyMatch]
"""Token position (counted over a row's real tokens) -> what was decided there."""


@dataclass(frozen=True)
class _Before:
    """The last tokens before a forward, row by row; ``whole`` unless some before them are not known."""

    rows: list[tuple[int, ...]]
    whole: bool


@dataclass
class Call(Generic[B]):
    """One forward of the backbone that has to be routed; ``before`` are the tokens of earlier chunks of the same prompts."""

    view: View[B]
    forward: Forward
    scopes: Sequence[Scope | None]
    before: _Before
    rows: list[tuple[int, ...]]
    first: list[int]
    decided: list[Decisions]
    open: list[tuple[int, int]]
    tap: KeyTap | None


@dataclass(frozen=True)
class _Memory:
    """The last routed forward of this context, so that a row which grows by one token keeps its decisions."""

    state: Codebook
    decisions: dict[tuple[Scope | None, tuple[int, ...]], Decisions]
    cache: Callable[[], Cache | None]
    tail: _Before
    length: int


class Router(Generic[B]):
    """Hooks that route requests through a codebook.

    Args:
        port: the model.
        layer: values are added after this layer.
        framing: how messages are told apart; requests are routed where its ``opening`` ends.
        view: gives the calling context's state, or ``None`` when it wants the bare model.
        on_routes: told the routes of each request.

    Attributes:
        answers_apart: whether a message that an edit answers is read without its company.
    """

    answers_apart = True

    def __init__(
        self,
        port: ModelPort,
        layer: int,
        framing: Framing,
        view: Callable[[], View[B] | None],
        on_routes: Callable[[Routes], object],
    ) -> None:
        self._port, self._layer, self._framing, self._opening = port, layer, framing, framing.opening
        # without an opening nobody knows whether a chunk is of a prompt or of an answer, so none is read with what came before
        self._reach = LONGEST + len(framing.opening) if framing.opening else 0
        self._view, self._on_routes = view, on_routes
        self._names = tuple(inspect.signature(port.structure.backbone.forward).parameters)
        self._call: ContextVar[Call[B] | None] = ContextVar("agentmem_call", default=None)
        self._memory: ContextVar[_Memory | None] = ContextVar("agentmem_memory", default=None)
        self._handles: list[Any] = []
        self._apart = HeldApart()

    @property
    def attached(self) -> bool:
        """Whether the hooks are installed."""
        return bool(self._handles)

    def attach(self) -> None:
        """Install the hooks; doing it twice is doing it once."""
        if self._handles:
            return
        self._port.hold(self._layer)
        backbone = self._port.structure.backbone
        self._handles = [
            backbone.register_forward_pre_hook(Hook(self._enter), with_kwargs=True),
            backbone.register_forward_hook(Hook(self._leave), always_call=True),
        ]

    def detach(self) -> None:
        """Remove the hooks; doing it twice is doing it once."""
        if not self._handles:
            return
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._port.release(self._layer)

    def _enter(self, _module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
        if is_own_forward():
            return None
        if (stale := self._call.get()) is not None:  # a forward that was interrupted from outside
            self._close(stale)
        forward = Forward.of(self._names, args, kwargs)
        if forward.is_decoding and not self._ends_prompt(forward):  # most forwards: who answers is decided
            self._go_on(forward)
            return self._hidden(forward, args, kwargs)
        view = self._view()
        if view is None:
            return None
        if forward.is_decoding:
            forward.before = None if forward.cache is None else fresh_copy(forward.cache)
        call = self._open(view, forward)
        self._call.set(call)
        if call.tap is not None:
            install_tap(call.tap)
        return None if call.open else self._hidden(forward, args, kwargs)

    def _hidden(self, forward: Forward, args: Any, kwargs: Any) -> Any:
        """The arguments of a forward that goes on with answers, what these shall not see being masked; ``None`` for as they are."""
        view = self._view() if forward.past else None
        mask = None if view is None else self._apart.mask(forward, view.state)
        if mask is None:
            return None
        name = "attention_mask"
        at = self._names.index(name) if name in self._names else len(args)
        if at < len(args):
            return (*args[:at], mask, *args[at + 1 :]), kwargs
        return args, {**kwargs, name: mask}

    def _leave(self, _module: torch.nn.Module, _args: Any, output: Any) -> Any:
        call = self._call.get()
        if call is None or is_own_forward():
            return None
        self._close(call)
        if output is None:  # the forward raised
            return None
        return self._route(call, output)

    def _go_on(self, forward: Forward) -> None:
        """One more token of an answer: a value added at prefill lives on in the cache."""

    def _replay(self, call: Call[B], output: Any, cache: Cache | None) -> Replay:
        return Replay(self._port, self._layer, call.forward, output, cache)

    def _close(self, call: Call[B]) -> None:
        self._call.set(None)
        if call.tap is not None:
            remove_tap(call.tap)

    def _open(self, view: View[B], forward: Forward) -> Call[B]:
        """Find the positions of this forward at which a decision is due."""
        rows, first = forward.rows()
        scopes = view.per_row(forward.batch)
        memory = self._memory.get()
        if memory is not None and memory.state is not view.state:
            memory = None
        decided: list[Decisions] = []
        due: list[tuple[int, int]] = []
        before = self._context(memory, forward)
        for i, row in enumerate(rows):
            kept = None if forward.past or memory is None else memory.decisions.get((scopes[i], row[:-1]))
            decided.append(dict(kept or {}))
            if kept is None:
                due += [(i, at) for at in self._positions(row, before.rows[i], forward.past)]
        tap = None
        if due:
            device = forward.device
            columns = [first[i] + at for i, at in due]
            tap = KeyTap(self._port, forward.batch, forward.length,
                torch.tensor([i for i, _ in due], device=device), torch.tensor(columns, device=device),
            )  # fmt: skip
        return Call(view, forward, scopes, before, rows, first, decided, due, tap)

    def _positions(self, row: tuple[int, ...], before: tuple[int, ...], past: int) -> list[int]:
        """Where answers begin in a row: after the template's opening, and at the end of a first prompt.

        In a conversation that goes on, an end without the opening is not a question: a chunk of a longer
        prompt, or tokens that are only being scored.
        """
        if not row:
            return []
        size, whole, shift = len(self._opening), before + row, len(before)
        found = [] if not size else [
            at for at in range(len(row)) if whole[max(0, at + shift - size + 1) : at + shift + 1] == self._opening
        ]  # fmt: skip
        last = len(row) - 1
        return found if (found and found[-1] == last) or (size and past) else [*found, last]

    def _context(self, memory: _Memory | None, forward: Forward) -> _Before:
        """The tokens just before a chunk, when the last forward filled the same cache up to here."""
        if memory is not None and _goes_on(memory, forward):
            return memory.tail
        return _Before([()] * forward.batch, not forward.past)

    def _ends_prompt(self, forward: Forward) -> bool:
        """Whether a lone token is the last of a prompt that came in chunks, not one of an answer."""
        memory, size = self._memory.get(), len(self._opening)
        if not size or memory is None or not _goes_on(memory, forward):
            return False
        unopened = [i for i, before in enumerate(memory.tail.rows) if before[-size:] != self._opening]
        if not unopened:
            return False
        rows, _ = forward.rows()
        return any((*memory.tail.rows[i], *rows[i])[-size:] == self._opening for i in unopened)

    def _route(self, call: Call[B], output: Any) -> Any:
        cache = cache_of(output) or call.forward.cache
        replay = self._replay(call, output, cache)
        if call.tap is not None and call.open and call.tap.keys is not None:
            self._decide(call, call.open, call.tap.keys, replay)
        self._reuse(call, replay)
        self._remember(call, cache)
        return replay.output if replay.changed else None

    def _decide(self, call: Call[B], due: list[tuple[int, int]], raw: Tensor, replay: Replay) -> None:
        """Decide position by position: an answer that fires changes what later positions of its row see."""
        alone = self._alone(call, due)
        while due:
            scopes, texts = [call.scopes[i] for i, _ in due], [self._asked(call, i, at) for i, at in due]
            keys = [alone.get(place, key) for place, key in zip(due, raw.cpu(), strict=True)]
            matches = call.view.state.answer(torch.stack(keys).numpy(), scopes, texts)
            fired: dict[int, int] = {}
            for (i, at), match in zip(due, matches, strict=True):
                if match.edit is not None:
                    fired.setdefault(i, at)
            for (i, at), match in zip(due, matches, strict=True):
                if at <= fired.get(i, at):
                    call.decided[i][at] = match
            if not fired:
                return
            due = [(i, at) for i, at in due if i in fired and at > fired[i]]
            places = [(i, call.first[i] + at, call.decided[i][at]) for i, at in fired.items()]
            raw = self._replayed(call, replay, places, due, raw[:0])

    def _replayed(
        self,
        call: Call[B],
        replay: Replay,
        fired: list[tuple[int, int, KeyMatch]],
        due: list[tuple[int, int]],
        none: Tensor,
    ) -> Tensor:
        """Write what fired, each row that stands in company by itself; the raw keys [n, d_key] of what is due after that, in its order."""
        keys: dict[tuple[int, int], Tensor] = {}
        companies = {i: self._company(call, i, column) for i, column, _ in fired}
        groups = [[place] for place in fired if companies[place[0]] is not None]
        groups.append([place for place in fired if companies[place[0]] is None])
        for places in filter(None, groups):
            rows = {i for i, _, _ in places}
            asked = [(i, at) for i, at in due if i in rows]
            found = replay.run(places, [(i, call.first[i] + at) for i, at in asked], companies[places[0][0]])
            keys |= dict(zip(asked, () if found is None else found, strict=True))
        return torch.stack([keys[place] for place in due]) if due else none

    def _unseen(self, call: Call[B], i: int, cache: Cache) -> tuple[int, int] | None:
        """What the tokens of the answer that begins at the end of a row shall not see."""
        match = call.decided[i].get(at := self._last_opening(call, i))
        answered = match is not None and match.edit is not None and window_works(cache)
        found = self._company(call, i, call.first[i] + at) if answered else None
        return None if found is None else found.company

    def _last_opening(self, call: Call[B], i: int) -> int:
        """Where the last answer of a row begins; behind it may stand tokens of it, as of a draft."""
        places = {*call.decided[i], *(at for row, at in call.open if row == i)}
        size = len(self._opening)
        opened = [at for at in places if self._row(call, i, at)[-size:] == self._opening] if size else []
        return max(opened or places, default=-1)

    def _company(self, call: Call[B], i: int, column: int) -> Apart | None:
        """Where the message stands that is answered behind a row; earlier ones are answered for the turns after them, in their company."""
        if not self.answers_apart or column != call.first[i] + self._last_opening(call, i):
            return None
        return apart(self._framing, self._row(call, i, column - call.first[i]), i, column, call.forward)

    def _alone(self, call: Call[B], due: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Tensor]:
        """The raw keys of messages that stand in company, read without it, where an edit may answer them."""
        state, found = call.view.state, dict[tuple[int, int], tuple[int, ...]]()
        for i, at in due:
            row = self._row(call, i, at)
            single = self._framing.alone(row) if row else None
            if single is not None and state.may_answer(self._asked(call, i, at), call.scopes[i]):
                found[i, at] = single
        keys = self._port.keys(list(found.values())) if found else ()
        return dict(zip(found, keys, strict=True))

    def _row(self, call: Call[B], i: int, at: int) -> tuple[int, ...]:
        """The tokens up to an answer that begins after ``at``, as far as they are known; none where only their embeddings are."""
        if call.forward.arguments.get("input_ids") is None:
            return ()
        return (*call.before.rows[i], *call.rows[i][: at + 1])

    def _asked(self, call: Call[B], i: int, at: int) -> AskedText:
        """The message that an answer at ``at`` replies to; nothing when the tokens are not known."""
        row = self._row(call, i, at)
        if not row:
            return AskedText()
        start, end, begins = self._framing.message(row)
        known = call.before.whole and (not call.forward.past or len(call.before.rows[i]) < self._reach)
        whole = begins or (known and start == 0)
        return AskedText(str(self._port.tokenizer.decode(row[start:end], skip_special_tokens=True)), whole)

    def _reuse(self, call: Call[B], replay: Replay) -> None:
        """Uncached generation: add again, at the same places, what was decided when the prompt came."""
        opened = {i for i, _ in call.open}
        kept = [
            (i, call.first[i] + at, match)
            for i, decisions in enumerate(call.decided)
            if i not in opened
            for at, match in decisions.items()
            if match.edit is not None
        ]
        if kept:
            self._replayed(call, replay, kept, [], torch.empty(0))

    def _remember(self, call: Call[B], cache: Cache | None) -> None:
        uncached = cache is None
        known = (
            {(s, row): d for s, row, d in zip(call.scopes, call.rows, call.decided, strict=True)} if uncached else {}
        )
        joined = [(*before, *row) for before, row in zip(call.before.rows, call.rows, strict=True)]
        tail = [row[-self._reach :] if self._reach else () for row in joined]
        held: Callable[[], Cache | None] = weakref.ref(cache) if cache is not None else (lambda: None)
        before, length = _Before(tail, call.before.whole), call.forward.past + call.forward.length
        if cache is not None and call.open:
            self._apart.keep(cache, call.view.state, [self._unseen(call, i, cache) for i in range(len(call.rows))])
        self._memory.set(_Memory(call.view.state, known, held, before, length))
        if call.open or not call.forward.past:  # tokens that go on with an answer leave its route standing
            decided = call.decided
            self._on_routes(lambda: tuple(as_route(decisions) for decisions in decided))


def _goes_on(memory: _Memory, forward: Forward) -> bool:
    """Whether a forward goes on where the remembered one ended, in the same cache and the same rows."""
    held = memory.cache()
    same = held is not None and held is forward.cache and (not forward.counted or memory.length == forward.past)
    return same and len(memory.tail.rows) == forward.batch


def as_route(decisions: Decisions) -> Route:
    """The route to report for a row: what was decided where its answer begins (earlier turns had their own)."""
    if not decisions:
        return Route(None)
    at = max(decisions)
    match = decisions[at].looked()
    edit = match.edit.request if match.edit is not None else None
    return Route(
        edit_id=edit.id if edit else None,
        note_id=edit.note_id if edit else None,
        distance=match.distance,
        radius=match.radius,
        margin=match.margin,
        position=at,
    )
