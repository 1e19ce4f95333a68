"""Packs: one canonical file, readable and editable without torch and without the model."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import OTHER, logits

from agentmem.editors import packs
from agentmem.errors import PackMismatch, UnknownEdit
from agentmem.notes.note import Scope


@pytest.fixture
def saved(make, requests_, tmp_path):
    editor = make()
    editor.write(requests_)
    path = tmp_path / "grace.safetensors"
    return editor, path, editor.save(path)


def test_loading_gives_the_same_model(saved, make, taught, tok, requests_):
    """A saved and loaded state answers with the same bits and has the same hash."""
    editor, path, digest = saved
    texts = [requests_[0].prompt, OTHER]
    before = logits(taught("llama"), tok, texts)
    editor.detach()
    other = make()
    other.load(path)

    assert digest == hashlib.sha256(path.read_bytes()).hexdigest() == editor.state_hash() == other.state_hash()
    assert torch.equal(logits(taught("llama"), tok, texts), before)
    assert other.edits() == editor.edits()
    assert other.save(path) == digest


def test_dropping_is_deleting_and_saving(saved, tmp_path):
    """An edit dropped from the file leaves the bytes that the editor would save without it; the last one too."""
    editor, path, _ = saved
    dropped = packs.drop(path, ["e1", "e3"])
    editor.delete(["e1", "e3"])
    editor.save(tmp_path / "after")
    assert dropped == (tmp_path / "after").read_bytes()

    nothing = packs.drop(dropped, ["e0", "e2"])
    editor.delete(["e0", "e2"])
    assert hashlib.sha256(nothing).hexdigest() == editor.state_hash()
    assert packs.list_edits(nothing) == ()


def test_aliases_and_scopes_survive_a_drop(make, requests_):
    """Shared values are kept while an owner is left; scopes and paraphrases are read back."""
    from dataclasses import replace

    editor = make()
    twin = replace(requests_[0], id="zz", scope=Scope(user="u", session="s"), paraphrases=("Where is Ana?",))
    editor.write([requests_[0], twin])
    data = packs.drop(editor.state.bytes, ["e0"])
    editor.delete(["e0"])

    assert packs.list_edits(data) == (twin,)
    assert hashlib.sha256(data).hexdigest() == editor.state_hash()


def test_dropping_what_is_not_there_raises(saved):
    """An unknown id is an error, not a silent success."""
    with pytest.raises(UnknownEdit, match="nobody"):
        packs.drop(saved[1], ["nobody"])


def test_packs_need_no_torch(saved):
    """Listing and dropping work where torch cannot be imported."""
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "from agentmem.editors import packs\n"
        f"data = packs.drop({str(saved[1])!r}, ['e0'])\n"
        "print(len(packs.list_edits(data)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"


def test_importing_editors_needs_no_torch():
    """Naming the package and its lazy names loads neither torch nor transformers."""
    code = "import sys, agentmem.editors as e; dir(e); e.make_editor; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def damage(data, kind):
    if kind == "cut":
        return data[: len(data) // 2]
    if kind == "flip":
        return data[:-7] + bytes([data[-7] ^ 1]) + data[-6:]
    if kind == "not a pack":
        return b"hello"
    if kind in ("newer", "older"):
        written = b'\\"format\\":%d'
        return data.replace(written % packs.FORMAT, written % (9 if kind == "newer" else packs.FORMAT - 1))
    pack = packs.parse(data)
    edit = pack.edits[0]
    edit.value[:] = np.nan
    return packs.dump(pack)


@pytest.mark.parametrize("kind", ["cut", "flip", "not a pack", "newer", "older", "nan"])
def test_damaged_packs_are_refused(kind, saved, make):
    """A pack that is cut, changed, foreign, newer or not finite is refused, and the state stays."""
    editor, path, digest = saved
    path.write_bytes(damage(path.read_bytes(), kind))

    with pytest.raises(PackMismatch) as caught:
        editor.load(path)
    assert caught.value.hint
    assert editor.state_hash() == digest


def test_packs_of_another_model_or_layer_are_refused(saved, make):
    """Another base, or another value layer, cannot use the vectors."""
    _, path, _ = saved
    for other in (make("qwen2"), make(value_layer=1)):
        with pytest.raises(PackMismatch):
            other.load(path)
        assert other.status().state == "empty"
    with pytest.raises(PackMismatch, match="cannot be read"):
        other.load(path.parent / "missing")


def test_saving_is_atomic(saved, make, requests_, monkeypatch, tmp_path):
    """A crash while saving leaves the old file whole and no litter."""
    editor, path, digest = saved
    editor.delete(["e0"])

    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(Exception, match="No space left"):
        editor.save(path)

    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
