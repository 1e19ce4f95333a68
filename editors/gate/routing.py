"""Deciding, once per request and row at prefill, which edit answers; and replaying the rows that one does.

The hooks sit on the backbone (token ids in, last hidden state out), so the head, its loss and ``logits_to_keep``
see patched states without knowing. Rows that no edit answers keep their bits: they are not computed again.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from agentmem.editors.caches import fresh_copy
from agentmem.editors.core.sessions import Routes, View
from agentmem.editors.gate.apart import Apart
from agentmem.editors.gate.call import Before, Call, Decisions, LastForward, as_route, goes_on
from agentmem.editors.gate.codebook import Codebook, KeyMatch
from agentmem.editors.gate.framing import LONGEST, Framing
from agentmem.editors.gate.held import HeldApart, HeldRow, held_row
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.gate.replay import Forward, Replay, cache_of, window_works
from agentmem.editors.hooks import Hook, KeyTap, install_tap, is_own_forward, remove_tap
from agentmem.editors.port import ModelPort

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

__all__ = ["Call", "Decisions", "Router", "as_route"]

B = TypeVar("B", bound=Codebook)


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
        self._memory: ContextVar[LastForward | None] = ContextVar("agentmem_memory", default=None)
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
        if call.open and forward.past:
            self._put_back(view, forward)
        self._call.set(call)
        if call.tap is not None:
            install_tap(call.tap)
        return None if call.open else self._hidden(forward, args, kwargs)

    def _hidden(self, forward: Forward, args: Any, kwargs: Any) -> Any:
        """The arguments of a forward that goes on with answers, as far as these are given apart; ``None`` for as they are."""
        view = self._view() if forward.past else None
        changed = {} if view is None else self._apart.arguments(forward, view.state, self._port)
        if not changed:
            return None
        named, listed = dict(kwargs), list(args)
        for name, value in changed.items():
            at = self._names.index(name) if name in self._names else len(listed)
            if at < len(listed):
                listed[at] = value
            else:
                named[name] = value
        return tuple(listed), named

    def _put_back(self, view: View[B], forward: Forward) -> None:
        """Read the answers that were given apart once more in the conversation, which goes on."""
        for i, held, tokens in self._apart.over(forward, view.state):
            call = self._again(view, forward, i, held, tokens)
            self._replay(call, None, forward.cache).run([(i, held.at, held.match)], [], Apart(0, (0, 0)))

    def _again(self, view: View[B], forward: Forward, i: int, held: HeldRow, tokens: Sequence[int]) -> Call[B]:
        """The forward of a message and its answer, as it would be if a row had them behind what stands before them."""
        ids = torch.zeros(forward.batch, len(tokens), dtype=torch.long, device=forward.device)
        ids[i] = torch.tensor(tokens, device=forward.device)
        arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": forward.arguments.get("attention_mask")}
        if held.moved is not None:
            places = torch.arange(len(tokens), device=forward.device) + held.begins + held.moved
            arguments["position_ids"] = places.expand(forward.batch, -1)
        again = Forward(arguments, forward.cache, None, held.begins, forward.batch, len(tokens), forward.device)
        decided: list[Decisions] = [{} for _ in range(forward.batch)]
        decided[i] = {held.at: held.match}
        rows = [tuple(tokens) if row == i else () for row in range(forward.batch)]
        none = Before([()] * forward.batch, False)
        return Call(view, again, [None] * forward.batch, none, rows, [0] * forward.batch, decided, [], None)

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
        answering = self._apart.is_answering(forward, view.state)
        for i, row in enumerate(rows):
            kept = None if forward.past or memory is None else memory.decisions.get((scopes[i], row[:-1]))
            decided.append(dict(kept or {}))
            found = self._positions(row, before.rows[i], forward.past) if kept is None else []
            if not (answering and found and self._is_draft(row, found)):
                due += [(i, at) for at in found]
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

    def _is_draft(self, row: tuple[int, ...], opened: Sequence[int]) -> bool:
        """Whether tokens that come while an answer is given guess how it and the conversation go on, and are no turn that was taken.

        A turn begins with the end of the one before, or with its own header, and ends where it is to be answered.
        """
        return opened[-1] != len(row) - 1 and row[0] not in self._framing.special

    def _context(self, memory: LastForward | None, forward: Forward) -> Before:
        """The tokens just before a chunk, when the last forward filled the same cache up to here."""
        if memory is not None and goes_on(memory, forward):
            return memory.tail
        return Before([()] * forward.batch, not forward.past)

    def _ends_prompt(self, forward: Forward) -> bool:
        """Whether a lone token is the last of a prompt that came in chunks, not one of an answer."""
        memory, size = self._memory.get(), len(self._opening)
        if not size or memory is None or not goes_on(memory, forward):
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
        asked = {(i, at): self._asked(call, i, at) for i, at in due}
        alone = self._alone(call, asked)
        while due:
            scopes, texts = [call.scopes[i] for i, _ in due], [asked[place] for place in due]
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
        companies = {i: self._company(call, i, column - call.first[i]) for i, column, _ in fired}
        groups = [[place] for place in fired if companies[place[0]] is not None]
        groups.append([place for place in fired if companies[place[0]] is None])
        for places in filter(None, groups):
            rows = {i for i, _, _ in places}
            asked = [(i, at) for i, at in due if i in rows]
            found = replay.run(places, [(i, call.first[i] + at) for i, at in asked], companies[places[0][0]])
            keys |= dict(zip(asked, () if found is None else found, strict=True))
        return torch.stack([keys[place] for place in due]) if due else none

    def _held_row(self, call: Call[B], i: int, cache: Cache) -> HeldRow | None:
        """What is kept of a row if the answer that begins at its end is given apart."""
        match = call.decided[i].get(at := self._last_opening(call, i))
        if match is None or match.edit is None or not window_works(cache):
            return None
        if (found := self._company(call, i, at)) is None:
            return None
        behind = call.first[i] + at - found.begins
        tokens = call.row(i, len(call.rows[i]))
        return held_row(found, tokens[-(behind + len(call.rows[i]) - at) :], behind, match, i, call.forward)

    def _last_opening(self, call: Call[B], i: int) -> int:
        """Where the last answer of a row begins; behind it may stand tokens of it, as of a draft."""
        places = {*call.decided[i], *(at for row, at in call.open if row == i)}
        known, size = call.row(i, len(call.rows[i])), len(self._opening)
        if not known or not size:
            return max(places, default=-1)
        shift = len(known) - len(call.rows[i]) + 1
        opened = [at for at in places if known[max(0, at + shift - size) : at + shift] == self._opening]
        return max(opened or places, default=-1)

    def _company(self, call: Call[B], i: int, at: int) -> Apart | None:
        """How the message is answered that stands last in a row; earlier ones are answered for the turns after them, in their company."""
        if not self.answers_apart or at != self._last_opening(call, i):
            return None
        return call.answered_apart(i, at, self._framing)

    def _alone(self, call: Call[B], asked: Mapping[tuple[int, int], AskedText]) -> dict[tuple[int, int], Tensor]:
        """The raw keys of messages that stand in company, read without it, where an edit may answer them."""
        companies = {(i, at): call.read(i, at, self._framing).company for i, at in asked}
        found = {
            (i, at): company.alone
            for (i, at), company in companies.items()
            if company is not None and call.view.state.may_answer(asked[i, at], call.scopes[i])
        }
        keys = self._port.keys(list(found.values())) if found else ()
        return dict(zip(found, keys, strict=True))

    def _asked(self, call: Call[B], i: int, at: int) -> AskedText:
        """The message that an answer at ``at`` replies to; nothing when the tokens are not known."""
        tokens, (start, end, begins), _ = call.read(i, at, self._framing)
        if not tokens:
            return AskedText()
        known = call.before.whole and (not call.forward.past or len(call.before.rows[i]) < self._reach)
        whole = begins or (known and start == 0)
        return AskedText(str(self._port.tokenizer.decode(tokens[start:end], skip_special_tokens=True)), whole)

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
        before, length = Before(tail, call.before.whole), call.forward.past + call.forward.length
        if cache is not None and call.open:
            self._apart.keep(cache, call.view.state, [self._held_row(call, i, cache) for i in range(len(call.rows))])
        self._memory.set(LastForward(call.view.state, known, held, before, length))
        if call.open or not call.forward.past:  # tokens that go on with an answer leave its route standing
            decided = call.decided
            self._on_routes(lambda: tuple(as_route(decisions) for decisions in decided))
