"""Random requests for one model: every form of the protocol, from well-formed to hostile.

A request has a *mood* that sets how often a cell is spoilt, so that most requests reach the model
and the others fail for one reason rather than for ten. The same seed gives the same requests.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import envelope
import frames
import tabular
from document import Token
from subject import Column, Subject, TensorInput
from values import COLUMN_DTYPES, convertible, hostile, natural, nested

# mood: (weight, chance that a cell is spoilt, chance that the structure is)
MOODS = {
    "clean": (50, 0.0, 0.0),
    "loose": (22, 0.12, 0.0),
    "bent": (14, 0.0, 1.0),
    "hostile": (14, 0.25, 0.3),
}
FORMS = {
    "columns": {
        "split": 24, "records": 16, "inputs_dict": 14, "inputs_rows": 8, "inputs_list": 4,
        "instances_dict": 6, "instances_rows": 10, "instances_list": 3, "csv": 10, "parquet": 5,
    },
    "tensors": {
        "split": 12, "records": 8, "inputs_dict": 22, "inputs_list": 22, "inputs_rows": 4,
        "instances_dict": 8, "instances_list": 14, "instances_rows": 6, "csv": 3, "parquet": 1,
    },
    "bare": {
        "split": 18, "records": 10, "inputs_dict": 18, "inputs_list": 16, "inputs_rows": 4,
        "instances_dict": 6, "instances_list": 10, "instances_rows": 5, "csv": 10, "parquet": 3,
    },
}  # fmt: skip
MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True)
class Request:
    """One POST to `/invocations`. `document` is the body before it was written, where the body is
    its plain JSON text, so that a failing request can be made smaller."""

    model: str
    case: str
    form: str
    headers: dict[str, str]
    body: bytes
    document: Any = field(default=None, compare=False)


class Generator:
    """Requests for one model."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject = subject
        self.rng = random.Random(f"{seed}/{subject.name}")
        self.count = 0
        self.spoil = 0.0
        self.bend = 0.0

    def request(self) -> Request:
        """The next request of the sequence."""
        rng = self.rng
        mood = rng.choices(list(MOODS), [weight for weight, _, _ in MOODS.values()])[0]
        _, self.spoil, self.bend = MOODS[mood]
        forms = FORMS[self.subject.kind]
        form = rng.choices(list(forms), list(forms.values()))[0]
        case = f"{form}_{mood}_{self.count}"
        self.count += 1
        if form in MEDIA_TYPES:
            return self._table_file(case, form)
        document = self._document(form)
        if rng.random() < (0.7 if self.subject.params else 0.04):
            document["params"] = self._params()
        headers, body, plain = envelope.wrap(rng, document, hostile=mood == "hostile")
        return Request(self.subject.name, case, form, headers, body, document if plain else None)

    def _table_file(self, case: str, form: str) -> Request:
        names, rows = self._table()
        if form == "csv":
            body = tabular.csv_body(self.rng, names, rows, bent=self._bent())
        else:
            columns = [self._declared_kind(index) for index in range(len(names))]
            body = tabular.parquet_body(self.rng, names, rows, columns, bent=self._bent())
        content_type = MEDIA_TYPES[form]
        if self.rng.random() < 0.1:
            content_type += "; charset=utf-8"
        return Request(self.subject.name, case, form, {"Content-Type": content_type}, body)

    def _bent(self) -> bool:
        return self.rng.random() < self.bend

    # --- cells ------------------------------------------------------------------------------

    def _cell(self, dtype: str) -> Any:
        if self.rng.random() < self.spoil:
            choose = convertible if self.rng.random() < 0.7 else hostile
            return choose(self.rng, dtype)
        return natural(self.rng, dtype)

    def _column_cell(self, column: Column) -> Any:
        if column.kind in ("array", "object", "map", "any"):
            return nested(self.rng, column.spec, self.spoil)
        if not column.required and self.rng.random() < 0.15:
            return None
        return self._cell(COLUMN_DTYPES.get(column.kind, column.kind))

    # --- tables: the columns of a DataFrame --------------------------------------------------

    def _declared_kind(self, index: int) -> str:
        """The type of the generated column at `index`, for writers of typed files."""
        return self._table_kinds[index] if index < len(self._table_kinds) else "string"

    def _table(self) -> tuple[list[str], list[list[Any]]]:
        """Column names and rows that fit the model, before any bending."""
        rng = self.rng
        rows = rng.choice([1, 1, 1, 2, 2, 3, 5]) if rng.random() < 0.96 else 0
        names: list[str] = []
        kinds: list[str] = []
        makers: list[Any] = []
        for position, column in enumerate(self.subject.columns):
            if column.required or rng.random() < 0.4:
                names.append(column.name if column.name is not None else f"c{position}")
                kinds.append(column.kind)
                makers.append(lambda column=column: self._column_cell(column))
        for spec in self.subject.tensors or (() if names else self.subject.graph):
            self._tensor_columns(spec, names, kinds, makers)
        if rng.random() < 0.15:
            names.append(rng.choice(["extra", "0", "A", "", "é"]))
            kinds.append("any")
            makers.append(lambda: rng.choice([1, 1.5, "x", None, True, [1], {"k": 1}]))
        if self.subject.columns and self.subject.columns[0].name and rng.random() < 0.25:
            order = list(range(len(names)))
            rng.shuffle(order)
            names = [names[index] for index in order]
            kinds = [kinds[index] for index in order]
            makers = [makers[index] for index in order]
        self._table_kinds = kinds
        return names, [[make() for make in makers] for _ in range(rows)]

    def _tensor_columns(self, spec: TensorInput, names: list, kinds: list, makers: list) -> None:
        """The DataFrame columns that fill a tensor: one column a name, or one a feature."""
        rng = self.rng
        inner = [dim if dim > 0 else rng.choice([1, 2, 3]) for dim in spec.shape[1:]]
        alone = len(self.subject.tensors or self.subject.graph) == 1
        whole = "any" if inner and inner != [1] else spec.dtype
        if alone and len(inner) == 1 and rng.random() < 0.85:
            for index in range(inner[0]):
                names.append(f"c{index}")
                kinds.append(spec.dtype)
                makers.append(lambda: self._cell(spec.dtype))
            return
        names.append(spec.name or "x")
        kinds.append(whole)
        flat = 1
        for dim in inner:
            flat *= dim
        if inner in ([], [1]) and rng.random() < 0.8:
            makers.append(lambda: self._cell(spec.dtype))
        else:
            makers.append(lambda: [self._cell(spec.dtype) for _ in range(flat)])

    # --- JSON documents ----------------------------------------------------------------------

    def _document(self, form: str) -> dict[str, Any]:
        rng = self.rng
        if form in ("split", "records"):
            names, rows = self._table()
            shape = frames.split if form == "split" else frames.records
            unnamed = not self.subject.columns or self.subject.columns[0].name is None
            made = shape(rng, names, rows, bent=self._bent(), unnamed=unnamed)
            return {f"dataframe_{form}": made}
        key, shape = form.split("_")
        if self.subject.columns:
            made = self._column_value(shape)
        else:
            made = self._tensor_value(shape)
        if self._bent():
            made = frames.bend(rng, made)
        return {key: made}

    def _column_value(self, shape: str) -> Any:
        names, rows = self._table()
        if shape == "rows":
            made = [dict(zip(names, row)) for row in rows]
            if made and self._bent():
                frames.drop_keys(self.rng, made)
            return made
        if shape == "list":
            one = len(names) == 1
            return [row[0] if one else row for row in rows]
        if rows and self.rng.random() < 0.12:
            return dict(zip(names, rows[0]))
        return {name: [row[index] for row in rows] for index, name in enumerate(names)}

    def _tensor_value(self, shape: str) -> Any:
        rng = self.rng
        specs = self.subject.tensors or self.subject.graph
        batch = rng.choice([1, 1, 2, 3]) if rng.random() < 0.97 else 0
        free = rng.choice([1, 2, 4])
        made = {spec.name or "x": self._array(spec, batch, free) for spec in specs}
        if shape == "list" or (specs[0].name is None and rng.random() < 0.9):
            return made[specs[0].name or "x"]
        if rng.random() < 0.1:
            made["surplus"] = [1, 2]
        if shape == "dict":
            return made
        rows = max((len(each) for each in made.values() if isinstance(each, list)), default=0)
        return [
            {name: each[index] for name, each in made.items()
             if isinstance(each, list) and index < len(each)}
            for index in range(rows)
        ]  # fmt: skip

    def _array(self, spec: TensorInput, batch: int, free: int) -> Any:
        rng = self.rng
        dims = [dim if dim > 0 else (batch if axis == 0 else free)
                for axis, dim in enumerate(spec.shape)]  # fmt: skip
        if dims and self._bent():
            pick = rng.random()
            if pick < 0.4:
                axis = rng.randrange(len(dims))
                dims[axis] = max(0, dims[axis] + rng.choice([-1, 1]))
            elif pick < 0.6:
                dims.append(rng.choice([1, 2]))
            elif pick < 0.8:
                dims.pop()

        def build(depth: int) -> Any:
            if depth == len(dims):
                return self._cell(spec.dtype)
            made = [build(depth + 1) for _ in range(dims[depth])]
            if depth and made and rng.random() < self.bend * 0.05:
                made.pop()
            return made

        return build(0)

    # --- params ------------------------------------------------------------------------------

    def _params(self) -> Any:
        rng = self.rng
        pick = rng.random()
        if pick < 0.06:
            return rng.choice([None, [], [1], "x", 1, True, {}])
        made: dict[str, Any] = {}
        for spec in self.subject.params:
            if rng.random() < 0.35:
                dtype = COLUMN_DTYPES.get(spec["type"], spec["type"])
                made[spec["name"]] = self._param(spec, dtype)
        if rng.random() < 0.15:
            made[rng.choice(["unknown", "Temperature"])] = rng.choice([1, "x", None, [1]])
        return made

    def _param(self, spec: dict[str, Any], dtype: str) -> Any:
        rng = self.rng
        if rng.random() < 0.15:
            return rng.choice([None, 1, 1.0, 1.5, "1", True, [], ["a"], [1], [1.5], {"k": 1},
                               2**40, Token("1e2"), Token("NaN"), [["a"]], [None]])  # fmt: skip
        if spec.get("shape"):
            return [natural(rng, dtype) for _ in range(rng.randrange(4))]
        return natural(rng, dtype)
