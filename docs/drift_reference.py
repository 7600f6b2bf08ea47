"""Writes the reference that flowgate compares a model's requests and answers with.

Needs numpy only, so copy it beside the training code. Inputs are what goes into the ONNX graph,
outputs what comes out, in the graph's order, arrays of one row for each row of the training data:

    session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
    inputs = {"float_input": X_train.astype(numpy.float32)}
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs)))
    text = drift_reference(inputs, outputs, signature=signature.to_dict())

It belongs into the model's directory, beside the MLmodel file:

    mlflow.onnx.save_model(onnx_model, "model", signature=signature)
    pathlib.Path("model/drift_reference.json").write_text(text, encoding="utf-8")
    with mlflow.start_run() as run:
        mlflow.log_artifacts("model", "model")
    mlflow.register_model(f"runs:/{run.info.run_id}/model", "wine")

or beside it, where the metadata name it:

    mlflow.onnx.log_model(
        onnx_model, name="model", signature=signature, extra_files=["drift_reference.json"],
        metadata={"drift_reference": "extra_files/drift_reference.json"},
    )
"""

import hashlib
import json
import math
import warnings
from collections import Counter

import numpy as np


def drift_reference(inputs, outputs, columns=None, signature=None):
    """The text of drift_reference.json. `columns` names the elements of the only input; without it
    the signature's columns do. `signature` is what ModelSignature.to_dict() gives."""
    declared, answered = ((signature or {}).get(side) for side in ("inputs", "outputs"))
    digest = f"{declared or 'null'}\n{answered or 'null'}"
    if columns is None and len(inputs) == 1 and declared:
        columns = [each.get("name") for each in json.loads(declared) if each["type"] != "tensor"]
        columns = columns if None not in columns else None
    rows = max(len(values) for values in inputs.values())
    after = _features(outputs, rows, None, 512, classes=True)
    before = _features(inputs, rows, columns, 1024 - len(after), classes=False)
    reference = {
        "schema": 1,
        "signature": "sha256:" + hashlib.sha256(digest.encode()).hexdigest()
        if declared or answered
        else None,
        "rows": rows,
        "inputs": [feature for feature in before if feature],
        "outputs": [feature for feature in after if feature],
    }
    text = json.dumps(reference, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text + "\n"


def _features(tensors, rows, columns, features_max, classes):
    found, names = [], set()
    for tensor, values in tensors.items():
        if isinstance(values, list) and values and isinstance(values[0], dict):  # of a ZipMap
            values = [[float(score) for score in row.values()] for row in values]
        values = np.asarray(values)
        kinds = {"f": "float", "i": "whole", "u": "whole", "b": "flag"}
        kind = kinds.get(values.dtype.kind, "text")
        if len(values) != rows or values.size == 0:
            continue
        table = values.reshape(rows, -1)
        width = table.shape[1]
        if width > 64 and kind in ("flag", "text"):
            warnings.warn(f"{tensor} is left out: its rows have more than 64 texts", stacklevel=3)
            continue
        if width > 64:
            table = table.astype(np.float64)
            with np.errstate(all="ignore"):
                mean = _sums(table) / width
                deviation = np.sqrt(_sums((table - mean[:, None]) ** 2) / width)
            parts = [(f"{tensor}.mean", {"summary": "mean"}, mean)]
            parts.append((f"{tensor}.deviation", {"summary": "deviation"}, deviation))
        else:
            own = columns if columns and len(columns) == width else None
            own = own or ([tensor] if width == 1 else [f"{tensor}[{i}]" for i in range(width)])
            parts = [(own[i], {"index": i}, table[:, i]) for i in range(width)]
        for name, part, column in parts:
            if name in names or len(names) >= features_max:
                continue
            names.add(name)
            described = _describe(name, column, kind, classes and "index" in part)
            head = {"name": name, "tensor": tensor, "width": width, **part}
            found.append(described and head | described)
    return found


def _sums(table):
    """Sums from the first element to the last; numpy's own sum groups them."""
    return np.add.accumulate(table, axis=-1)[..., -1]


def _describe(name, column, kind, classes):
    if kind in ("flag", "text") or (kind == "whole" and classes and len(np.unique(column)) <= 64):
        texts = ["true" if each else "false" for each in column] if kind == "flag" else column
        counts = Counter(str(each) for each in texts)
        if len(counts) > 100_000 or sum(len(text.encode()) for text in counts) > 16 << 20:
            warnings.warn(f"{name} is left out: too many different texts", stacklevel=4)
            return None
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept, other = ranked[:64], sum(count for _, count in ranked[64:])
        kept = [list(item) for item in kept]
        return {"kind": "categorical", "nulls": 0, "categories": kept, "other": other}
    column = column.astype(np.float64)
    values = column[np.isfinite(column)] + 0.0
    n = len(values)
    numeric = {"kind": "numeric", "nulls": len(column) - n, "mean": None, "std": None}
    if n == 0:
        return numeric | {"edges": [], "counts": [], "bins": []}
    with np.errstate(all="ignore"):
        distance = values - values[0]
        first, second = float(_sums(distance)), float(_sums(distance * distance))
    mean, spread = float(values[0]) + first / n, second - first * first / n
    if not (math.isfinite(mean) and math.isfinite(spread)):
        warnings.warn(f"{name} is left out: its values are too far apart", stacklevel=4)
        return None
    values.sort()
    edges = np.unique([values[k * n // 250] for k in range(250)])
    edges = np.append(edges, values[-1])
    counts = np.histogram(values, edges)[0]
    # Bins of a tenth of the values; one also ends after a cell that has a fifth of them.
    starts = np.searchsorted(edges, [values[k * n // 10] for k in range(10)])
    starts = [*starts, *(np.flatnonzero(counts * 5 >= n) + 1), len(counts)]
    return numeric | {
        "mean": mean,
        "std": math.sqrt(max(spread, 0.0) / n),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "bins": np.unique(starts).tolist(),
    }
