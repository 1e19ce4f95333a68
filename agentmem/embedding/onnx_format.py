"""ONNX files, written field by field: the few messages that an encoder needs, in the wire format of protocol buffers.

Exporters bring torch and two more packages to write a graph that we know anyway. The numbers below are the field numbers
of ``onnx.proto`` (ONNX IR version 8). A message is a list of byte chunks, so that large tensors are never copied: ``onnx.helper``
makes the same message in seven times the time, holds four times the weights while it does, and can make none over 2 GiB
(``benchmarks/onnx_writer.py``).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["CONTRIB", "FLOAT", "INT32", "Chunks", "model", "node", "tensor", "value"]

Chunks = list[bytes | memoryview]

CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own fused operators."""
FLOAT, INT32 = 1, 6

_ELEMENTS = {"float32": FLOAT, "uint8": 2, "int8": 3, "int32": INT32, "int64": 7}
_IR_VERSION, _OPSET, _CONTRIB_OPSET = 8, 17, 1
_VARINT, _LENGTH, _FIXED32 = 0, 2, 5
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT = 1, 2


def tensor(name: str, array: npt.NDArray[Any]) -> Chunks:
    """A TensorProto with the values of ``array``, row by row, little-endian."""
    whole = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    dims = [_number(1, size) for size in array.shape]  # a number has none, but is made a row of one above
    raw = whole.data.cast("B")
    return [*dims, _number(2, _ELEMENTS[whole.dtype.name]), *_text(8, name), _header(9, len(raw)), raw]


def node(
    operator: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: Mapping[str, float] | None = None,
    domain: str = "",
) -> Chunks:
    """A NodeProto; an empty input name is an optional input left out, ints and floats keep their type."""
    chunks: Chunks = []
    for number, names in ((1, inputs), (2, outputs), (3, (outputs[0],)), (4, (operator,))):
        for name in names:
            chunks += _text(number, name)
    for name, given in (attributes or {}).items():
        chunks += _message(5, _attribute(name, given))
    return chunks + (_text(7, domain) if domain else [])


def value(name: str, element: int, shape: Sequence[str | int]) -> Chunks:
    """A ValueInfoProto: an input or output, whose sizes are numbers, or names where any size will do."""
    dims: Chunks = []
    for size in shape:
        dims += _message(1, [_number(1, size)] if isinstance(size, int) else _text(2, size))
    return [*_text(1, name), *_message(2, _message(1, [_number(1, element), *_message(2, dims)]))]


def model(
    nodes: Sequence[Chunks], tensors: Sequence[Chunks], inputs: Sequence[Chunks], outputs: Sequence[Chunks]
) -> Chunks:
    """A ModelProto: what a ``.onnx`` file holds."""
    graph: Chunks = _text(2, "encoder")
    for number, messages in ((1, nodes), (5, tensors), (11, inputs), (12, outputs)):
        for chunks in messages:
            graph += _message(number, chunks)
    opsets: Chunks = []
    for domain, version in (("", _OPSET), (CONTRIB, _CONTRIB_OPSET)):
        opsets += _message(8, [*_text(1, domain), _number(2, version)])
    return [_number(1, _IR_VERSION), *_text(2, "agentmem"), *_message(7, graph), *opsets]


def _attribute(name: str, given: float) -> Chunks:
    if isinstance(given, int):
        return [*_text(1, name), _number(3, given), _number(20, _ATTRIBUTE_INT)]
    single = _varint(2 << 3 | _FIXED32) + struct.pack("<f", given)
    return [*_text(1, name), single, _number(20, _ATTRIBUTE_FLOAT)]


def _message(number: int, chunks: Chunks) -> Chunks:
    return [_header(number, sum(len(chunk) for chunk in chunks)), *chunks]


def _text(number: int, text: str) -> Chunks:
    data = text.encode()
    return [_header(number, len(data)), data]


def _header(number: int, size: int) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(size)


def _number(number: int, given: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(given)


def _varint(given: int) -> bytes:
    """Seven bits a byte, lowest first; negative numbers as their two's complement of 64 bits."""
    rest = given & (1 << 64) - 1
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)
