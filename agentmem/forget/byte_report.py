"""What a look into the bytes of a data directory found."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Remnant", "RemnantReport"]


@dataclass(frozen=True, slots=True)
class Remnant:
    """Bytes where they should not be.

    Attributes:
        file: below the data directory; offset: of the first byte.
        place: what that part of the file is; what: what was found there, without quoting it.
    """

    file: str
    offset: int
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.file} at {self.offset:,}: {self.what} ({self.place})"


@dataclass(frozen=True, slots=True)
class RemnantReport:
    """Remnants in the files of a memory; ``due`` names what a forgetting has still to do."""

    found: tuple[Remnant, ...] = ()
    due: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.found and not self.due

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; stable names."""
        return {"ok": self.ok, "found": [asdict(each) for each in self.found], "due": list(self.due)}

    def __str__(self) -> str:
        if self.ok:
            return "no file holds anything of what was forgotten or asked for"
        said = [str(each) for each in self.found] + [f"a forgetting is not finished: {place}" for place in self.due]
        return "\n".join(said)
