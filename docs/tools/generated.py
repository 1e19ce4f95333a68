"""Pages that follow from the code: every command with its options, every route of the server, every setting."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any


def _cell(text: object) -> str:
    """Text for one cell of a table, in which nothing but code between backquotes means anything to Markdown or HTML."""
    parts = " ".join(str(text).split()).split("`")
    if len(parts) % 2 == 0:
        parts = ["\\`".join(parts)]
    for number in range(0, len(parts), 2):
        words = parts[number]
        for sign in "*_[]|":
            words = words.replace(sign, f"\\{sign}")
        parts[number] = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "`".join(part.replace("|", "\\|") if number % 2 else part for number, part in enumerate(parts))


def _table(head: str, rows: list[str]) -> list[str]:
    columns = head.count("|") - 1
    return [head, "|" + " --- |" * columns, *rows, ""] if rows else []


# -- commands -------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """What ``agentmem --help`` and the help of every command say."""
    from typer.main import get_command

    from agentmem.integrations.cli.app import app

    root: Any = get_command(app)
    common = _common(root)
    lines = ["# Commands", "", _plain(root.help), ""]
    lines += [
        "Read off the commands themselves, for version "
        + _version()
        + ". [How to use them](../integrations/command_line.md) is another page.",
        "",
    ]
    lines += ["## Options of every command", "", *_options(common)]
    for name, command in sorted(_walk(root)):
        shared = {tuple(option.opts) for option in common}
        own = [each for each in command.params if tuple(each.opts) not in shared and "--help" not in each.opts]
        lines += [f"## agentmem {name}", "", _plain(command.help), ""]
        lines += _options([each for each in own if each.param_type_name == "argument"], "argument")
        lines += _options([each for each in own if each.param_type_name != "argument"])
    return "\n".join(lines)


def _walk(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if getattr(command, "hidden", False):
            continue
        yield f"{before}{name}", command
        if hasattr(command, "commands"):
            yield from _walk(command, f"{before}{name} ")


def _common(root: Any) -> list[Any]:
    """The options that nearly every command has."""
    commands = [command for _, command in _walk(root) if not hasattr(command, "commands")]
    counted = [
        (option, sum(option.opts in [o.opts for o in c.params] for c in commands)) for option in commands[0].params
    ]
    return [option for option, times in counted if times > 0.8 * len(commands)]


def _options(options: list[Any], what: str = "option") -> list[str]:
    rows = []
    for each in options:
        names = ", ".join(f"`{name}`" for name in [*each.opts, *each.secondary_opts])
        default = (
            ""
            if each.default in (None, False, (), "") or callable(each.default) or each.required
            else f"`{each.default}`"
        )
        rows.append(
            f"| {names} | {_cell(getattr(each, 'help', None) or '')} | {default or ('needed' if each.required else '')} |"
        )
    return _table(f"| {what} | what it says | default |", rows)


def _plain(text: str | None) -> str:
    """Help as a paragraph; lines that are commands are shown as such."""
    parts = []
    for line in (text or "").replace("\b", "").strip().splitlines():
        parts.append(f"```bash\n{line.strip()}\n```" if line.strip().startswith("agentmem ") else _cell(line))
    return "\n".join(parts).replace("\n```bash", "\n\n```bash")


# -- routes ---------------------------------------------------------------------------------------------------


def routes_page() -> str:
    """The description that the server itself gives at ``/openapi.json``."""
    from agentmem.aio import AsyncMemory
    from agentmem.integrations.server import make_app

    async def described() -> Mapping[str, Any]:
        async with AsyncMemory(None, embedder="hash") as memory:
            schema: Mapping[str, Any] = make_app(memory, tokens=None).openapi()
        return schema

    schema = asyncio.run(described())
    lines = ["# Routes of the server", "", _cell(schema["info"].get("description", "")), ""]
    lines += [
        "Read off the description that `agentmem serve` gives at `/openapi.json`. [How to serve](../integrations/rest.md) is another page.",
        "",
    ]
    for path, methods in sorted(schema["paths"].items()):
        for method, route in methods.items():
            lines += [
                f"## {method.upper()} {_cell(path)}".replace("\\_", "_"),
                "",
                _cell(route.get("summary", "")),
                "",
                _cell(route.get("description", "")),
                "",
            ]
            lines += _parameters(route.get("parameters", []))
            lines += _body(route.get("requestBody"), schema["components"]["schemas"])
            answers = ", ".join(f"{code} {_cell(answer['description'])}" for code, answer in route["responses"].items())
            lines += [f"Answers: {answers}", ""]
    return "\n".join(lines)


def _parameters(parameters: list[Mapping[str, Any]]) -> list[str]:
    rows = [f"| `{p['name']}` | {p['in']} | {_cell(p.get('description', ''))} |" for p in parameters]
    return _table("| parameter | in | what it says |", rows)


def _body(body: Mapping[str, Any] | None, schemas: Mapping[str, Any]) -> list[str]:
    if body is None:
        return []
    schema = next(iter(body["content"].values())).get("schema", {})
    schema = schemas.get(schema.get("$ref", "").rsplit("/", 1)[-1], schema)
    needed = schema.get("required", [])
    rows = [
        f"| `{name}` | {_kind(field)}{', needed' if name in needed else ''} | {_cell(field.get('description', ''))} |"
        for name, field in schema.get("properties", {}).items()
    ]
    return _table("| field of the body | type | what it says |", rows)


def _kind(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(each) for each in field["anyOf"] if each.get("type") != "null"))
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    return str(field.get("type", field.get("const", "anything")))


# -- settings -------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """The sections of ``Settings``, each field with its default and what it says."""
    from agentmem.settings import Settings

    lines = [
        "# Settings", "", "`Memory(path, settings=Settings(recall=RecallSettings(importance=0)))` changes one number and keeps the rest; "
        'a mapping does as well: `Settings(recall={"importance": 0})`. Values are checked when they are made, and frozen. '
        "Weights of recall are no settings: see `RankingWeights` among the [values](values.md).", "",
    ]  # fmt: skip
    for name, field in Settings.model_fields.items():
        section: Any = field.annotation
        lines += [f"## {name}: {section.__name__}", "", _cell((section.__doc__ or "").split("\n\n")[0]), ""]
        rows = [
            f"| `{key}` | {_cell(_annotated(each.annotation))} | `{each.default}` | {_cell(each.description or '')} |"
            for key, each in section.model_fields.items()
        ]
        lines += _table("| setting | type | default | what it says |", rows)
    return "\n".join(lines).rstrip("\n") + "\n"


def _annotated(annotation: Any) -> str:
    return (
        annotation.__name__
        if isinstance(annotation, type)
        else re.sub(r"[\\[\\]']", "", str(annotation).replace("typing.Literal", "one of "))
    )


def _version() -> str:
    import agentmem

    return agentmem.__version__


os.environ.setdefault("HF_HUB_OFFLINE", "1")
