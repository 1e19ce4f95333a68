"""The command ``chat``: a conversation with a model that remembers, and what can be done with the memory in it."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from agentmem.errors import AgentMemError, InvalidArgument, UnknownNote
from agentmem.integrations import values
from agentmem.integrations.cli import render, weights
from agentmem.integrations.cli.asking import origin
from agentmem.integrations.cli.forgetting import forgotten
from agentmem.integrations.cli.notes import reasons
from agentmem.integrations.cli.place import Local, Place, at_place, find

if TYPE_CHECKING:
    from agentmem.integrations.chat import ChatAgent, Reply
    from agentmem.notes.note import Note

__all__ = ["add_to"]

_FAILED = 3
_SHOWN = 5
_YES = "--yes"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("chat", rich_help_panel="Answers")(at_place(chat))


def chat(
    place: Place,
    local: Local,
    url: Annotated[
        str | None, typer.Option(help="Base URL of an OpenAI-compatible server, used instead of a local model.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name on that server.")] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told first.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many notes are recalled per turn.")] = 5,
    why: Annotated[bool, typer.Option(help="Say under each answer where it came from.")] = True,
) -> None:
    """Talk with a model that remembers. Reads lines from stdin, so it works in a pipe as well.

    In it: /why explains the last answer · /remember TEXT · /recall WORDS · /forget ID · /sleep learns by heart · /help · /quit
    """
    from agentmem.integrations.chat import ChatAgent

    if url is not None and not url.startswith(("http://", "https://")):
        raise InvalidArgument(f"{url!r} is no URL.", hint="e.g. --url http://127.0.0.1:8000/v1 --name my-model")
    # The conversation is one session; what is recalled in it may be of any.
    with replace(place, session=None).memory(make=True, local=None if url else local) as memory:
        agent = ChatAgent(url, memory, session=place.session, model_name=name, system=system, k=k)
        talk = _Talk(agent, place, typed=sys.stdin.isatty(), why=why)
        talk.run()
    if talk.failed and not talk.typed:
        raise typer.Exit(_FAILED)


class _Talk:
    """One conversation: ``typed`` by somebody who can be asked, or read from a pipe."""

    def __init__(self, agent: ChatAgent, place: Place, *, typed: bool, why: bool) -> None:
        self.agent, self.memory, self.place = agent, agent.memory, place
        self.typed, self.why, self.failed = typed, why, False
        self._commands: Mapping[str, tuple[Callable[[str], None], str, str]] = {
            "/why": (self._why, "", "where the last answer came from"),
            "/remember": (self._remember, "TEXT", "keep something"),
            "/recall": (self._recall, "WORDS", "what is known of something"),
            "/forget": (self._forget, "ID", "delete notes for good; shows them first"),
            "/sleep": (self._sleep, "", "learn by heart what is often asked for"),
            "/help": (self._help, "", "this"),
            "/quit": (self._help, "", "the end, as is Ctrl-D"),
        }

    def run(self) -> None:
        """Every line in its turn, until the end."""
        if self.typed:
            self._greet()
        for line in self._lines():
            if line in ("/quit", "/exit"):
                break
            try:
                self._turn(line)
            except AgentMemError as error:
                # One failed turn does not end a conversation.
                self.failed = True
                render.error(error, as_json=self.place.json)
            except (KeyboardInterrupt, typer.Abort):
                if not self.typed:
                    raise
                sys.stdout.write("\n")
                render.notice("stopped")

    def _greet(self) -> None:
        known, turns = len(self.memory.edits()), len(self.agent.turns)
        begun = f", {turns} turns so far" if turns else ""
        whose = f" with {self.place.user}" if self.place.user else ""
        render.notice(f"session {self.agent.session}{whose}{begun}; {known} facts known by heart. /help says what else there is.")  # fmt: skip

    def _lines(self) -> Iterator[str]:
        """What the user says, until the end of the input; Ctrl-C at the prompt only clears it."""
        if self.typed:
            _edited()
        while True:
            try:
                line = input("you › ") if self.typed else sys.stdin.readline()
            except EOFError:
                sys.stdout.write("\n")
                return
            except KeyboardInterrupt:
                if not self.typed:
                    raise
                sys.stdout.write("\n")
                render.notice("/quit, or Ctrl-D, ends the chat")
                continue
            if not line and not self.typed:
                return
            if line.strip():
                yield line.strip()

    def _turn(self, line: str) -> None:
        if line.startswith("/") and not line.startswith("//"):
            verb, _, rest = line.partition(" ")
            known = self._commands.get("/why" if verb == "/notes" else verb)
            if known is None:
                raise InvalidArgument(
                    f"There is no {verb}.", hint="/help lists what there is; // begins a message with /."
                )
            known[0](rest.strip())
            return
        self._say(line.removeprefix("/") if line.startswith("//") else line)

    # -- talking ---------------------------------------------------------------------------------------------

    def _say(self, line: str) -> None:
        if self.place.json:
            reply = self.agent.chat(line)
            render.data({**values.answer_dict(reply), "receipts": [values.receipt_dict(r) for r in reply.receipts]})
            return
        on_screen = sys.stdout.isatty()
        with closing(self.agent.stream(line)) as pieces:
            for piece in pieces:
                sys.stdout.write(_harmless(piece) if on_screen else piece)
                sys.stdout.flush()
        sys.stdout.write("\n")
        sys.stdout.flush()
        if self.why and self.agent.last is not None:
            self._after(self.agent.last)

    def _after(self, reply: Reply) -> None:
        """Under an answer: what it was drawn from, one line each."""
        from rich.text import Text

        out = render.console(stderr=True)
        became = [f"“{r.status}”: {r.reason}" for r in reply.receipts if r.reason and r.status != "stored"]
        out.print(Text("  " + "; ".join([origin(reply), *became, *reply.warnings]), style="dim"))
        held = {edit.id: edit for edit in self.memory.edits()} if reply.edits else {}
        for id in reply.edits:
            if id in held:
                said = f"  by heart {render.short(id)}: {held[id].prompt} → {held[id].target}"
                out.print(Text(_one_line(said), style="green dim"), no_wrap=True, overflow="ellipsis")
        for note in (reply.used or reply.notes)[:_SHOWN]:
            mark = "●" if note in reply.used else "○"
            said = f"  {mark} {render.short(note.id)} {note.occurred_at:%Y-%m-%d} {note.content}"
            out.print(Text(_one_line(said), style="dim"), no_wrap=True, overflow="ellipsis")

    # -- commands --------------------------------------------------------------------------------------------

    def _why(self, _: str) -> None:
        reply = self.agent.last
        if reply is None:
            raise InvalidArgument("Nothing was answered yet.", hint="ask something first.")
        hits = {
            hit.note.id: hit for part in reply.parts for hit in self.memory.recall(part.question, k=4 * self.agent.k)
        }
        known = {edit.id: edit for edit in self.memory.edits()}
        edits = [(route, known.get(route.edit_id)) for route in reply.routes if route.edit_id]
        drawn_from = dict.fromkeys(
            [*(note.id for note in reply.used), *(route.note_id for route, _ in edits if route.note_id)]
        )
        asked = [each for id in drawn_from for each in self.memory.evidence(id)]
        if self.place.json:
            render.data({
                **values.answer_dict(reply), "parts": [values.part_dict(part) for part in reply.parts],
                "reasons": {note.id: dict(hits[note.id].reasons) for note in reply.notes if note.id in hits},
                "routes": [{"edit": r.edit_id, "note": r.note_id, "distance": r.distance, "radius": r.radius} for r, _ in edits],
                "evidence": [values.evidence_dict(each) for each in asked],
            })  # fmt: skip
            return
        render.say(origin(reply))
        if reply.notes:
            rows = [
                (render.short(n.id), f"{n.occurred_at:%Y-%m-%d}", "used" if n in reply.used else "shown", reasons(hits[n.id].reasons) if n.id in hits else "", n.content)
                for n in reply.notes
            ]  # fmt: skip
            render.say(
                render.table(("id", "when", "", "because of", "note"), rows, styles={"id": "dim", "when": "dim"})
            )
        if edits:
            shown = [
                (render.short(r.edit_id), render.short(r.note_id), f"{r.distance:.3f} of {r.radius:.3f}", e.target if e else "", e.prompt if e else "")
                for r, e in edits
            ]  # fmt: skip
            render.say(render.table(("edit", "note", "distance", "answer", "question"), shown, title="By heart"))
        for part in reply.parts:
            if part.source == "none":
                render.say(_one_line(f"{part.question}: {part.why or 'untold'}"))
        if asked:
            drawn = [(f"{e.at:%Y-%m-%d}", e.times, e.answer, e.question) for e in asked[:_SHOWN]]
            render.say(render.table(("last", "times", "answer", "asked before"), drawn, right=("times",)))

    def _remember(self, text: str) -> None:
        if not text:
            raise InvalidArgument("There is nothing to remember.", hint="/remember My sister lives in Porto.")
        receipt = self.memory.remember({"role": "user", "content": text})
        if self.place.json:
            render.data(values.receipt_dict(receipt))
            return
        closed = [f"closes “{self.memory.get(id).content}”" for id in receipt.superseded]
        render.say(
            _one_line(
                "; ".join([f"{receipt.status} {render.short(receipt.id)}", *filter(None, [receipt.reason]), *closed])
            )
        )

    def _recall(self, words: str) -> None:
        if not words:
            raise InvalidArgument("There is nothing to look for.", hint="/recall where my sister lives")
        found = self.memory.recall(words, k=self.agent.k)
        if self.place.json:
            render.data(values.recollection_dict(found))
            return
        rows = [
            (f"{hit.score:.2f}", render.short(hit.note.id), f"{hit.note.occurred_at:%Y-%m-%d}", reasons(hit.reasons), hit.passage or hit.note.content)
            for hit in found
        ]  # fmt: skip
        columns = ("score", "id", "when", "because of", "note")
        render.say(
            render.table(columns, rows, title="" if rows else "nothing found", styles={"id": "dim", "when": "dim"})
        )

    def _forget(self, what: str) -> None:
        """Show what would go, and let it go when somebody agrees; in a pipe, that is said beforehand."""
        sure, ids = _YES in what.split(), [word for word in what.split() if word != _YES]
        if not ids:
            raise InvalidArgument("Say what to forget.", hint="/forget 1a2b3c4d; /why and /recall show ids.")
        notes = [self._found(id) for id in ids]
        planned = self.memory.forget([note.id for note in notes], dry_run=True)
        if not self.place.json:
            self._shown(
                notes, [id for id in planned.derived if id not in {note.id for note in notes}], len(planned.edits)
            )
        if not sure and not (self.typed and typer.confirm("Forget this for good?", err=True)):
            if not self.typed:
                raise InvalidArgument("Nobody confirmed.", hint=f"/forget {_YES} {' '.join(ids)}")
            render.notice("nothing was changed")
            return
        receipt = self.memory.forget([note.id for note in notes])
        if self.place.json:
            render.data(values.forgotten_dict(receipt))
        else:
            render.say(forgotten(receipt))

    def _found(self, id: str) -> Note:
        try:
            return find(self.memory, id)
        except UnknownNote as error:
            raise UnknownNote(error.message, hint="/recall WORDS shows what there is, with ids.") from error

    def _shown(self, notes: list[Note], derived: list[str], edits: int) -> None:
        rows = [(render.short(n.id), f"{n.occurred_at:%Y-%m-%d}", "", n.content) for n in notes]
        for id in derived:
            note = self.memory.get(id)
            rows.append((render.short(id), f"{note.occurred_at:%Y-%m-%d}", "made of it", note.content))
        title = "This would go" + (f", and {edits} edits in the weights" if edits else "")
        render.say(render.table(("id", "when", "", "note"), rows, title=title))

    def _sleep(self, _: str) -> None:
        with weights.progress(quiet=self.place.json) as bar:
            report = self.memory.consolidate(progress=bar)
        if self.place.json:
            render.data(report.to_dict())
        else:
            weights.tell(report)

    def _help(self, _: str) -> None:
        rows = [(f"{name} {takes}".strip(), does) for name, (_, takes, does) in self._commands.items()]
        render.say(render.table(("", ""), rows))


def _edited() -> None:
    """Lines can be edited, and called back with the arrow keys, where the system has that."""
    try:
        import readline  # noqa: F401 - input() uses it once it is there
    except ImportError:
        return


def _harmless(piece: str) -> str:
    """What a model says, without what would command a terminal."""
    return "".join(ch for ch in piece if ch in "\n\t\u200c\u200d" or unicodedata.category(ch) not in ("Cc", "Cf"))


def _one_line(text: str) -> str:
    from agentmem.notes.quoting import one_line

    indent = len(text) - len(text.lstrip())
    return " " * indent + one_line(text)
