"""One message answered from the weights, from notes in the prompt, or from both; the answer says which.

Recall and sift, prompt, draft, check, count what was used: :class:`Asker` is the one way, with a conversation before it or without,
whoever drafts. Where a model of the caller's is to say something, it is asked for by a :class:`Prompt`; so whoever leads the steps
may wait for it, or give its words on as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from agentmem.ask.answer import Answer, Part, Source, abstention, used_notes
from agentmem.ask.answer_check import Given, checked
from agentmem.ask.clauses import Clause, clauses, told
from agentmem.ask.conversation import UNANSWERED, Turn, answered
from agentmem.ask.drawn import evidence
from agentmem.ask.edit_check import in_force, overruled, says
from agentmem.ask.gate import EditGate
from agentmem.ask.prompt import Prompt, Steps, messages
from agentmem.ask.sift import Sifted, of_context, sift
from agentmem.core import Core
from agentmem.errors import InvalidArgument, ModelError, StoreError
from agentmem.notes.edit import Route
from agentmem.notes.evidence import Drawn
from agentmem.notes.note import Hit, Note, Scope
from agentmem.notes.protocols import Editor, LanguageModel, Message
from agentmem.notes.rows import EditRow
from agentmem.notes.speaking import failures, said
from agentmem.recall.query import query_words
from agentmem.recall.result import Recollection, estimate_tokens
from agentmem.weights.registry import WeightRegistry

if TYPE_CHECKING:
    from agentmem.llm.local_model import LocalModel
    from agentmem.llm.speculation import Prefilled

__all__ = ["Answer", "Asker", "Part", "Source", "Use", "used_notes"]

Use = Literal["auto", "weights", "notes", "both", "nothing"]
USES = ("auto", "weights", "notes", "both", "nothing")
HASHED = "hash-"  # the fingerprint of vectors that know no meaning


@dataclass(frozen=True, slots=True)
class _Asked:
    """One thing that is asked, with everything that was said about how to answer it; ``one`` of several has to be named, and what
    the message ``told`` besides stands before it.
    """

    clause: Clause
    scope: Scope
    use: Use
    k: int
    context_tokens: int
    max_tokens: int
    system: str | None
    turns: Sequence[Turn]
    exclude: Sequence[str]
    count: Callable[[str], int]
    one: bool = False
    told: str = ""
    message: str = ""
    spoken: list[str] = field(default_factory=list)

    @property
    def question(self) -> str:
        return self.clause.text

    def apart(self) -> list[_Asked]:
        """The things that are asked; what may be about something said around them is not checked."""
        around = "\n".join([self.system or "", *(turn.content for turn in self.turns)]).strip()
        found = [replace(c, asks=c.asks and not of_context(c, around)) for c in clauses(self.question)]
        if len(found) == 1:
            return [replace(self, clause=found[0], message=self.question)]
        what = told(self.question)
        return [replace(self, clause=clause, one=True, told=what, message=self.question) for clause in found]

    def wants_notes(self, edit: EditRow | None) -> bool:
        """Whether notes belong into the prompt, given the edit that answers (if any)."""
        return self.use in ("notes", "both") or (self.use == "auto" and edit is None)

    def messages(self, hits: Sequence[Hit]) -> list[Message]:
        return messages(self.system, hits, self.turns, f"{self.told} {self.question}".lstrip())

    def shown(self, sifted: Sifted | None) -> tuple[Hit, ...]:
        return sifted.found.within(self.context_tokens, self.count) if sifted is not None else ()

    def drawn(self, text: str, used: Sequence[Note], shown: Sequence[Note]) -> Drawn | None:
        """What this teaches of the notes that were used: a wording that somebody used, with what was answered."""
        return evidence(self.question, self.message, self.told, text, used, shown, self.turns) if used else None

    def tokens(self, model: object, hits: Sequence[Hit]) -> int:
        """The length of the prompt with these notes, by the model's own count if it has one."""
        prompt, counted = self.messages(hits), getattr(model, "count_prompt", None)
        return int(counted(prompt)) if counted is not None else sum(self.count(m["content"]) for m in prompt)


@dataclass(frozen=True, slots=True)
class _Heart:
    """What came of asking the weights first; ``notes`` when they were looked for on the way."""

    text: str | None = None
    route: Route | None = None
    edit: EditRow | None = None
    notes: Sifted | None = None
    about: str = ""
    warnings: tuple[str, ...] = ()


class Asker:
    """Answers with what the memory knows, and keeps count of what was used."""

    def __init__(
        self,
        core: Core,
        weights: WeightRegistry,
        recall: Callable[[str, int, Scope], Recollection],
        use: Callable[[Sequence[Note], Scope, Drawn | None], None],
        local: Callable[[], LocalModel | None],
        gate: EditGate | None = None,
    ) -> None:
        self._core = core
        self._weights = weights
        self._recall = recall
        self._use = use
        self._local = local
        self._gate = gate

    def steps(
        self,
        question: str,
        scope: Scope,
        *,
        use: Use = "auto",
        k: int = 5,
        context_tokens: int = 400,
        max_tokens: int = 64,
        system: str | None = None,
        turns: Sequence[Turn] = (),
        exclude: Sequence[str] = (),
        llm: LanguageModel | None = None,
        local: bool = True,
        count: Callable[[str], int] = estimate_tokens,
    ) -> Steps[Answer]:
        """Answer one message; see :meth:`agentmem.Memory.ask`.

        A prompt that fails is tried once more without what may have made it fail: notes, and turns before, that no model ever
        answered. So a message that is refused blocks no other.

        Args:
            turns: the conversation before it; notes that they became are not shown beside them.
            llm: the model that prompts are meant for.
            local: whether the attached model answers, if there is one.
            count: measures texts in tokens.
        """
        if use not in USES:
            raise InvalidArgument(f"Unknown use {use!r}.", hint=f"use one of {', '.join(USES)}.")
        _check_said(system, exclude)
        out = (*exclude, *(turn.note_id for turn in turns if turn.note_id is not None))
        asked = _Asked(Clause(question), scope, use, k, context_tokens, max_tokens, system, turns, out, count)
        local = local and self._weights.attached
        if not local and llm is None:
            raise ModelError(
                "This memory has no language model to answer with.",
                hint="Memory(path, model='small'), memory.attach(model, tokenizer), or Memory(path, llm=…).",
            )
        try:
            return (yield from self._all(asked, llm, local=local))
        except ModelError:
            if asked.spoken or (rest := self._undoubted(asked)) == asked:
                raise
        return (yield from self._all(rest, llm, local=local))

    def _undoubted(self, asked: _Asked) -> _Asked:
        """The same without the notes and the turns that were never answered."""
        hits = [hit for each in asked.apart() if each.wants_notes(None) for hit in self._notes(each).found.hits]
        doubtful = [hit.note.id for hit in hits if hit.note.metadata.get(UNANSWERED)]
        return replace(asked, turns=answered(asked.turns), exclude=(*asked.exclude, *doubtful))

    def _all(self, asked: _Asked, llm: LanguageModel | None, *, local: bool) -> Steps[Answer]:
        answers: list[Answer] = []
        with self._weights.serving() if local else nullcontext() as editor:  # who is served waits for nobody's model
            for each in asked.apart():
                answers += [(yield from self._one(each, self._local() if local else llm, editor))]
        return _together(answers)

    def _one(self, asked: _Asked, model: LanguageModel | None, editor: Editor | None) -> Steps[Answer]:
        heart = self._by_heart(asked, editor) if editor is not None else _Heart()
        sifted = heart.notes if heart.notes is not None else self._wanted(asked, heart.edit)
        if sifted is not None and sifted.is_final and heart.edit is None:
            return self._abstain(asked, sifted, heart.warnings)
        hits = asked.shown(sifted)
        text = heart.text
        if heart.edit is not None and editor is not None and (text is None or hits):
            text, fired = self._say(asked, editor, heart.edit, hits)
            if not fired:  # what stands before the question made it another one
                why = f"edit {heart.edit.id} did not fire beside the notes"
                heart = replace(heart, route=None, edit=None, warnings=(*heart.warnings, why))
        elif text is None or hits:
            text = yield from self._draft(asked, editor, hits)
        given = Given(text, hits)
        if heart.edit is None:
            given = yield from checked(
                asked.clause, given, sifted, lambda hits: self._draft(asked, editor, hits), terse=editor is not None
            )
        return self._answer(asked, given, sifted, heart, asked.tokens(model, hits))

    def _draft(self, asked: _Asked, editor: Editor | None, hits: Sequence[Hit]) -> Steps[str]:
        """What the model says without any edit."""
        if editor is not None:
            return self._say(asked, editor, None, hits)[0]
        live = not (asked.clause.asks or asked.one)
        return (yield Prompt(asked.messages(hits), asked.max_tokens, live, asked.spoken))

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
        draft; or, when none does and no note wants into the prompt, with its own; or is stopped.
        """
        if asked.use in ("notes", "nothing"):
            return _Heart()
        heart = self._answered(asked, editor)
        if self._weights.behind is None:
            return heart
        said = f"an earlier pack of weights answers: {self._weights.behind.message}"
        return replace(heart, warnings=(*heart.warnings, said))

    def _answered(self, asked: _Asked, editor: Editor) -> _Heart:
        if self._weights.trouble is not None:
            return _Heart(warnings=(f"the weights cannot be served: {self._weights.trouble.message}",))
        if self._gate is not None:
            return self._proposed(asked, editor, self._gate)
        with self._read(asked, editor, asked.messages(())) as read:
            route = next((route for route in editor.explain() if route.edit_id is not None), None)
            if route is None:
                notes = self._wanted(asked, None)
                needless = notes is None or not (notes.is_final or asked.shown(notes))
                return _Heart(_finished(read) if needless else None, notes=notes)
            edit, about, warnings = in_force(self._core, asked.clause, asked.question, asked.scope, route)
            if edit is None:
                return _Heart(warnings=warnings)
            return _spoken(asked, read, route, edit, about, warnings)

    def _proposed(self, asked: _Asked, editor: Editor, gate: EditGate) -> _Heart:
        """The same where recall proposes the edit: the weights are asked in its own words, by themselves."""
        edit = gate.proposed(asked.question, asked.turns, asked.scope)
        if edit is None:
            return _Heart()
        edit, about, warnings = in_force(
            self._core, asked.clause, asked.question, asked.scope, Route(edit.id), read=True
        )
        if edit is None:
            return _Heart(warnings=warnings)
        own = messages(asked.system, (), (), str(edit.request["prompt"]))
        with self._read(asked, editor, own) as read:
            route = next((route for route in editor.explain() if route.edit_id == edit.id), None)
            if route is None:
                return _Heart(warnings=(*warnings, overruled(edit.id, "did not fire")))
            return _spoken(asked, read, route, edit, about, warnings)

    @contextmanager
    def _read(self, asked: _Asked, editor: Editor, prompt: Sequence[Message]) -> Iterator[Prefilled]:
        """Inside, the local model has read a prompt with the edits of its scope, and goes on with it or is stopped."""
        with editor.request(scope=asked.scope):
            with failures():
                read = self._need_local().prefill(prompt, max_tokens=asked.max_tokens)
            with read:
                yield read

    def _notes(self, asked: _Asked) -> Sifted:
        recollection = self._recall(asked.question, 4 * asked.k + len(asked.exclude), asked.scope)
        weights = self._core.ranking
        return sift(
            asked.clause, recollection, asked.k, self._core.clock.now(), shown=asked.exclude, unnamed=weights.unnamed,
            unrelated=weights.unrelated, likeness=None if self._core.embedder.fingerprint.startswith(HASHED) else self._likeness,
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

    def _answer(self, asked: _Asked, given: Given, sifted: Sifted | None, heart: _Heart, tokens: int) -> Answer:
        notes = tuple(hit.note for hit in given.hits)
        edit, warnings = heart.edit, heart.warnings
        used = used_notes(given.text, asked.question, notes) if not given.why else ()
        try:
            self._use(used, asked.scope, asked.drawn(given.text, used, notes))
        except StoreError as error:  # the answer is there all the same
            warnings = (*warnings, f"that these notes were used was not recorded: {error}")
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


def _spoken(
    asked: _Asked, read: Prefilled, route: Route, edit: EditRow, about: str, warnings: tuple[str, ...]
) -> _Heart:
    """What an edit makes the model say, unless that is something else than the edit was written for; nothing yet where notes are wanted besides."""
    text = None if asked.use == "both" else _finished(read, str(edit.request.get("target") or ""))
    if text is not None and asked.use == "auto" and not says(edit, text):
        return _Heart(warnings=(*warnings, overruled(edit.id, "fired and something else was said")))
    return _Heart(text, route, edit, about=about, warnings=warnings)


def _finished(read: Prefilled, draft: str = "") -> str:
    with failures():
        return read.finish(draft)


def _unknown(asked: _Asked, said: Given) -> tuple[str, tuple[Note, ...]]:
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
