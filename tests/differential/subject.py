"""A model directory as the request generator and the parity rules see it.

Read from the MLmodel file and the graph directly, with nothing of MLflow's own reader, so that a
mistake in the signature's interpretation cannot hide on both sides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import yaml

# `onnx.TensorProto.DataType` to the names used in signatures.
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "str", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A declared column. `kind` is the type's name; arrays, objects and maps keep their JSON."""

    name: str | None
    kind: str
    required: bool
    spec: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class TensorInput:
    """A tensor: declared in the signature, or a graph's own input. Free dimensions are -1."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Subject:
    """One model under test."""

    name: str
    directory: Path
    columns: tuple[Column, ...]
    tensors: tuple[TensorInput, ...]
    params: tuple[dict[str, Any], ...]
    graph: tuple[TensorInput, ...]
    outputs: tuple[str, ...]

    @property
    def has_signature(self) -> bool:
        return bool(self.columns or self.tensors)

    @property
    def kind(self) -> str:
        """`columns`, `tensors` or `bare` (no signature)."""
        return "columns" if self.columns else "tensors" if self.tensors else "bare"


def read(directory: Path, name: str | None = None) -> Subject:
    """Reads the model in `directory`; its name is the directory's when none is given."""
    described = yaml.safe_load((directory / "MLmodel").read_text())
    signature = described.get("signature") or {}
    entries = json.loads(signature.get("inputs") or "[]")
    columns, tensors = [], []
    for entry in entries:
        if entry["type"] == "tensor":
            spec = entry["tensor-spec"]
            tensors.append(TensorInput(entry.get("name"), spec["dtype"], tuple(spec["shape"])))
        else:
            scalar = entry["type"] not in ("array", "object", "map", "any")
            required = entry.get("required", scalar)
            columns.append(Column(entry.get("name"), entry["type"], required, entry))
    data = described["flavors"]["onnx"].get("data", "model.onnx")
    graph = onnx.load(directory / data, load_external_data=False).graph
    initialized = {each.name for each in graph.initializer}
    return Subject(
        name=name or directory.name,
        directory=directory,
        columns=tuple(columns),
        tensors=tuple(tensors),
        params=tuple(json.loads(signature.get("params") or "null") or ()),
        graph=tuple(_graph_input(each) for each in graph.input if each.name not in initialized),
        outputs=tuple(each.name for each in graph.output),
    )


def _graph_input(info: onnx.ValueInfoProto) -> TensorInput:
    tensor = info.type.tensor_type
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim
    )
    return TensorInput(info.name, DTYPES[tensor.elem_type], shape)
