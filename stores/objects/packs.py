"""Packs of weight edits as objects: each under its hash, in a folder of its own for each store, which bears a marker.

::

    <place>/weights-<id>/packs.json             the marker: whose packs these are
    <place>/weights-<id>/<sha256>.safetensors   a pack

The id is drawn once and kept with the notes. Who names another place, or one that is not mounted, finds no marker there, and so knows that
nothing is known of the packs; without one it could not be told from a place where all of them were lost.

A pack is put inside the transaction that registers it, and others are removed inside one, so that writers of the store take turns: what has no
row then is of a process that was killed, and nobody's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from secrets import token_hex
from typing import Final

from agentmem.errors import PackMismatch, PackUnreachable
from agentmem.records.pack_place import PackPlace, keep_place, place_of
from agentmem.records.transaction import NoteStore
from agentmem.stores.objects.objects import Objects

__all__ = ["MARKER", "ObjectPacks"]

MARKER: Final = "packs.json"
_SUFFIX: Final = ".safetensors"
_NAME: Final = re.compile(r"([0-9a-f]{64})\.safetensors(?:\.[0-9a-f]{16}\.tmp)?")
_CURE: Final = 'memory.rebuild("weights") writes the edits anew from their notes.'


class ObjectPacks:
    """The packs of one store in a place of objects: :class:`agentmem.weights.shared_packs.PackCopies`.

    Args:
        objects: the place.
        store: whose packs these are; where they are stands in it.
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(self, objects: Objects, store: NoteStore, fail: Callable[[str], None] = lambda step: None) -> None:
        self._objects = objects
        self._store = store
        self._fail = fail
        if self._known() is None and not store.read_only:
            with store.write() as tx:  # before anything is put under it: what a killed process has put is found again
                if place_of(tx) is None:
                    keep_place(tx, PackPlace(token_hex(16)))

    @property
    def place(self) -> str:
        return self._objects.place

    def put(self, sha: str, data: bytes, *, anew: bool = False) -> None:
        """Store bytes durably, and note with the notes that this is where they are.

        Raises:
            PackUnreachable: the place does not take them, or does not hold the packs of this store, and should.
        """
        known = self._need()
        self._claim(known, anew=anew)
        self._objects.write(_folder(known), sha + _SUFFIX, data)
        if known.at != self.place:
            with self._store.write() as tx:
                keep_place(tx, replace(known, at=self.place))

    def get(self, sha: str) -> bytes:
        """The bytes, checked by their hash.

        Raises:
            PackMismatch: the place holds the packs of this store, and not this one, or other bytes under its name.
            PackUnreachable: it cannot be asked, or holds none of them.
        """
        known = self._known()
        data = None if known is None else self._objects.read(_folder(known), sha + _SUFFIX)
        if data is not None and hashlib.sha256(data).hexdigest() == sha:
            return data
        if known is not None and data is None:
            self._check(known)
        what = "missing" if data is None else "damaged: its bytes do not match its name"
        raise PackMismatch(f"The pack {sha[:12]}… in {self.place} is {what}.", hint=_CURE)

    def keep(self, shas: Iterable[str]) -> set[str]:
        """Remove all others; which of these are there.

        Raises:
            PackUnreachable: the place cannot be asked, or holds none of them.
        """
        known = self._known()
        if known is None:
            return set()
        kept = {sha + _SUFFIX for sha in shas}
        names = self._objects.names(_folder(known))
        if MARKER not in names:
            self._check(known)
        for name in names:
            if _NAME.fullmatch(name) and name not in kept:
                self._objects.remove(_folder(known), name)
                self._fail("packs:removed")
        return {name.removesuffix(_SUFFIX) for name in kept & set(names)}

    def ready(self) -> None:
        self._claim(self._need(), anew=False)

    def _known(self) -> PackPlace | None:
        with self._store.read() as tx:
            return place_of(tx)

    def _need(self) -> PackPlace:
        known = self._known()
        assert known is not None, "a store that is written to has drawn its id"
        return known

    def _claim(self, known: PackPlace, *, anew: bool) -> None:
        """The marker, made where there may be none yet."""
        if self._objects.read(_folder(known), MARKER) is not None:
            return
        if known.at is not None and not anew:
            raise self._elsewhere(known)
        marker = {"format": "agentmem-packs", "version": 1, "id": known.id}
        self._objects.write(_folder(known), MARKER, json.dumps(marker, indent=2).encode() + b"\n")

    def _check(self, known: PackPlace) -> None:
        """Raise where packs of this store should be, and no marker is."""
        if known.at is not None and self._objects.read(_folder(known), MARKER) is None:
            raise self._elsewhere(known)

    def _elsewhere(self, known: PackPlace) -> PackUnreachable:
        said = f"There are no packs of this memory in {self.place}" + (
            f"; the last one was put into {known.at}." if known.at != self.place else ", where they were put."
        )
        return PackUnreachable(
            said,
            hint=f'mount or name the place where they are, or copy {_folder(known)} from there; or begin anew here: memory.rebuild("weights").',
        )


def _folder(place: PackPlace) -> str:
    return f"weights-{place.id}"
