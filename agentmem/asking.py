"""``ask``: one question, answered from the weights, from notes in the prompt, or from both; the answer says which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agentmem.core import Core
from agentmem.edits import Route
from agentmem.errors import InvalidArgument, ModelError
from agentmem.notes import Note, Scope
from agentmem.prompts import notes_block
from agentmem.protocols import LanguageModel, Message
from agentmem.recall import query_words
from agentmem.recollection import Recollection, estimate_tokens
from agentmem.storage import EditRow
from agentmem.weights import WeightBook

__all__ = ["Answer", "Asker", "Source", "informs", "used_notes"]

Source = Literal["weights", "notes", "both", "model"]
Use = Literal["auto", "weights", "notes", "both", "nothing"]
BARE_REPLY = 3  # words that carry meaning
USES = ("auto", "weights", "notes", "both", "nothing")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and where it came from.

    ``source`` is ``weights`` (an edit fired, nothing was retrieved into the prompt), ``notes``, ``both``, or ``model`` (neither:
    what the base model says by itself). ``notes`` are the notes that stood in the prompt, ``used`` those of them that
    the answer draws on; ``edits`` the edits that fired, ``routes`` their distances. ``prompt_tokens`` counts the whole prompt.
    """

    text: str
    source: Source
    notes: tuple[Note, ...] = ()
    used: tuple[Note, ...] = ()
    edits: tuple[str, ...] = ()
    prompt_tokens: int = 0
    routes: tuple[Route, ...] = ()
    warnings: tuple[str, ...] = ()
    degraded: bool = False

    def __str__(self) -> str:
        return self.text


def used_notes(answer: str, question: str, notes: Sequence[Note]) -> tuple[Note, ...]:
    """Notes that the answer draws on: those that hold all the words it adds to the question.

    A note that merely stood in the prompt is not a use; counting it would strengthen whatever is recalled often,
    and recall whatever is strong.
    """
    known = set(query_words(question))
    added = {word for word in query_words(answer) if word not in known}
    if not added:
        return ()
    return tuple(n for n in notes if added <= set(query_words(n.content)))


def informs(note: Note) -> bool:
    """False for what answers nothing in a prompt, though it fits: questions asked before, and an assistant's bare replies.

    "Oxford." without its question says nothing, and when it was wrong it would come back as if somebody had said it.
    """
    if note.actor == "assistant" and len(query_words(note.content)) < BARE_REPLY:
        return False
    return note.fact is not None or not note.content.rstrip().endswith("?")


class Asker:
    """Answers with what the memory knows, and keeps count of what was used."""

    def __init__(
        self,
        core: Core,
        weights: WeightBook,
        recall: Callable[[str, int, Scope], Recollection],
        use: Callable[[Sequence[Note]], None],
        local: Callable[[], LanguageModel | None],
    ) -> None:
        self._core = core
        self._weights = weights
        self._recall = recall
        self._use = use
        self._local = local

    def ask(
        self,
        question: str,
        scope: Scope,
        *,
        use: Use = "auto",
        k: int = 5,
        context_tokens: int = 400,
        max_tokens: int = 64,
        system: str | None = None,
        history: Sequence[Message] = (),
        exclude: Sequence[str] = (),
        remote: LanguageModel | None = None,
    ) -> Answer:
        """Answer one question; see :meth:`agentmem.Memory.ask`."""
        if use not in USES:
            raise InvalidArgument(f"Unknown use {use!r}.", hint=f"use one of {', '.join(USES)}.")
        if self._weights.attached:
            with self._weights.serving() as editor:
                route, edit, warnings = self._route(question, scope, use)
                notes, recollection = self._notes(question, scope, k, context_tokens, exclude, wanted=self._wants_notes(use, edit))
                messages = _messages(question, notes, system, history)
                local = self._local()
                assert local is not None
                asked = editor.request(scope=scope) if edit is not None else editor.silence()
                with asked:
                    text = local.complete(messages, max_tokens=max_tokens)
                tokens = _count(local, messages)
        elif remote is not None:
            route, edit, warnings = None, None, ()
            notes, recollection = self._notes(question, scope, k, context_tokens, exclude, wanted=use != "nothing")
            messages = _messages(question, notes, system, history)
            text, tokens = remote.complete(messages, max_tokens=max_tokens), _count(remote, messages)
        else:
            raise ModelError(
                "This memory has no language model to answer with.",
                hint="Memory(path, model='small'), memory.attach(model, tokenizer), or Memory(path, llm=…).",
            )
        return self._answer(text, question, notes, route, edit, tokens, warnings, recollection)

    def _wants_notes(self, use: Use, edit: EditRow | None) -> bool:
        return use in ("notes", "both") or (use == "auto" and edit is None)

    def _route(self, question: str, scope: Scope, use: Use) -> tuple[Route | None, EditRow | None, tuple[str, ...]]:
        """The edit that answers this question, unless the notes have overtaken it: a note beats an edit."""
        if use in ("notes", "nothing"):
            return None, None, ()
        route = self._weights.need().probe([question], scope)[0]
        if route.edit_id is None:
            return None, None, ()
        with self._core.store.read() as tx:
            owners = tx.notes.visible_owners(scope)
            edit = next((e for e in tx.ledger.edits(owners=owners) if e.id == route.edit_id), None)
            if edit is None:
                return None, None, ("an edit fired that the books do not hold: it was not used",)
            row = tx.notes.rows_of([edit.note_id]).get(edit.note_id)
            note = tx.notes.load([row])[row] if row is not None else None
        if note is None or note.version != edit.note_version or not note.valid_at(self._core.clock.now()):
            return None, None, (f"edit {edit.id} is behind its note: the notes were asked instead",)
        return route, edit, ()

    def _notes(
        self, question: str, scope: Scope, k: int, context_tokens: int, exclude: Sequence[str], *, wanted: bool
    ) -> tuple[tuple[Note, ...], Recollection | None]:
        if not wanted:
            return (), None
        recollection = self._recall(question, 4 * k + len(exclude), scope)
        hits = tuple(hit for hit in recollection.hits if hit.note.id not in exclude and informs(hit.note))[:k]
        recollection = replace(recollection, hits=hits)
        return tuple(hit.note for hit in recollection.within(context_tokens)), recollection

    def _answer(
        self,
        text: str,
        question: str,
        notes: tuple[Note, ...],
        route: Route | None,
        edit: EditRow | None,
        tokens: int,
        warnings: tuple[str, ...],
        recollection: Recollection | None,
    ) -> Answer:
        used = used_notes(text, question, notes)
        self._use(used)
        source: Source = "weights" if edit and not notes else "both" if edit else "notes" if notes else "model"
        return Answer(
            text=text,
            source=source,
            notes=notes,
            used=used,
            edits=(edit.id,) if edit else (),
            prompt_tokens=tokens,
            routes=(route,) if route else (),
            warnings=warnings + (recollection.warnings if recollection else ()),
            degraded=bool(recollection and recollection.degraded),
        )


def _messages(question: str, notes: Sequence[Note], system: str | None, history: Sequence[Message]) -> list[Message]:
    """System prompt and notes in one system message; a message of its own would break templates that allow one."""
    parts = [part for part in (system, notes_block(notes)) if part]
    head: list[Message] = [{"role": "system", "content": "\n\n".join(parts)}] if parts else []
    return [*head, *history, {"role": "user", "content": question}]


def _count(model: LanguageModel, messages: Sequence[Message]) -> int:
    count = getattr(model, "count_prompt", None)
    return int(count(messages)) if count is not None else sum(estimate_tokens(m["content"]) for m in messages)
