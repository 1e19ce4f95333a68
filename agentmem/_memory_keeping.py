"""The verbs of a memory that look after it as a whole: describe, check, rebuild, carry elsewhere, count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmem import wiring
from agentmem._memory_base import MemoryBase
from agentmem.errors import InvalidArgument, ScopeError
from agentmem.notes.protocols import Embedder
from agentmem.remember.draft import merge_scope

if TYPE_CHECKING:
    from agentmem.enrich.model.report import EnrichReport, ReflectReport
    from agentmem.forget.remnants import RemnantReport
    from agentmem.transfer.export import ExportReport
    from agentmem.transfer.load import ImportReport
    from agentmem.upkeep.rebuild import CheckReport

__all__ = ["KeepingVerbs"]


class KeepingVerbs(MemoryBase):
    """What :class:`~agentmem.Memory` does with all of its notes."""

    def enrich(
        self,
        limit: int | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        again: bool = False,
        progress: bool | Callable[[int, int], None] = False,
    ) -> EnrichReport:
        """Let ``llm`` describe, link and evolve notes that it has not seen; ``again``: also those that were given up."""
        job, scope = self._parts.enricher(), merge_scope(self.scope, user, agent, None)
        with wiring.progress_bar("enriching", progress, 64) as report:
            return job.run(scope, limit, again=again, progress=report)

    def reflect(
        self,
        day: date | str | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        limit: int | None = None,
    ) -> ReflectReport:
        """Let ``llm`` sum up days (``None``: every past day not summed up yet), draw conclusions, and paint a portrait of the user."""
        return self._parts.reflector().run(merge_scope(self.scope, user, agent, None), day, limit)

    def check(self, *, deep: bool = False) -> CheckReport:
        """Compare every note with what was written, and every projection with the notes; a memory that is bound to somebody compares
        that one's, and counts no others.

        Args:
            deep: compare all terms, links, contexts and vectors, and embed every note anew for it, rather than a sample of some hundred
                notes; and every vector of the index with the store's, rather than about 200. The files of the index are always read whole.
        """
        own = self._parts.own(self.scope)
        return self._parts.upkeep.check(deep=deep) if own is None else own.check()

    def verify_bytes(self, texts: Sequence[str] = ()) -> RemnantReport:
        """Look into the bytes of every file: for rows that were deleted, files that are not in use, and ``texts`` that must not be there.

        What a forgetting had to leave is finished first, and unused room is blanked, so that whatever is found is a finding. It is for
        who runs the memory: the files hold everybody's notes.

        Raises:
            ScopeError: the memory is bound to a user or an agent.
        """
        if self.scope.owner:
            raise ScopeError("The files hold everybody's notes, and this memory is bound to one.", hint="open it without a scope: Memory(path).verify_bytes(…).")
        wanted = [texts] if isinstance(texts, str) else list(texts)
        if not all(isinstance(text, str) and len(text) > 3 for text in wanted):
            raise InvalidArgument("A text to look for has four characters or more.", hint='verify_bytes(["a word", "a sentence"]).')
        return self._parts.verify_bytes(wanted)

    def rebuild(self, projection: str, *, progress: bool | Callable[[int, int], None] = False) -> int:
        """Rebuild ``vectors``, ``text``, ``graph`` or ``weights`` from the notes; returns how many items it holds now."""
        if projection == "weights":
            self._parts.need_model()
        own = self._parts.own(self.scope)
        with wiring.progress_bar(f"rebuilding {projection}", progress) as report:
            held = self._parts.upkeep.rebuild(projection, report if own is None else wiring.in_percent(report))
        return held if own is None else own.held(projection)

    def reembed(self, embedder: Embedder | Callable[[Sequence[str]], Any] | str | Path | None, *, progress: bool | Callable[[int, int], None] = False) -> int:
        """Change the embedder: every note anew, while the former one serves until the switch; resumes where it was stopped.

        Raises:
            ScopeError: this memory is bound to a user or an agent, and others have notes in it.
        """
        own = self._parts.own(self.scope)
        if own is not None and not own.is_alone():
            raise ScopeError("The embedder is everybody's, and this memory is bound to one owner of several.", hint="reembed() with a Memory that is not bound.")
        with wiring.progress_bar("embedding anew", progress) as report:
            held = self._parts.reembed(embedder, report if own is None else wiring.in_percent(report))
        return held if own is None else own.held("vectors")

    def export(
        self, path: str | Path, *, user: str | None = None, agent: str | None = None, everything: bool = False,
        vectors: bool = False, key: bytes | str | None = None, progress: bool | Callable[[int, int], None] = False,
    ) -> ExportReport:  # fmt: skip
        """Write one scope's notes, or ``everything``, with history, links, uses and books, to a file of JSON lines.

        Args:
            key: signs the file with HMAC-SHA256 (16 bytes or more), so that :meth:`load_export` with the same key knows it for one's own.
        """
        with wiring.progress_bar("exporting", progress) as report:
            scope = merge_scope(self.scope, user, agent, None)
            return self._parts.exporter().export(Path(path), scope, everything=everything, vectors=vectors, key=key, progress=report)

    def load_export(
        self, path: str | Path, *, user: str | None = None, agent: str | None = None, forgotten: bool = False,
        dry_run: bool = False, key: bytes | str | None = None, trust: float | str | None = None,
        progress: bool | Callable[[int, int], None] = False,
    ) -> ImportReport:  # fmt: skip
        """Store what an exported file holds, checked as a whole first; what was ``forgotten`` here stays so unless asked for.

        What a file says is a claim: its notes are trusted with at most ``trust`` (by default 0.6, what an import is worth), and its edits
        are candidates, on which :meth:`consolidate` decides. A file that was exported with ``key`` is restored as it was.
        """
        with wiring.progress_bar("importing", progress) as report:
            scope = merge_scope(self.scope, user, agent, None)
            return self._parts.importer().load(Path(path), scope, forgotten=forgotten, dry_run=dry_run, key=key, trust=trust, progress=report)

    def stats(self) -> Mapping[str, object]:
        """Counts and sizes, for people and dashboards; of a memory that is bound to somebody, that one's."""
        own = self._parts.own(self.scope)
        return self._parts.upkeep.stats() if own is None else own.stats()

    def flush(self) -> None:
        """Bring the vector index up to date with the notes, and finish what a forgetting had to leave."""
        self._parts.scrubber.finish()
        self._parts.upkeep.flush()
