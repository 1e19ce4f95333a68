"""What the guard asks of every method of every area of a store, a line each.

A method takes rows or owners, hands some out, or both: what it takes must be admitted before it runs, and what it hands out before
anybody sees it. Ids that a caller names, and links that lead elsewhere, are narrowed instead; what counts or clears everybody's notes
is a job's alone (``JOB``); what says nothing of anybody's notes is ``FREE``. A method that does not stand here is a job's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from agentmem.notes.admission import Admission, Call, Rule
from agentmem.notes.rows import Facets

__all__ = ["AREAS"]

Pick = Callable[[Any], Collection[int]]

_SOURCE: Final = itemgetter(0)
_TARGET: Final = itemgetter(1)
_FACETS_OWNER: Final = itemgetter(Facets._fields.index("owner"))
FREE: Final = Rule()
JOB: Final = Rule(before=lambda admission, call: admission.refuse(call.what))


def _takes(picks: Mapping[str, Pick]) -> Callable[[Admission, Call], None]:
    """Each named argument: ``owner…`` picks owners out of it, everything else rows."""
    whose = [(name, pick) for name, pick in picks.items() if name.startswith("owner")]
    which = [(name, pick) for name, pick in picks.items() if not name.startswith("owner")]

    def before(admission: Admission, call: Call) -> None:
        for name, pick in whose:
            admission.need(pick(call.given(name)), call.what)
        for name, pick in which:
            admission.need_rows(pick(call.given(name)), call.what)

    return before


def _gives(pick: Pick) -> Callable[[Admission, Call, Any], Any]:
    def after(admission: Admission, call: Call, result: Any) -> Any:
        admission.need_rows(pick(result), call.what)
        return result

    return after


def takes(picks: Mapping[str, Pick], after: Callable[[Admission, Call, Any], Any] | None = None) -> Rule:
    return Rule(_takes(picks), after)


def _one(value: Any) -> Collection[int]:
    return () if value is None else (value,)


def _many(values: Any) -> Collection[int]:
    return values if isinstance(values, Collection) else list(values)


def _first(values: Any) -> Collection[int]:
    return list(map(_SOURCE, values))


def _ends(links: Any) -> set[int]:
    return {*map(_SOURCE, links), *map(_TARGET, links)}


def _arrays(found: Any) -> Collection[int]:
    rows: list[int] = found[0].tolist()
    return rows


def _row(found: Any) -> Collection[int]:
    return () if found is None else (found.row,)


def _rows(found: Any) -> Collection[int]:
    return [each.row for each in found]


# -- what a selection admits -----------------------------------------------------------------------------------


def _selected(admission: Admission, call: Call) -> None:
    selection = call.given("selection")
    if selection is None:
        admission.refuse(f"{call.what} without a selection")
    else:
        admission.need(selection.owners, call.what)


def _facets(admission: Admission, call: Call, found: Any) -> Any:
    admission.need(set(map(_FACETS_OWNER, found)), call.what)
    return found


# -- what is narrowed ------------------------------------------------------------------------------------------


def _hidden_ids(admission: Admission, _: Call, found: Any) -> Any:
    """Ids of somebody else's notes are as unknown as those of none."""
    foreign = admission.foreign(found.values())
    return {id: row for id, row in found.items() if row not in foreign} if foreign else found


def _hidden_links(admission: Admission, _: Call, found: Any) -> Any:
    """A link that leads to somebody else's note, from a shared one, does not exist for this request."""
    foreign = admission.foreign(_ends(found))
    return [link for link in found if link.source not in foreign and link.target not in foreign] if foreign else found


def _hidden_map(admission: Admission, _: Call, found: Any) -> Any:
    """Rows by row: those of others are left out on both sides."""
    foreign = admission.foreign({row for key, rows in found.items() for row in (key, *rows)})
    return (
        {key: [row for row in rows if row not in foreign] for key, rows in found.items() if key not in foreign}
        if foreign
        else found
    )


def _hidden_rows(admission: Admission, _: Call, found: Any) -> Any:
    foreign = admission.foreign(found)
    return [row for row in found if row not in foreign] if foreign else found


def _hidden_owned(admission: Admission, _: Call, found: Any) -> Any:
    """What carries its owner with it."""
    return [each for each in found if admission.owners is None or each.owner in admission.owners]


def _hidden_entries(admission: Admission, _: Call, found: Any) -> Any:
    """Lines about notes of others, also when those are gone; only where it is not known whose a note was are they nobody's."""
    rows = admission.rows_of({entry.note_id for entry in found if entry.note_id is not None})
    foreign = admission.foreign(rows.values())
    mine = admission.owners or frozenset()
    return [
        entry
        for entry in found
        if rows.get(entry.note_id) not in foreign and (entry.owner is None or entry.owner in mine)
    ]


# -- what needs a look of its own ------------------------------------------------------------------------------


def _visible(admission: Admission, call: Call, found: Any) -> Any:
    admission.need(_one(found) if isinstance(found, int) or found is None else found, call.what)
    return found


def _made(admission: Admission, call: Call, row: int) -> int:
    admission.learn(row, int(call.given("owner")))
    return row


def _named(admission: Admission, call: Call) -> None:
    """A line about a note, whose id is given, or of an owner."""
    admission.need(_one(call.given("owner")), call.what)
    if (id := call.given("note_id")) is not None:
        admission.need_rows(admission.rows_of([id]).values(), call.what)


def _entries(admission: Admission, call: Call) -> None:
    if call.given("note_ids") is None:
        admission.refuse(f"{call.what} without the ids of notes")


def _mentions(admission: Admission, call: Call) -> None:
    """(owner, row, terms) each."""
    mentions = call.given("mentions")
    admission.need({owner for owner, _, _ in mentions}, call.what)
    admission.need_rows({row for _, row, _ in mentions}, call.what)


def _texts(admission: Admission, call: Call) -> None:
    """(row, owner, content, context) each."""
    admission.need({item[1] for item in call.given("items")}, call.what)
    admission.need_rows({item[0] for item in call.given("items")}, call.what)


def _edit(admission: Admission, call: Call) -> None:
    """Neither given to another owner, nor put in the place of an edit of another."""
    edit = call.given("edit")
    standing = call.area.edits(state=None, ids=[edit.id])
    admission.need({edit.owner, *(each.owner for each in standing)}, call.what)


def _edits(admission: Admission, call: Call) -> None:
    admission.need({edit.owner for edit in call.area.edits(state=None, ids=list(call.given("ids")))}, call.what)


def _unlinked(admission: Admission, call: Call, delete: Callable[..., int]) -> int:
    """The links of a shared note that others made go with it, and are not counted."""
    rows = list(call.given("rows"))
    admission.need_rows(rows, call.what)
    seen = len(_hidden_links(admission, call, call.area.touching(rows)))
    delete(rows)
    return seen


# -- the rules -------------------------------------------------------------------------------------------------

_ROW: Final[Mapping[str, Pick]] = {"row": _one}
_ROWS: Final[Mapping[str, Pick]] = {"rows": _many}
_OWNER: Final[Mapping[str, Pick]] = {"owner": _one}
_OWNERS: Final[Mapping[str, Pick]] = {"owners": _many}
_OWNED_ROW: Final[Mapping[str, Pick]] = {**_OWNER, **_ROW}
_OWNED_ROWS: Final[Mapping[str, Pick]] = {**_OWNER, **_ROWS}

_NOTES: Final = {
    "owner": Rule(after=_visible),
    "visible_owners": Rule(after=_visible),
    "has_owned": FREE,
    "taken": FREE,
    "insert": takes(_OWNER, _made),
    "restore": takes(_OWNER, _made),
    "replace": takes(_ROW),
    "close_validity": takes(_ROW),
    "set_states": takes({"states": _first}),
    "set_archived": takes(_ROWS),
    "delete": takes(_ROWS),
    "rows_of": Rule(after=_hidden_ids),
    "ids_of": Rule(after=_gives(_many)),
    "owners_of": JOB,
    "of_owner": takes(_OWNER, _gives(_many)),
    "load": Rule(after=_gives(_many)),
    "facets": Rule(_selected, _facets),
    "select": Rule(_selected, _gives(_many)),
    "page": Rule(_selected, _gives(_many)),
    "select_all": JOB,
    "count": Rule(_selected),
    "any": Rule(_selected),
    "resting": takes(_OWNER, _facets),
    "history": takes(_ROW),
    "same_content": takes(_OWNER, _gives(_many)),
    "same_contents": takes(_OWNER, _gives(lambda found: list(chain.from_iterable(found.values())))),
    "said": takes(_OWNER, _gives(_one)),
    "said_by_another": takes(_OWNER),
    "facts": takes(_OWNER, _gives(_first)),
    "actors": takes(_OWNERS),
    "all_owners": JOB,
    "scope_of": takes(_OWNER),
    "empty_owners": takes(_OWNERS),
    "unname": takes(_OWNERS),
}

AREAS: Final[Mapping[str, Mapping[str, Rule]]] = {
    "notes": _NOTES,
}
