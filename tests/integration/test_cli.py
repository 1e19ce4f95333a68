"""The command line: exit codes, JSON, errors with a cure, nothing destructive without being asked."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from agentmem import Memory, Scope
from agentmem.integrations.cli.app import app
from agentmem.integrations.cli.forgetting import confirm
from agentmem.notes.rows import EditRow

COMMANDS = (
    "ask chat check consolidate curve demo doctor edits enrich evidence export fade forget graph history import jobs mcp move notes "
    "rebuild recall reflect remember stats status unfade update users verify why-not".split()
)
Run = Callable[..., Any]


@pytest.fixture
def filled(run: Run) -> Run:
    assert run("remember", "My sister lives in Porto.", "I work at Fernwick Labs.", "-u", "ana").exit_code == 0
    return run


def only_id(run: Run) -> str:
    return json.loads(run("notes", "-u", "ana", "--json").stdout)["notes"][0]["id"]


def test_the_commands_are_these():
    registered = sorted(command.name for command in app.registered_commands)

    assert registered == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str):
    result = run(command, "--help")
    documented = result.stdout.splitlines()

    assert result.exit_code == 0
    assert any(line.strip() and "Usage" not in line for line in documented[:5])
    assert "--json" in result.stdout


def test_the_exit_codes_are_documented(run: Run):
    help_text = " ".join(run("--help").stdout.split())

    for part in ("Exit codes: 0 done", "1 nothing found", "2 wrong usage", "3 an error of agentmem", "4 interrupted"):
        assert part in help_text


def test_remember_then_recall(filled: Run):
    result = filled("recall", "where does my sister live?", "-u", "ana")

    assert result.exit_code == 0
    assert "My sister lives in Porto." in result.stdout
    assert "text +" in result.stdout


def test_options_may_stand_before_the_command(filled: Run):
    assert filled("--user", "ana", "--json", "recall", "my sister").exit_code == 0


def test_json_is_stable_and_alone_on_stdout(filled: Run):
    found = json.loads(filled("recall", "sister", "-u", "ana", "--json").stdout)

    assert set(found) == {"query", "hits", "degraded", "warnings"}
    assert set(found["hits"][0]) == {"note", "score", "reasons", "via", "passage", "newer"}
    assert found["hits"][0]["note"]["fact"]["object"] == "Porto"


@pytest.mark.parametrize(
    "words",
    [
        ("remember", "A new note."),
        ("recall", "sister"),
        ("notes",),
        ("graph",),
        ("check",),
        ("stats",),
        ("doctor",),
        ("fade", "--dry-run"),
        ("forget", "--where", '{"actor": {"$exists": false}}', "--dry-run"),
        ("consolidate", "--dry-run"),
        ("edits",),
        ("evidence",),
    ],
    ids=lambda words: words[0],
)
def test_json_of_every_command_is_json(filled: Run, words: tuple[str, ...]):
    result = filled(*words, "-u", "ana", "--json")

    assert result.exit_code in (0, 1)
    assert isinstance(json.loads(result.stdout), dict)


def test_commands_on_one_note(filled: Run):
    id = only_id(filled)
    for words in (("history", id), ("curve", id), ("why-not", "sister", id), ("history", id[-8:])):
        result = filled(*words, "-u", "ana", "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)
    table = filled("curve", id, "-u", "ana").stdout
    assert "strength now" in table


def test_evidence_lists_what_was_asked_and_leaves_when_told_to(filled: Run, tmp_path: Path):
    """Of all notes or of one, as plain text whatever it says; nothing asked is exit code 1."""
    id = only_id(filled)
    assert filled("evidence", "-u", "ana").exit_code == 1
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        for question in ("Where?", "Where is [bold]she[/bold]?"):
            memory.reinforce(id, user="ana", question=question, answer="In Porto.")

    assert "Where is [bold]she[/bold]?" in filled("evidence", id[-8:], "-u", "ana").stdout
    listed = json.loads(filled("evidence", "-n", "1", "-u", "ana", "--json").stdout)["evidence"]
    assert [(e["question"], e["answer"], e["notes"], e["times"]) for e in listed] == [
        ("Where is [bold]she[/bold]?", "In Porto.", [id], 1)
    ]
    for options, count in (((), 0), (("--evidence",), 2)):
        assert filled("export", tmp_path / "ana.jsonl", "-u", "ana", *options).exit_code == 0
        made = filled("import", tmp_path / "ana.jsonl", "--json", "--path", tmp_path / f"copy{count}")
        assert json.loads(made.stdout)["evidence"] == count


def test_a_newer_statement_is_shown_as_superseding(filled: Run):
    result = filled("remember", "My sister lives in Bergen now.", "-u", "ana")

    assert "superseded" in result.stdout
    assert "closes" in result.stdout


def test_remember_reads_lines_files_and_mappings(run: Run, tmp_path: Path):
    lines = tmp_path / "notes.txt"
    lines.write_text("Lena lives in Porto.\n\nTomas plays the cello.\n")
    rows = tmp_path / "notes.jsonl"
    rows.write_text('{"content": "Ida likes tea.", "source": "import"}\n{"role": "user", "content": "I like rain."}\n')

    assert len(json.loads(run("remember", "--file", lines, "--json").stdout)["receipts"]) == 2
    assert len(json.loads(run("remember", "--file", rows, "--json").stdout)["receipts"]) == 2
    assert len(json.loads(run("remember", "-", "--json", input="One thing.\nAnother thing.\n").stdout)["receipts"]) == 2
    assert len(json.loads(run("notes", "--json").stdout)["notes"]) == 6


def test_every_message_of_a_list_has_its_receipt(run: Run, tmp_path: Path):
    rows = tmp_path / "chats.jsonl"
    rows.write_text(
        '[{"role": "user", "content": "I live in Porto."}, {"role": "assistant", "content": "A fine town."}]\n'
    )

    shown = run("remember", "--file", rows, "-u", "ana")
    again = json.loads(run("remember", "--file", rows, "-u", "ben", "--json").stdout)["receipts"]

    assert shown.exit_code == 0
    assert "I live in Porto." in shown.stdout
    assert "A fine town." in shown.stdout
    assert [r["status"] for r in again] == ["stored", "stored"]


def test_a_mapping_that_names_its_user_may_close_an_older_note(run: Run, tmp_path: Path):
    rows = tmp_path / "notes.jsonl"
    rows.write_text('{"content": "My sister lives in Porto.", "user": "ana"}\n')
    run("remember", "--file", rows)
    rows.write_text('{"content": "My sister lives in Bergen now.", "user": "ana"}\n')
    result = run("remember", "--file", rows)

    assert result.exit_code == 0
    assert "closes" in result.stdout


def test_a_line_ends_at_a_line_feed_alone_and_a_byte_order_mark_is_no_text(run: Run, tmp_path: Path):
    rows, lines = tmp_path / "notes.jsonl", tmp_path / "notes.txt"
    rows.write_text('\ufeff{"content": "one\u2028note\x85only"}\n', encoding="utf-8")
    lines.write_bytes("\ufeffLena lives\u2028in Porto.\r\nTomas plays the cello.\r\n".encode())
    for file in (rows, lines):
        assert run("remember", "--file", file).exit_code == 0
    assert run("remember", "-", input="Ida likes\x0ctea.\n").exit_code == 0

    said = [n["content"] for n in json.loads(run("notes", "--json").stdout)["notes"]]
    assert said == ["one\u2028note\x85only", "Lena lives\u2028in Porto.", "Tomas plays the cello.", "Ida likes\x0ctea."]


def test_a_fact_source_trust_and_tags_are_kept(run: Run):
    words = ("--fact", "Lena", "lives in", "Porto", "--tag", "family", "--trust", "low", "--at", "2026-03-01")
    run("remember", "Lena moved.", *words)
    note = json.loads(run("notes", "--json").stdout)["notes"][0]

    assert note["fact"]["relation"] == "lives in"
    assert note["tags"][0] == "family"
    assert note["trust"] == 0.2
    assert note["occurred_at"].startswith("2026-03-01")


# -- exit codes ----------------------------------------------------------------------------------------------


def test_recall_turns_pages_and_leaves_out_what_scores_less(filled: Run):
    def hits(*words: object) -> list[Any]:
        return json.loads(run_json("recall", "my sister", "-u", "ana", "--json", *words).stdout)["hits"]

    run_json = filled
    both = hits("--score", "cosine")

    assert [hit["note"]["content"] for hit in hits("-k", 1, "--offset", 1)] == ["I work at Fernwick Labs."]
    assert hits("--score", "cosine", "--min-score", both[0]["score"]) == both[:1]
    assert filled("recall", "x", "-u", "ana", "--score", "dot").exit_code == 2
    assert len(hits("-k", "all")) >= 1
    assert filled("recall", "x", "-u", "ana", "-k", "every").exit_code == 2


def test_equal_words_and_facts_are_kept_apart_when_asked(filled: Run):
    result = filled("remember", "My sister lives in Porto.", "--no-merge", "--no-facts", "-u", "ana", "--json")
    notes = json.loads(filled("notes", "-u", "ana", "--json").stdout)["notes"]

    assert json.loads(result.stdout)["receipts"][0]["status"] == "stored"
    assert [note["fact"] is None for note in notes] == [False, False, True]


def test_users_are_listed(filled: Run):
    filled("remember", "The office opens at nine.")

    found = json.loads(filled("users", "--json").stdout)["users"]
    assert found == [{"user": None, "agent": None}, {"user": "ana", "agent": None}]
    assert "shared" in filled("users").stdout


def test_nothing_found_is_1(run: Run):
    run("remember", "Lena lives in Porto.")

    assert run("notes", "--where", '{"actor": "nobody"}').exit_code == 1
    assert run("edits", "-u", "ana").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("recall",),
        ("recall", ""),
        ("recall", "x", "-k", "0"),
        ("recall", "x", "--where", "{not json"),
        ("recall", "x", "--where", '{"nonsense": 1}'),
        ("recall", "x", "--as-of", "yesterday"),
        ("consolidate", "--watch", "nan"),
        ("remember",),
        ("remember", "x", "--trust", "maybe"),
        ("remember", "--file", "missing.txt"),
        ("forget",),
        ("forget", "--where", "{}"),
        ("rebuild", "everything"),
        ("nonsense",),
        ("notes", "--limit", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(run: Run, words: tuple[str, ...]):
    run("remember", "Lena lives in Porto.")

    assert run(*words).exit_code == 2


def test_a_typed_error_is_3_with_its_cure_on_stderr(filled: Run):
    result = filled("recall", "sister")

    assert result.exit_code == 3
    assert result.stdout == ""
    assert "ScopeRequired" in result.stderr
    assert "--user" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_curve_beyond_the_calendar_is_wrong_usage(filled: Run):
    for days in ("3000000", "1000000000"):
        assert filled("curve", only_id(filled), "--days", days, "-u", "ana").exit_code == 2


def test_input_that_is_no_text_is_wrong_usage(run: Run):
    result = run("remember", "-", input=b"caf\xe9\n")

    assert result.exit_code == 2
    assert "iconv" in result.stderr


def test_a_typed_error_is_json_under_json(run: Run):
    result = run("recall", "sister", "--json")
    error = json.loads(result.stderr)["error"]

    assert result.exit_code == 3
    assert result.stdout == ""
    assert error["type"] == "StoreError"
    assert "agentmem remember" in error["hint"]


def test_files_and_folders_that_cannot_be_used_are_typed_errors(filled: Run, tmp_path: Path):
    file, id = tmp_path / "a-file", only_id(filled)
    file.write_text("x")
    long = tmp_path / ("long" * 100)
    for words in (
        ("graph", file / "x.png"), ("graph", "--html", file / "x.html"), ("graph", "--graphml", file / "x.graphml"),
        ("curve", id, file / "x.svg"), ("recall", "Porto", "-p", long), ("remember", "Porto.", "-p", long), ("import", long),
    ):  # fmt: skip
        result = filled(*words, "-u", "ana")

        assert result.exit_code == 3, (words, result.exception)
        assert "hint:" in result.stderr
    assert filled("graph", "--html", tmp_path, "-u", "ana").exit_code == 2
    assert filled("doctor", "-p", long).exit_code == 0


def test_a_report_is_written_into_a_new_folder(filled: Run, tmp_path: Path):
    page = tmp_path / "reports" / "night.html"

    assert filled("consolidate", "--dry-run", "--html", page, "-u", "ana").exit_code == 0
    assert page.read_text(encoding="utf-8").startswith("<!")


def test_each_owner_is_consolidated_in_a_turn_of_his_own(run: Run, tmp_path: Path):
    """Two users, two commits, one report."""
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        for user in ("ana", "ben"):
            memory.remember("Ida Sandberg plays the harp.", user=user)
            memory.reinforce(memory.recall("What does Ida Sandberg play?", user=user, k=1)[0], user=user)

    report = json.loads(run("consolidate", "--each-owner", "--json").stdout)

    assert len(report["promoted"]) == 2, report
    assert [line["promoted"] for line in json.loads(run("jobs", "list", "--json").stdout)["jobs"]] == [1, 1]


def test_reading_does_not_make_a_memory(run: Run, tmp_path: Path):
    run("notes")

    assert not (tmp_path / "memory").exists()


def test_interruption_is_4(run: Run, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    run("remember", "Lena lives in Porto.")
    monkeypatch.setattr(Memory, "recall", interrupted)

    assert run("recall", "Lena").exit_code == 4


# -- destructive commands ------------------------------------------------------------------------------------


def test_ctrl_c_at_the_question_is_an_interruption(monkeypatch: pytest.MonkeyPatch):
    class Interrupted(io.StringIO):
        def readline(self, *args: Any) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupted())

    with pytest.raises(typer.Abort):
        confirm("Forget all?", False)


def test_forget_asks(filled: Run):
    id = only_id(filled)

    assert filled("forget", id, "-u", "ana", input="n\n").exit_code == 4
    assert filled("forget", id, "-u", "ana", input="").exit_code == 2
    assert len(json.loads(filled("notes", "-u", "ana", "--json").stdout)["notes"]) == 2
    assert filled("forget", id, "-u", "ana", input="y\n").exit_code == 0
    assert len(json.loads(filled("notes", "-u", "ana", "--json").stdout)["notes"]) == 1


def test_forget_shows_what_it_removed_and_that_it_is_gone(filled: Run):
    result = filled("forget", only_id(filled)[-8:], "-u", "ana", "--yes", "--json")
    receipt = json.loads(result.stdout)

    assert result.exit_code == 0
    assert receipt["gone"] is True
    assert receipt["places"]["notes"] == 1
    assert all(receipt["probes"].values())


def test_a_dry_run_changes_nothing(filled: Run):
    result = filled("forget", "--where", '{"user": "ana"}', "-u", "ana", "--dry-run")

    assert result.exit_code == 0
    assert "dry run: 2 notes" in result.stdout
    assert len(json.loads(filled("notes", "-u", "ana", "--json").stdout)["notes"]) == 2


def test_a_filter_spares_what_everybody_sees_and_a_dry_run_says_whose_each_note_is(filled: Run):
    assert filled("remember", "The office is closed on Fridays.").exit_code == 0
    every = ("--where", '{"kind": {"$exists": true}}', "-u", "ana")

    planned = filled("forget", *every, "--dry-run")
    wider = json.loads(filled("forget", *every, "--shared", "--dry-run", "--json").stdout)
    gone = json.loads(filled("forget", *every, "--yes", "--json").stdout)
    left = json.loads(filled("notes", "-u", "ben", "--json").stdout)["notes"]

    assert "ana   My sister lives in Porto." in planned.stdout
    assert "office" not in planned.stdout
    assert "--shared" in planned.stderr
    assert sorted(str(note["user"]) for note in wider["notes"]) == ["None", "ana", "ana"]
    assert len(gone["ids"]) == 2
    assert [note["content"] for note in left] == ["The office is closed on Fridays."]


def test_a_list_says_whose_a_note_is_where_that_may_differ(filled: Run, run: Run, tmp_path: Path):
    filled("remember", "The office is closed on Fridays.")
    run("--path", tmp_path / "alone", "remember", "The office is closed on Fridays.")

    assert " shared " in filled("notes", "-u", "ana").stdout
    assert "shared" not in run("--path", tmp_path / "alone", "notes").stdout


def test_a_note_is_corrected_by_the_end_of_its_id(filled: Run):
    id, new = only_id(filled), "My sister lives in Faro."
    done = json.loads(filled("update", id[-8:], new, "--tag", "home", "-u", "ana", "--json").stdout)
    note = json.loads(filled("notes", "-u", "ana", "--json").stdout)["notes"][0]
    versions = json.loads(filled("history", id, "-u", "ana", "--json").stdout)["versions"]

    assert done["id"] == note["id"] == id
    assert note["fact"]["object"] == "Faro"
    assert "home" in note["tags"]
    assert [version["content"] for version in versions] == ["My sister lives in Porto.", new]
    assert filled("update", id, "-u", "ana").exit_code == 2
    assert filled("update", id, "words", "-u", "ben").exit_code == 3


@pytest.mark.parametrize("delivered", [True, False])
def test_what_a_forgetting_could_not_finish_is_said_with_the_next_step(filled: Run, tmp_path: Path, delivered: bool):
    """Another process has the vector index: nobody is told that a note is still there, nor to wait where nothing waits."""
    path, environment = tmp_path / "memory", {**os.environ, "COLUMNS": "200", "AGENTMEM_EMBEDDER": "hash"}

    def other(*words: str) -> Any:
        line = [sys.executable, "-m", "agentmem", "-p", path, *words]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, env=environment)

    with Memory(path, embedder="hash") as owner:
        owner.remember("Ben lives in Rome.", user="ben")
        if delivered:
            owner.flush()
        gone = other("-u", "ana", "forget", only_id(filled), "-y")
        looked = other("verify", "--deep")
    finished = filled("verify", "--deep")

    assert gone.returncode == looked.returncode == (1 if delivered else 0)
    assert "STILL THERE" not in gone.stdout
    assert ("bytes wait" in gone.stdout) is delivered
    assert ("agentmem verify --deep" in gone.stderr) is delivered
    assert ("the process that owns the vector index" in gone.stderr) is delivered
    assert "not in use" not in looked.stdout
    assert ("the process that owns the vector index" in looked.stdout) is delivered
    assert finished.exit_code == 0


def test_an_id_of_another_user_is_unknown(filled: Run):
    assert filled("forget", only_id(filled), "-u", "ben", "--yes").exit_code == 3


# -- pictures and pipes --------------------------------------------------------------------------------------


def test_pictures_are_drawn(filled: Run, tmp_path: Path):
    pytest.importorskip("matplotlib")
    graph, curve, xml = tmp_path / "graph.png", tmp_path / "curve.svg", tmp_path / "graph.graphml"

    assert filled("graph", graph, "-u", "ana").exit_code == 0
    assert filled("graph", xml, "-u", "ana").exit_code == 0
    assert filled("curve", only_id(filled), curve, "-u", "ana").exit_code == 0
    assert graph.read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in curve.read_text()
    assert "graphml" in xml.read_text()


def test_a_graph_is_written_as_a_page_and_for_other_programs(filled: Run, tmp_path: Path):
    page, xml = tmp_path / "new" / "graph.html", tmp_path / "new" / "graph.graphml"
    result = filled("graph", "--html", page, "--graphml", xml, "-u", "ana", "--json")

    assert json.loads(result.stdout)["files"] == [str(page), str(xml)]
    assert "My sister lives in Porto." in page.read_text()
    assert "My sister lives in Porto." in xml.read_text()


def test_why_two_notes_are_connected(filled: Run):
    """Told with the reason; exit code 1 when nothing connects them."""
    filled("remember", "Porto has six bridges.", "-u", "ana")
    ids = [note["id"] for note in json.loads(filled("notes", "-u", "ana", "--json").stdout)["notes"]]

    told = filled("graph", "--why", ids[0], ids[2][-8:], "-u", "ana")
    apart = filled("graph", "--why", ids[0], ids[1], "-u", "ana", "--json")

    assert told.exit_code == 0
    assert "both mention “porto”" in told.stdout
    assert apart.exit_code == 1
    assert json.loads(apart.stdout)["steps"] == []


def test_faded_notes_are_taken_back(filled: Run):
    """unfade says how many were archived; an unknown id is an error with a cure."""
    note = only_id(filled)

    assert "0 notes are active again" in filled("unfade", note[-8:], "-u", "ana").stdout
    assert json.loads(filled("unfade", note, "-u", "ana", "--json").stdout) == {"unfaded": []}
    assert filled("unfade", "nothing", "-u", "ana").exit_code == 3


def test_notes_cannot_write_terminal_codes_or_markup(run: Run):
    run("remember", "[bold red]Lena[/] lives \x1b[31min Porto.")
    shown = run("notes").stdout

    assert "\x1b" not in shown
    assert "[bold red]Lena[/]" in shown


def test_a_narrow_terminal_still_shows_everything(filled: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "48")
    shown = filled("notes", "-u", "ana").stdout

    assert max(map(len, shown.splitlines())) <= 48
    assert "Porto" in shown


def test_chat_in_a_pipe_with_a_server_that_is_not_there(run: Run):
    result = run("chat", "--url", "http://127.0.0.1:9/v1", "--name", "none", "-u", "ana", input="I live in Porto.\n")

    assert result.exit_code == 3
    kept = json.loads(run("notes", "-u", "ana", "--json").stdout)["notes"]
    assert [note["content"] for note in kept] == ["I live in Porto."]


def test_chat_and_ask_on_the_shipped_model(run: Run, small_model: tuple):
    told = run("chat", "-u", "ana", "--session", "s", input="I live in Lisbon.\n/quit\n")
    answer = run("ask", "Where do I live?", "-u", "ana", "--json")

    assert told.exit_code == 0
    assert json.loads(answer.stdout)["text"] == "Lisbon."
    assert json.loads(answer.stdout)["source"] == "notes"


@pytest.mark.parametrize("words", [("chat",), ("ask", "Where do I live?")], ids=lambda words: words[0])
def test_every_answer_is_json_when_asked_for(filled: Run, small_model: tuple, words: tuple[str, ...]):
    """Also those of a conversation, one object after the other, with what is known of each."""
    decoder, rest, found = (
        json.JSONDecoder(),
        filled(*words, "-u", "ana", "--json", input="I work at Fernwick Labs.\nWhere do I live?\n").stdout,
        [],
    )
    while rest.strip():
        value, end = decoder.raw_decode(rest.lstrip())
        found.append(value)
        rest = rest.lstrip()[end:]

    assert len(found) == (2 if words == ("chat",) else 1)
    assert all({"text", "source", "notes", "used", "warnings", "degraded"} <= value.keys() for value in found)


def test_a_query_may_come_from_stdin(filled: Run, small_model: tuple):
    typed, piped = (
        filled("recall", *words, "-u", "ana", "--json", input="where is my sister\n")
        for words in (["where is my sister"], ["-"])
    )
    nothing = filled("recall", "-", "-u", "ana", input="  \n")
    answer = filled("ask", "-", "-u", "ana", "--json", input="Where do I work?\n")
    why = filled("why-not", "-", only_id(filled), "-u", "ana", input="where is my sister")

    hits = [[hit["note"]["id"] for hit in json.loads(result.stdout)["hits"]] for result in (piped, typed)]
    assert hits[0] == hits[1] != []
    assert json.loads(piped.stdout)["query"] == "where is my sister"
    assert nothing.exit_code == 2
    assert (answer.exit_code, why.exit_code) == (0, 0)


@pytest.mark.parametrize(
    "words",
    [("fade", "--dry-run"), ("fade", "-y"), ("notes", "--where", '{"actor": "bob"}'), ("edits",), ("jobs",)],
    ids=" ".join,
)
def test_where_there_is_nothing_a_sentence_says_so(filled: Run, words: tuple[str, ...]):
    """No head of a table without a row."""
    shown = filled(*words, "-u", "ana").stdout.strip()

    assert len(shown.splitlines()) == 1
    assert any(word in shown for word in ("nothing", "0 "))
    if words[0] == "fade":
        assert "2 kept" in shown


def test_a_model_that_is_not_there_or_cannot_run_there_is_said(filled: Run):
    for words in (("--model", "nonexistent/model"), ("--device", "the kitchen"), ("--dtype", "float17")):
        asked = filled("ask", "Where do I live?", "-u", "ana", *words, "--json")
        chatted = filled("chat", "-u", "ana", *words, "--json", input="Hello.\n")

        assert {asked.exit_code, chatted.exit_code} <= {2, 3}
        assert json.loads(asked.stderr)["error"]["hint"]
    plain = filled(
        "ask", "Where do I live?", "-u", "ana", "--device", "cpu", "--dtype", "bfloat16", "--plain", "--max-tokens", "2"
    )
    assert plain.exit_code == 0, plain.output


# -- real processes ------------------------------------------------------------------------------------------


def process(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    code = "from agentmem.integrations.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **env},
    )


def test_a_process_remembers_and_another_recalls(tmp_path: Path):
    env = {"AGENTMEM_PATH": str(tmp_path / "m"), "AGENTMEM_EMBEDDER": "hash", "COLUMNS": "100", "NO_COLOR": "1"}
    stored = process("remember", "My sister lives in Porto.", "--user", "ana", **env)
    found = process("recall", "my sister", "--user", "ana", **env)
    denied = process("recall", "my sister", "--json", **env)

    assert stored.returncode == 0, stored.stderr
    assert "Porto" in found.stdout
    assert "\x1b" not in found.stdout
    assert (denied.returncode, denied.stdout) == (3, "")
    assert json.loads(denied.stderr)["error"]["type"] == "ScopeRequired"
    with Memory(tmp_path / "m", embedder="hash", scope=Scope(user="ana")) as memory:
        assert len(memory.notes()) == 1


def test_a_terminal_that_is_not_unicode_gets_what_it_can_show(tmp_path: Path):
    env = {"AGENTMEM_PATH": str(tmp_path / "m"), "AGENTMEM_EMBEDDER": "hash", "PYTHONIOENCODING": "ascii"}
    shown = process("remember", "Zoë → Porto.", "--user", "ana", **env)
    helped = process("--help", **env)
    listed = process("notes", "--user", "ana", "--json", **env)

    assert (shown.returncode, helped.returncode) == (0, 0), shown.stderr + helped.stderr
    assert "Zo? ? Porto." in shown.stdout
    assert json.loads(listed.stdout)["notes"][0]["content"] == "Zoë → Porto."


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom agentmem.integrations.cli.app import app\n"
        "heavy = {'torch', 'transformers', 'chromadb', 'matplotlib', 'networkx', 'numpy'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


def test_jobs_undo_takes_the_last_run_out_of_the_weights(run: Run, tmp_path: Path):
    """Without a model: a dry run names the edits, the real one removes them, a second one says that nothing is left."""
    assert run("jobs", "undo").exit_code != 0
    assert run("remember", "My sister lives in Porto.", "-u", "ana").exit_code == 0
    note = only_id(run)
    with Memory(tmp_path / "memory", embedder="hash") as memory, memory._parts.core.store.write() as tx:
        owner = tx.notes.owner(Scope(user="ana"))
        assert owner is not None
        asked = {"prompt": "Where does my sister live?", "target": "Porto.", "user": "ana"}
        tx.ledger.put_edit(EditRow("e1", note, owner, "grace", "active", 1, asked, "", 1))
        tx.ledger.append(1, "promoted", note_id=note, edit_id="e1")
        tx.ledger.append(1, "consolidated", details={"promoted": 1, "failed": 0, "demoted": 0, "pack": None})

    planned = json.loads(run("jobs", "undo", "--dry-run", "--json").stdout)
    assert (planned["edits"], planned["notes"], planned["dry_run"]) == (["e1"], [note], True)
    done = run("jobs", "undo")
    assert (done.exit_code, "1 edit of the consolidation" in " ".join(done.stdout.split())) == (0, True)
    assert run("edits", "-u", "ana").exit_code == 1
    again = run("jobs", "undo")
    assert again.exit_code != 0
    assert "no consolidation to undo" in " ".join(again.output.split())
    assert run("jobs", "list", "--dry-run").exit_code != 0
    assert only_id(run) == note


def test_a_watch_goes_on_when_another_worker_consolidates(filled: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One lease for both: the second says so and tries again, until it is interrupted."""
    slept: list[float] = []
    with Memory(tmp_path / "memory", embedder="hash") as other:
        store = other._parts.core.store
        with store.write() as tx:
            assert tx.ledger.lease("consolidate", "another machine:1:a", 0, 1 << 60)

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) > 1:
                raise SystemExit(0)
            with store.write() as tx:
                tx.ledger.release("consolidate", "another machine:1:a")

        monkeypatch.setattr("agentmem.integrations.cli.weights.time.sleep", sleep)
        once = filled("consolidate", "-u", "ana")
        watched = filled("consolidate", "-u", "ana", "--watch", "15")

    assert (once.exit_code != 0, "Another consolidation" in once.stderr) == (True, True)
    assert (watched.exit_code, slept) == (0, [900, 900])
    assert "Again in 15 minutes" in watched.stderr
    assert "promoted" in watched.stdout


def test_of_a_long_note_recall_shows_the_passage_that_was_asked_for(run: Run):
    detail, chatter = (
        "Marta keeps her spare key under the blue flowerpot.",
        "Nobody knew why the lift of the office had stopped again. ",
    )
    run("remember", 12 * chatter + detail)
    shown = run("recall", "Where is Marta's spare key?").stdout
    hit = json.loads(run("recall", "Where is Marta's spare key?", "--json").stdout)["hits"][0]

    assert "blue flowerpot" in " ".join(shown.split())
    assert shown.count("lift") < 8
    assert detail in hit["passage"]
    assert hit["note"]["content"] == 12 * chatter + detail


def test_an_export_may_go_down_a_pipe(tmp_path: Path):
    """To the standard output, whole, with what is said of it beside; no file is called "-"."""
    command = [sys.executable, "-m", "agentmem", "--path", "m"]
    environment = {**os.environ, "AGENTMEM_EMBEDDER": "hash"}
    with Memory(tmp_path / "m", embedder="hash") as memory:
        memory.remember("Ana lives in Porto.", user="ana")

    done = subprocess.run(
        [*command, "export", "-", "--user", "ana"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )

    (tmp_path / "ana.jsonl").write_bytes(done.stdout)
    assert b"1 notes" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if not path.is_dir()) == ["ana.jsonl"]
    with Memory(None, embedder="hash") as memory:
        assert memory.load_export(tmp_path / "ana.jsonl", user="ana").notes == 1


@pytest.mark.parametrize("place", ["POSTGRESQL://ana:s3cret@127.0.0.1:1/db", "redis://:s3cret@127.0.0.1/0"])
def test_an_address_makes_no_directory_with_its_password(tmp_path: Path, place: str):
    """Whatever its letters' case, and whatever it is of."""
    command = [sys.executable, "-m", "agentmem", "--path", place, "remember", "Ana lives in Porto.", "--user", "ana"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
