"""Model directories that the repository does not hold: one needs a locale, others are large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRING = '[{"type": "tensor", "tensor-spec": {"dtype": "object", "shape": [-1, 1]}}]'
FLOAT = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, %d]}}]'


def write(directory: Path, graph: onnx.GraphProto, inputs: str) -> Path:
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    directory.mkdir(parents=True)
    onnx.save(model, str(directory / "model.onnx"))
    (directory / "MLmodel").write_text(
        "flavors:\n"
        "  onnx: {data: model.onnx, onnx_version: 1.23.2, providers: [CPUExecutionProvider]}\n"
        "mlflow_version: 3.18.0\n"
        "signature:\n"
        f"  inputs: '{inputs}'\n"
    )
    for path in [*directory.rglob("*"), directory]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return directory


def upper_case(directory: Path) -> Path:
    """Writes words in capitals, by the rules of the locale en_US.UTF-8."""
    normalize = helper.make_node(
        "StringNormalizer", ["words"], ["capitals"], case_change_action="UPPER",
        is_case_sensitive=1, locale="en_US.UTF-8",
    )  # fmt: skip
    flat = helper.make_node("Reshape", ["text", "all"], ["words"])
    text = helper.make_tensor_value_info("text", TensorProto.STRING, ["N", 1])
    capitals = helper.make_tensor_value_info("capitals", TensorProto.STRING, ["M"])
    shape = numpy_helper.from_array(np.array([-1], dtype=np.int64), "all")
    graph = helper.make_graph([flat, normalize], "upper", [text], [capitals], [shape])
    return write(directory, graph, STRING)


def dense(directory: Path, mebibytes: int) -> Path:
    """One layer with weights of this size."""
    width = 1024
    weights = np.zeros((width, mebibytes * 256), dtype=np.float32)
    product = helper.make_node("MatMul", ["x", "weights"], ["wide"])
    most = helper.make_node("ReduceMax", ["wide"], ["y"], axes=[1], keepdims=1)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])
    held = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph([product, most], "dense", [x], [y], held)
    return write(directory, graph, FLOAT % width)


def promote(folder: Path, version: int) -> None:
    """Has this version of a model's folder serve."""
    new = folder / "registry.yaml.new"
    new.write_text(f"stages: {{Production: {version}}}\n")
    new.chmod(0o644)
    folder.chmod(0o755)
    new.rename(folder / "registry.yaml")
