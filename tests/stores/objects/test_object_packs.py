"""The packs of a store in a place: whose they are is known there, and nothing is believed that is not what its name says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentmem.errors import PackMismatch, PackUnreachable
from agentmem.records.pack_place import place_of
from agentmem.stores.objects.folder import FolderObjects
from agentmem.stores.objects.packs import MARKER, ObjectPacks
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.weights.pack_store import PackStore
from agentmem.weights.shared_packs import SharedPacks

FIRST, SECOND = b"first", b"second"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    opened = SqliteStore(None)
    yield opened
    opened.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.fixture
def packs(store: SqliteStore, root: Path) -> ObjectPacks:
    return ObjectPacks(FolderObjects(root), store)


def test_packs_are_put_fetched_and_removed_but_for_those_that_are_kept(packs: ObjectPacks, root: Path) -> None:
    for data in (FIRST, SECOND):
        packs.put(sha(data), data)

    assert packs.get(sha(FIRST)) == FIRST
    assert packs.keep([sha(SECOND), sha(b"never put")]) == {sha(SECOND)}
    assert packs.get(sha(SECOND)) == SECOND
    with pytest.raises(PackMismatch, match="missing"):
        packs.get(sha(FIRST))
    (folder,) = root.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{sha(SECOND)}.safetensors", MARKER])


def test_other_bytes_are_never_handed_out(packs: ObjectPacks, root: Path) -> None:
    packs.put(sha(FIRST), FIRST)
    (path,) = root.rglob("*.safetensors")
    path.write_bytes(FIRST[:-1])

    with pytest.raises(PackMismatch, match="damaged") as caught:
        packs.get(sha(FIRST))
    assert "rebuild" in caught.value.hint
    packs.put(sha(FIRST), FIRST)  # the same pack again mends it
    assert packs.get(sha(FIRST)) == FIRST


def test_what_a_killed_process_left_goes_and_what_is_not_a_pack_stays(packs: ObjectPacks, root: Path) -> None:
    packs.put(sha(FIRST), FIRST)
    (folder,) = root.iterdir()
    (folder / f"{sha(SECOND)}.safetensors.{'0' * 16}.tmp").write_bytes(b"half")
    (folder / "readme").write_bytes(b"theirs")

    packs.keep([])

    assert sorted(path.name for path in folder.iterdir()) == [MARKER, "readme"]


def test_a_place_without_the_marker_is_not_where_they_are(packs: ObjectPacks, store: SqliteStore, root: Path) -> None:
    """Nothing is said of the packs then, none is removed, and none is put."""
    packs.put(sha(FIRST), FIRST)
    other = ObjectPacks(FolderObjects(root.with_name("other")), store)

    for act in (
        lambda: other.get(sha(FIRST)),
        lambda: other.keep([]),
        other.ready,
        lambda: other.put(sha(SECOND), SECOND),
    ):
        with pytest.raises(PackUnreachable, match=str(root)) as caught:
            act()
        assert caught.value.hint
    assert not root.with_name("other").exists()
    assert packs.get(sha(FIRST)) == FIRST

    other.put(sha(SECOND), SECOND, anew=True)
    assert other.get(sha(SECOND)) == SECOND
    with store.read() as tx:
        kept = place_of(tx)
    assert kept is not None
    assert kept.at == str(root.with_name("other"))


def test_nothing_is_put_or_noted_by_being_opened_but_the_id(packs: ObjectPacks, store: SqliteStore, root: Path) -> None:
    again = ObjectPacks(FolderObjects(root), store)

    assert packs.keep([]) == again.keep([]) == set()
    assert not root.exists()
    again.put(sha(FIRST), FIRST)
    assert packs.get(sha(FIRST)) == FIRST


def test_what_lay_with_the_notes_is_taken_along_and_removed_there(packs: ObjectPacks, tmp_path: Path) -> None:
    beside = PackStore(tmp_path / "weights")
    for data in (FIRST, SECOND):
        beside.put(data)
    shared = SharedPacks(packs, beside)
    assert shared.get(sha(FIRST)) == FIRST

    shared.collect([sha(FIRST)], [sha(FIRST), sha(SECOND)])

    assert list((tmp_path / "weights").iterdir()) == []
    assert packs.get(sha(FIRST)) == FIRST
    with pytest.raises(PackMismatch):
        shared.get(sha(SECOND))


def test_a_store_that_is_only_read_reads_its_packs(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    writing = SqliteStore(path)
    ObjectPacks(FolderObjects(tmp_path / "p"), writing).put(sha(FIRST), FIRST)
    writing.close()
    reading = SqliteStore(path, read_only=True)

    assert ObjectPacks(FolderObjects(tmp_path / "p"), reading).get(sha(FIRST)) == FIRST
    reading.close()
