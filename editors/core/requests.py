"""What every editor does first with requests: name them, and tell the new ones from those that are stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from agentmem.editors.core.scopes import covisible
from agentmem.errors import EditError, InvalidArgument
from agentmem.notes.edit import EditRequest

__all__ = ["in_order", "named", "rival_of", "taken", "unstored"]


def named(request: EditRequest) -> EditRequest:
    """The request with its id (derived from its content when absent), and its target without blanks around it.

    What stands between a prompt and its answer is the template's or the tokenizer's affair. CounterFact and EasyEdit write it
    into the target (``" Porto"``), and an edit would learn to say a blank that no request gives it room for.

    Raises:
        InvalidArgument: it is no request.
    """
    if not isinstance(request, EditRequest):
        raise InvalidArgument(
            f"Expected an EditRequest, got {type(request).__name__}.", hint="EditRequest(prompt, target)."
        )
    if isinstance(request.paraphrases, str) or not all(
        isinstance(text, str) for text in (request.prompt, request.target, *request.paraphrases)
    ):
        raise InvalidArgument(
            f"The prompt, the target and each paraphrase must be texts: {request!r:.200}.",
            hint='EditRequest("Where does Ana live?", "Porto.", paraphrases=("What is Ana\'s home city?",)).',
        )
    request = replace(request, target=request.target.strip())
    if request.id is not None:
        return request
    described = json.dumps(asdict(request), sort_keys=True, ensure_ascii=True)
    return replace(request, id=f"e-{hashlib.sha256(described.encode()).hexdigest()[:16]}")


def in_order(requests: Iterable[EditRequest]) -> list[EditRequest]:
    """Named requests by their ids: the order in which they were given makes no difference to what is learnt."""
    return sorted(requests, key=lambda request: str(request.id))


def rival_of(
    request: EditRequest, labels: tuple[int, ...], held: Sequence[tuple[EditRequest, tuple[int, ...]]]
) -> str | None:
    """An edit with another target for the same prompt that some request could see together with this one."""
    for other, theirs in held:
        clash = other.prompt.strip() == request.prompt.strip() and theirs != labels
        if clash and covisible([request.scope, other.scope])[0, 1]:
            return str(other.id)
    return None


def taken(rival: str) -> str:
    """Why a request fails whose prompt an edit already answers otherwise; ``rival`` is that edit's id."""
    return f"edit {rival} answers the same prompt with another target; delete it first"


def unstored(requests: Sequence[EditRequest], stored: Mapping[str, EditRequest]) -> list[EditRequest]:
    """The named requests that are not stored yet, each once, in order.

    Raises:
        InvalidArgument: two different requests have one id.
        EditError: an id belongs to another stored edit.
    """
    unique: dict[str, EditRequest] = {}
    for request in requests:
        name = str(request.id)
        if unique.setdefault(name, request) != request:
            raise InvalidArgument(f"Two different requests have the id {name!r}.", hint="give each its own.")
        if stored.get(name, request) != request:
            raise EditError(f"The id {name!r} belongs to another edit.", hint=f"editor.delete([{name!r}]) first.")
    return [request for name, request in unique.items() if name not in stored]
