"""MLflow's own client reads flowgate's answers.

    target/mlflow-venv/bin/python tests/client/client.py

For each model: `mlflow.pyfunc.load_model` predicts in this process, MLflow's
`ScoringServerClient` sends the same DataFrame, array or dictionary to a running flowgate and reads
the answer with `PredictionsResponse.get_predictions`; both must agree. The models are all those in
models/ and a choice of the zoo. Environment: `FLOWGATE_BIN` (default target/debug/flowgate). Exit
code 1 when a model disagrees.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "differential"))

import mlflow  # noqa: E402
import model_zoo  # noqa: E402
from answers import quiet  # noqa: E402
from mlflow.models import Model  # noqa: E402
from mlflow.pyfunc.scoring_server.client import ScoringServerClient  # noqa: E402
from servers import ROOT, flowgate  # noqa: E402

Start = Callable[[dict[str, Path], Path], Any]

FEATURES = pd.DataFrame({"u": [0.5, -1.0, 2.0], "v": [1.5, 0.25, 0.0], "w": [-0.5, 3.0, 1.0]})

# What the client sends to each zoo model: data, and parameters where it takes some.
ZOO_DATA: dict[str, tuple[Any, dict[str, Any] | None]] = {
    "scalar_columns": (
        pd.DataFrame(
            {
                "d": [1.5, np.nan],
                "f": np.array([0.1, -2.5], np.float32),
                "l": [2**53 + 1, -7],
                "i": np.array([3, -4], np.int32),
                "b": [True, False],
                "s": ["Zürich", "東京 😀"],
            }
        ),
        None,
    ),
    "one_string": (pd.DataFrame({"a": ["x", 'quo"te', ""]}), None),
    "zipmap_int": (FEATURES, None),
    "zipmap_str": (FEATURES, None),
    "zipmap_tensor": (FEATURES.to_numpy(np.float32), None),
    "probabilities_tensor": (FEATURES.to_numpy(np.float32), None),
    "square_outputs": (FEATURES[["u", "v"]].abs(), None),
    "sequence_tensors": (
        {"input_ids": np.array([[1, 2, 3], [4, 5, 0]]),
         "attention_mask": np.array([[1, 1, 1], [1, 1, 0]])},
        None,
    ),
    "t_str": (np.array([["a", "é"]]), None),
    "t_u64": (np.array([[0, 2**64 - 1]], np.uint64), None),
    "nosig_f32": (np.array([[0.5, 1.5, -2.5]]), None),
    "params_tensor": (np.array([[0.5, 1.5]], np.float32), {"top_k": 3, "mode": "slow"}),
}  # fmt: skip


def agree(name: str, directory: Path, data: Any, params: Any, start: Start, log: Path) -> None:
    """Raises AssertionError when the client reads something else than pyfunc predicts."""
    expected = mlflow.pyfunc.load_model(str(directory)).predict(data, params=params)
    server = start({name: directory}, log)
    try:
        server.wait()
        client = ScoringServerClient("127.0.0.1", server.port)
        client.wait_server_ready()
        assert client.get_version() == mlflow.__version__
        response = client.invoke(data, params=params)
    finally:
        server.stop()
    frame = response.get_predictions()
    columns = list(expected.columns) if isinstance(expected, pd.DataFrame) else list(expected)
    assert list(frame.columns) == columns, f"columns {list(frame.columns)}, expected {columns}"
    for column in columns:
        same(frame[column].tolist(), plain(expected[column]), column)


def plain(values: Any) -> list:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def same(got: Any, wanted: Any, path: str) -> None:
    """Equal, floats within a tolerance. ZipMap's integer keys are strings in JSON."""
    if isinstance(wanted, dict):
        wanted = {str(key): value for key, value in wanted.items()}
        assert list(got) == list(wanted), f"{path}: keys {list(got)}, expected {list(wanted)}"
        for key in wanted:
            same(got[key], wanted[key], f"{path}.{key}")
    elif isinstance(wanted, list):
        assert len(got) == len(wanted), f"{path}: {len(got)} items, expected {len(wanted)}"
        for index, (one, other) in enumerate(zip(got, wanted)):
            same(one, other, f"{path}[{index}]")
    elif isinstance(wanted, float):
        assert np.isclose(got, wanted, rtol=1e-4, atol=1e-6, equal_nan=True), (
            f"{path}: {got}, expected {wanted}"
        )
    else:
        assert got == wanted, f"{path}: {got!r}, expected {wanted!r}"


def main(start: Start = flowgate) -> int:
    quiet()
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        cases = []
        for path in sorted((ROOT / "models").glob("*/*/MLmodel")):
            directory = path.parent
            example = Model.load(str(directory)).load_input_example(str(directory))
            name = f"{path.parts[-3]}-{path.parts[-2]}"
            cases.append((name, directory, example, None))
        for directory in model_zoo.build(Path(scratch), ZOO_DATA):
            cases.append((directory.name, directory, *ZOO_DATA[directory.name]))
        for name, directory, data, params in cases:
            try:
                agree(name, directory, data, params, start, Path(scratch) / f"{name}.log")
                print(f"ok    {name}")
            except Exception as failure:  # a bad answer raises whatever the client raises
                failed += 1
                print(f"FAIL  {name}: {failure}")
    print(f"MLflow's client agrees on {len(cases) - failed} of {len(cases)} models")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
