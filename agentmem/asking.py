"""``ask``: one question, answered from the weights, from notes in the prompt, or from both; the answer says which."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agentmem.core import Core
from agentmem.edits import Route
from agentmem.errors import InvalidArgument, ModelError, StoreError
from agentmem.messages import plain_messages
from agentmem.notes import Hit, Note, Scope
from agentmem.presenting import presentable
from agentmem.prompts import notes_block
from agentmem.protocols import Editor, LanguageModel, Message
from agentmem.querying import query_words
from agentmem.recollection import Recollection, estimate_tokens
from agentmem.speaking import said
from agentmem.storage import EditRow
from agentmem.weights import WeightBook

if TYPE_CHECKING:
    from agentmem.local_model import LocalModel

__all__ = ["Answer", "Asker", "Source", "not_counted", "used_notes"]

Source = Literal["weights", "notes", "both", "model"]
Use = Literal["auto", "weights", "notes", "both", "nothing"]
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
    """Notes that the answer draws on: all it adds to the question stands in them, or what they add stands in it.

    A terse answer ("Porto.") is used up by its note; a talkative one repeats what the note knows, its fact's value or
    most of the words that the question does not have. A note that merely stood in the prompt is not a use; counting it
    would strengthen whatever is recalled often, and recall whatever is strong.
    """
    asked = set(query_words(question))
    added = set(query_words(answer)) - asked
    return tuple(note for note in notes if added and _draws_on(added, asked, note))


def not_counted(error: StoreError) -> str:
    """The warning of an answer whose notes could not be reinforced."""
    return f"that these notes were used was not recorded: {error}"


def _draws_on(added: set[str], asked: set[str], note: Note) -> bool:
    words = set(query_words(note.content))
    if added <= words:
        return True
    value = set(query_words(note.fact.object)) - asked if note.fact is not None else set()
    if value:
        return value <= added
    news = words - asked
    return bool(news) and len(news & added) > len(news) / 2


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question with everything that was said about how to answer it."""

    question: str
    scope: Scope
    use: Use
    k: int
    context_tokens: int
    max_tokens: int
    system: str | None
    history: Sequence[Message]
    exclude: Sequence[str]

    def wants_notes(self, edit: EditRow | None) -> bool:
        """Whether notes belong into the prompt, given the edit that answers (if any)."""
        return self.use in ("notes", "both") or (self.use == "auto" and edit is None)

    def messages(self, hits: Sequence[Hit]) -> list[Message]:
        """System prompt and notes in one system message, and turns in alternation: most templates allow nothing else.

        An earlier question that was never answered, because the model failed, stands in one turn with this one.
        """
        parts = [part for part in (self.system, notes_block(hits)) if part]
        head: list[Message] = [{"role": "system", "content": "\n\n".join(parts)}] if parts else []
        earlier, question = list(self.history), self.question
        while earlier and earlier[-1]["role"] == "user":
            question = f"{earlier.pop()['content']}\n{question}"
        return [*head, *earlier, {"role": "user", "content": question}]


_Found = tuple[tuple[Hit, ...], Recollection | None]


@dataclass(slots=True)
class _Heart:
    """What came of asking the weights first; ``notes`` when they were looked for on the way.

    ``go_on`` is what the model was told when it had read the question: false to stop, or the answer to expect.
    """

    text: str | None = None
    route: Route | None = None
    edit: EditRow | None = None
    notes: _Found | None = None
    warnings: tuple[str, ...] = ()
    go_on: bool | str = False


class Asker:
    """Answers with what the memory knows, and keeps count of what was used."""

    def __init__(
        self,
        core: Core,
        weights: WeightBook,
        recall: Callable[[str, int, Scope], Recollection],
        use: Callable[[Sequence[Note], Scope], None],
        local: Callable[[], LocalModel | None],
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
        _check_said(system, exclude)
        asked = _Asked(question, scope, use, k, context_tokens, max_tokens, system, _earlier(history), exclude)
        if self._weights.attached:
            with self._weights.serving() as editor:
                return self._ask_local(asked, editor)
        if remote is not None:
            return self._ask_remote(asked, remote)
        raise ModelError(
            "This memory has no language model to answer with.",
            hint="Memory(path, model='small'), memory.attach(model, tokenizer), or Memory(path, llm=…).",
        )

    def _ask_remote(self, asked: _Asked, remote: LanguageModel) -> Answer:
        hits, recollection = self._notes(asked) if asked.use != "nothing" else ((), None)
        messages = asked.messages(hits)
        text = said(remote, messages, max_tokens=asked.max_tokens)
        return self._answer(asked, text, hits, None, None, _count(remote, messages), (), recollection)

    def _ask_local(self, asked: _Asked, editor: Editor) -> Answer:
        heart = self._by_heart(asked, editor)
        edit, route, warnings = heart.edit, heart.route, heart.warnings
        hits, recollection = heart.notes if heart.notes is not None else self._wanted(asked, edit)
        text = heart.text
        if text is None or hits:
            text, fired = self._say(asked, editor, edit, hits)
            if edit is not None and not fired:  # what stands before the question made it another one
                warnings = (*warnings, f"edit {edit.id} did not fire beside the notes")
                route = edit = None
        tokens = _count(self._need_local(), asked.messages(hits))
        return self._answer(asked, text, hits, route, edit, tokens, warnings, recollection)

    def _wanted(self, asked: _Asked, edit: EditRow | None) -> _Found:
        return self._notes(asked) if asked.wants_notes(edit) else ((), None)

    def _need_local(self) -> LocalModel:
        local = self._local()
        assert local is not None
        return local

    def _say(
        self, asked: _Asked, editor: Editor, edit: EditRow | None, hits: Sequence[Hit]
    ) -> tuple[str, bool]:
        """The local model's answer, and whether ``edit`` really had a part in it."""
        with editor.request(scope=asked.scope) if edit is not None else editor.silence():
            text = said(self._need_local(), asked.messages(hits), max_tokens=asked.max_tokens)
            fired = edit is not None and any(route.edit_id == edit.id for route in editor.explain())
        return text, fired

    def _by_heart(self, asked: _Asked, editor: Editor) -> _Heart:
        """What the weights answer, and the edit that does; no text when they need not or must not be the ones to answer.

        Whether an edit answers shows when the model has read the question. Then it goes on with the edit's answer as a
        draft; or, when none does and no note wants into the prompt, with its own; or is broken off.
        """
        heart = _Heart()
        if asked.use in ("notes", "nothing"):
            return heart
        if self._weights.trouble is not None:
            heart.warnings = (f"the weights cannot be served: {self._weights.trouble.message}",)
            return heart

        def decide() -> bool | str:
            heart.go_on = self._decision(asked, editor, heart)
            return heart.go_on

        with editor.request(scope=asked.scope):
            text = said(self._need_local(), asked.messages(()), max_tokens=asked.max_tokens, go_on=decide)
        heart.text = text if heart.go_on is not False else None
        return heart

    def _decision(self, asked: _Asked, editor: Editor, heart: _Heart) -> bool | str:
        """Whether a model that has read the question goes on; what it learns on the way stays in ``heart``."""
        route = next((route for route in editor.explain() if route.edit_id is not None), None)
        if route is None:
            heart.notes = self._wanted(asked, None)
            return not heart.notes[0]
        heart.edit, heart.warnings = self._in_force(asked, route)
        if heart.edit is None:
            return False
        heart.route = route
        return asked.use != "both" and (str(heart.edit.request.get("target") or "") or True)

    def _in_force(self, asked: _Asked, route: Route) -> tuple[EditRow | None, tuple[str, ...]]:
        """The edit that fired, unless the notes have overtaken it: a note beats an edit."""
        with self._core.store.read() as tx:
            owners = self._core.admit(tx, asked.scope)
            edit = next(iter(tx.ledger.edits(owners=owners, ids=[str(route.edit_id)])), None)
            if edit is None:
                return None, ("an edit fired that the books do not hold: it was not used",)
            row = tx.notes.rows_of([edit.note_id]).get(edit.note_id)
            note = tx.notes.load([row])[row] if row is not None else None
        if note is not None and not asked.scope.admits(note.scope):
            return None, ()  # what recall would not show is not told by heart either
        if note is None or note.version != edit.note_version or not note.valid_at(self._core.clock.now()):
            return None, (f"edit {edit.id} is behind its note: the notes were asked instead",)
        return edit, ()

    def _notes(self, asked: _Asked) -> tuple[tuple[Hit, ...], Recollection]:
        recollection = self._recall(asked.question, 4 * asked.k + len(asked.exclude), asked.scope)
        unnamed = self._core.settings.recall.unnamed
        recollection = presentable(recollection, asked.k, shown=asked.exclude, unnamed=unnamed)
        return recollection.within(asked.context_tokens), recollection

    def _answer(
        self,
        asked: _Asked,
        text: str,
        hits: tuple[Hit, ...],
        route: Route | None,
        edit: EditRow | None,
        tokens: int,
        warnings: tuple[str, ...],
        recollection: Recollection | None,
    ) -> Answer:
        notes = tuple(hit.note for hit in hits)
        used = used_notes(text, asked.question, notes)
        try:
            self._use(used, asked.scope)
        except StoreError as error:  # the answer is there all the same
            warnings = (*warnings, not_counted(error))
        source: Source = (
            "weights" if edit and not notes else "both" if edit else "notes" if notes else "model"
        )
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


def _check_said(system: object, exclude: object) -> None:
    """What stands around a question is text, before anything is asked or counted."""
    if system is not None and not isinstance(system, str):
        raise InvalidArgument(f"system must be a text, not {type(system).__name__}.", hint='system="Answer in one word."')
    if not isinstance(exclude, Collection) or isinstance(exclude, str) or not all(isinstance(id, str) for id in exclude):
        raise InvalidArgument("exclude must be a list of ids of notes.", hint="exclude=[note.id for note in answer.notes]")


def _earlier(history: object) -> list[Message]:
    """The turns before a question; those without words say nothing."""
    try:
        return [message for message in plain_messages(history) if message["content"].strip()]
    except InvalidArgument as error:
        raise InvalidArgument(
            f"history must be a list of messages, each with a role and a text. {error.message}",
            hint='history=[{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], or leave it out.',
        ) from error


def _count(model: LanguageModel, messages: Sequence[Message]) -> int:
    count = getattr(model, "count_prompt", None)
    return int(count(messages)) if count is not None else sum(estimate_tokens(m["content"]) for m in messages)
