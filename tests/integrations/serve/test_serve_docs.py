"""The how-to tells of the routes that there are."""

from __future__ import annotations

import re
from pathlib import Path

from agentmem.integrations.server import make_app

HOW_TO = (Path(__file__).parents[3] / "docs/integrations/rest.md").read_text(encoding="utf-8")


def test_the_routes_that_the_how_to_names_are_there():
    there = {path.removeprefix("/v1") for path in make_app(None, tokens=None).openapi()["paths"]}
    rows = HOW_TO.split("## The routes")[1].split("`/healthz`")[0]
    named = {path for cell in re.findall(r"`([^`]+)`", rows) for path in re.findall(r"/[\w/{}-]+", cell)} - {"/v1"}

    def known(path: str) -> bool:
        return any(path == each or each == f"/notes/{{id}}{path}" for each in there)

    assert len(named) > 20
    assert [path for path in sorted(named) if not known(path)] == []
