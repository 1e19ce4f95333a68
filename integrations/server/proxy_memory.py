"""What a conversation that passes through a proxy is given from memory, and what of it is remembered: each exchange once.

Clients send a conversation whole with every request, and say nothing of which one it is. So a conversation is known by what was said in
it: the session whose notes are the user's earlier words. A turn that stands there already, as often as the request says it, and not long
ago, was sent again: by a client that tries once more, by one that asks for another answer, or between two calls of tools. No digest of a
conversation is kept, in which the words of a forgotten note could be tried out: a note is found by its own words, which go with it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from weakref import WeakValueDictionary

from agentmem.aio import AsyncMemory
from agentmem.ask.answer import used_notes
from agentmem.ask.clauses import clauses, told
from agentmem.ask.conversation import UNANSWERED, Turn
from agentmem.ask.drawn import evidence
from agentmem.ask.present import presentable
from agentmem.errors import InvalidNote, ScopeError, StoreError, UnknownNote
from agentmem.integrations.awaited import names_of
from agentmem.integrations.server.proxy_answer import SpokenAnswer
from agentmem.integrations.server.proxy_conversation import ProxiedTurn
from agentmem.integrations.turns import rests_on
from agentmem.notes.names import clean_text
from agentmem.notes.note import Note, Receipt, Scope
from agentmem.notes.quoting import notes_block
from agentmem.recall.query import query_words
from agentmem.recall.weights import RankingWeights
from agentmem.runtime.forks import at_fork

__all__ = ["NotesForPrompt", "ProxyMemory"]

LOG = logging.getLogger("agentmem.server")
ANSWERS: Final = "answers"
"""The key in the metadata of an answer that names the note of the user's turn."""
_AGAIN: Final = timedelta(hours=1)
"""Within it, the same words at the same place of a conversation are the same turn; later they are said anew."""
_LOOKED_AT: Final = 64
"""Earlier messages of which the notes are looked for."""
_TELLING: Final = 8
"""Earlier words of the user, the longest, by which a conversation is known."""
_QUERY: Final = 2000
"""Characters of a message that are looked for, half from its beginning and half from its end: what is pasted stands between."""


@dataclass(frozen=True, slots=True)
class NotesForPrompt:
    """Recalled notes as a prompt gets them; ``warning`` where they could not be looked for."""

    notes: tuple[Note, ...] = ()
    block: str = ""
    warning: str = ""


class ProxyMemory:
    """The memory behind the conversations that pass.

    Args:
        memory: where it is.
        k, context_tokens: how many notes a request gets at most, and the room for them.
    """

    def __init__(self, memory: AsyncMemory, *, k: int = 5, context_tokens: int = 400) -> None:
        self.memory = memory
        self._k = k
        self._tokens = context_tokens
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child, where nobody is at a turn."""
        self._turns: WeakValueDictionary[Scope, asyncio.Lock] = WeakValueDictionary()

    # -- into the prompt -----------------------------------------------------------------------------------------

    async def recalled(self, turn: ProxiedTurn, scope: Scope) -> NotesForPrompt:
        """The notes that fit the user's latest words and that the request does not show by itself.

        A memory that cannot be read takes nobody's answer away: the request goes on without notes, and says so.

        Raises:
            ScopeError: it was not said whose notes are meant, or they are somebody else's.
        """
        query = turn.words if len(turn.words) <= _QUERY else f"{turn.words[: _QUERY // 2]} {turn.words[-_QUERY // 2 :]}"
        if not query_words(query):
            return NotesForPrompt()
        try:
            found = await self.memory.recall(query, k=4 * self._k, **names_of(scope))
        except ScopeError:
            raise
        except Exception as error:
            LOG.exception("nothing was recalled for a prompt")
            return NotesForPrompt(warning=f"nothing was recalled: {type(error).__name__}")
        shown = [hit.note.id for hit in found if " ".join(hit.note.content.split()) in turn.shown]
        found = presentable(found, self._k, shown=shown, unnamed=RankingWeights().unnamed)
        hits = found.within(self._tokens)
        return NotesForPrompt(tuple(hit.note for hit in hits), notes_block(hits))

    async def shown(self, turn: ProxiedTurn, scope: Scope) -> list[str]:
        """Ids of the notes that say what stands in the request anyway."""
        texts = {text for _, text in turn.before[-_LOOKED_AT:]}
        return [note.id for note in await self._saying(texts, scope, {})]

    # -- out of the conversation ---------------------------------------------------------------------------------

    async def keep(
        self, turn: ProxiedTurn, scope: Scope, at: datetime, answer: SpokenAnswer, *, given: Sequence[Note] = (),
        drawn: Sequence[str] = (), counts: bool = True,
    ) -> tuple[Receipt, ...]:  # fmt: skip
        """Remember the user's words, and the answer where there is one, unless they are remembered already; receipts of what was written.

        Args:
            at: when the user spoke.
            given: notes that stood in the prompt; those that the answer draws on are counted as used.
            drawn: ids of notes that it is drawn from besides.
            counts: false where uses were counted already.
        """
        if not turn.words:
            return ()
        if not _can_be_kept(
            turn.words
        ):  # without its question an answer says little, and could not be told from another one to it
            return (Receipt(None, "rejected", "the user's words cannot be a note: they are too long, or no text"),)
        async with self._turns.setdefault(scope.owner, asyncio.Lock()):
            scope = await self._in_session(turn, scope)
            known = await self._known(turn, scope)
            said = self._said(turn, known, at)
            used = used_notes(answer.text, turn.words, given) if answer.answers else ()
            message = self._answer(turn, answer, known, [*(note.id for note in used), *drawn], said)
            if said is None:
                receipts = await self._both(turn, scope, at, answer, message)
            else:
                receipts = await self._again(said, scope, message)
        if counts and used and any(receipt.ok for receipt in receipts):
            await self._count(turn, scope, answer, used, given)
        return receipts

    async def _in_session(self, turn: ProxiedTurn, scope: Scope) -> Scope:
        """The scope with the session of this conversation: the one that was named, or that has its words; else a new one."""
        if scope.session is not None:
            return scope
        earlier = sorted({text for role, text in turn.before if role == "user"}, key=len)[-_TELLING:]
        recent = {} if earlier or turn.continued else {"occurred_at": {"$gte": self.memory.clock.now() - _AGAIN}}
        found = await self._words_of_user(earlier or [turn.words], scope, recent)
        matched = Counter(session for session, _ in {(note.scope.session, note.content) for note in found})
        fits = [note for note in found if 2 * matched[note.scope.session] >= len(earlier)]
        best = max(fits, key=lambda note: (matched[note.scope.session], note.created_at), default=None)
        # Words of their own for every new conversation: one made of its words would tell them after they are forgotten.
        session = f"chat-{uuid.uuid4().hex[:12]}" if best is None else best.scope.session
        return replace(scope, session=session)

    async def _words_of_user(self, texts: Sequence[str], scope: Scope, where: dict[str, Any]) -> list[Note]:
        found = await self._saying(texts, scope, {"actor": "user", **where})
        return [note for note in found if _is_of(note, scope) and note.scope.session is not None]

    async def _saying(self, texts: Iterable[str], scope: Scope, where: dict[str, Any]) -> list[Note]:
        """The notes that say one of these texts, the oldest first."""
        said = [text for text in texts if _can_be_kept(text)]
        return await self.memory.notes(where={"content": {"$in": said}, **where}, **names_of(scope)) if said else []

    async def _known(self, turn: ProxiedTurn, scope: Scope) -> list[Note]:
        """The notes of this session that say what the latest messages of the request do; the oldest first."""
        texts = {turn.words, *(text for _, text in turn.before[-_LOOKED_AT:])}
        found = await self._saying(texts, scope, {})
        return [note for note in found if _is_of(note, scope) and note.scope.session == scope.session]

    @staticmethod
    def _said(turn: ProxiedTurn, known: Sequence[Note], at: datetime) -> Note | None:
        """The note of this very turn, where it was sent before."""
        same = [note for note in known if note.actor == "user" and note.content == turn.words]
        if len(same) < turn.times:
            return None
        return same[-1] if turn.continued or at - same[-1].occurred_at <= _AGAIN else None

    def _answer(
        self, turn: ProxiedTurn, answer: SpokenAnswer, known: Sequence[Note], drawn: Sequence[str], said: Note | None
    ) -> dict[str, Any] | None:
        """What is to be remembered of the answer, with what it says again and goes with: notes, earlier turns, the user's own words."""
        if not answer.answers:
            return None
        at = {(note.actor, note.content): note.id for note in known}
        shown = {at[each]: each[1] for each in turn.before[-_LOOKED_AT:] if each in at}
        own = 0 if said is None else said.id
        again = (own if each == 0 else each for each in rests_on(answer.text, {0: turn.words}, shown))
        sources = list(dict.fromkeys([*drawn, *again]))
        return {"role": "assistant", "content": answer.text, "derived_from": sources[:_LOOKED_AT]}

    # -- writing -------------------------------------------------------------------------------------------------

    async def _both(
        self, turn: ProxiedTurn, scope: Scope, at: datetime, answer: SpokenAnswer, message: dict[str, Any] | None
    ) -> tuple[Receipt, ...]:
        """The user's words, and then what answers them, which names their note."""
        doubt = {"metadata": {UNANSWERED: True}} if answer.failed else {}
        said = await self._one({"role": "user", "content": turn.words, "occurred_at": at, **doubt}, scope)
        if message is None:
            return (said,)
        sources = [said.id if each == 0 else each for each in message["derived_from"]]
        if said.id is None and None in sources:
            return (said, Receipt(None, "rejected", "it repeats words that were not remembered"))
        return said, await self._one(self._told({**message, "derived_from": sources}, said.id), scope)

    async def _again(self, said: Note, scope: Scope, message: dict[str, Any] | None) -> tuple[Receipt, ...]:
        """An answer to words that are remembered already: the first one, or another one in the place of the former."""
        if message is None:
            return ()
        owner: dict[str, Any] = {"user": scope.user, "agent": scope.agent}
        if said.metadata.get(UNANSWERED):
            rest = {name: value for name, value in said.metadata.items() if name != UNANSWERED}
            await self.memory.update(said.id, metadata=rest, **owner)
        where = {"actor": "assistant", f"metadata.{ANSWERS}": said.id}
        former = [note for note in await self.memory.notes(where=where, **names_of(scope)) if _is_of(note, scope)]
        if not former:
            return (await self._one(self._told(message, said.id), scope),)
        if former[-1].content == message["content"]:
            return ()
        try:
            for source in message["derived_from"]:  # first, so that it never stands there without them
                await self.memory.link(former[-1].id, source, "derived_from", reason="repeats it", weight=0.4, **owner)
            return (await self.memory.update(former[-1].id, message["content"], facts=False, **owner),)
        except (InvalidNote, UnknownNote) as error:
            return (Receipt(None, "rejected", error.message),)

    def _told(self, message: dict[str, Any], id: str | None) -> dict[str, Any]:
        names = {} if id is None else {"metadata": {ANSWERS: id}}
        return {**message, **names, "occurred_at": self.memory.clock.now()}

    async def _one(self, message: dict[str, Any], scope: Scope) -> Receipt:
        """One message; what cannot be a note, or is made from what was forgotten meanwhile, is told in the receipt."""
        try:
            return await self.memory.remember(message, **names_of(scope))
        except (InvalidNote, UnknownNote) as error:
            return Receipt(None, "rejected", error.message)

    async def _count(
        self, turn: ProxiedTurn, scope: Scope, answer: SpokenAnswer, used: Sequence[Note], given: Sequence[Note]
    ) -> None:
        """These notes were used; and what was asked and answered from them is kept, where nothing else has a word in it."""
        asked = [clause for clause in clauses(turn.words) if clause.asks]
        taught: dict[str, Any] = {}
        if len(asked) == 1:
            turns = [Turn(role, text, "earlier") for role, text in turn.before]
            found = evidence(asked[0].text, turn.words, told(turn.words), answer.text, used, given, turns)
            if found is not None and not found.beside:
                taught = {"question": found.question, "answer": found.answer}
        try:
            await self.memory.reinforce(
                [note.id for note in used], user=scope.user, agent=scope.agent, or_gone=True, **taught
            )
        except StoreError:  # the answer is there all the same
            LOG.exception("that notes were used was not recorded")


def _can_be_kept(text: str) -> bool:
    try:
        clean_text(text)
    except InvalidNote:
        return False
    return True


def _is_of(note: Note, scope: Scope) -> bool:
    """Whether a note is of this very user and agent, rather than shared with them."""
    return (note.scope.user, note.scope.agent) == (scope.user, scope.agent)
