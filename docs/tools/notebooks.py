"""Notebooks: run by plain execution of their cells, written with what they printed, and read as Markdown."""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any


def code_cells(notebook: Path) -> list[str]:
    """The code of a notebook, cell by cell."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run(code: str, names: dict[str, Any]) -> tuple[str, Any]:
    """What a cell prints, and the value of its last expression, as a notebook shows it."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    return printed.getvalue(), value


def as_notebook(script: Path) -> dict[str, Any]:
    """A notebook of a script whose parts begin with ``# %%`` (code) or ``# %% [markdown]``, run as it is made."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(script.read_text(encoding="utf-8").split("# %%")[1:]):
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            words = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines())
            cells.append({"cell_type": "markdown", "id": f"cell-{number}", "metadata": {}, "source": _lines(words)})
            continue
        printed, value = run(body.strip(), names)
        cells.append(
            {
                "cell_type": "code",
                "execution_count": sum(cell["cell_type"] == "code" for cell in cells) + 1,
                "id": f"cell-{number}",
                "metadata": {},
                "outputs": list(_outputs(printed, value)),
                "source": _lines(body.strip()),
            }
        )
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def as_markdown(notebook: Path, target: Path) -> str:
    """The page of a notebook: its words, its code, and what that printed; pictures lie beside it."""
    parts: list[str] = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for number, output in enumerate(cell["outputs"]):
            data = output.get("data", {})
            if "image/png" in data:
                picture = target.with_name(f"{target.stem}-{cell['id']}-{number}.png")
                picture.write_bytes(base64.b64decode(data["image/png"]))
                parts.append(f"![What the code draws]({picture.name})")
            else:
                said = "".join(output["text"] if "text" in output else data["text/plain"])
                parts.append(f'```text title="prints"\n{said.rstrip()}\n```')
    return "\n\n".join(parts) + "\n"


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _outputs(printed: str, value: Any) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = []
    if printed:
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(printed)})
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        if isinstance(value, Path) and value.suffix == ".png":
            data = {"image/png": base64.b64encode(value.read_bytes()).decode(), "text/plain": [value.name]}
        outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
    return outputs


if __name__ == "__main__":
    import sys
    import tempfile

    for name in sys.argv[1:]:
        script = Path(name).resolve()
        with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
            notebook = as_notebook(script)
        written = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
        assert all(str(place) not in written for place in (Path.home(), tempfile.gettempdir()))
        script.with_suffix(".ipynb").write_text(written, encoding="utf-8")
