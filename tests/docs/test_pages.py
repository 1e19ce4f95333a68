"""The pages are true: their code runs, their commands exist with these options, their notebooks run, and the site has all of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from typer.main import get_command

from agentmem.integrations.cli.app import app
from agentmem.recall.weights import RankingWeights
from docs.tools.generated import settings_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))
OPTIONAL = {
    *("agent_framework", "agents", "anthropic", "autogen_core", "crewai", "fastapi", "google", "httpx", "langchain", "langchain_core"),
    *("langgraph", "llama_index", "mcp", "openai", "opentelemetry", "prometheus_client", "pydantic_ai", "starlette", "uvicorn"),
}  # fmt: skip
"""What a block may need that is not installed with agentmem."""
OTHERS = {"curl", "pip", "python", "export", "claude", "head", "mv"}
"""Commands on the pages that are not ours to look into."""
RUNNER = """
import contextlib, io, json, os, sys, traceback
from pathlib import Path
optional, blocks = json.load(sys.stdin)
results, home = [], Path.cwd()
for number, (page, line, code) in enumerate(blocks):
    folder = home / str(number)
    folder.mkdir()
    os.chdir(folder)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile("\\n" * line + code, page, "exec"), {"__name__": "__main__"})
        said = "ok" if printed.getvalue().strip() or "print(" not in code else "prints nothing"
    except ImportError as error:
        missing = (getattr(error, "name", None) or "").partition(".")[0]
        said = f"needs {missing or error}" if missing in optional or type(error).__name__ == "MissingExtra" else traceback.format_exc()
    except BaseException:
        said = traceback.format_exc()
    results.append([page, line, said])
os.chdir(home)
Path("results.json").write_text(json.dumps(results))
"""


def fenced(page: Path, language: str) -> list[tuple[int, str]]:
    """The blocks of a page in a language, with the line before their first."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, block.start(1)), block.group(1)) for block in found]


def named(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def run(script: str, given: object, directory: Path) -> subprocess.CompletedProcess[str]:
    offline = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    return subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(given), cwd=directory, env={**os.environ, **offline}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def together() -> list[object]:
    """The pages that share a process, so that what they import is imported once; those of ``integrations`` are run by tests/integrations."""
    groups: dict[str, list[Path]] = {}
    for page in PAGES:
        if page.parent.name != "integrations" and (blocks := fenced(page, "python")):
            needs_model = any("small" in code for _, code in blocks)
            groups.setdefault("with a model" if needs_model else "without a model", []).append(page)
    return [pytest.param(pages, id=group) for group, pages in groups.items()]


@pytest.mark.parametrize("pages", together())
def test_every_python_block_of_the_pages_runs_from_an_empty_directory(pages: list[Path], tmp_path: Path) -> None:
    """As it is pasted: none leans on another one, and one that is to show something prints it."""
    blocks = [(named(page), line, code) for page in pages for line, code in fenced(page, "python")]
    done = run(RUNNER, [sorted(OPTIONAL), blocks], tmp_path)

    assert (tmp_path / "results.json").exists(), done.stderr[-2000:]
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    failed = [
        f"{page}, behind line {line}: {said}"
        for page, line, said in results
        if said != "ok" and not said.startswith("needs ")
    ]
    assert not failed, "\n".join(failed)
    needed = sorted({said for _, _, said in results if said != "ok"})
    if needed:
        assert not os.environ.get("AGENTMEM_FRAMEWORKS"), needed
        pytest.skip(", ".join(needed))


@pytest.mark.parametrize("page", [pytest.param(page, id=named(page)) for page in PAGES])
def test_every_link_of_a_page_leads_somewhere_in_the_checkout(page: Path) -> None:
    """Also for who reads the pages where they lie, and builds no site."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(((?!\w+:|#)[^)\s#]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not (page.parent / link).exists()]

    assert not missing


def test_the_settings_of_the_checkout_are_those_of_the_code() -> None:
    """The page is written by the tool that builds the site: ``python -m docs.tools.build --settings``."""
    assert (DOCS / "reference" / "settings.md").read_text(encoding="utf-8") == settings_page()


def test_every_weight_of_recall_and_every_part_of_a_score_is_in_the_tables() -> None:
    """Whoever meets a name in ``hit.reasons`` or in ``RankingWeights`` finds it on the page."""
    page = (DOCS / "recall.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in page.splitlines() if line.startswith("| "))
    ranked = (ROOT / "agentmem" / "recall" / "rank.py").read_text(encoding="utf-8")
    parts = {
        *re.findall(r'parts\["(\w+)"\] [-+]?=', ranked),
        *re.findall(r'^        "(\w+)": ', ranked, flags=re.MULTILINE),
    }

    assert parts >= {"newer", "updates", "question", "session"}
    for name in (*parts, *(field.name for field in fields(RankingWeights))):
        assert f"`{name}`" in rows or f"{name}=" in rows, name


COMMANDS = [
    pytest.param(command, id=f"{named(page)}: {command[:70]}")
    for page in PAGES
    for _, block in fenced(page, "bash")
    for command in (line.strip() for line in block.replace("\\\n", " ").splitlines())
    if command and not command.startswith("#")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_pages_exists_with_these_options(command: str) -> None:
    """The names of commands and options are those that the command line knows; make knows the targets."""
    words = shlex.split(command, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words[0] == "make":
        target = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert target.returncode == 0, target.stderr
    elif words[0] == "agentmem":
        assert unknown(words[1:]) == []
    else:
        assert Path(words[0]).name in OTHERS, f"{words[0]}: add it to OTHERS if it is not ours"


def unknown(words: list[str]) -> list[str]:
    """What of a command line the commands do not know: names of commands, and options."""
    here = get_command(app)
    known = {name for option in here.params for name in (*option.opts, *option.secondary_opts)}
    anywhere = known | {name for command in here.commands.values() for option in command.params for name in option.opts}  # type: ignore[attr-defined]
    wrong, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-") and len(word) > 1 and not word[1:2].isdigit():
            name = word.partition("=")[0]
            options = {n: o for o in here.params for n in (*o.opts, *o.secondary_opts)}
            if (
                name not in options
                and not (hasattr(here, "commands") and name in anywhere)
                and name not in ("--help", "-h")
            ):
                wrong.append(word)
            option = options.get(name)
            takes = (
                not option.is_flag
                if option is not None
                else name in ("--path", "--user", "--agent", "--session", "--embedder", "-p", "-u", "-s")
            )  # type: ignore[attr-defined]
            skip = takes and "=" not in word
        elif hasattr(here, "commands"):
            if word not in here.commands:
                return [*wrong, word]
            here = here.commands[word]
    return wrong


@pytest.mark.parametrize("notebook", [pytest.param(n, id=named(n)) for n in NOTEBOOKS])
def test_the_cells_of_a_notebook_run_in_their_order(notebook: Path, tmp_path: Path) -> None:
    """From top to bottom, in an empty directory; what they print is kept in the notebook, with nothing of the machine that ran them."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    done = run("import json, sys\nexec(chr(10).join(json.load(sys.stdin)), {'__name__': '__main__'})", code, tmp_path)

    assert done.returncode == 0, done.stderr[-2000:]
    kept = json.dumps([cell.get("outputs") for cell in cells])
    assert all(cell["outputs"] for cell in cells if "print(" in "".join(cell["source"]) and cell["cell_type"] == "code")
    assert not re.search(r"/(?:home|root|tmp|work|Users|usr)/|\\\\Users", kept)


def test_there_are_notebooks() -> None:
    """Both that the navigation names."""
    assert [named(notebook) for notebook in NOTEBOOKS] == [
        "notebooks/five_minutes.ipynb",
        "notebooks/life_of_a_fact.ipynb",
    ]


def test_the_navigation_names_every_page_and_links_lead_to_files(tmp_path: Path) -> None:
    """What the build gathers, and checks before it renders: nothing is left out silently."""
    staged = subprocess.run([sys.executable, "-m", "docs.tools.build", "--stage", "--into", str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}, capture_output=True, text=True, timeout=120)  # fmt: skip

    assert staged.returncode == 0, staged.stdout + staged.stderr
    pages = sorted((tmp_path / "docs").rglob("*.md"))
    broken = [
        f"{page.relative_to(tmp_path)}: {link}"
        for page in pages
        for link in re.findall(
            r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)",
            re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL),
        )
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_scripts_that_the_figures_name_are_there() -> None:
    """A figure without its script is a rumour."""
    page = (DOCS / "quality.md").read_text(encoding="utf-8")
    scripts = {
        name
        for row in re.findall(r"^\|.*\| ([^|]*) \|$", page, flags=re.MULTILINE)
        for name in re.findall(r"`([\w.]+)`", row)
    }

    assert len(scripts) > 15
    for script in scripts:
        place = ROOT / "benchmarks" / Path(*script.split("."))
        assert place.with_suffix(".py").exists() or place.is_dir(), script


def test_the_promises_are_those_of_the_readme():
    """Two pages make the same promises: neither says more than the other."""

    def rows(text: str) -> list[str]:
        table = text.split("| promise | held by |", 1)[1].split("\n\n", 1)[0]
        return table.replace("](docs/", "](").splitlines()

    readme, page = (ROOT / name for name in ("README.md", "docs/promises.md"))
    assert rows(page.read_text(encoding="utf-8")) == rows(readme.read_text(encoding="utf-8"))
