"""Joining and comparing packs: the bytes an editor would save, without torch and without the model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from agentmem.editors import make_editor, packs
from agentmem.editors.pack_tools import PackDiff, diff, merge
from agentmem.errors import EditError, InvalidArgument, PackMismatch
from agentmem.notes.note import Scope


def pack(make, requests, architecture="llama", **options):
    editor = make(architecture, **options)
    assert all(receipt.ok for receipt in editor.write(requests))
    editor.detach()
    return editor.dump()


def test_merging_is_writing_one_after_the_other(make, requests_):
    """Disjoint packs of one base give the bytes of an editor that wrote both, in whatever order; and it says both."""
    one, other = pack(make, requests_[:2]), pack(make, requests_[2:])
    editor = make()
    editor.write(requests_[:2])
    editor.write(requests_[2:])

    assert merge([one, other]) == merge([other, one]) == editor.dump()
    assert merge([one]) == one == merge([one, one, packs.drop(one, ["e0", "e1"])])
    assert packs.drop(merge([one, other]), ["e2", "e3"]) == one


@pytest.mark.parametrize("method", ["emmet", "lora", "wise"])
def test_other_layouts(method, taught, deep, tok, background, requests_):
    """Records join as editors write them; what is learnt together is refused with the way to do it."""
    options = {"layer": 0, "prefixes": 0, "essence": 2, "steps": 60, "tokens": 1500} if method == "emmet" else {}
    options |= {"rank": 4, "epochs": 40, "lr": 0.02} if method == "lora" else {"background": background}
    model = deep if method == "emmet" else taught("llama")
    made = []
    for chosen in (requests_[:1], requests_[1:2], []):
        editor = make_editor(method, model, tok, **options)
        editor.write(chosen)
        editor.detach()
        made.append(editor.dump())

    assert merge([made[0], made[2]]) == made[0]
    assert [r.id for r in diff(made[0], made[1]).added] == ["e1"]
    if method == "emmet":
        assert [r.id for r in packs.list_edits(merge(made))] == ["e0", "e1"]
        assert packs.drop(merge(made), ["e1"]) == made[0]
    else:
        with pytest.raises(EditError, match="learnt together") as caught:
            merge(made)
        assert "write" in caught.value.hint


def test_what_does_not_belong_together_is_refused(make, taught, tok, background, requests_):
    """Another base, other settings, another key space, ids or answers that clash: typed errors that say which."""
    one = pack(make, requests_[:2])
    clash = replace(requests_[0], target="Cairo.")
    elsewhere = make_editor("grace", taught("llama"), tok, background=background[:60])
    elsewhere.write(requests_[2:3])
    elsewhere.detach()
    cases = {
        "base": (pack(make, requests_[2:3], "gpt2"), PackMismatch),
        "settings": (pack(make, requests_[2:3], value_layer=1), PackMismatch),
        "calibration": (elsewhere.dump(), PackMismatch),
        "under the same ids: e0": (pack(make, [clash]), EditError),
        "contradict each other: e0 and rival": (pack(make, [replace(clash, id="rival")]), EditError),
        "damaged": (one[:-3] + b"abc", PackMismatch),
    }
    for words, (other, error) in cases.items():
        with pytest.raises(error, match=words) as caught:
            merge([one, other])
        assert caught.value.hint
    with pytest.raises(InvalidArgument):
        merge([])
    apart = replace(clash, id="rival", scope=Scope(user="bo"))
    own = pack(make, [replace(requests_[0], scope=Scope(user="ana"))])
    assert len(packs.list_edits(merge([own, pack(make, [apart])]))) == 2


def test_diff_names_what_was_added_removed_and_changed(make, requests_):
    """By id, with the requests before and after; equal states have no difference; other settings are said."""
    told = replace(requests_[1], target="Oslo.")
    before, after = pack(make, requests_[:2]), pack(make, [told, requests_[2]])
    found = diff(before, after)

    assert found == PackDiff((requests_[2],), (requests_[0],), ((requests_[1], told),))
    assert str(found) == "1 added, 1 removed, 1 changed"
    assert not diff(before, before)
    assert diff(before, pack(make, requests_[:1], value_layer=1)).apart == ("settings",)


def test_files_need_no_torch(make, requests_, tmp_path):
    """Merging and comparing work by path, where torch cannot be imported."""
    (tmp_path / "a").write_bytes(pack(make, requests_[:1]))
    (tmp_path / "b").write_bytes(pack(make, requests_[1:2]))
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "from agentmem.editors.pack_tools import diff, merge\n"
        "print(diff(sys.argv[1], merge(sys.argv[1:])))"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "a"), str(tmp_path / "b")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 added, 0 removed, 0 changed"


def test_a_merged_pack_is_served(make, taught, tok, requests_):
    """An editor loads it and says the edits of both parts."""
    from agentmem.editors.evaluation import answer

    editor = make()
    editor.load(merge([pack(make, requests_[:1]), pack(make, requests_[1:2])]))
    asked = [r.prompt for r in requests_[:2]]
    assert answer(taught("llama"), tok, asked) == [r.target for r in requests_[:2]]
