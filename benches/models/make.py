"""Writes the models that the benchmarks serve, and the requests to load them with.

    scripts/mlflow-venv.sh --train
    target/mlflow-venv/bin/python benches/models/make.py          all that is missing
    target/mlflow-venv/bin/python benches/models/make.py --force  all, afresh

Under target/bench-models/<name>/ it puts `model/` (an MLflow model directory), `rows.jsonl`
(2,000 distinct rows, for running the graph without a server) and `bodies/` (see bodies.py). `wine`
and `digits` are the committed sample models; the others are made here:

    linear   11 columns to a number: next to nothing to compute, so what remains is the server
    forest   100 trees of depth 10 on 11 columns: cheap rows, somewhat cheaper in a batch
    mlp      512-2048-2048-512: 25 MB of weights, so batches are what counts
    cnn      two small convolutions over 28 by 28 pixels: a batch gains little
    mlp-25mb, mlp-113mb   dense nets of 25 and 113 MB, in three versions each, to be swapped

Those in several versions have a folder `versions/` (1, 2, 3) in place of `model/`, and their bodies
are the mlp's.

Seeds, ids and time stamps are fixed: a second run makes the same models and the same bodies.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import sys
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import onnx
import pandas as pd
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

import bodies

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target/bench-models"
# Its wines are the rows of every model with columns.
sys.path.insert(0, str(ROOT / "models"))
import train  # noqa: E402

SEED = 20261121
ROWS = 2_000
WINES = 8_000
# Versions of a model that is swapped: with three, the next is neither what serves nor what was before.
SWAPPED = 3


@dataclass(frozen=True)
class Made:
    """A model's directory and rows that are worth sending to it."""

    directory: Path
    rows: pd.DataFrame | np.ndarray


def save(
    name: str, graph: onnx.ModelProto, signature: ModelSignature, rows: pd.DataFrame | np.ndarray,
    version: int | None = None,
) -> Made:  # fmt: skip
    """Has MLflow write `target/bench-models/<name>/model`, or `versions/<version>` there; its example
    is the first two rows."""
    # The converter lists operator sets in the order of a set, which varies from run to run.
    opsets = sorted((each.domain, each.version) for each in graph.opset_import)
    del graph.opset_import[:]
    graph.opset_import.extend(helper.make_opsetid(*each) for each in opsets)
    onnx.checker.check_model(graph, full_check=True)
    place = "model" if version is None else f"versions/{version}"
    directory = TARGET / name / place
    shutil.rmtree(directory, ignore_errors=True)
    identity = Model(
        utc_time_created=train.CREATED,
        model_uuid=uuid.uuid5(uuid.NAMESPACE_URL, f"flowgate/bench/{name}/{version or ''}".rstrip("/")).hex,
    )
    mlflow.onnx.save_model(
        graph, str(directory), mlflow_model=identity, signature=signature,
        input_example=rows[:2], pip_requirements=train.REQUIREMENTS, save_as_external_data=False,
    )  # fmt: skip
    return Made(directory, rows)


def wines() -> tuple[pd.DataFrame, np.ndarray]:
    frame, grade = train.wine_data(WINES)
    assert not frame.duplicated().any(), "rows must be distinct"
    return frame, grade


def columns_schema(frame: pd.DataFrame, kind: str) -> Schema:
    return Schema([ColSpec(kind, name) for name in frame.columns])


def linear() -> Made:
    frame, grade = wines()
    estimator = LinearRegression().fit(frame.to_numpy(), grade)
    graph = convert_sklearn(
        estimator, "linear", [("features", FloatTensorType([None, frame.shape[1]]))],
        target_opset=train.OPSET,
    )  # fmt: skip
    train.rename_output(graph, 0, "quality")
    signature = ModelSignature(
        columns_schema(frame, "double"), Schema([ColSpec("float", "quality")])
    )
    return save("linear", graph, signature, frame)


def wine() -> Made:
    registry = yaml.safe_load((ROOT / "models/wine-quality/registry.yaml").read_text())
    version = registry["stages"]["Production"]
    return Made(ROOT / f"models/wine-quality/{version}", wines()[0])


def forest() -> Made:
    """Label and probability of a good wine. MLflow cannot put two probabilities a row into its
    DataFrame beside one label, so the second class's is cut out."""
    frame, grade = wines()
    estimator = RandomForestClassifier(n_estimators=100, max_depth=10, random_state=SEED)
    estimator.fit(frame.to_numpy(np.float32), (grade >= 6.0).astype(np.int64))
    converted = convert_sklearn(
        estimator, "forest", [("features", FloatTensorType([None, frame.shape[1]]))],
        target_opset=train.OPSET, options={id(estimator): {"zipmap": False}},
    )  # fmt: skip
    train.rename_output(converted, 0, "good")
    graph = converted.graph
    probabilities = graph.output[1].name
    graph.node.append(
        helper.make_node("Gather", [probabilities, "second"], ["good_probability"], axis=1)
    )
    graph.initializer.append(helper.make_tensor("second", TensorProto.INT64, [], [1]))
    del graph.output[1]
    graph.output.append(
        helper.make_tensor_value_info("good_probability", TensorProto.FLOAT, [None])
    )
    signature = ModelSignature(
        columns_schema(frame, "float"),
        Schema([ColSpec("long", "good"), ColSpec("float", "good_probability")]),
    )
    return save("forest", converted, signature, frame.astype(np.float32))


def tensor_signature(dims: tuple[int, ...], classes: int) -> ModelSignature:
    return ModelSignature(
        Schema([TensorSpec(np.dtype(np.float32), (-1, *dims))]),
        Schema([TensorSpec(np.dtype(np.float32), (-1, classes), "output")]),
    )


def network(
    name: str, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], dims: tuple[int, ...],
    outputs: int,
) -> onnx.ModelProto:  # fmt: skip
    """A graph from `input` of [N, *dims] to `output` of [N, outputs], float32."""
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, name,
        [tensor("input", TensorProto.FLOAT, ["N", *dims])],
        [tensor("output", TensorProto.FLOAT, ["N", outputs])],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="flowgate"
    )


def scaled(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random weights that keep the variance through a rectified layer (He et al.)."""
    fan_in = int(np.prod(shape[1:]))
    return (rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)


def dense(name: str, sizes: list[int], rng: np.random.Generator) -> onnx.ModelProto:
    """Fully connected layers of these widths, rectified in between."""
    nodes, weights, flowing = [], {}, "input"
    for layer, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
        last = layer == len(sizes) - 2
        weights[f"weight{layer}"] = scaled(rng, after, before)
        weights[f"bias{layer}"] = (0.1 * rng.standard_normal(after)).astype(np.float32)
        dense = "output" if last else f"dense{layer}"
        nodes.append(
            helper.make_node(
                "Gemm", [flowing, f"weight{layer}", f"bias{layer}"], [dense], transB=1
            )
        )
        if not last:
            flowing = f"active{layer}"
            nodes.append(helper.make_node("Relu", [dense], [flowing]))
    return network(name, nodes, weights, (sizes[0],), sizes[-1])


def mlp() -> Made:
    rng = np.random.default_rng(SEED)
    sizes = [512, 2048, 2048, 512]
    graph = dense("mlp", sizes, rng)
    # Kept as doubles: clients send all the digits that their numbers have.
    rows = rng.standard_normal((ROWS, sizes[0]))
    return save("mlp", graph, tensor_signature((sizes[0],), sizes[-1]), rows)


def versions(name: str, sizes: list[int]) -> None:
    """Dense nets that read what the mlp reads: one graph, other weights in each version."""
    rows = np.random.default_rng(SEED).standard_normal((2, sizes[0]))
    signature = tensor_signature((sizes[0],), sizes[-1])
    for version in range(1, SWAPPED + 1):
        graph = dense(name, sizes, np.random.default_rng(SEED + version))
        save(name, graph, signature, rows, version)


def cnn() -> Made:
    rng = np.random.default_rng(SEED + 1)
    weights = {
        "filters0": scaled(rng, 8, 1, 3, 3),
        "filters1": scaled(rng, 16, 8, 3, 3),
        "dense": scaled(rng, 10, 16 * 5 * 5),
        "bias": (0.1 * rng.standard_normal(10)).astype(np.float32),
    }
    node = helper.make_node
    halves = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        node("Conv", ["input", "filters0"], ["conv0"], kernel_shape=[3, 3]),
        node("Relu", ["conv0"], ["active0"]),
        node("MaxPool", ["active0"], ["pool0"], **halves),
        node("Conv", ["pool0", "filters1"], ["conv1"], kernel_shape=[3, 3]),
        node("Relu", ["conv1"], ["active1"]),
        node("MaxPool", ["active1"], ["pool1"], **halves),
        node("Flatten", ["pool1"], ["flat"]),
        node("Gemm", ["flat", "dense", "bias"], ["scores"], transB=1),
        node("Softmax", ["scores"], ["output"], axis=1),
    ]
    graph = network("cnn", nodes, weights, (1, 28, 28), 10)
    # Grey values as clients that scale pixels send them: a few digits each.
    rows = np.round(rng.random((ROWS, 1, 28, 28)), 3)
    return save("cnn", graph, tensor_signature((1, 28, 28), 10), rows)


def digits() -> Made:
    """The bundled images, and mixtures of two of them until there are enough distinct ones."""
    images = load_digits().images[:, None]
    rng = np.random.default_rng(SEED + 2)
    pairs = rng.integers(0, len(images), (2, ROWS))
    rows = np.unique(np.round((images[pairs[0]] + images[pairs[1]]) / 2.0, 1), axis=0)
    more = np.unique(np.concatenate([rows, images]), axis=0)
    return Made(ROOT / "models/digits/1", rng.permutation(more)[:ROWS])


MODELS: dict[str, Callable[[], Made | None]] = {
    "linear": linear, "wine": wine, "forest": forest, "mlp": mlp, "cnn": cnn, "digits": digits,
    "mlp-25mb": lambda: versions("mlp-25mb", [512, 2048, 2048, 512]),
    "mlp-113mb": lambda: versions("mlp-113mb", [512, 4096, 4096, 2048, 512]),
}  # fmt: skip


def make(name: str) -> None:
    """Writes one model with its rows and bodies; the stamp, last, says that all of it is there."""
    home = TARGET / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    made = MODELS[name]()
    if made is None:
        stamp(name).write_text(recipe())
        print(f"{name}: {SWAPPED} versions in {home.relative_to(ROOT) / 'versions'}", flush=True)
        return
    if made.directory.parent != home:
        shutil.copytree(made.directory, home / "model")
    rows = bodies.cells(np.asarray(made.rows[:ROWS]).reshape(ROWS, -1))
    (home / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    written = bodies.write(home / "bodies", made.rows)
    stamp(name).write_text(recipe())
    print(f"{name}: {written} bodies in {home.relative_to(ROOT) / 'bodies'}", flush=True)


def stamp(name: str) -> Path:
    return TARGET / name / ".recipe"


def is_made(name: str) -> bool:
    """Whether it is there, complete, and as these scripts would make it."""
    return stamp(name).is_file() and stamp(name).read_text() == recipe()


def recipe() -> str:
    sources = [Path(__file__), Path(bodies.__file__), Path(train.__file__)]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--force", action="store_true", help="make again what is there")
    options = parser.parse_args()
    unknown = set(options.names) - set(MODELS)
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    for name in options.names or MODELS:
        if options.force or not is_made(name):
            make(name)


if __name__ == "__main__":
    main()
