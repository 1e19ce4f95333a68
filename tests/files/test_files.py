"""Files that a caller names: complete or not there, for their owner only, and never through a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import networkx as nx
import pytest

from agentmem.consolidation.report import ConsolidationReport
from agentmem.editors.packs import write_file
from agentmem.errors import AgentMemError, EditError, InvalidArgument
from agentmem.files.writing import writing, written_whole
from agentmem.graph.page import write_page
from agentmem.graph.view import write_graphml


def _view() -> nx.DiGraph:
    view = nx.DiGraph()
    view.add_edge("a", "b", content="Ana lives in Porto.")
    return view


WRITERS = {
    "page": (".html", lambda path: write_page(nx.DiGraph(), path)),
    "graphml": (".graphml", lambda path: write_graphml(_view(), path)),
    "packed graphml": (".graphml.gz", lambda path: write_graphml(_view(), path)),
    "report": (".html", lambda path: ConsolidationReport(()).write_page(path)),
    "pack": (".safetensors", lambda path: write_file(path, b"facts")),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_what_may_hold_notes_is_for_its_owner_only(tmp_path: Path, kind: str) -> None:
    """Also where a file of that name was open to everybody before."""
    suffix, write = WRITERS[kind]
    target = tmp_path / f"out{suffix}"
    target.write_text("before")
    target.chmod(0o666)
    os.umask(os.umask(0o000))

    write(target)

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.read_bytes() != b"before"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("kind", WRITERS)
def test_nothing_is_written_through_a_link_or_into_a_device(tmp_path: Path, kind: str) -> None:
    """What lies behind was not named; and it would not become the link's neighbour's file either."""
    suffix, write = WRITERS[kind]
    (tmp_path / "theirs").write_text("theirs")
    link, pipe = tmp_path / f"link{suffix}", tmp_path / f"pipe{suffix}"
    link.symlink_to(tmp_path / "theirs")
    os.mkfifo(pipe)

    for target in (link, pipe):
        with pytest.raises((InvalidArgument, EditError)) as caught:
            write(target)
        assert caught.value.hint

    assert (tmp_path / "theirs").read_text() == "theirs"
    assert link.is_symlink()
    assert pipe.is_fifo()
    assert len(list(tmp_path.iterdir())) == 3


def test_the_other_names_of_a_file_keep_what_they_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    os.link(tmp_path / "a", tmp_path / "b")
    with written_whole(tmp_path / "a") as file:
        file.write(b"after")
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("after", "before")


def test_what_fails_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    with pytest.raises(RuntimeError), writing(tmp_path / "a") as draft:
        draft.write_text("half")
        raise RuntimeError
    with pytest.raises(AgentMemError), writing(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "before")]
