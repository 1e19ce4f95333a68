"""Experience memory: what was done in a task, what came of it, and what that advises next time.

An experience is a note of kind ``experience`` whose value stands beside it in the store: it has an owner, a vector and full text
like any note, but in a space of their own, where ``recall`` looks only when asked to, and is gone, value and all, when the note is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING

from agentmem.core import Core
from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.events import Events, gist
from agentmem.events.watched import verb
from agentmem.experience.values import (
    ActionValue,
    Advice,
    Precedent,
    action_digest,
    advise,
    digest,
    learn,
    n_step_return,
    query_text,
    render,
    state_digest,
)
from agentmem.notes.clock import micros
from agentmem.notes.episode import ExperienceRow, StepRow
from agentmem.notes.note import Note, Receipt, Scope
from agentmem.notes.protocols import Embedder
from agentmem.notes.rows import SAID, Selection
from agentmem.notes.spaces import lived
from agentmem.projections.project import Projected, project
from agentmem.records.transaction import Transaction
from agentmem.remember.draft import merge_scope, resolve_trust
from agentmem.remember.duplicates import clean_text, content_hash
from agentmem.remember.write import as_json, key_hash, other_words, replayed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["ExperienceMemory"]

SOURCE = "tool"
"""An observation is what an environment said, not what the user told."""
MAX_K = 1000
CANDIDATES = 64
"""Nearest experiences whose task and observation are compared one by one."""
TASK_WEIGHT = 0.5
"""Share of the task in the similarity of two situations; the observation has the rest."""
MAX_REWARD = 1e9


@dataclass(frozen=True, slots=True)
class _Step:
    """One checked call of ``record``; ``next_observation=None`` ends the episode."""

    scope: Scope
    task: str
    observation: str
    action: str
    reward: float
    next_observation: str | None
    ended: bool
    episode: str
    key: str | None

    @property
    def content(self) -> str:
        return render(self.task, self.observation, self.action)

    def state(self, observation: str) -> bytes:
        return state_digest(self.scope.agent, self.task, observation)


class ExperienceMemory:
    """(task, observation, action) memories with Q-values, after REMEMBERER (Zhang et al. 2023); see :mod:`agentmem.experience.values`.

    Args:
        core: what the verbs of a memory share.
        scope: binds the object: every call acts within it. A session does not: experience outlives the episode it was made in.
        written: called after each commit, so that the vector index follows.
        fail: called with the name of each durable step; tests stop the process there.
        events: who is told of its verbs.
    """

    def __init__(
        self,
        core: Core,
        scope: Scope,
        written: Callable[[], None] = lambda: None,
        fail: Callable[[str], None] = lambda step: None,
        events: Events | None = None,
    ) -> None:
        self._core = core
        self.scope, self.clock = scope, core.clock
        self._events = events or Events()
        self._written = written
        self._fail = fail

    @verb(gist.receipts, "experience.record")
    def record(
        self,
        task: str,
        observation: str,
        action: str,
        reward: float,
        next_observation: str | None,
        *,
        done: bool = False,
        episode: str = "",
        user: str | None = None,
        agent: str | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Store one step and learn from it; durable, in one transaction, when this returns.

        The first time an action is taken in a situation it becomes a note (``stored``); again, its value is updated (``merged``).
        A value is updated when its n-step return is known: n steps later, or at the end of the episode. An episode that is left
        without an end (the next ``observation`` is not the last ``next_observation``) is valued by what its last state is worth.

        Args:
            reward: what the action earned at once.
            next_observation: where it led to; ``None`` ends the episode, and so does ``done=True``.
            episode: tells episodes of one task apart that run at the same time.
            idempotency_key: a retry with the same key changes nothing.

        Raises:
            InvalidNote: a text is no text, is empty, or all together are too long.
            InvalidArgument: the reward is not a finite number up to 1e9, or another argument has the wrong type.
        """
        scope = self._bound(user, agent)
        step = _checked(scope, task, observation, action, reward, next_observation, done, episode, idempotency_key)
        receipt = self._core.with_embedder(lambda embedder: self._recorded(step, embedder))
        self._written()
        return receipt

    @verb(gist.advice, "experience.advise")
    def advise(
        self, task: str, observation: str, k: int = 3, *, user: str | None = None, agent: str | None = None
    ) -> Advice:
        """The ``k`` most similar situations with what was done in them, and which actions that encourages and discourages.

        similarity = λ·cosine of the tasks + (1 - λ)·cosine of the observations, λ being :data:`TASK_WEIGHT`; the
        very same situation has 1. Steps whose return is not known yet do not advise.

        Raises:
            ScopeRequired: the experiences belong to somebody, and the call does not say whose it asks for.
        """
        task, observation = _text(task, "task"), _text(observation, "observation")
        if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MAX_K:
            raise InvalidArgument(f"k must be a whole number from 1 to {MAX_K}, not {k!r}.", hint="k=3.")
        scope = self._bound(user, agent)
        precedents = self._core.with_embedder(lambda embedder: self._precedents(scope, task, observation, embedder))[:k]
        if not precedents:
            return Advice(task, observation)
        return advise(task, observation, precedents)

    def _precedents(self, scope: Scope, task: str, observation: str, embedder: Embedder) -> list[Precedent]:
        with self._core.reading(scope) as tx:
            selection = self._core.selection(tx, scope, Selection(()))
            if not tx.experiences.any(selection.owners):
                return []
            self._core.check_embedder(tx, embedder)
        # Embedding is the slow part: it happens outside the transactions, so that no writer waits for it.
        vector = embedder.embed([query_text(task, observation)])[0]
        with self._core.reading_of(selection.owners) as tx:
            self._core.check_embedder(tx, embedder)  # the notes may have been embedded anew in between
            situations = self._situations(tx, scope, selection, task, observation, vector)
        return self._ranked(situations, task, observation, embedder)

    def _recorded(self, step: _Step, embedder: Embedder) -> Receipt:
        vector = embedder.embed([step.content])
        with self._core.writing_of(step.scope) as (tx, owners):
            self._core.fix_embedder(tx, embedder)  # the notes may have been embedded anew in between
            receipt = self._once(tx, owners[step.scope], step, vector)
            self._fail("record:before-commit")
        return receipt

    # -- recording -------------------------------------------------------------------------------------------

    def _bound(self, user: str | None, agent: str | None) -> Scope:
        return replace(merge_scope(self.scope, user, agent, None), session=None)

    def _once(self, tx: Transaction, owner: int, step: _Step, vector: Vectors) -> Receipt:
        if step.key is None:
            return self._record(tx, owner, step, vector)
        known = tx.keys.get(owner, step.key)
        said = tx.experiences.mark(owner, key_hash(f"{step.content}\n{step.reward!r}")).hex()
        if known is not None:
            return replayed(known) if known.get(SAID) in (None, said) else other_words(step.key)
        if tx.tombstones.find(owner, key_hash(step.key)) is not None:
            return Receipt(
                None, "rejected", "this very step was recorded and forgotten: a retry does not bring it back"
            )
        receipt = self._record(tx, owner, step, vector)
        assert receipt.id is not None
        tx.keys.put(owner, step.key, tx.notes.rows_of([receipt.id])[receipt.id], {**as_json(receipt), SAID: said})
        return receipt

    def _record(self, tx: Transaction, owner: int, step: _Step, vector: Vectors) -> Receipt:
        table = tx.experiences
        state, action = table.mark(owner, step.state(step.observation)), table.mark(owner, action_digest(step.action))
        known = table.find(owner, state, action)
        if known is None:
            row, id = self._store(tx, owner, step, vector)
            table.insert(row, owner, state, action)
            receipt = Receipt(id, "stored", "an action not taken in this situation before")
        else:
            row = known.row
            id = self._visited(tx, row)
            receipt = Receipt(id, "merged", f"taken in this situation before, as note {id}")
        self._step(tx, owner, step, state, row)
        return receipt

    def _store(self, tx: Transaction, owner: int, step: _Step, vector: Vectors) -> tuple[int, str]:
        now = self._core.clock.now()
        note = Note(
            id=self._core.new_id(),
            content=step.content,
            kind="experience",
            scope=step.scope,
            occurred_at=now,
            created_at=now,
            valid_from=now,
            context="From acting in a task.",
            source=SOURCE,
            trust=resolve_trust(None, SOURCE),
            state=self._core.curve.initial(now),
            metadata={"task": step.task, "observation": step.observation, "action": step.action},
        )
        row = tx.notes.insert(note, owner, content_hash(note.content))
        project(tx, [Projected(row, lived(owner), note, vector[0])])
        return row, note.id

    def _visited(self, tx: Transaction, row: int) -> str:
        """Doing it again refreshes the note, and brings it back when it had faded."""
        note = tx.notes.load([row])[row]
        state = self._core.curve.review(note.state, self._core.clock.now())
        tx.notes.set_states([(row, state.stability, state.difficulty, micros(state.last_review), state.recalls)])
        if note.archived_at is not None:
            tx.notes.set_archived([row], None)
        return note.id

    # -- learning --------------------------------------------------------------------------------------------

    def _step(self, tx: Transaction, owner: int, step: _Step, state: bytes, row: int) -> None:
        """Let the episode go on by one step, and value every step whose return is known now."""
        table, settings = tx.experiences, self._core.settings.experience
        episode = table.mark(owner, digest("episode", step.scope.agent, step.task, step.episode))
        waiting = self._unbroken(table.steps(owner, episode))
        if waiting and waiting[-1].next != state:
            self._close(tx, waiting, table.best(owner, waiting[-1].next) or 0.0)
            waiting = []
        ahead = b"" if step.ended else table.mark(owner, step.state(step.next_observation or ""))
        number = waiting[-1].step + 1 if waiting else 0
        window = [*waiting, StepRow(number, row, step.reward, ahead)]
        if step.ended:
            self._close(tx, window, 0.0)
            window = []
        while len(window) >= settings.n_steps:
            first = window[: settings.n_steps]
            self._value(tx, first, table.best(owner, first[-1].next) or 0.0)
            window = window[1:]
        table.drop_steps(owner, episode)
        for each in window:
            table.put_step(owner, episode, each)

    @staticmethod
    def _unbroken(steps: Sequence[StepRow]) -> list[StepRow]:
        """The steps after the last gap: those before it lost a reward to forgetting, so that their return is unknowable."""
        start = max((i for i, (a, b) in enumerate(pairwise(steps), 1) if b.step != a.step + 1), default=0)
        return list(steps[start:])

    def _close(self, tx: Transaction, steps: Sequence[StepRow], bootstrap: float) -> None:
        for start in range(len(steps)):
            self._value(tx, steps[start:], bootstrap)

    def _value(self, tx: Transaction, steps: Sequence[StepRow], bootstrap: float) -> None:
        """Update the value of the first of these steps by the return over all of them."""
        settings = self._core.settings.experience
        known = tx.experiences.values([steps[0].row])[steps[0].row]
        target = n_step_return([each.reward for each in steps], settings.discount, bootstrap)
        tx.experiences.set_value(known.row, *learn(known.q, known.visits, target, settings.learning_rate))

    # -- advising --------------------------------------------------------------------------------------------

    def _situations(
        self, tx: Transaction, scope: Scope, selection: Selection, task: str, observation: str, vector: Vectors
    ) -> list[list[tuple[ExperienceRow, Note]]]:
        """Situations near the one asked about, the very same one among them, each with all its valued actions."""
        table, owners = tx.experiences, selection.owners
        spaces = tuple(map(lived, owners))
        rows, _ = self._core.exact.search(tx, spaces, vector, CANDIDATES)
        same = [
            table.mark(owner, state_digest(agent, task, observation))
            for owner in owners
            for agent in {scope.agent, None}
        ]
        near = table.values(rows.tolist())
        states = [*same, *(near[row].state for row in rows.tolist() if row in near)]
        found = [value for value in table.of_states(owners, states) if value.visits]
        seen = {facet.row for facet in tx.notes.facets([value.row for value in found], selection)}
        notes = tx.notes.load(sorted(seen))
        grouped: dict[bytes, list[tuple[ExperienceRow, Note]]] = {}
        for value in found:
            if value.row in notes:
                grouped.setdefault(value.state, []).append((value, notes[value.row]))
        return list(grouped.values())

    def _ranked(
        self,
        situations: Sequence[Sequence[tuple[ExperienceRow, Note]]],
        task: str,
        observation: str,
        embedder: Embedder,
    ) -> list[Precedent]:
        """Precedents by similarity; of equally similar ones, that comes first which was met more often, as in the paper's code."""
        parts = [_parts(situation[0][1]) for situation in situations]
        texts = list(dict.fromkeys([task, observation, *(text for pair in parts for text in pair)]))
        vectors = dict(zip(texts, embedder.embed(texts), strict=True))
        weight, asked = TASK_WEIGHT, digest(task, observation)
        made = []
        for (its_task, its_observation), situation in zip(parts, situations, strict=True):
            cosines = float(vectors[task] @ vectors[its_task]), float(vectors[observation] @ vectors[its_observation])
            same = digest(its_task, its_observation) == asked
            similarity = 1.0 if same else weight * cosines[0] + (1 - weight) * cosines[1]
            actions = [
                ActionValue(str(note.metadata["action"]), value.q, value.visits, note.id) for value, note in situation
            ]
            ordered = tuple(sorted(actions, key=lambda a: (-a.q, a.action)))
            made.append((same, Precedent(its_task, its_observation, similarity, ordered)))
        made.sort(
            key=lambda pair: (not pair[0], -round(pair[1].similarity, 6), -sum(a.visits for a in pair[1].actions))
        )
        return [precedent for _, precedent in made]


def _parts(note: Note) -> tuple[str, str]:
    return str(note.metadata["task"]), str(note.metadata["observation"])


def _checked(
    scope: Scope,
    task: str,
    observation: str,
    action: str,
    reward: float,
    next_observation: str | None,
    done: bool,
    episode: str,
    key: str | None,
) -> _Step:
    """Everything is checked before anything is written."""
    # numpy's numbers, too: environments give them. A NaN is not within any bounds.
    if isinstance(reward, bool) or not isinstance(reward, Real) or not -MAX_REWARD <= reward <= MAX_REWARD:
        raise InvalidArgument(
            f"The reward must be a finite number up to {MAX_REWARD:g}, not {reward!r:.80}.", hint="e.g. reward=1.0."
        )
    if not isinstance(done, bool):
        raise InvalidArgument(f"done must be True or False, not {done!r:.80}.", hint="done=True ends the episode.")
    for name, value in (("episode", episode), ("idempotency_key", key or "")):
        if not isinstance(value, str) or len(value) > 256:
            raise InvalidArgument(
                f"{name} must be a text of at most 256 characters, not {value!r:.80}.", hint=f"e.g. {name}='run-7'."
            )
    step = _Step(
        scope=scope,
        task=_text(task, "task"),
        observation=_text(observation, "observation"),
        action=_text(action, "action"),
        reward=float(reward),
        next_observation=None if next_observation is None else _text(next_observation, "next_observation"),
        ended=done or next_observation is None,
        episode=episode,
        key=None if key is None else f"experience\n{key}",
    )
    _text(step.content, "task, observation and action together", hint="shorten the observation to what matters.")
    return step


def _text(text: str, name: str, hint: str | None = None) -> str:
    try:
        return clean_text(text)
    except InvalidNote as error:
        raise InvalidNote(f"{name}: {error.message}", hint=hint or error.hint) from error
