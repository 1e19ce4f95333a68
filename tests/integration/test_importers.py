"""Other systems' dumps: what is in them arrives, whose it is and when it was; what is malformed is named by its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentmem import Memory, Scope
from agentmem.errors import InvalidArgument, InvalidImport, ScopeError
from agentmem.integrations.cli.app import app
from agentmem.integrations.importers import FORMATS, read

MEM0 = {
    "results": [
        {
            "id": "m1", "memory": "Likes tea without sugar", "hash": "x", "metadata": {"topic": "drinks"}, "score": None,
            "created_at": "2025-03-01T10:00:00-08:00", "updated_at": None, "user_id": "ana", "agent_id": "waiter",
            "run_id": "r7", "categories": ["food"],
        },
        {"id": "m2", "memory": "Plays the cello", "metadata": None, "created_at": None, "user_id": "ben"},
    ]
}  # fmt: skip
MEMORYBANK = {
    "Ana": {
        "name": "Ana",
        "summary": {"2023-04-27": {"content": "They spoke of tea."}},
        "history": {"2023-04-27": [{"query": "I drink green tea.", "response": "A fine choice, Ana."}]},
    },
}
LANGGRAPH = [
    {
        "namespace": ["memories", "ana"], "key": "k1", "value": {"kind": "Memory", "content": {"content": "Ana rows on Sundays."}},
        "created_at": "2025-05-01T08:00:00+00:00", "updated_at": "2025-05-01T08:00:00+00:00",
    },
    {"namespace": ["shared"], "key": "k2", "value": {"colour": "blue"}},
]  # fmt: skip
LOCOMO = [
    {
        "sample_id": "conv-1",
        "qa": [{"question": "Who adopted a dog?", "answer": "Ana", "evidence": ["D1:1"], "category": 1}],
        "conversation": {
            "speaker_a": "Ana",
            "speaker_b": "Ben",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ana", "dia_id": "D1:1", "text": "I adopted a dog."},
                {"speaker": "Ben", "dia_id": "D1:2", "text": "Look!", "blip_caption": "a photo of a brown dog"},
            ],
            "session_2_date_time": "12:09 am on 13 September, 2023",
            "session_2": [{"speaker": "Ben", "dia_id": "D2:1", "text": "How is the dog?"}],
            "session_3_date_time": "1:00 pm on 14 September, 2023",
            "session_10_date_time": "9:55 am on 22 October, 2023",
            "session_10": [
                {
                    "speaker": "Ana",
                    "dia_id": "D10:1",
                    "text": "He can sit now.",
                    "img_url": ["https://example.org/a.jpg"],
                    "query": "dog",
                    "re-download": True,
                }
            ],
        },
        "event_summary": {},
        "observation": {},
        "session_summary": {},
    }
]
CHAT = [
    {"role": "system", "content": "You are kind."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "My sister lives in Porto."},
            {"type": "image_url", "image_url": {"url": "x"}},
        ],
    },
    {"role": "assistant", "content": None, "tool_calls": []},
    {"role": "assistant", "content": "A lovely town.", "timestamp": 1_700_000_000},
]
SAMPLES = {"mem0": MEM0, "memorybank": MEMORYBANK, "langgraph": LANGGRAPH, "locomo": LOCOMO, "chat": CHAT}


@pytest.fixture
def file(tmp_path: Path):
    def write(data: Any, name: str = "dump.json") -> Path:
        path = tmp_path / name
        path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("shape", FORMATS)
def test_the_shape_is_found_out(file, shape: str) -> None:
    """A dump needs no label; with one it reads the same."""
    found = read(file(SAMPLES[shape]))

    assert found.shape == shape
    assert found == read(file(SAMPLES[shape]), shape)


def test_mem0(file) -> None:
    first, second = read(file(MEM0)).items

    assert first["content"] == "Likes tea without sugar"
    assert (first["user"], first["agent"], first["session"], first["tags"]) == ("ana", "waiter", "r7", ("food",))
    assert first["occurred_at"] == datetime(2025, 3, 1, 18, tzinfo=UTC)
    assert first["metadata"] == {"topic": "drinks"}
    assert (second["user"], "occurred_at" in second) == ("ben", False)
    assert [item["content"] for item in read(file(MEM0["results"])).items] == [first["content"], second["content"]]


def test_memorybank_gives_both_sides_of_an_exchange_and_no_summary(file) -> None:
    said, answered = read(file(MEMORYBANK)).items

    assert (said["content"], said["role"], said["user"]) == ("I drink green tea.", "user", "Ana")
    assert (answered["content"], answered["role"]) == ("A fine choice, Ana.", "assistant")
    assert said["session"] == answered["session"]
    assert said["occurred_at"].date().isoformat() == "2023-04-27"
    assert said["occurred_at"] < answered["occurred_at"]


def test_langgraph_keeps_namespace_key_and_value(file) -> None:
    first, second = read(file(LANGGRAPH)).items

    assert (first["content"], first["user"]) == ("Ana rows on Sundays.", "ana")
    assert first["metadata"] == {"namespace": ["memories", "ana"], "key": "k1", "value": LANGGRAPH[0]["value"]}
    assert (second["content"], "user" in second) == ('{"colour": "blue"}', False)


def test_locomo_keeps_sessions_dates_speakers_and_captions(file) -> None:
    first, second, third, last = read(file(LOCOMO)).items

    assert (first["user"], first["session"], first["actor"]) == ("conv-1", "session_1", "Ana")
    assert first["occurred_at"] == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    assert second["content"] == "Look! [shows a picture: a photo of a brown dog]"
    assert third["occurred_at"] == datetime(2023, 9, 13, 0, 9, tzinfo=UTC)
    assert [item["metadata"]["dia_id"] for item in (first, second, third, last)] == ["D1:1", "D1:2", "D2:1", "D10:1"]
    assert (last["content"], last["session"]) == ("He can sit now.", "session_10")
    assert last["metadata"] == {"dia_id": "D10:1"}


def test_chat_leaves_out_instructions_and_calls_of_tools(file) -> None:
    said, answered = read(file(CHAT)).items

    assert (said["content"], said["role"]) == ("My sister lives in Porto.", "user")
    assert (answered["content"], answered["role"]) == ("A lovely town.", "assistant")
    assert answered["occurred_at"] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_json_lines_of_messages_are_one_conversation_and_of_conversations_several(file) -> None:
    talk = [m for m in CHAT if m["role"] != "system"]
    lines = read(file("\n".join(json.dumps(m) for m in talk) + "\n", "a.jsonl"))
    tuning = read(file("\n".join(json.dumps({"messages": talk, "session_id": f"s{i}"}) for i in range(2)), "b.jsonl"))

    assert len({item["session"] for item in lines.items}) == 1
    assert [item["session"] for item in tuning.items] == ["s0", "s0", "s1", "s1"]


@pytest.mark.parametrize("shape", FORMATS)
def test_a_second_import_stores_nothing_twice(file, shape: str) -> None:
    """Every item has a key of its own, the same each time."""
    items = read(file(SAMPLES[shape])).items
    with Memory(None, embedder="hash") as memory:
        first = memory.remember_many(items)
        second = memory.remember_many(read(file(SAMPLES[shape])).items)

        assert all(receipt.ok for receipt in first)
        assert [receipt.id for receipt in second] == [receipt.id for receipt in first]
        assert memory.stats()["notes"] == len(items)
        assert all(
            note.trust < 1 for user in {i.get("user") for i in items} - {None} for note in memory.notes(user=user)
        )


@pytest.mark.parametrize(
    ("shape", "data", "place"),
    [
        ("mem0", {"results": [{"memory": "fine"}, {"memory": 7}]}, "Memory 1, memory"),
        ("mem0", [{"memory": "fine", "created_at": "yesterday"}], "Memory 0, created_at"),
        ("memorybank", {"Ana": {"history": {"someday": []}}}, "User 'Ana', someday"),
        ("memorybank", {"Ana": {"history": {"2023-04-27": [{"query": "x"}]}}}, "exchange 0, response"),
        ("langgraph", [{"namespace": "ana", "key": "k", "value": {}}], "Item 0, namespace"),
        ("langgraph", [LANGGRAPH[1], {"namespace": ["a"], "key": "k", "value": {}}], "Item 1, value"),
        ("locomo", [{"conversation": {"session_1": [], "session_1_date_time": "2023"}}], "Conversation 0, session 1"),
        (
            "locomo",
            [{"conversation": {"session_1": [{"text": "hi"}], "session_1_date_time": "1:56 pm on 8 May, 2023"}}],
            "turn 0",
        ),
        ("chat", [{"role": "user", "content": "hi"}, {"role": "robot", "content": "hi"}], "Message 1"),
        ("chat", [{"role": "user", "content": 7}], "Message 0, content"),
    ],
)
def test_what_is_malformed_is_named_by_its_place(file, shape: str, data: Any, place: str) -> None:
    """Nothing is skipped silently: the whole dump is refused, with the place and a cure."""
    with pytest.raises(InvalidImport) as caught:
        read(file(data), shape)

    assert place in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "no json", "7", "[]", '{"a": 1}', '{"a": 1}\n{"b": '])
def test_what_is_no_dump_is_refused(file, text: str) -> None:
    with pytest.raises(InvalidImport) as caught:
        read(file(text))

    assert caught.value.hint


def test_an_unknown_format_or_file_is_refused(file, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="zep"):
        read(file(CHAT), "zep")
    with pytest.raises(InvalidImport, match="cannot be read"):
        read(tmp_path / "missing.json")


# -- the commands ----------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AGENTMEM_PATH", str(tmp_path / "memory"))
    monkeypatch.setenv("AGENTMEM_EMBEDDER", "hash")
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(w) for w in words], prog_name="agentmem")


def test_import_export_import_on_the_command_line(run, file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump comes in, an export goes out and comes in elsewhere; a dry run changes nothing."""
    dump = file(MEM0)
    assert json.loads(run("import", dump, "--dry-run", "--json").stdout) == {
        "format": "mem0",
        "dry_run": True,
        "items": 2,
    }
    assert not (tmp_path / "memory").exists()
    assert json.loads(run("import", dump, "--json").stdout) == {
        "format": "mem0",
        "dry_run": False,
        "items": 2,
        "stored": 2,
    }

    exported = tmp_path / "ana.jsonl"
    assert json.loads(run("export", exported, "--user", "ana", "--json").stdout)["notes"] == 1
    assert run("export", tmp_path / "all.jsonl").exit_code == 3, "an export of everybody has to be asked for"
    assert json.loads(run("export", tmp_path / "all.jsonl", "--everything", "--json").stdout)["notes"] == 2

    monkeypatch.setenv("AGENTMEM_PATH", str(tmp_path / "other"))
    trial = json.loads(run("import", exported, "--dry-run", "--json").stdout)
    assert (trial["format"], trial["notes"], trial["dry_run"]) == ("agentmem", 1, True)
    assert not (tmp_path / "other").exists()
    assert json.loads(run("import", exported, "--user", "ana", "--json").stdout)["notes"] == 1
    assert json.loads(run("import", exported, "--json").stdout)["skipped"] == 1
    assert "Likes tea" in run("recall", "tea", "-u", "ana").stdout
    assert run("import", tmp_path / "all.jsonl", "--user", "ana").exit_code == 3, "another's notes are refused"
    assert run("import", tmp_path / "missing").exit_code == 3


def test_a_bound_memory_takes_no_one_elses_items(file) -> None:
    with Memory(None, embedder="hash", scope=Scope(user="ana")) as memory:
        with pytest.raises(ScopeError):
            memory.remember_many(read(file(MEM0)).items)
        assert memory.notes() == []


@pytest.mark.parametrize(
    ("shape", "record"), [("mem0", MEM0["results"][0]), ("langgraph", LANGGRAPH[0])], ids=["mem0", "langgraph"]
)
def test_json_lines_may_be_one_line(tmp_path: Path, shape: str, record: dict[str, Any]):
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(record) + "\n")

    assert read(file).shape == shape
    assert len(read(file, shape).items) == 1


def test_a_session_that_comes_in_parts_arrives_whole_and_only_once(file) -> None:
    """Two parts of one session both have a first message, and so have two logs that number their conversations from 1."""
    parts = [
        {"session_id": "s1", "user_id": "ana", "messages": [{"role": "user", "content": "I live in Porto."}]},
        {"session_id": "s1", "user_id": "ana", "messages": [{"role": "user", "content": "My cat is called Tom."}]},
    ]
    with Memory(embedder="hash") as memory:
        for _ in range(2):
            memory.remember_many(read(file(parts)).items)

        assert [n.content for n in memory.notes(user="ana")] == ["I live in Porto.", "My cat is called Tom."]
