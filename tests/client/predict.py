"""`flowgate predict` writes what MLflow predicts for the same file.

    target/mlflow-venv/bin/python tests/client/predict.py

For each model and each form of file: `mlflow.pyfunc.load_model` predicts what pandas reads from the
file, or `mlflow models predict` runs on it as its command line would; flowgate scores the file in
small batches into each form of output, which pandas reads back. All must agree. The models are all
those in models/ and a choice of the zoo. Environment: `FLOWGATE_BIN` (default
target/debug/flowgate). Exit code 1 when a file disagrees.
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "differential"))

import mlflow  # noqa: E402
import model_zoo  # noqa: E402
from answers import quiet  # noqa: E402
from client import FEATURES, plain, same  # noqa: E402
from mlflow.models import Model  # noqa: E402
from mlflow.pyfunc.scoring_server import _predict  # noqa: E402
from servers import ROOT  # noqa: E402

FLOWGATE = os.environ.get("FLOWGATE_BIN", str(ROOT / "target/debug/flowgate"))
ROWS = 200
OUTPUTS = ("csv", "jsonl", "json", "parquet")

# Zoo models whose outputs have other shapes than one number a row, or whose inputs are texts.
ZOO_FRAMES = {
    "zipmap_int": FEATURES,
    "zipmap_str": FEATURES,
    "one_string": pd.DataFrame({"a": ["x", 'quo"te', "two\nlines", "a,b", "é 😀"]}),
}


def predict(model: Path, source: Path, target: Path, *more: str) -> None:
    command = [FLOWGATE, "predict", "-m", model, "-i", source, "-o", target]
    command += ["--rows-per-batch", "7", "--log-level", "warn", *more]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 0, f"{source.name}: {ended.stderr.strip()}"


def read(path: Path) -> dict[str, list]:
    """The columns of a file that flowgate wrote."""
    match path.suffix:
        case ".csv":
            frame = pd.read_csv(path, keep_default_na=False, na_values=["NaN"])
            nested = [c for c in frame if frame[c].dtype == object]
            for column in nested:
                frame[column] = [unquoted(cell) for cell in frame[column]]
        case ".jsonl":
            lines = path.read_text().splitlines()
            frame = pd.DataFrame([json.loads(line) for line in lines])
        case ".json":
            frame = pd.DataFrame(json.loads(path.read_text())["predictions"])
        case _:
            frame = pd.read_parquet(path)
    return {column: [cell_of(cell) for cell in frame[column]] for column in frame}


def unquoted(cell: Any) -> Any:
    """A list or a map stands in a CSV as JSON."""
    return json.loads(cell) if isinstance(cell, str) and cell[:1] in "[{" else cell


def cell_of(cell: Any) -> Any:
    if isinstance(cell, np.ndarray):
        return [cell_of(item) for item in cell]
    if isinstance(cell, list) and cell and isinstance(cell[0], tuple):
        return dict(cell)
    return cell


def by_column(predicted: Any) -> dict[str, list]:
    """What a pyfunc model predicts, as columns of one cell a row."""
    columns = {}
    for name in predicted:
        cells = plain(predicted[name])
        squeeze = bool(cells) and all(isinstance(c, list) and len(c) == 1 for c in cells)
        columns[name] = [cell[0] for cell in cells] if squeeze else cells
    return columns


def compare(name: str, model: Path, source: Path, wanted: dict[str, list], *more: str) -> None:
    for kind in OUTPUTS:
        target = source.with_name(f"out-{source.suffix[1:]}.{kind}")
        predict(model, source, target, *more)
        got = read(target)
        assert list(got) == list(wanted), f"{name}: columns {list(got)}, expected {list(wanted)}"
        for column in wanted:
            same(got[column], wanted[column], f"{name}: {source.name} to {kind}: {column}")


def of_frame(name: str, model: Path, frame: pd.DataFrame, scratch: Path) -> None:
    """Every form of file that pandas writes of a frame."""
    loaded = mlflow.pyfunc.load_model(str(model))
    files = {kind: scratch / f"rows.{kind}" for kind in ("csv", "jsonl", "json", "parquet")}
    frame.to_csv(files["csv"], index=False)
    frame.to_json(files["jsonl"], orient="records", lines=True)
    frame.to_json(files["json"], orient="records")
    frame.to_parquet(files["parquet"])
    wanted = by_column(loaded.predict(frame))
    for source in files.values():
        compare(name, model, source, wanted)
    # A column of whole numbers that lacks one is of floats, in every batch.
    doubles = frame.columns[frame.dtypes == np.float64]
    if len(doubles) and name.startswith("wine"):
        whole = frame.copy()
        whole[doubles[0]] = pd.array([*range(len(frame) - 1), None], dtype="Int64")
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_pandas(whole, preserve_index=False).replace_schema_metadata()
        pyarrow.parquet.write_table(table, files["parquet"])
        wanted = by_column(loaded.predict(pd.read_parquet(files["parquet"])))
        compare(name, model, files["parquet"], wanted)


def as_the_command(name: str, model: Path, frame: pd.DataFrame, scratch: Path) -> None:
    """`mlflow models predict` and flowgate write the same document."""
    source = scratch / "command.csv"
    frame.to_csv(source, index=False)
    body = scratch / "command.json"
    body.write_text(json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))}))
    for path, kind in ((source, "csv"), (body, "json")):
        theirs, ours = scratch / "theirs.json", scratch / "ours.json"
        _predict(str(model), str(path), str(theirs), kind)
        predict(model, path, ours)
        same(json.loads(ours.read_text()), json.loads(theirs.read_text()), f"{name}: {kind}")


def of_arrays(name: str, model: Path, example: np.ndarray, scratch: Path) -> None:
    """One array a line, and the request body that the server takes."""
    many = np.concatenate([example] * 5)
    lines, body = scratch / "rows.jsonl", scratch / "body.json"
    lines.write_text("".join(f"{json.dumps(item)}\n" for item in many.tolist()))
    body.write_text(json.dumps({"inputs": many.tolist()}))
    wanted = by_column(mlflow.pyfunc.load_model(str(model)).predict(many))
    compare(name, model, lines, wanted)
    compare(name, model, body, wanted)


def main() -> int:
    quiet()
    failed = 0
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        cases: list[tuple[str, Path, Any, bool]] = []
        for path in sorted((ROOT / "models").glob("*/*/MLmodel")):
            directory = path.parent
            example = Model.load(str(directory)).load_input_example(str(directory))
            if isinstance(example, pd.DataFrame):
                example = shuffled(example, random)
            cases.append((f"{path.parts[-3]}-{path.parts[-2]}", directory, example, True))
        for directory in model_zoo.build(Path(folder), ZOO_FRAMES):
            cases.append((directory.name, directory, ZOO_FRAMES[directory.name], False))
        for name, directory, data, is_plain in cases:
            scratch = Path(tempfile.mkdtemp(dir=folder))
            try:
                if isinstance(data, pd.DataFrame):
                    of_frame(name, directory, data, scratch)
                    if is_plain:
                        as_the_command(name, directory, data, scratch)
                else:
                    of_arrays(name, directory, data, scratch)
                print(f"ok    {name}")
            except Exception as failure:  # whatever either side raises is a disagreement
                failed += 1
                print(f"FAIL  {name}: {failure}")
    print(f"flowgate predict agrees with MLflow on {len(cases) - failed} of {len(cases)} models")
    return 1 if failed else 0


def shuffled(example: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Many rows whose cells are those of the example, each column by itself, floats stretched."""
    columns = {}
    for name in example:
        cells = example[name].to_numpy()[random.integers(0, len(example), ROWS)]
        if cells.dtype == np.float64:
            cells = (cells * random.uniform(0.5, 1.5, ROWS)).round(4)
        columns[name] = cells
    return pd.DataFrame(columns)


if __name__ == "__main__":
    sys.exit(main())
