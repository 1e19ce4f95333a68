"""Objects in a folder and behind an address of fsspec: one promise for both."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument, MissingExtra, PackUnreachable
from agentmem.stores.objects.folder import FolderObjects
from agentmem.stores.objects.objects import Objects
from agentmem.stores.objects.opening import open_objects
from agentmem.stores.objects.remote import RemoteObjects


@pytest.fixture(params=["folder", "file", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    return open_objects(
        {
            "folder": tmp_path / "one" / "two",
            "file": (tmp_path / "with space").as_uri(),
            "memory": f"memory://{secrets.token_hex(4)}/packs/",
        }[request.param]
    )


def test_what_was_put_is_there_until_it_is_removed(objects: Objects) -> None:
    assert objects.names("a") == []
    assert objects.read("a", "x") is None

    objects.write("a", "x", b"first")
    objects.write("a", "x", b"second")
    objects.write("a", "y", b"")
    objects.write("b", "z", b"of another")
    assert (objects.read("a", "x"), objects.read("a", "y")) == (b"second", b"")
    assert objects.names("a") == ["x", "y"]

    objects.remove("a", "x")
    assert objects.names("a") == ["y"]
    assert objects.read("a", "x") is None
    assert objects.names("b") == ["z"]


def test_files_are_for_their_owner_alone_and_links_are_not_followed(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "packs")
    objects.write("a", "x", b"1")
    assert (tmp_path / "packs" / "a" / "x").stat().st_mode & 0o777 == 0o600
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "packs" / "a" / "link").symlink_to(tmp_path / "theirs")

    for act in (lambda: objects.write("a", "link", b"2"), lambda: objects.read("a", "link")):
        with pytest.raises(PackUnreachable) as caught:
            act()
        assert caught.value.hint
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_a_file_with_a_second_name_loses_ours_and_keeps_its_bytes(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "packs")
    objects.write("a", "x", b"1")
    os.link(tmp_path / "packs" / "a" / "x", tmp_path / "backup")

    objects.remove("a", "x")

    assert objects.names("a") == []
    assert (tmp_path / "backup").read_bytes() == b"1"


@pytest.mark.parametrize(
    "place",
    [
        "", "s3://key:s3cr3t@bucket/packs", "sftp://me:s3cr3t@host/packs", "s3://bucket/packs?password=s3cr3t", "s3://bucket/packs#s3cr3t",
        "simplecache::s3://bucket/packs", "file://host/packs", "file://packs", "nonsense://bucket", "://", 7, "a\0b",
    ],
)  # fmt: skip
def test_what_is_no_place_or_has_a_secret_in_it_is_refused_and_not_repeated(place: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        open_objects(place)

    assert caught.value.hint
    assert "s3cr3t" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentmem.stores.objects.remote.find_spec", lambda name: None)

    with pytest.raises(MissingExtra, match="s3fs") as caught:
        open_objects("s3://bucket/packs")
    assert "agentmem-toolkit[objects]" in caught.value.hint


def test_a_memory_that_is_gone_when_it_is_closed_leaves_no_packs_anywhere(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Memory(None, embedder="hash", packs=tmp_path)

    assert caught.value.hint


class _Driver:
    """What a driver of fsspec is here: it fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.asked = 0

    def cat_file(self, path: str) -> bytes:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return path.encode()


@pytest.mark.parametrize("error", [ConnectionError("no route"), PermissionError("Access Denied"), ValueError("odd")])
def test_whatever_a_driver_raises_is_one_error_and_the_place_is_left_alone_for_a_moment(error: Exception) -> None:
    now = [0.0]
    objects = RemoteObjects("memory://packs", monotonic=lambda: now[0])
    driver = _Driver(error)
    objects._opened = driver, "/packs"

    for _ in range(3):
        with pytest.raises(PackUnreachable, match=str(error)) as caught:
            objects.read("a", "x")
        assert "memory://packs" in caught.value.message
    assert driver.asked == 1
    driver.error, now[0] = None, 10.0
    assert objects.read("a", "x") == b"/packs/a/x"


def test_a_forked_child_reaches_the_place_by_itself() -> None:
    objects = RemoteObjects(f"memory://{secrets.token_hex(4)}")
    objects.write("a", "x", b"1")
    opened = objects._opened

    child = os.fork()
    if child == 0:
        mine = objects._opened is None and objects.read("a", "x") == b"1" and objects._opened is not opened
        os._exit(0 if mine else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
