"""`flowgate profile` and docs/drift_reference.py write the same bytes, and MLflow logs them.

    target/mlflow-venv/bin/python tests/client/profile.py

For each of the models in models/: rows like its example go into a file, flowgate profiles it, and
the Python writer is given what ONNX Runtime computes for the same rows in blocks of the same size.
Then a model is logged to a real MLflow with its reference in the ways that docs/drift.md names, is
downloaded again, and lies where flowgate looks for it. Environment: `FLOWGATE_BIN` (default
target/debug/flowgate). Exit code 1 when something disagrees.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "differential"), str(HERE.parent.parent / "docs")]

import mlflow  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from answers import quiet  # noqa: E402
from drift_reference import drift_reference  # noqa: E402
from mlflow.models import Model  # noqa: E402
from predict import shuffled  # noqa: E402
from servers import ROOT  # noqa: E402

FLOWGATE = os.environ.get("FLOWGATE_BIN", str(ROOT / "target/debug/flowgate"))
# Rows that flowgate scores together: products of matrices may depend on it.
BLOCK = 1000
NAME = "drift_reference.json"


def profile(model: Path, source: Path, *more: str) -> str:
    command = [FLOWGATE, "profile", source, "--model", model, "--log-level", "warn", *more]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 0, f"{source.name}: {ended.stderr.strip()}"
    assert "profiled" in ended.stderr, ended.stderr
    return ended.stdout


def by_hand(model: Path, data: pd.DataFrame | np.ndarray) -> str:
    """What a notebook does."""
    # One thread, as flowgate has: several add up the trees of a forest in another order.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model / "model.onnx", options)
    graph = session.get_inputs()
    if isinstance(data, np.ndarray):
        inputs = {graph[0].name: data}
    elif len(graph) == 1:
        inputs = {graph[0].name: data.to_numpy(np.float32)}
    else:
        inputs = {each.name: data[each.name].to_numpy() for each in graph}
    names = [each.name for each in session.get_outputs()]
    blocks = [
        session.run(names, {name: rows[start : start + BLOCK] for name, rows in inputs.items()})
        for start in range(0, len(data), BLOCK)
    ]
    outputs = {name: np.concatenate([block[i] for block in blocks]) for i, name in enumerate(names)}
    signature = Model.load(str(model)).signature
    return drift_reference(inputs, outputs, signature=signature.to_dict())


def rows_of(model: Path, random: np.random.Generator) -> Any:
    example = Model.load(str(model)).load_input_example(str(model))
    if isinstance(example, pd.DataFrame):
        return pd.concat([shuffled(example, random) for _ in range(13)], ignore_index=True)
    return random.integers(0, 17, (2600, *example.shape[1:])).astype(example.dtype)


def same_bytes(model: Path, scratch: Path, random: np.random.Generator) -> None:
    data = rows_of(model, random)
    if isinstance(data, np.ndarray):
        sources = [scratch / "rows.jsonl"]
        sources[0].write_text("".join(f"{json.dumps(row)}\n" for row in data.tolist()))
    else:
        sources = [scratch / f"rows.{kind}" for kind in ("csv", "parquet", "jsonl")]
        labelled = data.assign(label=1)
        labelled.to_csv(sources[0], index=False)
        labelled.to_parquet(sources[1])
        labelled.to_json(sources[2], orient="records", lines=True)
    wanted = by_hand(model, data)
    for source in sources:
        got = profile(model, source, "-o", "-")
        assert got == wanted, f"{source.name}: {difference(got, wanted)}"
    print(f"ok    {model.parent.name}/{model.name}: {len(wanted)} bytes")


def difference(got: str, wanted: str) -> str:
    at = next((i for i, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1]), 0)
    near = slice(max(at - 60, 0), at + 60)
    return f"byte {at}: {got[near]!r}, not {wanted[near]!r}"


def logged(scratch: Path, random: np.random.Generator) -> None:
    """Both ways of logging a reference end where the model's files are downloaded to."""
    source = ROOT / "models/wine-quality/2"
    graph, signature = onnx.load(source / "model.onnx"), Model.load(str(source)).signature
    text = by_hand(source, rows_of(source, random))
    mlflow.set_tracking_uri(f"sqlite:///{scratch}/mlflow.db")
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("drift", f"file://{scratch}/artifacts")
    )

    # As a file of the model's directory, which goes into a run whole.
    directory = scratch / "model"
    mlflow.onnx.save_model(graph, str(directory), signature=signature)
    (directory / NAME).write_text(text, encoding="utf-8")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(directory), "model")
    version = mlflow.register_model(f"runs:/{run.info.run_id}/model", "by-file")
    lies_in(f"models:/by-file/{version.version}", NAME, text, scratch / "by-file")

    # As an extra file, which the metadata name.
    (scratch / NAME).write_text(text, encoding="utf-8")
    with mlflow.start_run():
        mlflow.onnx.log_model(
            graph,
            name="model",
            signature=signature,
            extra_files=[str(scratch / NAME)],
            metadata={"drift_reference": f"extra_files/{NAME}"},
            registered_model_name="by-metadata",
        )
    lies_in("models:/by-metadata/1", f"extra_files/{NAME}", text, scratch / "by-metadata")


def lies_in(uri: str, name: str, text: str, folder: Path) -> None:
    folder.mkdir()
    directory = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    assert (directory / name).read_text(encoding="utf-8") == text, f"{uri}: {name} differs"
    metadata = Model.load(str(directory)).metadata or {}
    if name != NAME:
        assert metadata["drift_reference"] == name, metadata
    print(f"ok    {uri}: {name}")


def main() -> int:
    quiet()
    failed = 0
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        cases = [(same_bytes, path.parent) for path in sorted(ROOT.glob("models/*/*/MLmodel"))]
        for check, model in [*cases, (logged, None)]:
            scratch = Path(tempfile.mkdtemp(dir=folder))
            try:
                check(*([model] if model else []), scratch, random)
            except Exception as failure:  # whatever either side raises is a disagreement
                failed += 1
                print(f"FAIL  {model or 'logged'}: {failure}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
