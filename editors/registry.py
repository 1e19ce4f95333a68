"""Editing methods by name; a method's code is imported when it is asked for, not before."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentmem.errors import InvalidArgument, MissingExtra

if TYPE_CHECKING:
    from agentmem.notes.protocols import Editor

__all__ = ["available_editors", "make_editor"]

_METHODS = {
    "emmet": ("agentmem.editors.rome.editor", "EmmetEditor"),
    "grace": ("agentmem.editors.grace.editor", "GraceEditor"),
    "lora": ("agentmem.editors.lora.editor", "LoraEditor"),
    "memit": ("agentmem.editors.rome.editor", "MemitEditor"),
    "rome": ("agentmem.editors.rome.editor", "RomeEditor"),
    "tiered": ("agentmem.editors.tiers.editor", "TieredEditor"),
    "wise": ("agentmem.editors.wise.editor", "WiseEditor"),
}
_PUBLISHED = {
    "grace": ("agentmem.editors.published.grace.editor", "PublishedGraceEditor"),
    "wise": ("agentmem.editors.published.wise.editor", "PublishedWiseEditor"),
}


def available_editors() -> tuple[str, ...]:
    """The names that :func:`make_editor` knows, sorted."""
    return tuple(sorted(_METHODS))


def make_editor(method: str, model: Any, tokenizer: Any, **options: object) -> Editor:
    """Build an editor on a loaded causal language model.

    Args:
        method: one of :func:`available_editors`.
        model: a transformers causal language model (PEFT-wrapped, quantised or device-mapped ones included).
        tokenizer: its tokenizer; a chat template, when there is one, is used.
        options: fields of the method's configuration, e.g. ``value_layer=0`` for ``"grace"``.

    Raises:
        InvalidArgument: an unknown method, or an option that the method does not have.
        LayerNotFound: the decoder layers could not be found in this model.
    """
    if method not in _METHODS:
        known = ", ".join(available_editors())
        raise InvalidArgument(f"There is no editor named {method!r}.", hint=f"choose one of: {known}.")
    module, name = (_PUBLISHED if _as_published(method, options) else _METHODS)[method]
    try:
        factory = getattr(import_module(module), name)
    except ModuleNotFoundError as missing:
        if missing.name not in ("torch", "transformers"):
            raise
        raise MissingExtra(f"Editing weights needs {missing.name}.", hint=f"pip install {missing.name}") from missing
    editor: Editor = factory(model, tokenizer, **options)
    return editor


def _as_published(method: str, options: Mapping[str, object]) -> bool:
    """Whether the options ask for what only the published algorithm has."""

    def said(option: str) -> object:
        return options.get(option, getattr(options.get("config"), option, None))

    if method == "wise":
        return said("gate") in ("activation", "both") or bool(said("margin_weight"))
    return method == "grace" and said("algorithm") == "paper"
