"""``agentmem chat``: in a pipe, and on a terminal with somebody who interrupts it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from tests.integration.scripted_server import serving

Run = Callable[..., Any]


def answer(body: dict[str, Any]) -> Any:
    text = str(body["messages"])
    return 400 if "fail now" in text else "Porto." if "Porto" in text else "I see."


@pytest.fixture
def chat(run: Run):
    """Lines into a chat with a scripted server; returns the result."""
    with serving(answer) as server:
        yield lambda *lines, **more: run(
            "chat", "--url", server.url, "--name", "m", "-u", "ana", *more.get("words", ()), input="".join(f"{line}\n" for line in lines)
        )  # fmt: skip


def ids(run: Run) -> dict[str, str]:
    return {note["content"]: note["id"] for note in json.loads(run("notes", "-u", "ana", "--json").stdout)["notes"]}


def test_an_answer_comes_with_what_it_was_drawn_from(run: Run, chat: Run):
    run("remember", "My sister lives in Porto.", "-u", "ana")
    result = chat("Where does my sister live?")

    assert result.exit_code == 0
    assert result.stdout == "Porto.\n"  # the answer alone; the rest is on stderr
    assert "from the notes" in result.stderr
    assert re.search(r"● \w{8} \d{4}-\d\d-\d\d My sister lives in Porto\.", result.stderr)


def test_why_says_which_notes_with_which_reasons_and_what_was_asked_before(run: Run, chat: Run):
    run("remember", "My sister lives in Porto.", "-u", "ana")
    told = chat("Where does my sister live?", "/why")
    data = chat("Where does my sister live?", "/why", words=("--json",))
    why = json.JSONDecoder().raw_decode(data.stdout[data.stdout.index("\n{") + 1 :])[0]

    assert "used" in told.stdout
    assert "semantic" in told.stdout or "text" in told.stdout
    assert "asked before" in told.stdout
    assert why["source"] == "notes"
    assert next(iter(why["reasons"].values()))["semantic"] > 0
    assert why["evidence"][0]["question"] == "Where does my sister live?"


def test_remember_and_recall(run: Run, chat: Run):
    result = chat("/remember I moved to Graz.", "/remember I moved to Linz.", "/recall where do I live")

    assert result.exit_code == 0
    assert "stored" in result.stdout
    assert "closes “I moved to Graz.”" in result.stdout
    assert "Linz" in result.stdout.split("score")[1]
    assert list(ids(run)) == ["I moved to Graz.", "I moved to Linz."]


def test_forget_shows_what_would_go_and_in_a_pipe_wants_it_said(run: Run, chat: Run):
    run("remember", "The code is 4711.", "-u", "ana")
    id = ids(run)["The code is 4711."][-8:]
    asked = chat(f"/forget {id}")

    assert "The code is 4711." in asked.stdout
    assert "/forget --yes" in asked.stderr
    assert len(ids(run)) == 1
    done = chat(f"/forget --yes {id}")
    assert "1 notes forgotten" in done.stdout
    assert ids(run) == {}


def test_an_error_ends_no_conversation_and_is_not_forgotten_at_the_end(run: Run, chat: Run):
    result = chat("fail now", "/dance", "/forget 12345678", "I live in Porto.", "/quit", "never said")

    assert result.stdout.strip() == "Porto."
    assert "ModelError" in result.stderr
    assert "There is no /dance." in result.stderr
    assert "/recall WORDS" in result.stderr
    assert result.exit_code == 3
    assert "never said" not in ids(run)


def test_a_message_may_begin_with_a_slash(run: Run, chat: Run):
    chat("//home is where Porto is")

    assert "/home is where Porto is" in ids(run)


def test_a_session_is_taken_up_and_other_sessions_are_recalled(run: Run, chat: Run):
    run("remember", "My sister lives in Porto.", "-u", "ana", "-s", "monday")
    result = chat("Where does my sister live?", words=("-s", "tuesday"))

    assert result.stdout.strip() == "Porto."
    assert {note["session"] for note in json.loads(run("notes", "-u", "ana", "--json").stdout)["notes"]} == {
        "monday",
        "tuesday",
    }


def test_sleep_without_a_local_model_says_what_it_needs(chat: Run):
    result = chat("/sleep")

    assert "hint" in result.stderr
    assert result.exit_code == 3


def test_sleep_reports_what_was_learnt_and_what_was_not(run: Run, small_model: tuple[Any, Any]):
    result = run("chat", "-u", "ana", input="/remember Ines Varga lives in Porto.\n/sleep\n")

    assert result.exit_code == 0
    assert "0 promoted" in result.stdout
    assert "used 0 times" in result.stdout


# -- on a terminal -------------------------------------------------------------------------------------------


class Silent(AssertionError):
    """What was waited for did not come; says what came."""


class Terminal:
    """A program on a terminal, with somebody who types."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self._mine, theirs = pty.openpty()
        # Who runs the tests in the background has them ignore the key, and what they start; nobody at a terminal does.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
            )
        finally:
            signal.signal(signal.SIGINT, before)
        os.close(theirs)
        self._read = b""
        self.screen = ""

    def until(self, words: str, seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while words not in self.screen:
            if time.monotonic() >= end:
                raise Silent(self.screen)
            if select.select([self._mine], [], [], 0.05)[0]:
                self._read += os.read(self._mine, 65536)  # a character may come in pieces
                self.screen = self._read.decode("utf-8", "replace")

    def types(self, text: str, then: str) -> None:
        self._read, self.screen = b"", ""
        os.write(self._mine, text.encode())
        self.until(then)

    def interrupts(self, then: str) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        self.until(then)

    def interrupts_prompt(self, then: str) -> None:
        """As somebody does who presses the key again: readline sees no signal that comes between the prompt and its wait for keys."""
        for _ in range(12):
            os.killpg(self.process.pid, signal.SIGINT)
            with suppress(Silent):
                return self.until(then, seconds=10.0)
        raise Silent(self.screen)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._mine)


def test_ctrl_c_stops_the_answer_and_not_the_chat(tmp_path: Path):
    """At the prompt it says how to leave; a question of the chat's own can be answered no; an end of input is the end."""
    asked, released = threading.Event(), threading.Event()

    def slow(body: dict[str, Any]) -> Any:
        if "slowly" in body["messages"][-1]["content"]:
            asked.set()
            released.wait(120)
        return "Some \x1b[2Jwords."

    environment = {
        **os.environ,
        "AGENTMEM_PATH": str(tmp_path / "memory"),
        "AGENTMEM_EMBEDDER": "hash",
        "TERM": "dumb",
        "COLUMNS": "120",
    }
    with serving(slow) as server:
        words = [sys.executable, "-m", "agentmem", "chat", "-u", "ana", "--url", server.url, "--name", "m"]
        terminal = Terminal(words, environment)
        try:
            terminal.until("you ›")
            terminal.types("Tell me slowly.\n", "Tell me slowly.")
            assert asked.wait(120)
            terminal.interrupts("stopped")
            terminal.until("stopped\r\nyou ›")
            released.set()
            terminal.types("Tell me now.\n", "prompt tokens\r\n")
            assert "\x1b[2J" not in terminal.screen  # what a model says commands no terminal
            terminal.until("you ›")  # a signal before the prompt would stop the turn instead
            terminal.interrupts_prompt("ends the chat")
            terminal.types("/remember The code is 4711.\n", "stored")
            id = re.findall(r"stored (\w{8})", terminal.screen)[0]
            terminal.types(f"/forget {id}\n", "for good?")
            terminal.types("n\n", "nothing was changed")
            terminal.types(f"/forget {id}\n", "for good?")
            terminal.types("y\n", "nothing left")
            terminal.types("/quit\n", "/quit")
            assert terminal.process.wait(120) == 0
        finally:
            released.set()
            terminal.close()
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        said = [note.content for note in memory.notes(user="ana")]
    assert said[:2] == ["Tell me slowly.", "Tell me now."]
    assert "The code is 4711." not in said
