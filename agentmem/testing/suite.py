"""What the promises are tested on: editors, models, and the subclass's word on both."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from unittest import SkipTest

import torch

from agentmem.errors import AgentMemError
from agentmem.notes.edit import EditRequest
from agentmem.notes.protocols import Editor
from agentmem.testing.bench import Bench

__all__ = ["Suite", "in_thread", "learn", "refused"]


class Suite:
    """The ground of the promises: what a subclass says, and what the tests build on.

    Attributes:
        facts: at least three facts that the model does not know, with ids and different targets.
        unrelated: a question that no fact is about.
        order_free: whether the state is promised to be independent of the order of writes.
        temperature: of the sampling test; low enough that a well-learnt target is always drawn.
        limits: tests that the method cannot pass by its nature, by name, each with the reason.
    """

    facts: ClassVar[Sequence[EditRequest]] = (
        EditRequest("Where does Ilva Quist live?", "Porto.", subject="Ilva Quist", id="e0", note_id="n0"),
        EditRequest("What instrument does Oren Dorrell play?", "cello.", subject="Oren Dorrell", id="e1", note_id="n1"),
        EditRequest("Where does Mira Quist live?", "Bergen.", subject="Mira Quist", id="e2", note_id="n2"),
    )
    unrelated: ClassVar[str] = "What is the opposite of hot?"
    order_free: ClassVar[bool] = True
    temperature: ClassVar[float] = 0.1
    limits: ClassVar[Mapping[str, str]] = {}

    _shared: ClassVar[Bench | None] = None
    _base: ClassVar[tuple[Any, Any] | None] = None
    _made: list[Editor]

    # What a subclass says

    def make(self, model: Any, tokenizer: Any) -> Editor:
        """A new editor without edits on this model; called several times per model."""
        raise NotImplementedError

    def model(self) -> tuple[Any, Any]:
        """(causal language model in evaluation mode, tokenizer); by default the small model that is shipped."""
        from agentmem.llm.small_model import load_small_model

        return load_small_model()

    # What the tests build on

    def setup_method(self, method: Callable[..., object]) -> None:
        """Skip what the subclass does not promise; refuse limits that name no test."""
        self._made = []
        unknown = [name for name in self.limits if not hasattr(type(self), name)]
        assert not unknown, f"limits name tests that do not exist: {unknown}"
        if method.__name__ in self.limits:
            raise SkipTest(self.limits[method.__name__])

    def teardown_method(self) -> None:
        """Take every editor of this test off the model."""
        self.rest()

    @classmethod
    def setup_class(cls) -> None:
        """Each class has a model and a shared editor of its own."""
        cls._shared = cls._base = None

    @classmethod
    def teardown_class(cls) -> None:
        """Take the shared editor off the model, and let go of the model."""
        if cls._shared is not None:
            cls._shared.editor.detach()
        cls._shared = cls._base = None

    def rest(self) -> None:
        """Take every editor off the model."""
        for editor in self._made:
            editor.detach()
        shared = type(self)._shared
        if shared is not None:
            shared.editor.detach()

    def base(self) -> tuple[Any, Any]:
        """:meth:`model`, asked for once per class."""
        kind = type(self)
        if kind._base is None:
            kind._base = self.model()
        return kind._base

    def fresh(self, base: tuple[Any, Any] | None = None) -> Bench:
        """A new editor without edits, taken off the model when the test ends."""
        model, tokenizer = base or self.base()
        bench = Bench(model, tokenizer, self.make(model, tokenizer))
        self._made.append(bench.editor)
        return bench

    def written(self) -> Bench:
        """The editor that holds all facts, made once per class: for tests that only read."""
        kind = type(self)
        bench = kind._shared
        if bench is None:
            bench = self.fresh()
            learn(bench.editor, self.facts)
            self._made.remove(bench.editor)
            kind._shared = bench
        bench.editor.attach()
        return bench

    def stranger(self) -> tuple[Any, Any]:
        """Another base: a copy of the model with slightly other weights."""
        self.rest()
        model, tokenizer = self.base()
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in other.parameters():
                if parameter.is_floating_point():
                    parameter.mul_(1.01)
        return other, tokenizer

    @property
    def prompts(self) -> list[str]:
        """The facts' questions."""
        return [fact.prompt for fact in self.facts]

    @property
    def targets(self) -> list[str]:
        """What the edited model shall answer, without space around it."""
        return [fact.target.strip() for fact in self.facts]


def refused(kind: type[AgentMemError], call: Callable[[], object]) -> None:
    """The call must raise this error, with a hint."""
    try:
        call()
    except kind as error:
        hint = error.hint
    except AgentMemError as error:
        raise AssertionError(f"{kind.__name__} was due, not {type(error).__name__}: {error}") from error
    else:
        raise AssertionError(f"no {kind.__name__} was raised")
    assert hint, f"{kind.__name__} without a hint"


def learn(editor: Editor, requests: Sequence[EditRequest]) -> None:
    """Write facts that must be learnt: the other promises are about editors that can."""
    failed = [receipt for receipt in editor.write(list(requests)) if not receipt.ok]
    assert not failed, f"facts of the suite were not learnt: {failed}; choose facts that this model can learn"


def in_thread(work: Callable[[], object]) -> None:
    """Run something in a thread of its own, and wait for it."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
