"""The demo's work, step by step; what was found is kept as values, so that it can be shown, checked or printed as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmem.integrations.chat import ChatAgent, Reply
from agentmem.integrations.cli.demo_story import SECRET, SESSIONS, START, STRANGER, USER, Contact, Story, StoryTurn
from agentmem.memory import Memory
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import Fact, ForgetReceipt, MemoryState, Receipt, Scope
from agentmem.recall.result import Recollection
from agentmem.settings import IndexSettings, Settings

if TYPE_CHECKING:
    from agentmem.ask.ask import Answer, Use
    from agentmem.consolidation.report import ConsolidationReport

__all__ = ["Demo", "DemoQuestion", "Findings", "Told"]

OWNER = Scope(user=USER)
USE_DAYS = (4, 12, 20)
COMPARED = 16


@dataclass(frozen=True, slots=True)
class Told:
    """One turn of a conversation, and what became of it in memory."""

    session: str
    when: datetime
    turn: StoryTurn
    reply: Reply
    became: str

    @property
    def right(self) -> bool:
        return self.turn.expect is None or self.turn.expect.casefold() in self.reply.text.casefold()


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """One question about one fact, asked in several ways."""

    question: str
    target: str
    before: str
    after: Answer
    other_wording: str
    other_answer: Answer

    @property
    def knew(self) -> bool:
        return says(self.before, self.target)

    @property
    def right(self) -> bool:
        return self.after.source == "weights" and says(self.after.text, self.target)

    @property
    def other_right(self) -> bool:
        return says(self.other_answer.text, self.target)


def says(text: str, target: str) -> bool:
    """Whole-answer match; case and closing punctuation are not part of a fact."""
    return text.casefold().strip(" .") == target.casefold().strip(" .")


@dataclass(slots=True)
class Findings:
    """Everything the demo saw."""

    told: list[Told] = field(default_factory=list)
    imported: list[Receipt] = field(default_factory=list)
    special: list[tuple[str, str, Receipt]] = field(default_factory=list)
    uses: int = 0
    recalled: Recollection | None = None
    report: ConsolidationReport | None = None
    asked: list[DemoQuestion] = field(default_factory=list)
    stranger: tuple[str, str] = ("", "")
    unrelated: list[tuple[str, str, str]] = field(default_factory=list)
    economics: dict[str, dict[str, float]] = field(default_factory=dict)
    late: ConsolidationReport | None = None
    late_answers: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    forgotten: ForgetReceipt | None = None
    same_logits: dict[str, bool] = field(default_factory=dict)
    states: list[tuple[datetime, MemoryState]] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    stats: dict[str, object] = field(default_factory=dict)


class Demo:
    """Plays the story on a real memory: MiniLM, the small model, weight edits; only the clock is simulated.

    Args:
        story: what is said; path: where the memory lies; embedder: instead of MiniLM, for tests.
    """

    def __init__(self, story: Story, path: Path, embedder: str | None = None) -> None:
        import torch

        from agentmem.llm.clients import load_model

        self.story = story
        self.found = Findings()
        self.clock = ManualClock(START)
        self.model, self.tokenizer = load_model("small")
        # A model this small gains nothing from more threads, and loses much where the cores are shared.
        torch.set_num_threads(1)
        settings = Settings(index=IndexSettings(flush_on_close=False))
        self.memory = Memory(path, embedder=embedder, clock=self.clock, settings=settings)
        self.memory.attach(self.model, self.tokenizer)
        self._path = path

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.found.seconds[name] = self.found.seconds.get(name, 0.0) + time.perf_counter() - started

    def close(self) -> None:
        self.memory.close()

    # -- remembering and recalling ---------------------------------------------------------------------------

    def talk(self, number: int) -> list[Told]:
        """One conversation, through the chat agent."""
        name, day, turns = SESSIONS[number]
        self.clock.set(START + timedelta(days=day))
        told = []
        with self._timed("talk"):
            # A model of this size misreads more notes at once; a larger one takes the default k.
            agent = ChatAgent(None, self.memory, user=USER, session=name, k=3, history_tokens=160, context_tokens=240)
            for turn in turns:
                self.clock.advance(minutes=1)
                reply = agent.chat(turn.text)
                told.append(Told(name, self.clock.now(), turn, reply, self._became(reply)))
        self.found.told += told
        return told

    def _became(self, reply: Reply) -> str:
        """What memory made of the user's words."""
        receipt = reply.receipts[0] if reply.receipts else None
        if receipt is None or receipt.id is None:
            return receipt.reason if receipt else ""
        note = self.memory.get(receipt.id, user=USER)
        closed = [self.memory.get(old, user=USER).content for old in receipt.superseded]
        parts = [f"{receipt.status}: {note.fact}" if note.fact else receipt.status]
        parts += [f"closes “{content}”" for content in closed]
        if reply.used:
            parts.append("used “" + "”, “".join(n.content for n in reply.used) + "”")
        return "; ".join(parts)

    def import_contacts(self) -> None:
        """The address book, two facts that the model knows anyway, a secret, and a web page that lies."""
        story, found = self.story, self.found
        with self._timed("import"):
            statements = [c.statement for c in (*story.contacts, *story.known)]
            found.imported = self.memory.remember_many(statements, user=USER, tags=["address book"], progress=False)
            words, fact = SECRET
            found.special.append(("a secret", words, self.memory.remember(words, user=USER, fact=Fact(*fact))))
            self.clock.advance(hours=1)
            page = self.memory.remember(story.web_page, user=USER, source="web")
            found.special.append(("a web page", story.web_page, page))
            self.clock.advance(minutes=1)
            again = self.memory.remember(statements[0], user=USER)
            found.special.append(("said again", statements[0], again))

    def live(self) -> None:
        """Simulated days on which the notes are needed: recalled, and used."""
        watched = self.found.imported[0].id
        assert watched is not None
        self._watch(watched)
        with self._timed("live"):
            for day in USE_DAYS:
                self.clock.set(START + timedelta(days=day))
                for number, contact in enumerate((*self.story.contacts, *self.story.known)):
                    if day != USE_DAYS[0] and number % len(USE_DAYS) and number > 3:
                        continue  # not everything is needed every time
                    self._need(contact)
                self._need_secret()
                self._watch(watched)

    def _need(self, contact: Contact) -> None:
        """Recall, and use the note that holds the answer, as an agent does that answers from it."""
        hits = self.memory.recall(contact.question, k=3, user=USER)
        used = next((hit for hit in hits if contact.statement == hit.note.content), None)
        if used is not None:
            self.memory.reinforce(used)
            self.found.uses += 1

    def _need_secret(self) -> None:
        for _, _, receipt in self.found.special[:2]:
            assert receipt.id is not None
            self.memory.reinforce(receipt.id)

    def _watch(self, id: str) -> None:
        self.found.states.append((self.clock.now(), self.memory.get(id, user=USER).state))

    def look(self, query: str) -> Recollection:
        """One recall, to be shown with its reasons."""
        self.found.recalled = self.memory.recall(query, k=5, user=USER)
        return self.found.recalled

    # -- consolidating ---------------------------------------------------------------------------------------

    def consolidate(self, progress: Callable[[str, int, int], None] | bool = False) -> ConsolidationReport:
        """Ask everything unrelated, consolidate, and ask again what must not have changed."""
        self.clock.set(START + timedelta(days=22))
        with self._timed("unrelated"):
            before = self._texts(self.story.unrelated)
        with self._timed("consolidate"):
            self.found.report = self.memory.consolidate(user=USER, progress=progress)
        with self._timed("unrelated"):
            after = self._texts(self.story.unrelated)
        self.found.unrelated = list(zip(self.story.unrelated, before, after, strict=True))
        return self.found.report

    def _texts(self, questions: Sequence[str]) -> list[str]:
        return [self._weights(q).text for q in questions]

    def _weights(self, question: str, user: str = USER) -> Answer:
        return self._ask(question, "weights", user)

    def _ask(self, question: str, use: Use, user: str = USER) -> Answer:
        return self.memory.ask(question, user=user, use=use, max_tokens=16)

    def ask_again(self) -> list[DemoQuestion]:
        """The same questions, with no retrieved text in the prompt; then in wordings that nothing was trained on."""
        assert self.found.report is not None
        wordings = {c.question: c.other_wording for c in self.story.contacts}
        with self._timed("ask"):
            for outcome in self.found.report.promoted:
                other = wordings.get(outcome.question)
                if other is None:
                    continue  # what the user said about herself is asked in the conversations
                after, held_out = self._weights(outcome.question), self._weights(other)
                self.found.asked.append(
                    DemoQuestion(outcome.question, outcome.target, outcome.before, after, other, held_out)
                )
            if self.found.asked:
                question = self.found.asked[0].question
                self.found.stranger = (question, self._weights(question, STRANGER).text)
        return self.found.asked

    def compare(self) -> dict[str, dict[str, float]]:
        """What an answer costs from notes, and what from weights: the same questions, prompt tokens and milliseconds."""
        questions = self.found.asked[:COMPARED]
        uses: tuple[Use, ...] = ("notes", "weights")
        for use in uses:
            started = time.perf_counter()
            answers = [self._ask(each.question, use) for each in questions]
            spent, count = time.perf_counter() - started, max(len(answers), 1)
            self.found.economics[use] = {
                "questions": len(answers),
                "right": sum(says(a.text, q.target) for q, a in zip(questions, answers, strict=True)) / count,
                "prompt_tokens": sum(a.prompt_tokens for a in answers) / count,
                "ms": 1000 * spent / count,
            }
        return self.found.economics

    # -- forgetting ------------------------------------------------------------------------------------------

    def learn_late(self, reference: Path) -> None:
        """One more fact, learnt after everything else; the state before it is saved as the model that never learnt it."""
        late, editor = self.story.late, self.memory.editor
        assert editor is not None
        editor.save(reference)
        self.found.hashes["never learnt"] = editor.state_hash()
        with self._timed("late"):
            receipt = self.memory.remember(late.statement, user=USER)
            for day in (23, 25):
                self.clock.set(START + timedelta(days=day))
                self._need(late)
            self.found.late_answers["before"] = self._weights(late.question).text
            self.found.late = self.memory.consolidate(user=USER, budget=1)
            self.found.hashes["learnt"] = editor.state_hash()
            self.found.late_answers["learnt"] = self._weights(late.question).text
        assert receipt.id is not None
        self._late_id = receipt.id

    def forget_late(self, reference: Path) -> None:
        """Forget it, and compare with the model that never learnt it: registry, bytes, logits."""
        late, editor = self.story.late, self.memory.editor
        assert editor is not None
        with self._timed("forget"):
            self.found.forgotten = self.memory.forget(self._late_id, user=USER)
            self.found.hashes["forgotten"] = editor.state_hash()
            self.found.late_answers["forgotten"] = self._weights(late.question).text
            self._compare_logits(late.question, reference)

    def _compare_logits(self, question: str, reference: Path) -> None:
        import torch

        from agentmem.editors import make_editor
        from agentmem.llm.clients import load_model

        live = self.memory.editor
        assert live is not None
        model, tokenizer = load_model("small")
        other = make_editor(live.method, model, tokenizer)
        other.load(reference)
        ids = _prompt_ids(tokenizer, question)
        with torch.no_grad():
            with live.request(scope=OWNER):
                now = self.model(ids).logits
            with live.silence():
                base = self.model(ids).logits
            with other.request(scope=OWNER):
                never = model(ids).logits
        other.detach()
        self.found.same_logits = {"never learnt": torch.equal(now, never), "base model": torch.equal(now, base)}

    def finish(self) -> None:
        self.found.stats = dict(self.memory.stats())


def _prompt_ids(tokenizer: Any, question: str) -> Any:
    import torch

    from agentmem.editors.prompts import Renderer

    return torch.tensor([Renderer(tokenizer).prompt(question)])
