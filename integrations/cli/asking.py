"""Commands that answer: ask, chat."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.integrations.cli import render
from agentmem.integrations.cli.given import said
from agentmem.integrations.cli.place import Local, Place, at_place

if TYPE_CHECKING:
    from agentmem.ask.ask import Answer, Part
    from agentmem.integrations.chat import ChatAgent, Reply

__all__ = ["add_to"]

_HELP = "/notes: what the last answer used · /forget ID · /quit"


def add_to(app: typer.Typer) -> None:
    """Register the commands that answer."""
    for name, command in (("ask", ask), ("chat", chat)):
        app.command(name, rich_help_panel="Answers")(at_place(command))


def ask(
    place: Place,
    question: Annotated[str, typer.Argument(help='The question; "-" reads it from stdin.')],
    local: Local,
    use: Annotated[str, typer.Option(help="auto, weights, notes, both or nothing.")] = "auto",
    k: Annotated[int, typer.Option("-k", help="How many notes at most.")] = 5,
    max_tokens: Annotated[int, typer.Option(help="Length of the answer.")] = 64,
) -> None:
    """Answer from the weights, from notes, or both, and say which."""
    with place.memory(local=local) as memory:
        answer = memory.ask(said(question), use=use, k=k, max_tokens=max_tokens)  # type: ignore[arg-type]  # checked by ask
    for warning in answer.warnings:
        render.notice(warning)
    if place.json:
        render.data(
            {
                **_answer_dict(answer),
                "known": [note.id for note in answer.known],
                "parts": [_part_dict(part) for part in answer.parts],
            }
        )
        return
    from rich.text import Text

    render.say(Text(answer.text, style="bold"), Text(_origin(answer), style="dim"))


def _answer_dict(answer: Answer | Reply) -> dict[str, Any]:
    return {
        "text": answer.text,
        "source": answer.source,
        "notes": [note.id for note in answer.notes],
        "used": [note.id for note in answer.used],
        "edits": list(answer.edits),
        "prompt_tokens": answer.prompt_tokens,
        "warnings": list(answer.warnings),
        "degraded": answer.degraded,
    }


def _part_dict(part: Part) -> dict[str, Any]:
    said = {"question": part.question, "text": part.text, "source": part.source, "why": part.why, "about": part.about}
    return {**said, "known": [note.id for note in part.known]}


def _origin(answer: Answer | Reply) -> str:
    """Where an answer came from, in a few words."""
    parts = ["not known" if answer.source == "none" else f"from the {answer.source}"]
    if answer.notes:
        parts.append(f"{len(answer.notes)} notes in the prompt, {len(answer.used)} used")
    parts += [f"edit {render.short(edit)}" for edit in answer.edits]
    return f"{', '.join(parts)}; {answer.prompt_tokens} prompt tokens"


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
    """Talk with a model that remembers. Reads lines from stdin, so it works in a pipe as well."""
    from agentmem.integrations.chat import ChatAgent

    if url is not None and not url.startswith(("http://", "https://")):
        raise InvalidArgument(f"{url!r} is no URL.", hint="e.g. --url http://127.0.0.1:8000/v1 --name my-model")
    with place.memory(make=True, local=None if url else local) as memory:
        agent = ChatAgent(url, memory, session=place.session, model_name=name, system=system, k=k)
        if sys.stdin.isatty():
            render.notice(f"session {agent.session}; {_HELP}")
        for line in _lines():
            if line in ("/quit", "/exit"):
                break
            _turn(agent, line, place, why=why)


def _lines() -> Any:
    """What the user types, until the end of the input."""
    interactive = sys.stdin.isatty()
    while True:
        try:
            line = input("you › ") if interactive else sys.stdin.readline()
        except EOFError:
            return
        if not line and not interactive:
            return
        if line.strip():
            yield line.strip()


def _turn(agent: ChatAgent, line: str, place: Place, *, why: bool) -> None:
    if line.startswith("/"):
        _command(agent, line)
        return
    try:
        if place.json:
            reply = agent.chat(line)
            render.data({**_answer_dict(reply), "receipts": [render.receipt_dict(r) for r in reply.receipts]})
            return
        for piece in agent.stream(line):
            sys.stdout.write(piece)
            sys.stdout.flush()
    except AgentMemError as error:
        # One failed turn does not end a conversation, as long as somebody is there to try another.
        if not sys.stdin.isatty():
            raise
        render.notice(str(error))
        return
    sys.stdout.write("\n")
    if why and agent.last is not None:
        _after(agent.last)


def _after(reply: Reply) -> None:
    from rich.text import Text

    became = [f"“{r.status}”: {r.reason}" for r in reply.receipts if r.reason and r.status != "stored"]
    render.console(stderr=True).print(Text("  " + "; ".join([_origin(reply), *became, *reply.warnings]), style="dim"))


def _command(agent: ChatAgent, line: str) -> None:
    verb, _, rest = line.partition(" ")
    if verb == "/notes" and agent.last is not None:
        rows = [
            (render.short(n.id), f"{n.occurred_at:%Y-%m-%d}", "yes" if n in agent.last.used else "", n.content)
            for n in agent.last.notes
        ]
        render.say(render.table(("id", "when", "used", "note"), rows))
    elif verb == "/forget" and rest:
        from agentmem.integrations.cli.notes import forgotten
        from agentmem.integrations.cli.place import find

        try:
            render.say(forgotten(agent.memory.forget(find(agent.memory, rest.strip()).id)))
        except AgentMemError as error:
            render.notice(str(error))
    else:
        render.notice(_HELP)
