"""Request bodies from rows: what clients send, as files for the load generator.

`write` makes, for a table with columns or for an array of tensors:

    rows-1.jsonl, rows-32.jsonl, rows-1000.jsonl   MLflow's JSON, a body a line, all distinct:
                                                   `dataframe_split`, or `inputs` for tensors
    v2-1.jsonl, v2-32.jsonl, v2-1000.jsonl         the same rows for `/v2/models/<name>/infer`
    rows-1000-<i>.csv, rows-1000-<i>.parquet       the same rows, for tables
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

SIZES = (1, 32, 1000)
# Distinct bodies of one size, at most: a file stays within a few tens of megabytes.
BODIES_MAX = {1: 2_000, 32: 60, 1000: 8}
# The types of KServe's protocol by numpy's.
V2_TYPES = {"float64": "FP64", "float32": "FP32"}

Rows = pd.DataFrame | np.ndarray


def write(directory: Path, rows: Rows) -> int:
    """Writes all forms and sizes, and returns how many bodies that were."""
    directory.mkdir(parents=True)
    table = isinstance(rows, pd.DataFrame)
    written = 0
    for size in SIZES:
        chunks = list(split(rows, size))
        mlflow = [split_body(each) if table else inputs_body(each) for each in chunks]
        v2 = [v2_columns(each) if table else v2_tensor(each) for each in chunks]
        assert len(set(mlflow)) == len(mlflow), "bodies must be distinct"
        for name, lines in (("rows", mlflow), ("v2", v2)):
            text = "".join(f"{line}\n" for line in lines)
            (directory / f"{name}-{size}.jsonl").write_text(text)
            written += len(lines)
    if table:
        for index, chunk in enumerate(split(rows, 1000)):
            chunk.to_csv(directory / f"rows-1000-{index}.csv", index=False)
            chunk.to_parquet(directory / f"rows-1000-{index}.parquet", index=False)
            written += 2
    return written


def split(rows: Rows, size: int) -> Iterator[Rows]:
    """Whole pieces of `size` rows, from the start."""
    for index in range(min(len(rows) // size, BODIES_MAX[size])):
        yield rows[index * size : (index + 1) * size]


def cells(values: np.ndarray) -> list:
    """Nested lists of the shortest decimals that give these values back."""
    if values.dtype == np.float32:
        # json knows doubles only, and 0.1 as a float32 is 0.10000000149011612 as a double.
        return values.astype(str).astype(np.float64).tolist()
    return values.tolist()


def split_body(frame: pd.DataFrame) -> str:
    return json.dumps(
        {"dataframe_split": {"columns": list(frame.columns), "data": cells(frame.to_numpy())}}
    )


def inputs_body(rows: np.ndarray) -> str:
    return json.dumps({"inputs": cells(rows)})


def v2_columns(frame: pd.DataFrame) -> str:
    """One input a column, as MLServer's `pd` codec reads and writes DataFrames."""
    inputs = [
        {
            "name": name,
            "shape": [len(frame), 1],
            "datatype": V2_TYPES[str(frame[name].dtype)],
            "data": cells(frame[name].to_numpy()),
        }
        for name in frame.columns
    ]
    return v2_body("pd", inputs)


def v2_tensor(rows: np.ndarray) -> str:
    tensor = {
        "name": "input",
        "shape": list(rows.shape),
        "datatype": "FP32",
        "data": cells(rows.reshape(-1)),
    }
    return v2_body("np", [tensor])


def v2_body(content_type: str, inputs: list[dict]) -> str:
    """With an id, which comes back: MLServer would make up one, and no two answers were alike."""
    return json.dumps({"id": "1", "parameters": {"content_type": content_type}, "inputs": inputs})
