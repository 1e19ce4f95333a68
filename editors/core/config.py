"""What the options of every editor share."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from agentmem.errors import InvalidArgument

__all__ = ["EditorConfig", "checked", "resolved_layer"]


class EditorConfig(BaseModel):
    """Options that every method has.

    Attributes:
        layers: dotted path of the decoder layers, when they cannot be found by structure.
        chat: render prompts through the chat template; ``None``: when there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: str | None = None
    chat: bool | None = None


Config = TypeVar("Config", bound=EditorConfig)


def checked(kind: type[Config], name: str, options: dict[str, object]) -> Config:
    """Check options of a method given by name.

    Raises:
        InvalidArgument: an unknown option or a value out of range.
    """
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"]) or "options"
        known = ", ".join(sorted(kind.model_fields))
        raise InvalidArgument(f"{name} option {option}: {first['msg']}.", hint=f"the options are: {known}.") from error


def resolved_layer(layer: float, depth: int) -> int:
    """An index, a negative index or a fraction of the depth, as an index."""
    index = int(layer * depth) if isinstance(layer, float) else layer
    return index + depth if index < 0 else index
