"""Parametric memory: facts a language model knows by heart, held beside its weights.

An editor adds what it was told through forward hooks. The base weights are never touched, so every edit can be
listed, scoped, saved, undone and forgotten, and a model without edits is its base, bit for bit.

    editor = make_editor("grace", model, tokenizer)
    editor.write([EditRequest("Where does Ana live?", "Porto.")])
"""

from __future__ import annotations

if __name__ != "agentmem.editors":
    raise ImportError(f"import agentmem.editors, not {__name__}: this folder is the package agentmem.editors")

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmem.editors.gate.key_space import calibrate
    from agentmem.editors.grace.config import GraceConfig
    from agentmem.editors.port import ModelPort
    from agentmem.editors.registry import available_editors, make_editor
    from agentmem.editors.wise.config import WiseConfig
    from agentmem.notes.edit import EditReceipt, EditRequest

_HOME = {
    "EditReceipt": "agentmem.notes.edit",
    "EditRequest": "agentmem.notes.edit",
    "GraceConfig": "agentmem.editors.grace.config",
    "ModelPort": "agentmem.editors.port",
    "WiseConfig": "agentmem.editors.wise.config",
    "available_editors": "agentmem.editors.registry",
    "calibrate": "agentmem.editors.gate.key_space",
    "make_editor": "agentmem.editors.registry",
}

__all__ = [
    "EditReceipt",
    "EditRequest",
    "GraceConfig",
    "ModelPort",
    "WiseConfig",
    "available_editors",
    "calibrate",
    "make_editor",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562): naming an editor must not load torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'agentmem.editors' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
