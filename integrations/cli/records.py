"""Commands on values under keys: records put, get, delete, search, list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations import values
from agentmem.integrations.cli import given, render
from agentmem.integrations.cli.forgetting import DryOption, YesOption, erase
from agentmem.integrations.cli.notes import number
from agentmem.integrations.cli.place import Place, at_place

if TYPE_CHECKING:
    from agentmem.keyed.record import Record

__all__ = ["add_to"]

NamespaceArgument = Annotated[str, typer.Argument(help="Its labels with dots between, e.g. users.ana.")]
KeyArgument = Annotated[str, typer.Argument(help="The key.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")]
OffsetOption = Annotated[int, typer.Option(min=0, help="Skip so many.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands on records, below one word."""
    mine = typer.Typer(no_args_is_help=True, help="Values under keys: JSON in and out.")
    for name, command in (("put", put), ("get", get), ("delete", delete), ("search", search), ("list", listed)):
        mine.command(name)(at_place(command))
    app.add_typer(mine, name="records", rich_help_panel="Notes")


def put(
    place: Place,
    namespace: NamespaceArgument,
    key: KeyArgument,
    value: Annotated[str, typer.Argument(help='A JSON object; "-" reads it from stdin.')],
    index: Annotated[
        list[str] | None,
        typer.Option(help="A path to what it is found by, e.g. author.name; by default all its strings."),
    ] = None,
    unindexed: Annotated[bool, typer.Option("--no-index", help="Found by its key and by filters alone.")] = False,
    ttl: Annotated[float | None, typer.Option(help="Minutes after which it is gone.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    importance: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    source: Annotated[str | None, typer.Option(help="Where it comes from, e.g. web, email, import.")] = None,
    trust: Annotated[str | None, typer.Option(help="0 to 1, or untrusted, low, medium, high, trusted.")] = None,
    facts: Annotated[bool, typer.Option(help="Read what its words state.")] = False,
) -> None:
    """Keep a JSON object under a key; what was there gives way.

    agentmem records put users.ana profile '{"name": "Ana", "city": "Porto"}'
    """
    options: dict[str, Any] = {"tags": tag, "importance": importance, "source": source, "trust": number(trust)}
    if unindexed and index:
        raise InvalidArgument("--index and --no-index contradict each other.", hint="give the one or the other.")
    read = given.json_of(given.said(value), "the value")
    with place.memory(make=True) as memory:
        record = memory.put(
            _labels(namespace), key, read, index=False if unindexed else index, ttl=ttl, facts=facts, **options
        )
    if place.json:
        render.data(values.record_dict(record))
    else:
        render.say(_table([record]))


def get(
    place: Place,
    namespace: NamespaceArgument,
    key: KeyArgument,
    refresh: Annotated[bool, typer.Option("--refresh", help="It lives as long again from now on.")] = False,
) -> None:
    """Print the value under a key as JSON; with --json what is known of it besides. Exit code 1 when there is none."""
    with place.memory() as memory:
        record = memory.get(_labels(namespace), key, refresh=refresh)
    if record is None:
        _nothing(place)
    else:
        render.data(values.record_dict(record) if place.json else record.value)


def delete(
    place: Place, namespace: NamespaceArgument, key: KeyArgument, yes: YesOption = False, dry_run: DryOption = False
) -> None:
    """Forget a record, with its value and its note, from everywhere; shows the receipt. Exit code 1 when there is none."""
    with place.memory() as memory:
        record = memory.get(_labels(namespace), key)
        if record is not None:
            erase(place, memory, [record.id], yes=yes, dry_run=dry_run)
    if record is None:
        _nothing(place)


def search(
    place: Place,
    query: Annotated[str | None, typer.Argument(help='What to look for, in words; "-" reads them from stdin.')] = None,
    within: Annotated[str, typer.Option("--in", help="The namespace, and all below it.")] = "",
    filter_: Annotated[
        str | None, typer.Option("--filter", help='Conditions on the value as JSON, e.g. {"year": {"$gte": 2020}}.')
    ] = None,
    limit: LimitOption = 10,
    offset: OffsetOption = 0,
    min_score: Annotated[float | None, typer.Option(help="The least cosine.")] = None,
    unscored: Annotated[bool, typer.Option("--unscored", help="Those without a text too, behind all others.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Those found live as long again from now on.")] = False,
) -> None:
    """Find records: the nearest to some words, or without them the last put. Exit code 1 when there are none."""
    words = None if query is None else given.said(query)
    asked: dict[str, Any] = {"limit": limit, "offset": offset, "min_score": min_score, "unscored": unscored}
    with place.memory() as memory:
        found = memory.search(_labels(within), words, given.mapping(filter_, "--filter"), refresh=refresh, **asked)
    if place.json:
        render.data({"records": [values.record_dict(record) for record in found]})
    elif found:
        render.say(_table(found))
    else:
        render.notice("nothing found")
    if not found:
        raise typer.Exit(1)


def listed(
    place: Place,
    prefix: Annotated[str, typer.Argument(help="Only below this namespace; * is any one label.")] = "",
    suffix: Annotated[str, typer.Option(help="Only those that end so.")] = "",
    depth: Annotated[int | None, typer.Option(help="Cut names off behind so many labels.")] = None,
    limit: LimitOption = 100,
    offset: OffsetOption = 0,
) -> None:
    """List the namespaces that hold records. Exit code 1 when there are none."""
    with place.memory() as memory:
        found = memory.list_namespaces(
            prefix=_labels(prefix), suffix=_labels(suffix), max_depth=depth, limit=limit, offset=offset
        )
    if place.json:
        render.data({"namespaces": found})
    else:
        render.say(render.table(("namespace",), [(".".join(labels),) for labels in found]))
    if not found:
        raise typer.Exit(1)


def _labels(text: str) -> tuple[str, ...]:
    """A namespace: its labels hold no dots."""
    return tuple(text.split(".")) if text else ()


def _nothing(place: Place) -> None:
    if place.json:
        render.data(None)
    else:
        render.notice("nothing found")
    raise typer.Exit(1)


def _table(records: Sequence[Record]) -> Any:
    rows = [
        (
            "" if record.score is None else f"{record.score:.2f}", ".".join(record.namespace), record.key,
            "" if record.expires_at is None else f"{record.expires_at:%Y-%m-%d %H:%M}", json.dumps(record.value, ensure_ascii=False),
        )
        for record in records
    ]  # fmt: skip
    return render.table(("score", "namespace", "key", "until", "value"), rows, styles={"until": "dim"})
