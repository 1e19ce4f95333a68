"""Every example runs as a script, offline, and says what its comments promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from agentmem.llm.small_model import small_model_path

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))
SAYS = {
    "01_quickstart": ["superseded → ['My favourite food is couscous.']", "forgotten everywhere: True"],
    "02_agent_loop": ["Where do I live? Lisbon.", "used: ['My brother plays the cello.']", "rejected"],
    "03_chatbot": ["Lisbon.", "translator.", "notes in the prompt: 0"],
    "04_note_graph_and_forgetting": ["found by default: False", "found with faded=True: True"],
    "05_consolidation_job": ["admitted:", "not trusted enough", "books, pack and notes agree: True"],
    "06_forget_everywhere": [
        "side memory as if never learnt: True",
        "logits as if never learnt: True | as the base model: True",
    ],
    "07_experience": ["experience succeeded in 84%", "nothing    succeeded in 6%", "drawn: learning.png"],
    "08_records": [
        "by meaning: complaint",
        "by filter: ['order']",
        "same id: True | versions: 2",
        "expired: None | swept: 1",
        "deleted: True",
        "nobody else's: None",
    ],
}


def test_every_example_is_known_here():
    assert [path.stem for path in EXAMPLES] == sorted(SAYS)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, capsys: pytest.CaptureFixture[str]):
    text = path.read_text(encoding="utf-8")
    if ('"small"' in text) and not list(small_model_path().glob("*.safetensors")):
        pytest.skip("the small model is not here")
    if "agentmem.graph.pictures" in text:
        pytest.importorskip("matplotlib")
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out

    for words in SAYS[path.stem]:
        assert words in said
    assert len(text.splitlines()) < 60
