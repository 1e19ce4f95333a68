"""Time is injected: everything that needs the present asks a :class:`~agentmem.notes.protocols.Clock`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agentmem.errors import InvalidArgument, StoreCorrupt

__all__ = ["ManualClock", "SystemClock", "as_moment", "as_utc", "from_micros", "micros"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to; for tests, demos and simulations."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = as_utc(start or datetime(2026, 1, 1, 9, tzinfo=UTC))

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        """Jump to ``moment``, forwards or backwards."""
        self._now = as_utc(moment)

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move by a span; negative spans move back, as real clocks sometimes do."""
        self._now += timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def as_utc(moment: datetime) -> datetime:
    """``moment`` in UTC; a naive datetime is taken as UTC, since guessing a zone would be worse."""
    if not isinstance(moment, datetime):
        raise InvalidArgument(
            f"Expected a datetime, got {type(moment).__name__}.",
            hint="pass datetime(2026, 3, 1, tzinfo=UTC), or datetime.fromisoformat('2026-03-01T12:00:00Z').",
        )
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidArgument(
            f"{moment} lies outside of the years 1 to 9999 in UTC.", hint="pass a time within them, in UTC."
        ) from error


def as_moment(value: object, name: str) -> datetime:
    """A datetime or an ISO 8601 text in UTC; ``name`` is the argument's, for the error."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise InvalidArgument(
                f"{name}={value!r:.80} is not an ISO 8601 time.", hint="e.g. '2026-03-01T12:00:00Z', or a datetime."
            ) from error
    if not isinstance(value, datetime):
        raise InvalidArgument(f"{name} must be a datetime, not {type(value).__name__}.", hint="or an ISO 8601 string.")
    try:
        return as_utc(value)
    except InvalidArgument as error:
        raise InvalidArgument(f"{name}: {error.message}", hint=error.hint) from error


def micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC: how times are stored."""
    return (as_utc(moment) - _EPOCH) // _MICRO


def from_micros(value: int) -> datetime:
    """The inverse of :func:`micros`, for what is stored.

    Raises:
        StoreCorrupt: the value is no moment, so it is not what was written.
    """
    try:
        return _EPOCH + timedelta(microseconds=value)
    except (OverflowError, TypeError) as error:
        raise StoreCorrupt(
            f"A stored time is none: {value!r:.40}.", hint="check() says what is damaged; restore the last backup."
        ) from error
