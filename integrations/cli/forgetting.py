"""The command ``forget``, what any command asks before something goes for good, and how a receipt is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations import values
from agentmem.integrations.cli import given, render
from agentmem.integrations.cli.place import Place, find
from agentmem.notes.address import shown

if TYPE_CHECKING:
    from agentmem.memory import Memory
    from agentmem.notes.note import ForgetReceipt, Note

__all__ = ["DryOption", "WhereOption", "YesOption", "confirm", "erase", "forget", "forgotten"]

WhereOption = Annotated[
    str | None, typer.Option("--where", help='Filter as JSON, e.g. {"tags": {"$contains": "work"}}.')
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")]

_LISTED = 50
"""Notes that are shown before they go; of more, there is the number."""


def forget(
    place: Place,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, or the ends of them.")] = None,
    where: WhereOption = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="With --where: also notes that others see as well, such as shared ones.")
    ] = False,
    as_in: Annotated[
        str | None,
        typer.Option(
            "--as-in",
            metavar="PLACE",
            help="What was forgotten in that memory, since a backup was made that was restored here.",
        ),
    ] = None,
    yes: YesOption = False,
    dry_run: DryOption = False,
) -> None:
    """Remove notes from everywhere, the weights included; shows the receipt and the probes that find nothing.

    A filter takes what belongs to --user or --agent alone; --dry-run lists the notes, and whose they are.
    """
    if [bool(ids), where is not None, as_in is not None].count(True) != 1:
        raise InvalidArgument(
            "Say what to forget: ids, or a filter, or --as-in.",
            hint="""agentmem forget 1a2b3c4d, or --where '{"actor": "bob"}'.""",
        )
    if as_in is not None:
        _as_in(place, as_in, yes=yes, dry_run=dry_run)
        return
    with place.memory() as memory:
        what: Any = [find(memory, id).id for id in ids] if ids else given.mapping(where, "--where")
        erase(place, memory, what, shared=shared, yes=yes, dry_run=dry_run)


def _as_in(place: Place, other: str, *, yes: bool, dry_run: bool) -> None:
    with place.memory() as memory:
        planned = memory.forget_as_in(other, dry_run=True)
        notes, owners = sum(len(receipt.ids) for receipt in planned), len(planned)
        if planned and not dry_run:
            confirm(f"Forget {notes} notes of {owners} owners, which were forgotten at {shown(other)}, for good?", yes)
        receipts = planned if dry_run or not planned else memory.forget_as_in(other)
    if place.json:
        render.data([values.forgotten_dict(receipt) for receipt in receipts])
    else:
        for receipt in receipts:
            render.say(forgotten(receipt))
        if not receipts:
            render.notice(f"nothing here was forgotten at {shown(other)}")
    if not dry_run and not all(receipt.gone for receipt in receipts):
        raise typer.Exit(1)


def erase(place: Place, memory: Memory, what: Any, *, yes: bool, dry_run: bool, shared: bool = False) -> None:
    """Forget ``what`` once somebody agreed, and show the receipt."""
    planned = memory.forget(what, shared=shared, dry_run=True)
    listed = (*planned.ids, *planned.derived)[:_LISTED]
    doomed = memory.notes(where={"id": {"$in": list(listed)}}, faded=True) if listed else []
    if not place.json and (dry_run or not yes) and doomed:
        render.say(_doomed(doomed, planned))
    if not dry_run and planned.ids:
        confirm(f"Forget {len(planned.ids)} notes and {len(planned.derived)} derived from them, for good?", yes)
    receipt = planned if dry_run or not planned.ids else memory.forget(what, shared=shared)
    for warning in receipt.warnings:
        render.notice(warning)
    if place.json:
        told = {"notes": [values.note_dict(note) for note in doomed]} if dry_run else {}
        render.data(values.forgotten_dict(receipt) | told)
    elif receipt.ids or dry_run:
        render.say(forgotten(receipt))
    else:
        render.notice("no note is meant by it: nothing was forgotten")
    if not dry_run and receipt.ids and not receipt.gone:
        render.notice("next: agentmem verify --deep, which finishes what waits and looks into every file")
    if not receipt.ids or (not dry_run and not receipt.gone):
        raise typer.Exit(1)


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; a script says ``--yes``."""
    if yes:
        return
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort as nobody:
        if isinstance(nobody.__context__, KeyboardInterrupt):
            raise  # somebody was there, and said no
        raise InvalidArgument("Nobody confirmed.", hint="say --yes in scripts, or --dry-run to look first.") from nobody
    if not agreed:
        render.notice("nothing was changed")
        raise typer.Exit(4)


def forgotten(receipt: ForgetReceipt) -> Any:
    """A forget receipt as two columns: what was removed where, and what the probes found."""
    verb = "would be removed" if receipt.dry_run else "removed"
    places, probes = dict(receipt.places), dict(receipt.probes)
    rows: list[tuple[object, ...]] = [
        (place, places.get(place, ""), _looked(place, probes.get(place))) for place in dict.fromkeys([*places, *probes])
    ]
    title = f"{len(receipt.ids)} notes forgotten" if not receipt.dry_run else f"dry run: {len(receipt.ids)} notes"
    return render.table(("place", verb, "looked again"), rows, title=title, right=(verb,))


def _looked(place: str, gone: bool | None) -> Any:
    """What a probe found. Bytes of files may wait for another process; what a request reads is gone, or it is not."""
    from rich.text import Text

    from agentmem.forget.places import DUE

    if gone is None:
        return Text("")
    if gone:
        return Text("nothing left", style="green")
    return Text("bytes wait", style="yellow") if place in DUE else Text("STILL THERE", style="bold red")


def _doomed(notes: list[Note], planned: ForgetReceipt) -> Any:
    count = len(planned.ids) + len(planned.derived)
    rows = [(render.short(note.id), f"{note.occurred_at:%Y-%m-%d}", render.whose(note), note.content) for note in notes]
    title = "these would go:" if count <= len(rows) else f"of {count} that would go, the first {len(rows)}:"
    return render.table(("id", "when", "of", "note"), rows, title=title, styles={"id": "dim", "when": "dim"})
