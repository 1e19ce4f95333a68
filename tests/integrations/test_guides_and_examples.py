"""Every how-to page and every example of an integration runs as it stands, offline, from an empty directory, and says what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STRICT = os.environ.get("AGENTMEM_FRAMEWORKS", "")
ALONE = ("autogen", "crewai")
"""In an environment of their own, where `own_environments.sh` names them."""


ELSEWHERE = {"chat", "command_line", "observability", "page", "proxy"}
"""Pages of what needs no framework: their own tests, beside this one, run them."""


@dataclass(frozen=True)
class Guide:
    """What a page and an example need, and what they print, in this order."""

    needs: str
    example: str
    page_says: list[str]
    example_says: list[str]
    extra: str | None = None


GUIDES = {
    "adk": Guide(
        "google.adk",
        "adk_service",
        ["['I am allergic to walnuts.']\n[]"],
        ["ana, tuesday: No walnuts", "ben, wednesday: I know of nothing.", "after deletion: []"],
        "adk",
    ),
    "agent_framework": Guide(
        "agent_framework",
        "agent_framework_agent",
        ["allergic to walnuts"],
        ["ana, tuesday: No walnuts", "ben, wednesday: I know of nothing.", "ana, thursday: I know of nothing."],
        "agent-framework",
    ),
    "anthropic": Guide(
        "anthropic",
        "anthropic_files",
        ["without sugar", "Successfully deleted /memories/tea.md\n[]"],
        ["recalled from /memories/customers/ana.md", "another user sees: []", "left: []"],
        "anthropic",
    ),
    "autogen": Guide(
        "autogen_agentchat",
        "autogen_agent",
        ["Notes from memory", "allergic to walnuts"],
        ["cook: No walnuts.", "to ben: I know of nothing.", "in the saved state: False"],
    ),
    "crewai": Guide(
        "crewai",
        "crewai_crew",
        ["['The oven in Porto is slow.']", "/kitchens/porto (1 records)", "\n1\n"],
        ["for ana: An apple pie", "for ben: A walnut cake.", "forgotten: 1 []"],
    ),
    "langchain": Guide("langchain", "langchain_agent", ["Noted.\nIn Lisbon.\n"], ["blue boat"], "langchain"),
    "langgraph": Guide(
        "langgraph",
        "langgraph_store",
        ["Ana keeps her boat in Porto.\n['boat']\nAna keeps her boat in Porto.\n0\n"],
        ["another user: []", "remembered nowhere: True"],
        "langgraph",
    ),
    "llamaindex": Guide(
        "llama_index.core",
        "llamaindex",
        ["My boat is called Nimbus.", "I do not know."],
        ["kept: True | of session: monday", "My boat is called Nimbus.", "ben: I do not know."],
        "llamaindex",
    ),
    "mcp": Guide(
        "mcp",
        "mcp_server",
        ["Ana lives in Porto."],
        ["replaced the first: True", "takes no such 'user'", "key found: False", "may forget: False"],
    ),
    "openai_agents": Guide(
        "agents",
        "openai_agents",
        ["Be brief.", "My boat is called Nimbus.", "2 2"],
        ["items of monday: 4", "ana is told of Nimbus: True", "ben is told of Nimbus: False", "cleared: []"],
        "openai-agents",
    ),
    "pydantic_ai": Guide(
        "pydantic_ai",
        "pydantic_ai_agent",
        ["user] My boat is called Nimbus.", "I do not know."],
        ["ana: I know 1 things", "that the history keeps: False", "14 metres", "ben: I know 0 things"],
        "pydantic-ai",
    ),
    "rest": Guide(
        "fastapi",
        "rest",
        ["['Ana lives in Porto.']\nurn:agentmem:problem:unknown-note\nTrue\n"],
        [
            "ana moved: superseded closes 1", "ben asks for ana's note: urn:agentmem:problem:unknown-note", "forgotten: True", "revoked",
        ],
    ),
}  # fmt: skip


def ran(arguments: list[str], directory: Path) -> str:
    paths = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=environment, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def there(name: str) -> Guide:
    """What is known of a guide, where its framework is installed; a missing one fails where it was to be there."""
    guide = GUIDES[name]
    if find_spec(guide.needs.split(".")[0]) is None or find_spec(guide.needs) is None:
        wanted = name == STRICT if name in ALONE or STRICT in ALONE else bool(STRICT)
        (pytest.fail if wanted else pytest.skip)(f"{guide.needs} is not installed")
    return guide


def in_order(text: str, promised: list[str]) -> bool:
    """Whether a text says all of this, one behind the other."""
    place = 0
    for words in promised:
        place = text.find(words, place)
        if place < 0:
            return False
    return True


def test_every_page_and_every_example_is_known_here() -> None:
    pages = {path.stem for path in (ROOT / "docs/integrations").glob("*.md")}
    examples = {path.stem for path in (ROOT / "examples/integrations").glob("*.py")}

    assert pages == {*GUIDES, *ELSEWHERE}
    assert examples == {*(guide.example for guide in GUIDES.values()), *(ELSEWHERE - {"command_line"})}


@pytest.mark.parametrize("name", GUIDES)
def test_an_example_runs_and_says_what_it_promises(name: str, tmp_path: Path) -> None:
    guide = there(name)
    path = ROOT / "examples" / "integrations" / f"{guide.example}.py"
    said = ran([str(path)], tmp_path)

    assert in_order(said, guide.example_says), said
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("name", GUIDES)
def test_every_block_of_a_page_runs_from_an_empty_directory(name: str, tmp_path: Path) -> None:
    guide = there(name)
    page = (ROOT / "docs" / "integrations" / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    told = [ran(["-c", code], tmp_path) for code in blocks]

    assert told
    assert all(said.strip() for said in told)
    assert in_order("".join(told), guide.page_says), told


def test_the_example_of_rest_keeps_two_users_apart(tmp_path: Path) -> None:
    there("rest")
    told = ran([str(ROOT / "examples/integrations/rest.py")], tmp_path)

    assert "The key is under the mat." in re.search(r"ben recalls: .*", told)[0]
    assert "mat" not in re.search(r"ana recalls: .*", told)[0]


@pytest.mark.parametrize("name", [name for name, guide in GUIDES.items() if guide.extra])
def test_without_its_framework_a_module_says_what_to_install(name: str, tmp_path: Path) -> None:
    """And what it shares with others needs no framework."""
    top = GUIDES[name].needs.split(".")[0]
    code = f"""
import sys
sys.modules[{top!r}] = None
import agentmem.integrations.recalling, agentmem.integrations.turns
from agentmem.errors import MissingExtra
try:
    import agentmem.integrations.{name}
except MissingExtra as error:
    print(error.hint)
"""

    assert f'"agentmem-toolkit[{GUIDES[name].extra}]"' in ran(["-c", code], tmp_path)
