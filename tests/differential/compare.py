"""Whether an answer is the answer MLflow gives: the rule of the recorded cases.

A 200 must be the same JSON: shape, key order, integers as integers, `NaN` as `NaN`, floats within
`RTOL` and `ATOL`, every number and string spelt as Python spells it. An error must have the same
status, content type and codes; its message is each server's own, and ours never has a traceback.
"""

from __future__ import annotations

import json
import math
from typing import Any

from answers import Answer

RTOL, ATOL = 1e-4, 1e-6
ERROR_KEYS = ("error_code", "sqlstate", "error_class")


def difference(reference: Answer, answer: Answer) -> str | None:
    """What is wrong with `answer`, or None."""
    if answer.status != reference.status:
        return f"status {answer.status} instead of {reference.status}"
    if answer.content_type != reference.content_type:
        return f"content type {answer.content_type!r} instead of {reference.content_type!r}"
    if reference.status == 200:
        return _same_predictions(reference.body, answer.body)
    wanted = reference.error()
    if "error_code" in wanted:
        return _same_error(wanted, answer)
    if answer.body != reference.body:
        return f"text {answer.body[:200]!r} instead of {reference.body[:200]!r}"
    return None


def _same_error(wanted: dict[str, Any], answer: Answer) -> str | None:
    error = answer.error()
    for key in ERROR_KEYS:
        if error.get(key) != wanted.get(key):
            return f"{key} {error.get(key)!r} instead of {wanted.get(key)!r}"
    if list(error) != ["error_code", "message", "sqlstate", "error_class"]:
        return f"error keys {list(error)}"
    if not isinstance(error["message"], str) or not error["message"]:
        return "an error without a message"
    return None


def _same_predictions(wanted: str, text: str) -> str | None:
    if text == wanted:
        return None
    try:
        parsed = json.loads(text)
    except ValueError as failure:
        return f"not JSON: {failure}"
    if json.dumps(parsed) != text:
        return "JSON spelt otherwise than Python spells it"
    return _unequal(json.loads(wanted), parsed, "$")


def _unequal(wanted: Any, got: Any, path: str) -> str | None:
    if type(wanted) is not type(got):
        return f"{path}: {type(got).__name__} instead of {type(wanted).__name__}"
    if isinstance(wanted, dict):
        if list(wanted) != list(got):
            return f"{path}: keys {list(got)} instead of {list(wanted)}"
        pairs = ((key, wanted[key], got[key]) for key in wanted)
    elif isinstance(wanted, list):
        if len(wanted) != len(got):
            return f"{path}: {len(got)} items instead of {len(wanted)}"
        pairs = ((index, *each) for index, each in enumerate(zip(wanted, got)))
    elif isinstance(wanted, float):
        return None if close(wanted, got) else f"{path}: {got!r} instead of {wanted!r}"
    else:
        return None if wanted == got else f"{path}: {got!r} instead of {wanted!r}"
    return next((found for key, a, b in pairs if (found := _unequal(a, b, f"{path}.{key}"))), None)


def close(wanted: float, got: float) -> bool:
    """Equal within the tolerance; NaN equals NaN, and the sign of zero counts."""
    if math.isnan(wanted) or math.isnan(got):
        return math.isnan(wanted) and math.isnan(got)
    if wanted == 0.0 == got:
        return math.copysign(1.0, wanted) == math.copysign(1.0, got)
    if math.isinf(wanted) or math.isinf(got):
        return wanted == got
    return abs(wanted - got) <= ATOL + RTOL * abs(wanted)
