"""Systematic requests for one model: what random ones reach only by luck.

`requests(subject)` crosses every kind of value with every declared type, form and neighbouring row,
every `columns` with every `data` and every `index` of the split form, every bent `inputs`, every
param with every value, and every CSV dialect with every declared type. The same subject gives the
same requests. `differential.py --matrix` asks them.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from document import Pairs, Token, write
from generator import Request
from subject import Subject, TensorInput
from values import COLUMN_DTYPES

ABSENT = object()

KINDS: dict[str, Any] = {
    "int": 1, "int0": 0, "neg": -1, "int300": 300, "flt_integral": 1.0, "flt": 1.5, "negzero": -0.0,
    "str_int": "1", "str_flt": "1.5", "str": "abc", "str_empty": "", "str_blank": " ",
    "str_true": "true", "str_None": "None", "str_nan": "nan", "str_inf": "-inf", "str_pad": " 2 ",
    "str_score": "1_0", "str_big": "99999999999999999999", "str_1e2": "1e2",
    "true": True, "false": False, "null": None, "nan": Token("NaN"), "inf": Token("Infinity"),
    "ninf": Token("-Infinity"), "i31": 2**31, "f24": 2**24 + 1, "i53": 2**53 + 1,
    "i63m1": 2**63 - 1, "i63": 2**63, "n63": -(2**63), "n63m1": -(2**63) - 1, "u64": 2**64 - 1,
    "i64": 2**64, "1e20": 1e20, "1e400": Token("1e400"), "i400": 10**400, "tiny": 1e-320,
    "f3e38": 3.5e38, "65520": 65520.0, "list": [1], "list0": [], "list2": [1, 2], "listlist": [[1]],
    "liststr": ["a"], "listnull": [None], "dict": {"k": 1}, "dict0": {}, "unicode": "東京 😀",
    "nul": "a\0b", "surrogate": Token('"\\ud800"'), "b64": "aGVsbG8A/w==", "b64_bad": "%%%",
    "b64_short": "aGVsbG8", "date": "2024-02-29", "datetime": "2024-02-29T12:34:56",
    "datetime_tz": "2024-02-29T12:34:56+02:00", "datetime_z": "2024-02-29T12:34:56Z",
    "datetime_sp": "2024-02-29 12:34:56", "datetime_frac": "2024-02-29T12:34:56.789",
    "date_bad": "2023-02-29", "date_us": "02/29/2024", "epoch_ms": 1709210096000,
}  # fmt: skip
# What stands beside each of them in two rows.
BESIDE = [
    "int", "flt_integral", "flt", "str_int", "str", "true", "null", "nan", "i53", "i63", "n63m1",
    "i64", "i400", "1e20", "inf", "list", "list2", "listlist", "dict", "b64", "date", "datetime",
    "datetime_tz", "datetime_frac", "str_empty", "negzero",
]  # fmt: skip
DATES = [
    "2024-02-29 12", "2024-02-29T12:34", "20240229T123456", "20240229", "2024-2-9", "2024-02", "2024",
    "24-02-29", "29.02.2024", "29/02/2024", "2/29/2024 1:02 PM", "Feb 29, 2024", "29 Feb 2024",
    "2024-060", "2024-W09-4", "12:34", "12:34:56", "now", "today", "NaT", "nat", "null", "NaN", "None",
    "N/A", "0001-01-01", "1677-09-21", "1677-09-22", "2262-04-11T23:47:16.854775807", "2262-04-12",
    "9999-12-31", "2024-02-29T24:00:00", "2024-02-29T23:59:60", "2024-13-01", "2024-00-10",
    "2024-02-29T12:34:56.1", "2024-02-29T12:34:56.123456789", "2024-02-29T12:34:56.1234567891",
    "2024-02-29T12:34:56,5", "2024-02-29T12:34:56 UTC", "2024-02-29T12:34:56 +0200",
    "2024-02-29T12:34:56-0330", "2024-02-29T12:34:56+02", "2024-02-29t12:34:56z", " 2024-02-29 ",
    "2024/02/29", "2024.02.29", "2024 02 29", "1709210096", "1709210096000", "-1", "0", "1e9",
    "2024-02-29T12:34:56.", "2024-02-29T", "+2024-02-29", "-2024-02-29", "02-29-2024",
    "Thu Feb 29 12:34:56 2024", "Thu, 29 Feb 2024 12:34:56 GMT", "2024Q1", "１２", "2024-02-29Z",
]  # fmt: skip
BASE64 = [
    "", "=", "==", "a", "ab", "abc", "abcd", "YQ==", "YQ=", "YQ", "YQ===", "YQ==YQ==", "Y=Q=", "=YQ=",
    "Y Q = =", "YQ==\n", "YQ=\n=", "-_-_", "+/+/", "YR==", "%YQ==", "YQ==%", "éYQ=", "\0YQ==", "a===",
    "ab=c", "abc=d", "abcde", "abcdef", "abcdefg", "abcdefgh=",
]  # fmt: skip


# Of some millions of requests, as many as a few minutes answer.
SHARE = 0.01


class Matrix:
    """A share of the matrix's requests, chosen by the seed, one by one."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject = subject
        self.count = 0
        rng = random.Random(f"{seed}/{subject.name}")
        self._requests = requests(subject, lambda: rng.random() < SHARE)

    def request(self) -> Request | None:
        """The next request; None after the last."""
        self.count += 1
        return next(self._requests, None)


def requests(
    subject: Subject, keep: Callable[[], bool] = lambda: True
) -> Iterator[Request]:
    """Every request of the matrix for this model that `keep` keeps; equal bodies come once."""
    seen: set[tuple[str, bytes]] = set()
    parts = [_envelopes, _params]
    if subject.columns:
        parts += [_column_cells, _column_texts, _frames, _column_wholes, _csv]
    else:
        parts += [_tensor_cells, _tensor_shapes, _frames, _csv]
    for part in parts:
        for case, media, document in part(subject):
            if not keep():
                continue
            if isinstance(document, bytes):
                body, plain = document, None
            else:
                body, plain = write(document).encode("utf-8", "surrogatepass"), document
            if (media, body) not in seen:
                seen.add((media, body))
                headers = {"Content-Type": media}
                yield Request(subject.name, case, part.__name__[1:], headers, body, plain)


Made = Iterator[tuple[str, str, Any]]
JSON, CSV = "application/json", "text/csv"


# --- rows of columns ---------------------------------------------------------------------------


def plain(kind: str, spec: dict[str, Any] | None = None) -> Any:
    """A value that a column or tensor of this type takes."""
    dtype = COLUMN_DTYPES.get(kind, kind)
    if kind == "array":
        return [plain(spec["items"]["type"], spec["items"])]
    if kind == "map":
        return {"k": plain(spec["values"]["type"], spec["values"])}
    if kind == "object":
        return {name: plain(each["type"], each) for name, each in spec["properties"].items()}
    if dtype.startswith("float"):
        return 2.5
    if dtype.startswith(("int", "uint")):
        return 3
    by_kind = {"bool": True, "str": "x", "datetime": "2024-01-01", "binary": "eA=="}
    return by_kind.get(dtype, 1)


def names_of(subject: Subject) -> list[str]:
    """The DataFrame columns that fill the model's inputs."""
    if subject.columns:
        return [each.name if each.name is not None else str(index)
                for index, each in enumerate(subject.columns)]  # fmt: skip
    specs = subject.tensors or subject.graph
    if len(specs) == 1 and len(specs[0].shape) == 2:
        return [str(index) for index in range(max(specs[0].shape[1], 2))]
    return [each.name or "x" for each in specs]


def row_of(subject: Subject) -> list[Any]:
    if subject.columns:
        return [plain(each.kind, each.spec) for each in subject.columns]
    specs = subject.tensors or subject.graph
    if len(specs) == 1 and len(specs[0].shape) == 2:
        return [plain(specs[0].dtype)] * len(names_of(subject))
    return [array(each, each.shape[1:]) for each in specs]


def array(spec: TensorInput, shape: tuple[int, ...], fill: Any = ABSENT) -> Any:
    if not shape:
        return plain(spec.dtype) if fill is ABSENT else fill
    return [array(spec, shape[1:], fill) for _ in range(2 if shape[0] < 0 else shape[0])]


def forms(names: list[str], rows: list[list[Any]]) -> Iterator[tuple[str, Any]]:
    """The same rows in the JSON forms; a cell may be ABSENT where the form has names."""
    dicts = [{name: cell for name, cell in zip(names, row) if cell is not ABSENT} for row in rows]
    if all(ABSENT not in [c for c in row if c is ABSENT] for row in rows):
        yield "split", {"dataframe_split": {"columns": names, "data": rows}}
        yield "inputs", {"inputs": {name: [r[i] for r in rows] for i, name in enumerate(names)}}
        if len(rows) == 1:
            yield "scalars", {"inputs": dict(zip(names, rows[0]))}
        if len(names) == 1:
            yield "list", {"inputs": [row[0] for row in rows]}
    yield "records", {"dataframe_records": dicts}
    yield "inputs_rows", {"inputs": dicts}
    yield "instances", {"instances": dicts}


def _varied(subject: Subject) -> list[int]:
    """The columns worth varying: one of each type and obligation."""
    found: dict[Any, int] = {}
    for index, each in enumerate(subject.columns):
        found.setdefault((json.dumps({**each.spec, "name": ""}), each.required), index)
    return list(found.values())


def _column_cells(subject: Subject) -> Made:
    names, base = names_of(subject), row_of(subject)
    for index in _varied(subject):
        def row(cell: Any) -> list[Any]:
            return [*base[:index], cell, *base[index + 1 :]]

        for kind, value in KINDS.items():
            for form, document in forms(names, [row(value)]):
                yield f"m1_{form}_{index}_{kind}", JSON, document
            for other in [*BESIDE, "absent"]:
                second = ABSENT if other == "absent" else KINDS[other]
                for form, document in forms(names, [row(value), row(second)]):
                    yield f"m2_{form}_{index}_{kind}_{other}", JSON, document
        for form, document in forms(names, [row(ABSENT)]):
            yield f"m1_{form}_{index}_absent", JSON, document
        for form, document in forms(names, [row(ABSENT), row(base[index])]):
            yield f"m2_{form}_{index}_absent_first", JSON, document


def _column_texts(subject: Subject) -> Made:
    names, base = names_of(subject), row_of(subject)
    texts = {"datetime": DATES, "binary": BASE64}
    for index in _varied(subject):
        column = subject.columns[index]
        if column.kind not in texts:
            yield from _nested_cells(subject, index)
            continue
        for text, second in itertools.product(texts[column.kind], [ABSENT, None, base[index], 5]):
            rows = [[*base[:index], text, *base[index + 1 :]]]
            if second is not ABSENT:
                rows.append([*base[:index], second, *base[index + 1 :]])
            for form, document in forms(names, rows):
                yield f"text_{form}_{index}_{text!r}", JSON, document
        if column.kind == "datetime":
            for text, other in itertools.product(DATES, DATES):
                rows = [[*base[:index], each, *base[index + 1 :]] for each in (text, other)]
                document = {"dataframe_split": {"columns": names, "data": rows}}
                yield f"dates_{index}_{text!r}_{other!r}", JSON, document


def _nested_cells(subject: Subject, index: int) -> Made:
    """Arrays, objects and maps with every kind of value inside."""
    column = subject.columns[index]
    if column.kind not in ("array", "object", "map", "any"):
        return
    names, base = names_of(subject), row_of(subject)
    good = base[index]
    for kind, value in KINDS.items():
        shapes: list[Any] = [
            [value], [value, value], [[value]], [[value], []], {"x": value}, {"k": value},
            {"x": 1.5, "label": value}, {"x": value, "label": "t"}, {"x": 1.5, "more": value},
            {"x": [value]}, [{"x": value}], {"k": {"k": value}}, {"k": [value], "l": 1},
        ]  # fmt: skip
        if isinstance(good, list):
            shapes += [[*good, value], [value, *good], [*good, [value]]]
        if isinstance(good, dict):
            shapes += [{**good, "k2": value}, Pairs([*good.items(), *[(k, value) for k in good]])]
        for number, cell in enumerate(shapes):
            for second in (ABSENT, None, good):
                rows = [[*base[:index], cell, *base[index + 1 :]]]
                if second is not ABSENT:
                    rows.append([*base[:index], second, *base[index + 1 :]])
                for form, document in forms(names, rows):
                    yield f"x_{form}_{index}_{kind}_{number}", JSON, document


# --- whole frames ------------------------------------------------------------------------------


def _frames(subject: Subject) -> Made:
    names, base = names_of(subject), row_of(subject)
    width = len(names)
    columns: list[Any] = [
        ABSENT, names, None, [], {}, "abc", "a" * width, 3, 1.5, True, {"a": 1}, names[:-1],
        [*names, "more"], [names[0]] * width, list(range(width)), [1.5] * width, [None] * width,
        [True] * width, [[name] for name in names], [[name, "z"] for name in names],
        [[name, 1] for name in names], [names], [[*names], [*names]], [{"a": 1}] * width,
        [None, *names[1:]], [0, *names[1:]], names[::-1], [names], dict.fromkeys(names, 1),
        [[]] * width, [str(index) for index in range(width)], [name.upper() for name in names],
        [[names[0]], *names[1:]], [*names[:-1], names[0]], Token("NaN"), [Token("NaN")] * width,
    ]  # fmt: skip
    row2 = [base, base]
    data: list[Any] = [
        ABSENT, [base], row2, None, [], {}, [[]], [[], []], 1, 1.5, "x", "", True, [None], [1],
        [1, 2], base, ["ab"], ["ab", "c"], [base[:-1]], [base, base[:-1]], [base[:-1], base],
        [[*base, 1]], [base, [*base, 1]], [[base]], [[base], [base]], [[each] for each in base],
        [dict(zip(names, base))], [dict(zip(names, base))] * 2, [{}], [{}, {}], [base, None],
        [None, base], [base, 1], [1, base], [base, {}], [{}, base], [base, "x"], [base, []],
        [[], base], {name: [cell] for name, cell in zip(names, base)},
        {name: [cell, cell] for name, cell in zip(names, base)}, dict(zip(names, base)),
        {names[0]: base[0]}, {names[0]: [base[0]]}, {"other": [1]}, {"a": [1], "b": [1, 2]},
        {name: {"0": cell} for name, cell in zip(names, base)}, [[None] * width], [[{}] * width],
        [[[]] * width], Token("NaN"), [Token("NaN")], [True], [base, Token("NaN")],
        {name: [] for name in names}, {name: None for name in names}, [{names[0]: base[0]}, {}],
        [dict(zip(names[::-1], base[::-1]))], [["1"] * width], [[1] * width], [[1.5] * width],
        [[True] * width], [["x"] * width],
    ]  # fmt: skip
    index: list[Any] = [
        None, [], {}, "x", "xy", "", 0, 1, 1.5, True, [0], [0, 1], [1, 2, 3], ["a"], ["a", "b"],
        [None], [None, None], [1.5], [1.5, None], [[0]], [[0], [1]], [[0, 1]], [[0, 1], [0, 1]],
        [{}], [{"a": 1}], [True, False], [0, "a"], ["a", None], [[0], 1], [2**64, 1], {"a": 1},
        {"a": 1, "b": 2}, [Token("NaN")], [Token("NaN"), 1], [0, 0], ["2024-01-01"], [[], []], [[]],
    ]  # fmt: skip

    def split(*members: tuple[str, Any]) -> dict[str, Any]:
        return {"dataframe_split": {key: each for key, each in members if each is not ABSENT}}

    for (c, named), (d, rows) in itertools.product(enumerate(columns), enumerate(data)):
        yield f"split_c{c}_d{d}", JSON, split(("columns", named), ("data", rows))
    for (i, key), (d, rows) in itertools.product(enumerate(index), enumerate(data)):
        given = split(("columns", names), ("index", key), ("data", rows))
        yield f"split_i{i}_d{d}", JSON, given
    for (i, key), (c, named) in itertools.product(enumerate(index), enumerate(columns)):
        for count in (1, 2):
            given = split(("columns", named), ("index", key), ("data", [base] * count))
            yield f"split_i{i}_c{c}_{count}", JSON, given
    for d, rows in enumerate(data):
        for form in ("dataframe_records", "dataframe_split", "inputs", "instances"):
            yield f"{form}_d{d}", JSON, {form: None if rows is ABSENT else rows}
    for first, second in itertools.product(_rows(names, base), repeat=2):
        for form in ("dataframe_records", "inputs", "instances"):
            yield f"{form}_mixed", JSON, {form: [first, second]}


def _rows(names: list[str], base: list[Any]) -> list[Any]:
    whole = dict(zip(names, base))
    return [
        whole, base, {}, [], None, 1, 1.5, True, "x", "", [1], [[1]], {names[0]: base[0]},
        {"more": 1}, {**whole, "more": 1}, {**whole, "": None}, dict(zip(names[::-1], base[::-1])),
        [whole], {**whole, names[0]: None}, {**whole, names[0]: [base[0]]}, Token("NaN"),
        Pairs([*whole.items(), (names[0], base[0])]),
    ]  # fmt: skip


def _column_wholes(subject: Subject) -> Made:
    """`inputs` and `instances` with whole columns of other shapes."""
    names, base = names_of(subject), row_of(subject)
    for index in _varied(subject):
        cell = base[index]
        wholes: list[Any] = [
            None, cell, [], [cell], [cell, cell], [[cell]], [[cell], [cell]], [[[cell]]],
            [[cell, cell]], {}, {"k": cell}, {"0": cell}, {"k": [cell]}, "ab", 1, True, [None],
            [{}], [[]], [[], []], [{"k": cell}], Token("NaN"), ABSENT,
        ]  # fmt: skip
        others: list[Any] = [
            lambda each: each, lambda each: [each], lambda each: [each, each], lambda each: [],
            lambda each: [[each]], lambda each: None, lambda each: {"k": each}, lambda each: ABSENT,
        ]  # fmt: skip
        for number, whole in enumerate(wholes):
            for shape, rest in enumerate(others):
                made = {name: rest(each) for name, each in zip(names, base)}
                made[names[index]] = whole
                made = {name: each for name, each in made.items() if each is not ABSENT}
                for form in ("inputs", "instances", "dataframe_records"):
                    yield f"whole_{form}_{index}_{number}_{shape}", JSON, {form: made}
                    yield f"wholes_{form}_{index}_{number}_{shape}", JSON, {form: [made]}


# --- tensors -----------------------------------------------------------------------------------


def _tensor_cells(subject: Subject) -> Made:
    specs = subject.tensors or subject.graph
    base = {each.name or "x": array(each, each.shape) for each in specs}
    for spec in specs:
        name = spec.name or "x"
        for kind, value in KINDS.items():
            for other in [None, *BESIDE]:
                filled = array(spec, spec.shape, value)
                if other is not None:
                    _put(filled, len(spec.shape), KINDS[other])
                for form, document in _tensor_forms(base, name, filled, len(specs) == 1):
                    yield f"v_{form}_{name}_{kind}_{other}", JSON, document
        names, rows = names_of(subject), row_of(subject)
        position = names.index(name) if name in names else 0
        inner = spec.shape[1:]
        for kind, value in KINDS.items():
            for other in [None, "int", "flt", "null", "str", "true", "list", "i63"]:
                for cell in (value, [value], array(spec, inner, value), [[value]]):
                    row = [*rows[:position], cell, *rows[position + 1 :]]
                    table = [row]
                    if other is not None:
                        table = [row, [*rows[:position], KINDS[other], *rows[position + 1 :]]]
                    for form, document in forms(names, table):
                        yield f"vf_{form}_{name}_{kind}_{other}", JSON, document


def _put(filled: Any, depth: int, value: Any) -> None:
    """Replaces the last element of an array of this many dimensions."""
    for _ in range(depth - 1):
        filled = filled[-1]
    if depth:
        filled[-1] = value


def _tensor_forms(
    base: dict[str, Any], name: str, filled: Any, alone: bool
) -> Iterator[tuple[str, Any]]:
    made = {**base, name: filled}
    for form in ("inputs", "instances"):
        yield form, {form: made}
        if alone:
            yield f"{form}_list", {form: filled}
        if isinstance(filled, list):
            size = len(filled)
            if all(isinstance(each, list) and len(each) == size for each in made.values()):
                rows = [{key: each[i] for key, each in made.items()} for i in range(size)]
                yield f"{form}_rows", {form: rows}


def _tensor_shapes(subject: Subject) -> Made:
    specs = subject.tensors or subject.graph
    base = {each.name or "x": array(each, each.shape) for each in specs}
    for spec in specs:
        name, cell = spec.name or "x", plain(spec.dtype)
        dims = [2 if dim < 0 else dim for dim in spec.shape]
        variants: list[Any] = [array(spec, ()), [], [[]], [[], []], [[[]]], [cell], [cell, cell]]
        for axis, size in itertools.product(range(len(dims)), (0, 1, 3)):
            variants.append(array(spec, tuple([*dims[:axis], size, *dims[axis + 1 :]])))
        variants += [
            array(spec, (*dims, 1)), array(spec, tuple(dims[1:])), array(spec, (1, *dims)),
            [array(spec, tuple(dims[1:])), cell], [cell, array(spec, tuple(dims[1:]))],
            [array(spec, tuple(dims[1:])), []], [array(spec, tuple(dims[1:])), None], None, "ab",
            {}, {"0": cell}, [{}], [{"k": cell}], [[cell], [cell, cell]], [[cell, cell], [cell]],
            [[[cell]], [cell]], True, Token("NaN"), [None], [[None]], [[cell, None]],
        ]  # fmt: skip
        for number, filled in enumerate(variants):
            for form, document in _tensor_forms(base, name, filled, len(specs) == 1):
                yield f"shape_{form}_{name}_{number}", JSON, document
            for form in ("inputs", "instances"):
                yield f"bare_{form}_{number}", JSON, {form: filled}
                yield f"one_{form}_{number}", JSON, {form: {name: filled}}
                yield f"more_{form}_{number}", JSON, {form: {**base, name: filled, "more": [1]}}
                yield f"row_{form}_{number}", JSON, {form: [{**base, name: filled}]}
                yield f"late_{form}_{number}", JSON, {form: [base, {**base, name: filled}]}
            document = {"columns": [name], "data": [[filled], [filled]]}
            yield f"cell_{number}", JSON, {"dataframe_split": document}
            yield f"cells_{number}", JSON, {"dataframe_records": [{**base, name: filled}]}


# --- params, envelopes, CSV --------------------------------------------------------------------


def _good(subject: Subject) -> dict[str, Any]:
    document = {"columns": names_of(subject), "data": [row_of(subject)]}
    return {"dataframe_split": document}


def _params(subject: Subject) -> Made:
    good = _good(subject)
    for kind, value in KINDS.items():
        yield f"p_{kind}", JSON, {**good, "params": value}
        yield f"p_unknown_{kind}", JSON, {**good, "params": {"unknown": value}}
        for spec in subject.params:
            name = spec["name"]
            for number, given in enumerate([value, [value], [value, value], [[value]], {"k": value}]):
                yield f"p_{name}_{kind}_{number}", JSON, {**good, "params": {name: given}}
            for other in BESIDE:
                given = {name: [value, KINDS[other]]}
                yield f"p_{name}_{kind}_{other}", JSON, {**good, "params": given}
            twice = Pairs([(name, value), (name, spec["default"])])
            yield f"p_{name}_{kind}_twice", JSON, {**good, "params": twice}


def _envelopes(subject: Subject) -> Made:
    good = _good(subject)
    [(key, inner)] = good.items()
    yield "plain", JSON, good
    for kind, value in KINDS.items():
        yield f"json_{kind}", JSON, value
        yield f"json_in_list_{kind}", JSON, [value]
        for name in ("dataframe_split", "dataframe_records", "inputs", "instances", "signature_name",
                     "x"):  # fmt: skip
            yield f"only_{name}_{kind}", JSON, {name: value}
            yield f"with_{name}_{kind}", JSON, {**good, name: value}
            yield f"twice_{name}_{kind}", JSON, Pairs([(name, value), *good.items()])
            yield f"again_{name}_{kind}", JSON, Pairs([*good.items(), (name, value)])
    for media in (
        "application/json;", "application/json;charset", "application/json; charset=UTF-8",
        "application/json;charset=utf8", "application/json;charset=\"utf-8\"", "text/csv;", "text/csv",
        "application/json; x=y", "application/json; charset=utf-8; x=y", "APPLICATION/JSON", "text/plain",
        "application/json; header=present", "text/csv; charset=latin-1", "application/x-parquet", ";",
        "application/json; CHARSET=utf-8", "application/json; charset=UTF-16", "*/*", "application/*",
    ):  # fmt: skip
        yield f"ctype_{media}", media, write({key: inner}).encode()


CSV_CELLS = [
    "", " ", "1", "01", "+1", "-1", "1.0", "1.5", ".5", "5.", "1e3", "1E-3", " 1", "1 ", "\t1", "1_0",
    "1,5", "0x10", "inf", "-inf", "Infinity", "+Infinity", "INF", "nan", "NaN", "NAN", "NA", "N/A",
    "null", "None", "NULL", "<NA>", "#N/A", "-1.#IND", "1.#QNAN", "true", "True", "TRUE", "tRue",
    "false", "FALSE", "yes", "abc", "é", "a b", '"q"', '"a""b"', '"1"', '""', '"NA"', '"1\n2"', "'1'",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "1e400", "-1e400", "1e-400", "123456789012345678901234567890",
    "0.1000000000000000055511151231257827", "2147483648", "16777217", "1.7976931348623159e308",
    "2024-02-29", "2024-02-29T12:34:56Z", "[1]", "{}", "aGVsbG8=", "#1", "1#2", "\0", "1\0", "1e", "e1",
    "--1", "1.2.3", "$1", "1%", "T", "0", "-0", "-0.0", "00", "1e5", "1.0e5", "nan ", " NA", "1;2",
]  # fmt: skip
CSV_BESIDE = ["", "1", "1.5", "abc", "True", "NA", "9223372036854775808", "18446744073709551616", "-1"]


def _csv(subject: Subject) -> Made:
    names = names_of(subject)
    base = [str(cell) if not isinstance(cell, (list, dict)) else '"[1]"' for cell in row_of(subject)]
    head = ",".join(names)
    varied = _varied(subject) if subject.columns else [0]
    for index in varied:
        for cell in CSV_CELLS:
            row = ",".join([*base[:index], cell, *base[index + 1 :]])
            yield f"csv_{index}_{cell!r}", CSV, f"{head}\n{row}\n".encode()
            for other in CSV_BESIDE:
                next_row = ",".join([*base[:index], other, *base[index + 1 :]])
                text = f"{head}\n{row}\n{next_row}\n"
                yield f"csv_{index}_{cell!r}_{other!r}", CSV, text.encode()
    row = ",".join(base)
    lines: list[str] = [
        "", "\n", "\n\n", head, f"{head}\n", f"{head}\n\n", f"\n{head}\n{row}\n", f"{head}\n\n{row}\n",
        f"{head}\n{row}", f"{head}\n{row}\n\n\n", f"{head}\r{row}\r", f"{head}\r\n{row}\r\n",
        f"{head}\n{row}\r\n{row}", f"{head}\n{row},\n", f"{head},\n{row},\n", f"{head},\n{row}\n",
        f",{head}\n0,{row}\n", f"{head}\n0,{row}\n", f"{head}\n0,{row}\n1,{row}\n",
        f"{head}\n{row}\n{row},1\n", f"{head}\n{row},1\n{row}\n", f"{head}\n{row},1,2\n",
        f"{head}\n{base[0]}\n", f"{head}\n{row}\n{base[0]}\n", f"{head}\n{' ' * 3}\n{row}\n",
        f"{head}\n,\n{row}\n", f"{head}\n{row}\n,\n", f"# c\n{head}\n{row}\n", f"{head}\n{row}\n#x\n",
        f'"{head}"\n{row}\n', '"' + '","'.join(names) + '"\n' + '"' + '","'.join(base) + '"\n',
        f" {head}\n {row}\n", f"{head.replace(',', ', ')}\n{row.replace(',', ', ')}\n",
        f"{head.replace(',', ';')}\n{row.replace(',', ';')}\n", f"{head}\t\n{row}\t\n",
        f"{head},{names[0]}\n{row},1\n", f"{head},{names[0]}.1\n{row},1\n", f"{row}\n{row}\n",
        ",".join([names[0]] * len(names)) + f"\n{row}\n", f"{head},more\n{row},1\n",
        f"{head},Unnamed: 0\n{row},1\n", f"{head},,\n{row},1,2\n", f'{head}\n"{row}\n',
        f'{head}\n{row}"\n', f'{head}\n{row}\n"', f'{head}\n{row}\n"\n', f'{head}\n"a"b,{row}\n',
        ",".join(names[::-1]) + "\n" + ",".join(base[::-1]) + "\n", f"{head.upper()}\n{row}\n",
        ",".join(names[:-1]) + "\n" + ",".join(base[:-1]) + "\n", f"{head}\n{row}\n\x1a", f"\ufeff{head}\n{row}\n",
        f"{head}\n\ufeff{row}\n", f"\x00{head}\n{row}\n", f"{head}\n{row}\x00\n", f"{head}\n{row}\x0c\n{row}\n",
        f"{head}\n{row}\u2028{row}\n", f"\n\n{head}\n\n{row}\n", f" \n{head}\n{row}\n", f"{head}\n{row}\n \n",
        f'"{names[0]}\nx",{head}\n1,{row}\n', "\r", "\r\n", ",", ",\n", '""', '"', " ", "\t",
    ]  # fmt: skip
    for number, text in enumerate(lines):
        yield f"csv_text_{number}", CSV, text.encode()
    for number, body in enumerate([b"\xff", b"\xef\xbb\xbf", b"\xef\xbb", f"{head}\n{row}\n".encode("utf-16"),
                                   f"{head}\n".encode() + b"\xc3\x28\n"]):  # fmt: skip
        yield f"csv_bytes_{number}", CSV, body
