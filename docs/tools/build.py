"""Build the site: gather the pages, write those that follow from the code, and let zensical check and render them.

    python -m docs.tools.build            # into build/site
    python -m docs.tools.build --stage    # gather and check the pages alone, without zensical
    python -m docs.tools.build --settings # write docs/reference/settings.md, which the checkout has as well

Pages are gathered in build/docs: those of docs/ as they are, notebooks as Markdown with their outputs, what lies elsewhere in the
repository and is linked from a page, and the reference of commands, routes and settings, which is read off the code. A page that no entry
of the navigation names, and an entry without a page, are errors; so is every warning of zensical: broken links, anchors, references.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from docs.tools.generated import commands_page, routes_page, settings_page
from docs.tools.notebooks import as_markdown

ROOT = Path(__file__).parents[2]
SOURCE, BUILD = ROOT / "docs", ROOT / "build"
ELSEWHERE = {
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "agentmem/data/small_model/README.md": "project/small-model.md",
    "agentmem/data/same_question/README.md": "project/same-question.md",
    "agentmem/data/relations/README.md": "project/relations.md",
    "agentmem/data/asking/README.md": "project/asking.md",
    "benchmarks/results/editing_forgetting.png": "images/editing_forgetting.png",
}
"""Files of the repository that are pages of the site, too; links to them are led there."""
GENERATED = {
    "reference/command_line.md": commands_page,
    "reference/rest.md": routes_page,
    "reference/settings.md": settings_page,
}
_LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\])\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
_FETCHED = re.compile(r"<(?:script|img|iframe|link(?![^>]*rel=.?canonical))\b[^>]*(?:src|href)=.?(?:https?:)?//[^>]*>")
_FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Gather, check, and build unless told not to; the exit code is zensical's."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--stage", action="store_true", help="gather and check the pages, without building")
    arguments.add_argument("--into", type=Path, default=BUILD, help="where pages and site go")
    arguments.add_argument(
        "--settings", action="store_true", help="write the page of settings into docs/, and nothing else"
    )
    chosen = arguments.parse_args()
    if chosen.settings:
        (SOURCE / "reference" / "settings.md").write_text(settings_page(), encoding="utf-8")
        return 0
    config = stage(chosen.into)
    if chosen.stage:
        return 0
    zensical = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(config)]
    built = subprocess.run(zensical, cwd=chosen.into, env={**os.environ, "NO_COLOR": "1"}, check=False).returncode
    return built or _kept_at_home(chosen.into / "site")


def _kept_at_home(site: Path) -> int:
    """Lead pages to the site's own worker for search, and look that none fetches anything from elsewhere."""
    strangers = set()
    for page in sorted(site.rglob("*.html")):
        own = posixpath.relpath("worker.js", page.relative_to(site).parent.as_posix())
        text = page.read_text(encoding="utf-8").replace("https://unpkg.com/iframe-worker/shim", own)
        page.write_text(text, encoding="utf-8")
        strangers |= {f"{page.relative_to(site)}: {tag}" for tag in _FETCHED.findall(text)}
    for stranger in sorted(strangers):
        print(f"fetched from elsewhere: {stranger}", file=sys.stderr)
    return int(bool(strangers))


def stage(into: Path) -> Path:
    """Gather all pages in a folder; returns the configuration that names them."""
    staged = into / "docs"
    shutil.rmtree(staged, ignore_errors=True)
    places = {path: path.relative_to(SOURCE).as_posix() for path in _sources()}
    places |= {ROOT / path: place for path, place in ELSEWHERE.items()}
    for path, place in sorted(places.items()):
        target = staged / (place.removesuffix(".ipynb") + ".md" if path.suffix == ".ipynb" else place)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".ipynb":
            target.write_text(_led(as_markdown(path, target), path, place, places), encoding="utf-8")
        elif path.suffix == ".md":
            target.write_text(_led(path.read_text(encoding="utf-8"), path, place, places), encoding="utf-8")
        else:
            shutil.copyfile(path, target)
    for place, page in GENERATED.items():
        (staged / place).parent.mkdir(parents=True, exist_ok=True)
        (staged / place).write_text(page(), encoding="utf-8")
    return _configured(into, staged)


def _sources() -> Iterator[Path]:
    for path in sorted(SOURCE.rglob("*")):
        folders = path.relative_to(SOURCE).parts[:-1]
        if (
            path.is_file()
            and path.suffix != ".py"
            and not {"tools", "__pycache__", ".ipynb_checkpoints"} & set(folders)
        ):
            yield path


def _led(text: str, path: Path, place: str, places: dict[Path, str]) -> str:
    """The page with links to what lies elsewhere in the repository led to where that lies on the site."""

    def lead(found: re.Match[str]) -> str:
        label, link, anchor = found.group(1), found.group(2), found.group(3) or ""
        target = (path.parent / link).resolve()
        if target.is_relative_to(SOURCE) and path.is_relative_to(SOURCE):
            return f"{label}({link.removesuffix('.ipynb') + '.md' if link.endswith('.ipynb') else link}{anchor})"
        if target not in places and target != ROOT / "README.md":
            raise SystemExit(f"{path.relative_to(ROOT)}: {link} is no page of the site; see ELSEWHERE in {__file__}")
        there = places.get(target, "index.md")
        return f"{label}({posixpath.relpath(there, posixpath.dirname(place) or '.')}{anchor})"

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(lead, part) for part in parts)


def _configured(into: Path, staged: Path) -> Path:
    """Write the configuration with the navigation spelled out, after looking that it names every page once."""
    told = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    pages = {path.relative_to(staged).as_posix() for path in staged.rglob("*.md")}
    told = re.sub(
        r'^( *)"([\w/-]+)/\*\.md",?$', lambda m: _spelled(m.group(1), m.group(2), staged), told, flags=re.MULTILINE
    )
    named = list(_named(tomllib.loads(told)["project"]["nav"]))
    wrong = sorted(pages ^ set(named)) + sorted({page for page in named if named.count(page) > 1})
    if wrong:
        raise SystemExit(f"The navigation in zensical.toml and the pages differ: {', '.join(wrong)}")
    config = into / "zensical.toml"
    config.write_text(told, encoding="utf-8")
    return config


def _spelled(indent: str, folder: str, staged: Path) -> str:
    """The pages of a folder by their titles, as lines of the navigation."""
    titles = {
        page.read_text(encoding="utf-8").splitlines()[0].lstrip("# "): f"{folder}/{page.name}"
        for page in (staged / folder).glob("*.md")
    }
    return "\n".join(f'{indent}{{ "{title}" = "{titles[title]}" }},' for title in sorted(titles, key=str.casefold))


def _named(entries: object) -> Iterator[str]:
    if isinstance(entries, str):
        yield entries
    elif isinstance(entries, dict):
        for entry in entries.values():
            yield from _named(entry)
    elif isinstance(entries, list):
        for entry in entries:
            yield from _named(entry)


if __name__ == "__main__":
    raise SystemExit(main())
