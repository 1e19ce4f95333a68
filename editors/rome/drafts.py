"""Requests on their way in: where the subject stands, in which contexts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentmem.editors.background import look_alikes
from agentmem.editors.core.requests import rival_of, taken
from agentmem.editors.deltas.records import Book
from agentmem.editors.prompts import Renderer
from agentmem.editors.rome.config import LocateConfig
from agentmem.editors.rome.subject import locate, subject_of
from agentmem.editors.rome.values import Share, Task, Value
from agentmem.errors import InvalidArgument
from agentmem.notes.edit import EditReceipt, EditRequest

__all__ = ["LocateDraft", "prepare"]


@dataclass(eq=False)
class LocateDraft:
    """A request on its way in.

    Attributes:
        task: what a value has to be found for; ``None`` when there is nothing to find.
        twin: the id of an edit that asks for the very same.
    """

    request: EditRequest
    task: Task | None = None
    twin: str | None = None
    value: Value | None = None
    share: Share | None = None
    status: str = "written"
    reason: str = ""

    @property
    def id(self) -> str:
        return str(self.request.id)

    def fail(self, reason: str) -> None:
        """Nothing of this request is written."""
        self.status, self.reason, self.share, self.task = "failed", reason, None, None

    def receipt(self) -> EditReceipt:
        """What to tell the caller."""
        loss, steps = (self.value.loss, self.value.steps) if self.value is not None else (float("nan"), 0)
        keys = 0 if self.status == "failed" else 1
        return EditReceipt(self.id, self.status, self.reason, loss=loss, steps=steps, keys=keys)


def prepare(
    requests: Sequence[EditRequest],
    book: Book,
    renderer: Renderer,
    config: LocateConfig,
    texts: Sequence[str],
) -> list[LocateDraft]:
    """A draft per request, in order; what cannot be located or contradicts an edit has failed already.

    Args:
        requests: new ones, sorted by id.
        texts: background prompts; the first few stand before the prompt in further contexts.

    Raises:
        InvalidArgument: a prompt or a target is empty.
    """
    labels = {str(r.id): renderer.pair(r.prompt, r.target).labels for r in requests}
    held = [(record.request, record.labels) for record in book.edits]
    drafts: list[LocateDraft] = []
    for request in requests:
        draft = LocateDraft(request)
        mine = labels[str(request.id)]
        if rival := rival_of(request, mine, held):
            draft.fail(taken(rival))
        else:
            draft.twin = next((str(other.id) for other, _ in held if _same(other, request)), None)
            if draft.twin is None:
                _locate(draft, mine, renderer, config, texts)
            if draft.status != "failed":
                held.append((request, mine))
        drafts.append(draft)
    return drafts


def _locate(
    draft: LocateDraft, labels: tuple[int, ...], renderer: Renderer, config: LocateConfig, texts: Sequence[str]
) -> None:
    request = draft.request
    try:
        subject = subject_of(request.prompt, request.subject)
        asked = [request.prompt, *dict.fromkeys(p for p in request.paraphrases if p != request.prompt)]
        named = [text for text in asked if subject in text][: config.contexts]
        contexts = [locate(renderer, text, subject) for text in named]
        contexts += [locate(renderer, request.prompt, subject, before=text) for text in texts[: config.prefixes]]
    except InvalidArgument as error:
        draft.fail(str(error))
        return
    essence = [f"{subject} is a"] if config.essence else []
    alike = look_alikes([(request.prompt, subject, request.paraphrases)], 2 * config.essence)[0].asked
    essence += [text for text in alike if text not in asked][: max(0, config.essence - 1)]
    draft.task = Task(tuple(contexts), labels, tuple(locate(renderer, text, subject) for text in essence))


def _same(other: EditRequest, request: EditRequest) -> bool:
    """Whether two requests lead to the very same value."""
    fields = ("prompt", "target", "subject", "paraphrases")
    return all(getattr(other, name) == getattr(request, name) for name in fields)
