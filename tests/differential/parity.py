"""The intended differences from MLflow: which requests flowgate serves where MLflow fails.

The numbers are those of docs/parity.md. A difference counts as intended only when MLflow failed for
the very reason that the number names, and our answer is the one MLflow gives to a plain spelling of
the same request, or to a twin of the same model, wherever such a spelling or twin exists.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from answers import Answer
from compare import close, difference
from subject import Subject

LLM_KEYS = ("messages", "prompt", "input")
DATA_KEYS = ("dataframe_records", "dataframe_split", "instances", "inputs")
DTYPE_MISMATCH = re.compile(r"Unexpected input data type\. Actual: \(tensor\((\w+)\)\) , expected: "
                            r"\(tensor\((\w+)\)\)")  # fmt: skip
RANK_MISMATCH = re.compile(r"Invalid rank for input: (\S+) Got: 1 Expected: 2")
NUMERIC = re.compile(r"u?int(8|16|32|64)|float16|float|double")
LONG_INTEGER = re.compile(rb"[0-9]{4301}")
PYTHON_DEPTH = 900

# Asks MLflow: model name, headers, body.
Ask = Callable[[str, dict[str, str], bytes], Answer]


@dataclass(frozen=True)
class Pair:
    """One request with both answers, and a way to ask MLflow more."""

    subject: Subject
    twin: str | None
    headers: dict[str, str]
    body: bytes
    theirs: Answer
    ours: Answer
    ask: Ask

    @property
    def media(self) -> str:
        return self.headers.get("Content-Type", "").split(";")[0].strip()

    @property
    def trace(self) -> str:
        """MLflow's traceback, which tells its own failures apart."""
        return self.theirs.error().get("stack_trace", "")

    def refused_as_bad_request(self) -> bool:
        """Our answer is the plain 400 of a client's mistake."""
        wanted = {"error_code": "BAD_REQUEST", "message": "m", "sqlstate": "KAM00",
                  "error_class": "INVALID_PARAMETER_VALUE"}  # fmt: skip
        reference = Answer(400, "application/json", json.dumps(wanted))
        return difference(reference, self.ours) is None


def intended(pair: Pair) -> int | None:
    """The number of the intended difference that explains the pair, or None."""
    rules = {
        5: _python_internal,
        6: _llm_keys,
        7: _bare_array,
        1: _unequal_outputs,
        2: _numeric_cast,
        3: _rank_two,
        11: _csv,
    }
    return next((number for number, rule in rules.items() if rule(pair)), None)


def _python_internal(pair: Pair) -> bool:
    if (pair.theirs.status, pair.theirs.body) != (500, "Internal Server Error"):
        return False
    if "Content-Type" not in pair.headers:
        return (pair.ours.status, pair.ours.content_type) == (415, "text/plain; charset=utf-8")
    if _has_unhashable_name(_json(pair)):
        return pair.refused_as_bad_request()
    too_deep = max(pair.body.count(b"["), pair.body.count(b"{")) >= PYTHON_DEPTH
    if not (too_deep or LONG_INTEGER.search(pair.body.replace(b"\0", b""))):
        return False
    return pair.refused_as_bad_request()


def _has_unhashable_name(document: Any) -> bool:
    """Whether a column's name is a list or an object, which no Python set holds."""
    split = document.get("dataframe_split") if isinstance(document, dict) else None
    columns = split.get("columns") if isinstance(split, dict) else None
    return isinstance(columns, list) and any(isinstance(each, (list, dict)) for each in columns)


def _llm_keys(pair: Pair) -> bool:
    document = _json(pair)
    if not isinstance(document, dict) or not any(key in document for key in LLM_KEYS):
        return False
    if not any(key in document for key in DATA_KEYS):
        return pair.refused_as_bad_request()
    plain = {key: each for key, each in document.items() if key not in LLM_KEYS}
    body = json.dumps(plain).encode()
    theirs = pair.ask(pair.subject.name, pair.headers, body)
    if difference(theirs, pair.ours) is None:
        return True
    stripped = Pair(pair.subject, pair.twin, pair.headers, body, theirs, pair.ours, pair.ask)
    return intended(stripped) is not None


def _bare_array(pair: Pair) -> bool:
    if pair.subject.has_signature or len(pair.subject.graph) < 2:
        return False
    failed = (pair.theirs.status, pair.theirs.error().get("error_code"))
    return failed == (500, "INTERNAL_ERROR") and pair.refused_as_bad_request()


def _unequal_outputs(pair: Pair) -> bool:
    if "All arrays must be of the same length" not in pair.trace:
        return False
    rows = _predictions(pair.ours)
    if not isinstance(rows, list) or not rows:
        return False
    names = list(pair.subject.outputs)
    if not all(isinstance(row, dict) and list(row) == names for row in rows):
        return False
    twin = _twin_answer(pair)
    flat = _predictions(twin) if twin else None
    if flat is None:
        return True
    return all(
        _same_cells([cell for row in rows for cell in _cells(row[name])],
                    [row[name] for row in flat])
        for name in flat[0]
    )  # fmt: skip


def _numeric_cast(pair: Pair) -> bool:
    found = DTYPE_MISMATCH.search(pair.trace)
    if not found or pair.ours.status != 200:
        return False
    if not all(NUMERIC.fullmatch(dtype) for dtype in found.groups()):
        return False
    if pair.twin:
        return _agrees_with_twin(pair)
    if pair.subject.has_signature or pair.media != "application/json":
        return True
    spelt = _with_numbers(_json(pair), float if "int" not in found[2] else int)
    plain = pair.ask(pair.subject.name, pair.headers, json.dumps(spelt).encode())
    return plain.status != 200 or difference(plain, pair.ours) is None


def _rank_two(pair: Pair) -> bool:
    found = RANK_MISMATCH.search(pair.trace)
    shapes = {each.name: each.shape for each in pair.subject.graph}
    if not found or len(shapes) < 2 or shapes.get(found[1], ())[1:] != (1,):
        return False
    return pair.ours.status == 200 and _agrees_with_twin(pair)


def _csv(pair: Pair) -> bool:
    if pair.media != "text/csv" or pair.ours.status != 200:
        return False
    if "the dtype datetime64[ns] is not supported for parsing" in pair.trace:
        return True
    if "TensorSpec only supports numpy types" not in pair.trace:
        return False
    [tensor, *others] = pair.subject.tensors
    if others or len(tensor.shape) != 2:
        return True
    try:
        lines = list(csv.reader(io.StringIO(pair.body.decode("utf-8-sig"))))
        rows = [[_number(cell) for cell in line] for line in lines[1:] if line]
    except (ValueError, csv.Error):
        return True
    plain = pair.ask(
        pair.subject.name, {"Content-Type": "application/json"},
        json.dumps({"inputs": rows}).encode(),
    )  # fmt: skip
    return plain.status != 200 or difference(plain, pair.ours) is None


# --- reading answers and requests --------------------------------------------------------------


def _json(pair: Pair) -> Any:
    if pair.media != "application/json":
        return None
    try:
        return json.loads(pair.body)
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _predictions(answer: Answer) -> Any:
    return json.loads(answer.body).get("predictions") if answer.status == 200 else None


def _twin_answer(pair: Pair) -> Answer | None:
    return pair.ask(pair.twin, pair.headers, pair.body) if pair.twin else None


def _agrees_with_twin(pair: Pair) -> bool:
    """Our answer is the twin's, where there is a twin that can answer."""
    twin = _twin_answer(pair)
    return twin is None or twin.status != 200 or difference(twin, pair.ours) is None


def _cells(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _same_cells(ours: list, theirs: list) -> bool:
    return len(ours) == len(theirs) and all(close(a, b) for a, b in zip(theirs, ours))


def _with_numbers(document: Any, kind: type) -> Any:
    """The document with every number of the other kind spelt as `kind`."""
    if isinstance(document, dict):
        return {key: _with_numbers(each, kind) for key, each in document.items()}
    if isinstance(document, list):
        return [_with_numbers(each, kind) for each in document]
    if isinstance(document, bool) or not isinstance(document, (int, float)):
        return document
    return kind(document) if kind is float or float(document).is_integer() else document
