"""Cell values for requests, by declared type: natural, convertible, and hostile ones."""

from __future__ import annotations

import random
from typing import Any

from document import Pairs, Token

TEXTS = [
    "a", "basic", "pro", "yes", "no", "Zürich", "東京", "😀", "", " ", "x,y", 'quo"te', "back\\slash",
    "tab\tnew\nline", "nul\u0000", "\u007f", "/", "a b c", "ﬀ", "e\u0301", "0x10", "null",
]  # fmt: skip
NUMERIC_TEXTS = [
    "1", "7", "-3", "1.5", "1e3", "nan", "NaN", "inf", "-Infinity", "1_000", " 2 ", "+4", "1.", ".5",
    "٣", "0x1F", "1,5", "true", "True", "None", "9223372036854775808", "1e400", "--1", "1e",
]  # fmt: skip
DATES = [
    "2024-02-29", "2024-02-29T12:30:00", "2024-02-29 12:30:00.123456", "1969-12-31T23:59:59",
    "2024-02-29T12:30:00Z", "2024-02-29T12:30:00+02:00", "20240229", "02/29/2024", "2024-02",
    "2024", "not a date", "2023-02-29", "1500-01-01", "2024-02-29T25:00:00", "Feb 29 2024",
]  # fmt: skip
BASE64 = ["aGVsbG8=", "", "AAEC/w==", "aGVsbG8", "%%%", "aGVs bG8=", "YQ==YQ==", "é"]
INTS = [0, 1, 2, 3, 7, 10, 33, 100, 255, -1, -7, 127, 12345]
WIDE_INTS = [
    -129, 128, 256, 32768, -32769, 65536, 2**24 + 1, 2**31 - 1, 2**31, -(2**31) - 1, 2**32, 2**53,
    2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**20, 10**40, 10**400,
]  # fmt: skip
FLOATS = [
    0.0, -0.0, 0.5, 1.5, 2.0, -2.25, 7.4, 0.1, 51000.5, 1e-5, 1e-4, 3.14159, 1e15, 1e16, 123456.789,
]
WIDE_FLOATS = [
    1e20, 1e38, 3.5e38, 1e300, 1e-40, 5e-324, 1.7976931348623157e308, 65504.0, 65520.0, 1e5,
    0.1 + 0.2, 16777217.0, 2147483648.0, 9.3e18, 1.8446744073709552e19, -1e30,
]  # fmt: skip
TOKENS = [
    Token("1E2"), Token("1e+2"), Token("1.0E-2"), Token("-0"), Token("-0.0"), Token("1e400"),
    Token("-1e400"), Token("0.1e1"), Token("1e-400"), Token("100000000000000000000.0"),
    Token("1.00000000000000000000001"), Token("123456789012345678901234567890"),
    Token("2.2250738585072011e-308"), Token("NaN"), Token("Infinity"), Token("-Infinity"),
]  # fmt: skip

INT_RANGES = {
    "int8": (-128, 127), "int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1), "uint8": (0, 255), "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1), "uint64": (0, 2**64 - 1),
}  # fmt: skip
COLUMN_DTYPES = {
    "double": "float64", "float": "float32", "long": "int64", "integer": "int32",
    "boolean": "bool", "string": "str",
}  # fmt: skip


def natural(rng: random.Random, dtype: str) -> Any:
    """A value that the dtype holds as it is."""
    if dtype in INT_RANGES:
        low, high = INT_RANGES[dtype]
        if rng.random() < 0.1:
            return rng.choice([low, high])
        return min(max(rng.choice(INTS), low), high)
    if dtype == "bool":
        return rng.random() < 0.5
    if dtype.startswith("float"):
        return rng.choice(FLOATS) if rng.random() < 0.8 else round(rng.uniform(-1e3, 1e3), 4)
    if dtype == "binary":
        return rng.choice(BASE64[:3])
    if dtype == "datetime":
        return rng.choice(DATES[:2])
    return rng.choice(TEXTS) if rng.random() < 0.8 else rng.choice(NUMERIC_TEXTS)


def convertible(rng: random.Random, dtype: str) -> Any:
    """A value of another JSON type that the dtype may or may not take."""
    pick = rng.random()
    if dtype == "datetime" and pick < 0.5:
        return rng.choice(DATES)
    if dtype == "binary" and pick < 0.5:
        return rng.choice(BASE64)
    if pick < 0.25:
        return rng.choice(INTS)
    if pick < 0.45:
        return rng.choice(FLOATS)
    if pick < 0.55:
        return rng.random() < 0.5
    if pick < 0.65:
        return None
    if pick < 0.8:
        return rng.choice(NUMERIC_TEXTS)
    if pick < 0.9:
        return rng.choice(WIDE_FLOATS)
    return rng.choice(TOKENS)


def hostile(rng: random.Random, dtype: str) -> Any:
    """A value that few columns take."""
    pick = rng.random()
    if pick < 0.2:
        return rng.choice(WIDE_INTS)
    if pick < 0.35:
        return rng.choice(TOKENS)
    if pick < 0.45:
        return rng.choice(TEXTS)
    if pick < 0.55:
        return [natural(rng, dtype) for _ in range(rng.randrange(4))]
    if pick < 0.62:
        return [[natural(rng, dtype)]]
    if pick < 0.72:
        return {rng.choice("abc"): natural(rng, dtype) for _ in range(rng.randrange(3))}
    if pick < 0.76:
        return Pairs([("k", 1), ("k", natural(rng, dtype))])
    if pick < 0.8:
        return Token(rng.choice(['"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\/"']))
    return convertible(rng, dtype)


def nested(rng: random.Random, spec: dict[str, Any], spoil: float) -> Any:
    """A value of an array, object, map or `any` type; `spoil` is the chance of a wrong part."""
    if rng.random() < spoil * 0.3:
        return hostile(rng, "str")
    kind = spec["type"]
    if kind == "array":
        count = rng.choice([0, 1, 2, 2, 3])
        return [nested(rng, spec["items"], spoil) for _ in range(count)]
    if kind == "map":
        return {
            rng.choice(["k", "1", "é", "long key"]): nested(rng, spec["values"], spoil)
            for _ in range(rng.randrange(3))
        }
    if kind == "object":
        made = {}
        for name, inner in spec["properties"].items():
            if inner.get("required", True) or rng.random() < 0.5:
                made[name] = nested(rng, inner, spoil)
        if made and rng.random() < spoil * 0.4:
            made.pop(rng.choice(list(made)))
        if rng.random() < spoil * 0.4:
            made["surplus"] = 1
        return made
    if kind == "any":
        return rng.choice([None, 1, 1.5, "x", [1, "a"], {"k": [1.5]}, True])
    dtype = COLUMN_DTYPES.get(kind, kind)
    if rng.random() < spoil * 0.5:
        return convertible(rng, dtype)
    return natural(rng, dtype)
