"""What docstrings say in the words of reStructuredText, as the site's Markdown: roles become references that must exist."""

from __future__ import annotations

import builtins
import re
from typing import Any

from griffe import Alias, Class, Extension, GriffeLoader, Module, NameResolutionError, Object

_ROLE = re.compile(r":(?:class|meth|mod|func|attr|data|exc):`(~?)([\w.]+)`")
_CODE = re.compile(r"``([^`\n]+)``")


class Roles(Extension):
    """Rewrites roles and doubled backquotes of every docstring of a package."""

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **_: Any) -> None:
        """Once all of a package is known, so that every name can be looked up."""
        self._walk(pkg, loader, set())

    def _walk(self, thing: Object, loader: GriffeLoader, seen: set[str]) -> None:
        if thing.path in seen:
            return
        seen.add(thing.path)
        if thing.docstring is not None:
            thing.docstring.value = self._said(thing.docstring.value, thing, loader)
        for member in thing.members.values():
            if not isinstance(member, Alias):
                self._walk(member, loader, seen)

    def _said(self, text: str, thing: Object, loader: GriffeLoader) -> str:
        def role(found: re.Match[str]) -> str:
            short, name = found.group(1), found.group(2)
            shown = name.rsplit(".", 1)[-1] if short else name
            if hasattr(builtins, name):
                return f"`{name}`"
            return f'<autoref identifier="{_path(name, thing, loader)}" optional><code>{shown}</code></autoref>'

        return _CODE.sub(r"`\1`", _ROLE.sub(role, text))


def _path(name: str, thing: Object, loader: GriffeLoader) -> str:
    """The full path of what a role names from within ``thing``; a name that leads nowhere is an error."""
    if name.startswith("agentmem."):
        return _canonical(name, loader, thing)
    holder = thing
    while holder.parent is not None and not isinstance(holder, (Class, Module)):
        holder = holder.parent
    first, _, rest = name.partition(".")
    if isinstance(holder, Class) and first in holder.all_members:
        return f"{holder.path}.{name}"
    try:
        return _canonical(f"{holder.resolve(first)}{'.' if rest else ''}{rest}", loader, thing)
    except NameResolutionError as error:
        raise LookupError(f"{thing.path}: its docstring names {name}, which there is not") from error


def _canonical(path: str, loader: GriffeLoader, thing: Object) -> str:
    try:
        return loader.modules_collection[path].canonical_path
    except (KeyError, AttributeError) as error:
        raise LookupError(f"{thing.path}: its docstring names {path}, which there is not") from error
