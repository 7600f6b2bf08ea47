"""What surrounds the data of a JSON request: keys, syntax, encoding and content type."""

from __future__ import annotations

import random
from typing import Any

from document import Pairs, Token, write

JSON = "application/json"
CONTENT_TYPES = [
    "application/json; charset=utf-8", "application/json;charset=UTF-8",
    'application/json; charset="utf-8"', "application/json; charset=utf8",
    "application/json; charset=latin-1", "application/json;", "application/json; foo=bar",
    "application/json; Charset=utf-8", "Application/JSON", "application/json ", "text/json", "",
    "application/x-www-form-urlencoded", "text/plain; charset=utf-8", "application/json; charset",
    "application/json; charset=utf-8; charset=ascii", "application/json; charset =utf-8",
    "application/json, text/csv", "application/vnd.mlflow+json",
]  # fmt: skip
DATA_KEYS = ["dataframe_split", "dataframe_records", "instances", "inputs"]


def wrap(
    rng: random.Random, document: dict[str, Any], *, hostile: bool
) -> tuple[dict[str, str], bytes, bool]:
    """Headers and body of `document`, and whether the body is its plain text."""
    headers = {"Content-Type": JSON}
    plain = True
    whole: Any = document
    if rng.random() < (0.3 if hostile else 0.06):
        whole = _surround(rng, document)
        plain = whole is document
    ascii_only = rng.random() < 0.5
    text = write(whole, rng if rng.random() < 0.3 else None, ascii_only)
    if hostile and rng.random() < 0.2:
        text, plain = _break_syntax(rng, text), False
    body = text.encode("utf-8", "surrogatepass")
    if rng.random() < (0.15 if hostile else 0.03):
        body, plain = _recode(rng, text), False
    if rng.random() < (0.25 if hostile else 0.03):
        headers, plain = _content_type(rng), False
    return headers, body, plain


def _content_type(rng: random.Random) -> dict[str, str]:
    if rng.random() < 0.08:
        return {}
    return {"Content-Type": rng.choice(CONTENT_TYPES)}


def _surround(rng: random.Random, document: dict[str, Any]) -> Any:
    """The same data among other keys, twice, or not in an object at all."""
    key = next(iter(document))
    pick = rng.randrange(10)
    if pick <= 2:
        extra = rng.choice(["signature_name", "id", "client_request_id", "x", "Inputs"])
        return {extra: rng.choice([1, None, "x", {"a": [1]}, [1.5]]), **document}
    if pick == 3:
        other = rng.choice([each for each in DATA_KEYS if each != key])
        return {**document, other: rng.choice([None, [], document[key]])}
    if pick == 4:
        return Pairs([(key, rng.choice([None, [], {"z": 1}])), *document.items()])
    if pick == 5:
        return Pairs([*document.items(), (key, rng.choice([None, [], [[1.0]]]))])
    if pick == 6:
        return {rng.choice(["messages", "prompt", "input"]): "x", **document}
    if pick == 7:
        return rng.choice([{}, [], [document], "x", 1, None, True, Token("1.5"), {"a": 1},
                           {"input": "x"}, {"prompt": "x"}, {"messages": []}])  # fmt: skip
    if pick == 8:
        return rng.choice([{key.upper(): document[key]}, {**document, "x": Token("7" * 4301)}])
    return {**document, "x": _deep(rng)}


def _deep(rng: random.Random) -> Token:
    depth = rng.choice([5, 50, 400, 1500])
    return Token("[" * depth + "]" * depth)


def _break_syntax(rng: random.Random, text: str) -> str:
    cut = rng.randrange(len(text))
    return rng.choice(
        [
            text[:cut], text + rng.choice(["}", ",", "x", " \n", "\u0000"]), "", " ", text[1:],
            text.replace('"', "'", 2), text.replace(",", ",,", 1), text.replace("]", ",]", 1),
            text.replace("}", ",}", 1), text.replace(": ", " ", 1), "// c\n" + text,
            text[:cut] + rng.choice(["nan", "+1", ".5", "01", "0x1", "'", "\\", "\t", "\u0007"])
            + text[cut:],
            text.replace("1", "01", 1), text.replace("true", "True", 1),
        ]
    )  # fmt: skip


def _recode(rng: random.Random, text: str) -> bytes:
    safe = text.encode("utf-8", "replace").decode()
    return rng.choice(
        [
            b"\xef\xbb\xbf" + safe.encode(), safe.encode("utf-16"), safe.encode("utf-16-le"),
            safe.encode("utf-16-be"), safe.encode("utf-32"), safe.encode("utf-32-be"),
            safe.encode() + b"\xff", safe.encode().replace(b'"', b'"\xc3', 1), b"\xff\xfe",
            b"\x00" + safe.encode(), safe.encode("latin-1", "replace"),
        ]
    )  # fmt: skip
