"""``ask``: one question, answered from the weights, from notes in the prompt, or from both; the answer says which."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from agentmem.ask.answer import Answer, Part, Source, abstention, used_notes
from agentmem.ask.answer_check import Said, checked
from agentmem.ask.clauses import Clause, clauses
from agentmem.ask.edit_check import in_force, says
from agentmem.ask.sift import Sifted, of_context, sift
from agentmem.core import Core
from agentmem.errors import InvalidArgument, ModelError, StoreError
from agentmem.notes.edit import Route
from agentmem.notes.messages import plain_messages
from agentmem.notes.note import Hit, Note, Scope
from agentmem.notes.protocols import Editor, LanguageModel, Message
from agentmem.notes.quoting import notes_block
from agentmem.notes.rows import EditRow
from agentmem.notes.speaking import said
from agentmem.recall.query import query_words
from agentmem.recall.result import Recollection, estimate_tokens
from agentmem.weights.registry import WeightBook

if TYPE_CHECKING:
    from agentmem.llm.local_model import LocalModel

__all__ = ["Answer", "Asker", "Part", "Source", "Use", "not_counted", "used_notes"]

Use = Literal["auto", "weights", "notes", "both", "nothing"]
USES = ("auto", "weights", "notes", "both", "nothing")
HASHED = "hash-"  # the fingerprint of vectors that know no meaning


def not_counted(error: StoreError) -> str:
    """The warning of an answer whose notes could not be reinforced."""
    return f"that these notes were used was not recorded: {error}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One thing that is asked, with everything that was said about how to answer it; ``one`` of several has to be named."""

    clause: Clause
    scope: Scope
    use: Use
    k: int
    context_tokens: int
    max_tokens: int
    system: str | None
    history: Sequence[Message]
    exclude: Sequence[str]
    one: bool = False

    @property
    def question(self) -> str:
        return self.clause.text

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


@dataclass(slots=True)
class _Heart:
    """What came of asking the weights first; ``notes`` when they were looked for on the way.

    ``go_on`` is what the model was told when it had read the question: false to stop, or the answer to expect.
    """

    text: str | None = None
    route: Route | None = None
    edit: EditRow | None = None
    notes: Sifted | None = None
    about: str = ""
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
        earlier = _earlier(history)
        around = "\n".join([system or "", *(message["content"] for message in earlier)]).strip()
        found = [replace(c, asks=c.asks and not of_context(c, around)) for c in clauses(question)]
        wanted = [
            _Asked(clause, scope, use, k, context_tokens, max_tokens, system, earlier, exclude, len(found) > 1)
            for clause in found
        ]
        if self._weights.attached:
            with self._weights.serving() as editor:
                return _together([self._ask_local(asked, editor) for asked in wanted])
        if remote is not None:
            return _together([self._ask_remote(asked, remote) for asked in wanted])
        raise ModelError(
            "This memory has no language model to answer with.",
            hint="Memory(path, model='small'), memory.attach(model, tokenizer), or Memory(path, llm=…).",
        )

    def _ask_remote(self, asked: _Asked, remote: LanguageModel) -> Answer:
        def say(hits: Sequence[Hit]) -> str:
            return said(remote, asked.messages(hits), max_tokens=asked.max_tokens)

        sifted = self._notes(asked) if asked.use != "nothing" else None
        if sifted is not None and sifted.is_final:
            return self._abstain(asked, sifted)
        hits = _shown(asked, sifted)
        given = checked(asked.clause, Said(say(hits), hits), sifted, say, terse=False)
        return self._answer(asked, given, sifted, _Heart(), _count(remote, asked.messages(hits)))

    def _ask_local(self, asked: _Asked, editor: Editor) -> Answer:
        heart = self._by_heart(asked, editor)
        if (
            heart.edit is not None
            and heart.text is not None
            and asked.use == "auto"
            and not says(heart.edit, heart.text)
        ):
            heart.warnings = (
                *heart.warnings,
                f"edit {heart.edit.id} fired and something else was said: the notes were asked instead",
            )
            heart.edit = heart.route = heart.text = None
        sifted = heart.notes if heart.notes is not None else self._wanted(asked, heart.edit)
        if sifted is not None and sifted.is_final and heart.edit is None:
            return self._abstain(asked, sifted, heart.warnings)
        hits = _shown(asked, sifted)
        text = heart.text
        if text is None or hits:
            edit = heart.edit
            text, fired = self._say(asked, editor, edit, hits)
            if edit is not None and not fired:  # what stands before the question made it another one
                heart.warnings = (*heart.warnings, f"edit {edit.id} did not fire beside the notes")
                heart.route = heart.edit = None
        given = Said(text, hits)
        if heart.edit is None:
            given = checked(
                asked.clause, given, sifted, lambda hits: self._say(asked, editor, None, hits)[0], terse=True
            )
        return self._answer(asked, given, sifted, heart, _count(self._need_local(), asked.messages(hits)))

    def _wanted(self, asked: _Asked, edit: EditRow | None) -> Sifted | None:
        return self._notes(asked) if asked.wants_notes(edit) else None

    def _need_local(self) -> LocalModel:
        local = self._local()
        assert local is not None
        return local

    def _say(self, asked: _Asked, editor: Editor, edit: EditRow | None, hits: Sequence[Hit]) -> tuple[str, bool]:
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
            return heart.notes is None or not (heart.notes.is_final or _shown(asked, heart.notes))
        heart.edit, heart.about, heart.warnings = in_force(self._core, asked.clause, asked.question, asked.scope, route)
        if heart.edit is None:
            return False
        heart.route = route
        return asked.use != "both" and (str(heart.edit.request.get("target") or "") or True)

    def _notes(self, asked: _Asked) -> Sifted:
        recollection = self._recall(asked.question, 4 * asked.k + len(asked.exclude), asked.scope)
        settings = self._core.settings.recall
        return sift(
            asked.clause, recollection, asked.k, self._core.clock.now(), shown=asked.exclude, unnamed=settings.unnamed,
            unrelated=settings.unrelated, likeness=None if self._core.embedder.fingerprint.startswith(HASHED) else self._likeness,
            asker=asked.scope.user,
        )  # fmt: skip

    def _likeness(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How near the texts of each pair come to each other: cosines of the embedder's unit vectors."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        place = {text: at for at, text in enumerate(texts)}
        vectors = self._core.embedder.embed(texts)
        return [float(vectors[place[one]] @ vectors[place[other]]) for one, other in pairs]

    def _abstain(self, asked: _Asked, sifted: Sifted, warnings: tuple[str, ...] = ()) -> Answer:
        text, known = abstention(asked.clause.said if asked.one else "", sifted.why, sifted.instead, sifted.about)
        part = Part(asked.question, text, "none", sifted.why, sifted.about, known)
        found = sifted.found
        return Answer(text, "none", warnings=(*warnings, *found.warnings), degraded=found.degraded, parts=(part,))

    def _answer(self, asked: _Asked, given: Said, sifted: Sifted | None, heart: _Heart, tokens: int) -> Answer:
        notes = tuple(hit.note for hit in given.hits)
        edit, warnings = heart.edit, heart.warnings
        used = used_notes(given.text, asked.question, notes) if not given.why else ()
        try:
            self._use(used, asked.scope)
        except StoreError as error:  # the answer is there all the same
            warnings = (*warnings, not_counted(error))
        source: Source = (
            "none"
            if given.why
            else "weights"
            if edit and not notes
            else "both"
            if edit
            else "notes"
            if notes
            else "model"
        )
        about = heart.about if edit else sifted.about if sifted is not None and notes else given.about
        text, known = (
            _unknown(asked, given) if given.why else (f"About {about}: {given.text}" if about else given.text, ())
        )
        found = sifted.found if sifted is not None else None
        return Answer(
            text=text,
            source=source,
            notes=notes,
            used=used,
            edits=(edit.id,) if edit else (),
            prompt_tokens=tokens,
            routes=(heart.route,) if heart.route else (),
            warnings=warnings + (found.warnings if found else ()),
            degraded=bool(found and found.degraded),
            parts=(Part(asked.question, text, source, given.why, about, known, used),),
        )


def _shown(asked: _Asked, sifted: Sifted | None) -> tuple[Hit, ...]:
    return sifted.found.within(asked.context_tokens) if sifted is not None else ()


def _unknown(asked: _Asked, said: Said) -> tuple[str, tuple[Note, ...]]:
    """A model's own words of not knowing, where it says more than that; else ours, with what is known instead."""
    text, known = abstention(asked.clause.said if asked.one else "", said.why, said.known, said.about)
    own = len(query_words(said.text)) > len(query_words("I do not know."))
    return (said.text, ()) if own and not asked.one and said.why != "another's" else (text, known)


def _together(answers: Sequence[Answer]) -> Answer:
    """One answer of the answers to each thing that was asked."""
    if len(answers) == 1:
        return answers[0]
    sources = {answer.source for answer in answers} - {"none"}
    source: Source = (
        "both"
        if {"weights", "notes"} <= sources or "both" in sources
        else next((name for name in ("weights", "notes", "model") if name in sources), "none")
    )

    def every(name: str) -> tuple[Any, ...]:
        return tuple(item for answer in answers for item in getattr(answer, name))

    def each(name: str) -> tuple[Note, ...]:
        return tuple({note.id: note for note in every(name)}.values())

    return Answer(
        text=" ".join(dict.fromkeys(answer.text for answer in answers)),
        source=source,
        notes=each("notes"), used=each("used"), edits=tuple(dict.fromkeys(every("edits"))), routes=every("routes"),
        warnings=tuple(dict.fromkeys(every("warnings"))), parts=every("parts"),
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        degraded=any(answer.degraded for answer in answers),
    )  # fmt: skip


def _check_said(system: object, exclude: object) -> None:
    """What stands around a question is text, before anything is asked or counted."""
    if system is not None and not isinstance(system, str):
        raise InvalidArgument(
            f"system must be a text, not {type(system).__name__}.", hint='system="Answer in one word."'
        )
    if (
        not isinstance(exclude, Collection)
        or isinstance(exclude, str)
        or not all(isinstance(id, str) for id in exclude)
    ):
        raise InvalidArgument(
            "exclude must be a list of ids of notes.", hint="exclude=[note.id for note in answer.notes]"
        )


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
