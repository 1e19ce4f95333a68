"""The description of the routes as a page that needs nothing else: no script, no font, no address but this server's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from agentmem.integrations.extras import needs

needs("server", "fastapi")

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "summary{cursor:pointer;padding:.3rem 0}b{display:inline-block;min-width:4.5rem}pre{background:#f4f4f4;padding:.8rem;overflow:auto}"
    "code{background:#f4f4f4}@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}pre,code{background:#262626}a{color:#8bf}}"
)


@router.get("/docs")
async def page(request: Request) -> HTMLResponse:
    """All routes, with what they take and answer."""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    return HTMLResponse("".join(_page(request.app.openapi())), headers={"Content-Security-Policy": policy})


def _page(told: Mapping[str, Any]) -> Iterator[str]:
    info = told["info"]
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>"
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
    yield '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
    group = None
    for path, methods in told["paths"].items():
        for method, each in methods.items():
            tag = each.get("tags", [""])[0]
            if tag != group:
                group = tag
                yield f"<h2>{escape(tag)}</h2>"
            yield from _operation(method.upper(), path, each)
    yield "<h2>bodies</h2>"
    for name, schema in told["components"]["schemas"].items():
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{_json(schema)}</pre></details>'


def _operation(method: str, path: str, each: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details><summary><b>{method}</b> <code>{escape(path)}</code> {escape(each.get('summary', ''))}</summary>"
    yield f"<p>{escape(each.get('description', ''))}</p><ul>"
    for one in each.get("parameters", ()):
        need = "" if one.get("required") else ", optional"
        yield f"<li><code>{escape(one['name'])}</code> ({one['in']}{need}) {escape(one.get('description', ''))}</li>"
    yield "</ul>"
    for content in each.get("requestBody", {}).get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        yield f'<p>Body: <a href="#{escape(name)}"><code>{escape(name)}</code></a></p>'
    for status, answer in each["responses"].items():
        yield f"<p><b>{escape(str(status))}</b> {escape(answer.get('description', ''))}</p>"
        for content in answer.get("content", {}).values():
            if str(status).startswith("2") and "example" in content:
                yield f"<pre>{_json(content['example'])}</pre>"
    yield "</details>"


def _json(value: object) -> str:
    return escape(json.dumps(value, ensure_ascii=False, indent=2))
