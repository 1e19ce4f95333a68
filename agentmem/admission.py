"""Whose notes a transaction may touch: the guard between the verbs and the tables, below every query.

A request names its owners once, when its transaction begins, and the transaction holds them (:meth:`Admission.admit`). From then on
every call of an area goes through the rule of its method (:mod:`agentmem.admission_rules`): what the method is about to change, and
what it hands out, must belong to those owners, however the query was worded. A row of anybody else raises
:class:`~agentmem.errors.ScopeBreach`: it is never returned, and what was written is rolled back. What a caller may name freely (ids), or
what may lead to others (links), is narrowed instead, so that somebody else's note looks like none at all.

A transaction that nobody was admitted to is a job's: it works on everybody's notes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

from agentmem.errors import ScopeBreach

__all__ = ["Admission", "Held", "Rule", "guarded"]

A = TypeVar("A")

_MOST: Final = 200_000
_HINT: Final = (
    "this is a fault in agentmem, and nothing of another scope was handed out or changed: please report it with the call that led here."
)


class Held(Protocol):
    """What the guard asks of a store: whose rows these are, and whether rows that it saw may never have been."""

    @property
    def rollbacks(self) -> int: ...
    def owners_of(self, rows: Sequence[int]) -> Mapping[int, int]: ...
    def rows_of(self, ids: Sequence[str]) -> Mapping[str, int]: ...


class Admission:
    """The owners to which a transaction is bound, and what of other owners it comes across.

    Args:
        held: tells whose a row is; what it said is kept, since nobody changes that, and no row number is used twice.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self._known: dict[int, int] = {}
        self._undone = held.rollbacks
        self.owners: frozenset[int] | None = None
        """Those that are admitted; ``None`` in a job, which may touch everybody's notes."""

    def admit(self, owners: Iterable[int]) -> None:
        """Bind the transaction to some owners until it ends, or narrow it further.

        Raises:
            ScopeBreach: it is bound to others already.
        """
        wanted = frozenset(map(int, owners))
        if self.owners is not None and not wanted <= self.owners:
            raise ScopeBreach("A request asked for more owners than its transaction was admitted to.", hint=_HINT)
        self.owners = wanted

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """What is admitted inside ends with the block: with the transaction, or with a part of it."""
        outer = self.owners
        try:
            yield
        finally:
            self.owners = outer

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """A job within a request: what keeps something of everybody's up to date, and hands nothing of it to the request."""
        with self.lasting():
            self.owners = None
            yield

    def need(self, owners: Iterable[int], what: str) -> None:
        """Raise unless all of these owners are admitted."""
        if self.owners is not None and not self.owners.issuperset(owners):
            raise ScopeBreach(f"{what} was about to touch notes of an owner outside the scope of its request.", hint=_HINT)

    def need_rows(self, rows: Iterable[int], what: str) -> None:
        """Raise unless all of these rows that exist belong to admitted owners."""
        if self.owners is not None and self.foreign(rows):
            raise ScopeBreach(f"{what} came across notes of an owner outside the scope of its request.", hint=_HINT)

    def refuse(self, what: str) -> None:
        """Raise in a request: what works on everybody's notes, or what no rule is known of, belongs into a job."""
        if self.owners is not None:
            raise ScopeBreach(f"{what} works on everybody's notes, and was called in a request of one scope.", hint=_HINT)

    def foreign(self, rows: Iterable[int]) -> set[int]:
        """Those of ``rows`` that belong to somebody who is not admitted; none in a job."""
        if self.owners is None:
            return set()
        wanted = rows if isinstance(rows, (set, frozenset)) else set(rows)
        known = self._up_to_date()
        try:
            found = set(map(known.__getitem__, wanted))
        except KeyError:
            known.update(self._held.owners_of([row for row in wanted if row not in known]))
            found = {known[row] for row in wanted if row in known}  # what is gone is nobody's
        if found <= self.owners:
            return set()
        return {row for row in wanted if known.get(row, None) not in (None, *self.owners)}

    def rows_of(self, ids: Iterable[str]) -> Mapping[str, int]:
        """The rows of those ids that exist, whosever they are."""
        wanted = list(ids)
        return self._held.rows_of(wanted) if wanted else {}

    def learn(self, row: int, owner: int) -> None:
        """A row was made just now."""
        self._up_to_date()[row] = owner

    def _up_to_date(self) -> dict[int, int]:
        if self._undone != self._held.rollbacks or len(self._known) > _MOST:
            self._undone = self._held.rollbacks
            self._known.clear()
        return self._known


class Call(NamedTuple):
    """One call of a method: its name, and its arguments by the names of its parameters."""

    what: str
    area: Any
    given: Mapping[str, Any]


class Rule(NamedTuple):
    """What is looked at before a method runs, what becomes of its result, or what runs in its place; a job is asked nothing."""

    before: Callable[[Admission, Call], None] | None = None
    after: Callable[[Admission, Call, Any], Any] | None = None
    instead: Callable[[Admission, Call, Callable[..., Any]], Any] | None = None


class _Guarded:
    """An area of a transaction with a rule before each of its methods; everything else about it is the area's own."""

    def __init__(self, area: Any) -> None:
        self._area = area

    def __getattr__(self, name: str) -> Any:
        return getattr(self._area, name)


def guarded(area: A, name: str, rules: Mapping[str, Rule], admission: Admission) -> A:
    """``area`` behind the guard. A method without a rule is a job's alone.

    Args:
        name: of the area, for messages; rules: by the names of its methods.
    """
    guard = _Guarded(area)
    for method in dir(type(area)):
        if not method.startswith("_") and callable(getattr(area, method)):
            setattr(guard, method, _ruled(getattr(area, method), f"{name}.{method}", area, rules.get(method), admission))
    return cast(A, guard)


def _ruled(
    method: Callable[..., Any], what: str, area: object, rule: Rule | None, admission: Admission
) -> Callable[..., Any]:
    if rule == Rule():
        return method
    code = cast(Any, method).__func__.__code__
    names = code.co_varnames[1 : code.co_argcount]

    @functools.wraps(method)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if admission.owners is None:
            return method(*args, **kwargs)
        if rule is None:
            return admission.refuse(what)
        given = dict(zip(names, args, strict=False)) | kwargs
        for name, value in given.items():
            if isinstance(value, Iterator):  # it is looked at here, and read by the method
                given[name] = list(value)
        call = Call(what, area, given)
        if rule.before is not None:
            rule.before(admission, call)
        result = method(**given) if rule.instead is None else rule.instead(admission, call, method)
        return result if rule.after is None else rule.after(admission, call, result)

    return checked
