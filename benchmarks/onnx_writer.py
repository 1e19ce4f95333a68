"""Writing the packaged encoder as an ONNX file: our writer of 110 lines beside `onnx.helper`.

python -m benchmarks.onnx_writer [--out benchmarks/results/onnx_writer.json]

`onnx` is none of our requirements: `pip install onnx`. Each writer runs in a process of its own, five times by turns; a figure is the
median of processor seconds and of what the process held at most beyond the weights. Both files are the same message, field by field.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TURNS = 5


class Library:
    """`onnx.helper` with the functions of our writer."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._arrays = helper, numpy_helper

    def tensor(self, name: str, array: Any) -> Any:
        """A TensorProto."""
        return self._arrays.from_array(array if array.flags.c_contiguous else array.copy(), name)

    def node(self, operator: str, inputs: Any, outputs: Any, attributes: Any = None, domain: str = "") -> Any:
        """A NodeProto."""
        return self._helper.make_node(
            operator, inputs, outputs, outputs[0], domain=domain or None, **(attributes or {})
        )

    def value(self, name: str, element: int, shape: Any) -> Any:
        """A ValueInfoProto."""
        return self._helper.make_tensor_value_info(name, element, shape)

    def model(self, nodes: Any, tensors: Any, inputs: Any, outputs: Any) -> list[bytes]:
        """A ModelProto."""
        graph = self._helper.make_graph(nodes, "encoder", inputs, outputs, tensors)
        versions = [self._helper.make_opsetid(domain, version) for domain, version in (("", 17), ("com.microsoft", 1))]
        made = self._helper.make_model(graph, ir_version=8, producer_name="agentmem", opset_imports=versions)
        return [made.SerializeToString()]


def write(name: str, file: Path) -> dict[str, float]:
    """Write the file, in this process."""
    from safetensors.numpy import load_file

    from agentmem.embedding import onnx_graph
    from agentmem.embedding.embedders import packaged_minilm
    from agentmem.embedding.encoder_files import EncoderShape, encoder_shape

    path = packaged_minilm()
    shape, weights = encoder_shape(path), load_file(str(path / "model.safetensors"))
    assert isinstance(shape, EncoderShape)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    if name == "onnx.helper":
        onnx_graph.onnx_format = Library()  # type: ignore[assignment]
    with file.open("wb") as out:
        for chunk in onnx_graph.encoder_graph(weights, shape, "fp32"):
            out.write(chunk)
    spent, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"cpu_s": spent, "more_mb": (peak - before) / 1024}


def main() -> None:
    """Print the figures, and write them with ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--write", nargs=2)
    given = parser.parse_args()
    if given.write:
        print(json.dumps(write(given.write[0], Path(given.write[1]))))
        return
    import onnx

    names = ("agentmem", "onnx.helper")
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: Path(scratch) / f"{name}.onnx" for name in names}
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(TURNS):
            for name, file in files.items():
                command = [sys.executable, "-m", "benchmarks.onnx_writer", "--write", name, str(file)]
                runs[name].append(json.loads(subprocess.check_output(command)))
        ours, theirs = (onnx.load(str(file)) for file in files.values())
    medians = {
        name: {key: round(statistics.median(run[key] for run in made), 3) for key in made[0]}
        for name, made in runs.items()
    }
    result = {"onnx": importlib.metadata.version("onnx"), "turns": TURNS, "same_message": ours == theirs, **medians}
    print(json.dumps(result, indent=2))
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
