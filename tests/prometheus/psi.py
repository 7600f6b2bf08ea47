"""The PSI of rows against a drift_reference.json, worked out from the rows themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

# A count that every bin has more, on both sides.
PSEUDO = 0.5


def reference(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "drift_reference.json").read_text())


def feature(reference: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    return next(one for one in reference[kind] if one["name"] == name)


def score(feature: dict[str, Any], values: np.ndarray) -> float:
    """Of a numeric feature. The last bin is what lies outside of the ends."""
    bins = feature["bins"]
    ends = np.array(feature["edges"])[bins]
    # The graph takes f32, so that is what is compared with edges that were f32.
    seen = np.asarray(values, np.float32).astype(np.float64)
    assert np.isfinite(seen).all(), "nulls are in no bin"
    inner = np.histogram(seen, ends)[0]
    window = np.append(inner, len(seen) - inner.sum())
    counts = np.array(feature["counts"])
    trained = [counts[start:end].sum() for start, end in zip(bins, bins[1:])]
    return float(psi(window, np.array([*trained, 0])))


def psi(window: np.ndarray, trained: np.ndarray) -> float:
    p, q = ((each + PSEUDO) / (each + PSEUDO).sum() for each in (window, trained))
    return float(((p - q) * np.log(p / q)).sum())
