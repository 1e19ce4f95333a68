"""What a run of enrichment or reflection did, as values that print and serialise."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["EnrichReport", "Failure", "ReflectReport"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be done, and why; ``given_up``: it will not be tried again by itself."""

    what: str
    reason: str
    given_up: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}" + (" (given up)" if self.given_up else "")


@dataclass(frozen=True, slots=True)
class EnrichReport:
    """One run of :meth:`~agentmem.Memory.enrich`.

    ``enriched`` and ``evolved`` are note ids, as are ``replaced``: notes that a newer one was judged to replace, whether they ended or are marked;
    ``kept`` are notes that were not shown to the model (they look like secrets);
    ``retried`` counts answers that were asked for again; ``outstanding`` is what is left to do; ``stopped`` says why a run
    ended early.
    """

    enriched: tuple[str, ...] = ()
    evolved: tuple[str, ...] = ()
    links: int = 0
    kept: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    calls: int = 0
    retried: int = 0
    outstanding: int = 0
    stopped: str = ""
    replaced: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.failures and not self.stopped

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; stable names."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        said = (
            f"{len(self.enriched)} notes enriched, {self.links} links, {len(self.evolved)} neighbours evolved, "
            f"{len(self.failures)} failed, {self.outstanding} outstanding"
        )
        said += f", {len(self.replaced)} older notes replaced or marked" if self.replaced else ""
        return f"{said}; stopped: {self.stopped}" if self.stopped else said


@dataclass(frozen=True, slots=True)
class ReflectReport:
    """One run of :meth:`~agentmem.Memory.reflect`; ids of the derived notes.

    ``retired`` were replaced, merged or outlived; they are archived, never deleted. ``left_out`` counts notes that were not
    shown to the model, because their source is not trusted or they look like secrets.
    """

    summaries: tuple[str, ...] = ()
    thoughts: tuple[str, ...] = ()
    portrait: str | None = None
    retired: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    calls: int = 0
    retried: int = 0
    left_out: int = 0
    outstanding: int = 0
    stopped: str = ""

    @property
    def ok(self) -> bool:
        return not self.failures and not self.stopped

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; stable names."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        said = (
            f"{len(self.summaries)} summaries, {len(self.thoughts)} thoughts, "
            f"{'a new portrait' if self.portrait else 'no new portrait'}, {len(self.retired)} retired, "
            f"{len(self.failures)} failed, {self.outstanding} outstanding"
        )
        return f"{said}; stopped: {self.stopped}" if self.stopped else said
