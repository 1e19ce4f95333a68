"""What the options of every editor share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from agentmem.errors import InvalidArgument

__all__ = ["EditorConfig", "Layer", "checked", "layer_below_another", "resolved_layer"]


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


def checked(kind: type[Config], method: str, options: Mapping[str, object]) -> Config:
    """Check the options of a method.

    Raises:
        InvalidArgument: an unknown option or a value out of range.
    """
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"]) or "options"
        known = ", ".join(sorted(kind.model_fields))
        raise InvalidArgument(
            f"Option {option} of {method!r}: {first['msg']}.", hint=f"the options are: {known}."
        ) from error


def _is_layer(layer: float) -> float:
    if isinstance(layer, float) and not 0 <= layer < 1:
        raise ValueError("a fraction of the depth must be in [0, 1)")
    return layer


Layer = Annotated[int | float, AfterValidator(_is_layer)]
"""An index (negative: from the end), or a fraction of the depth."""


def resolved_layer(layer: float, depth: int) -> int:
    """A :data:`Layer` as an index, which may lie outside of the model."""
    index = int(layer * depth) if isinstance(layer, float) else layer
    return index + depth if index < 0 else index


def layer_below_another(name: str, layer: float, depth: int) -> int:
    """The option ``name`` as an index in ``[0, depth - 1)``: at least one layer must lie above it.

    Raises:
        InvalidArgument: no layer would be left above to read what is written there.
    """
    index = resolved_layer(layer, depth)
    if not 0 <= index < depth - 1:
        raise InvalidArgument(
            f"{name}={layer} leaves no layer above what is written: the model has {depth}.",
            hint=f"choose 0 … {depth - 2}; early layers can express longer targets.",
        )
    return index
