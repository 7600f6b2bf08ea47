"""CSV and Parquet bodies."""

from __future__ import annotations

import csv
import io
import json
import random
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NA_TEXTS = ["", "NA", "nan", "NaN", "null", "NULL", "None", "N/A", "n/a", "<NA>", "#N/A", "-nan"]
ARROW_TYPES = {
    "double": pa.float64(), "float": pa.float32(), "long": pa.int64(), "integer": pa.int32(),
    "boolean": pa.bool_(), "string": pa.string(), "binary": pa.binary(),
    "datetime": pa.timestamp("ns"),
    "float64": pa.float64(), "float32": pa.float32(), "float16": pa.float32(),
    "int64": pa.int64(), "int32": pa.int32(), "int16": pa.int16(), "int8": pa.int8(),
    "uint64": pa.uint64(), "uint32": pa.uint32(), "uint16": pa.uint16(), "uint8": pa.uint8(),
    "bool": pa.bool_(), "str": pa.string(),
}  # fmt: skip
OTHER_TYPES = [
    pa.float64(), pa.float32(), pa.int64(), pa.int32(), pa.int16(), pa.int8(), pa.uint8(),
    pa.uint32(), pa.bool_(), pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()),
    pa.timestamp("us"), pa.date32(), pa.binary(), pa.decimal128(10, 2), pa.list_(pa.float64()),
]  # fmt: skip


def csv_body(
    rng: random.Random, names: list[str], rows: list[list[Any]], *, bent: bool
) -> bytes:
    """CSV as a client may write it; bent ones have ragged rows, wrong quotes or bad bytes."""
    newline = rng.choice(["\n", "\n", "\r\n"])
    table = [[_csv_cell(rng, cell) for cell in row] for row in rows]
    header = list(names)
    if bent and table:
        pick = rng.randrange(5)
        if pick == 0:
            table[-1] = [*table[-1], "9"]
        elif pick == 1:
            table = [[*row, "9"] for row in table]
        elif pick == 2:
            table[-1] = table[-1][:-1]
        elif pick == 3:
            header = [*header[:-1], header[0]]
        else:
            table[rng.randrange(len(table))][0] = rng.choice(NA_TEXTS)
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator=newline, quoting=quoting)
    writer.writerow(header)
    writer.writerows(table)
    text = sink.getvalue()
    if rng.random() < 0.1:
        text = text.rstrip("\r\n")
    if rng.random() < 0.08:
        text += newline
    body = text.encode()
    if rng.random() < 0.05:
        body = b"\xef\xbb\xbf" + body
    return _bend_bytes(rng, body, newline.encode()) if bent and rng.random() < 0.3 else body


def _csv_cell(rng: random.Random, cell: Any) -> str:
    if cell is None:
        return rng.choice(NA_TEXTS)
    if isinstance(cell, bool):
        return rng.choice(["True", "true", "TRUE"]) if cell else rng.choice(["False", "false"])
    if isinstance(cell, str):
        # A NUL ends a field for pandas' parser in ways that differ between its engines.
        return str(cell).replace("\u0000", "0")
    if isinstance(cell, (list, dict)):
        return json.dumps(cell, default=str)
    text = repr(cell)
    return rng.choice([" ", ""]) + text if rng.random() < 0.1 else text


def _bend_bytes(rng: random.Random, body: bytes, newline: bytes) -> bytes:
    head, _, tail = body.partition(newline)
    return rng.choice(
        [
            b"", newline, head, head + newline, tail, body + b"\xff\xfe", body[: len(body) // 2],
            body + b'"', head + newline * 3 + tail, b" " + body, body.replace(b",", b";"),
        ]
    )  # fmt: skip


def parquet_body(
    rng: random.Random, names: list[str], rows: list[list[Any]], kinds: list[str], *, bent: bool
) -> bytes:
    """Parquet with the declared types, or now and then others."""
    arrays, kept = [], []
    for index, name in enumerate(names):
        if name in kept:
            continue
        wanted = ARROW_TYPES.get(kinds[index], pa.string())
        if rng.random() < (0.5 if bent else 0.08):
            wanted = rng.choice(OTHER_TYPES)
        cells = [_arrow_cell(rng, row[index], wanted) for row in rows]
        kept.append(name)
        arrays.append(pa.array(cells, wanted))
    table = pa.table(arrays, names=kept)
    if rng.random() < 0.3 and not bent:
        frame = table.to_pandas()
        if len(frame) and rng.random() < 0.5:
            frame.index = pd.Index([f"r{i}" for i in range(len(frame))], name="key")
        table = pa.Table.from_pandas(frame)
    sink = io.BytesIO()
    pq.write_table(
        table, sink, version=rng.choice(["2.6", "1.0"]),
        compression=rng.choice(["snappy", "none", "gzip", "zstd", "brotli", "lz4"]),
        use_dictionary=rng.random() < 0.7,
        data_page_version=rng.choice(["1.0", "2.0"]),
    )  # fmt: skip
    body = sink.getvalue()
    if bent and rng.random() < 0.25:
        cut = rng.randrange(len(body))
        return rng.choice([b"", b"PAR1", body[:cut], body[:-1], b"not parquet at all"])
    return body


def _arrow_cell(rng: random.Random, cell: Any, wanted: pa.DataType) -> Any:
    """The cell as a Python value of the Arrow type; what does not convert becomes a default."""
    if cell is None:
        return None
    if pa.types.is_boolean(wanted):
        return bool(cell)
    if pa.types.is_string(wanted) or pa.types.is_large_string(wanted):
        return _text(cell)
    if pa.types.is_dictionary(wanted):
        return _text(cell)
    if pa.types.is_binary(wanted):
        return _text(cell).encode()
    if pa.types.is_timestamp(wanted) or pa.types.is_date(wanted):
        stamp = pd.Timestamp("2024-02-29T12:30:00")
        return stamp.date() if pa.types.is_date(wanted) else stamp
    if pa.types.is_decimal(wanted):
        return Decimal("1.50")
    if pa.types.is_list(wanted):
        return [0.5, 1.5]
    if not isinstance(cell, (bool, int, float)):
        cell = rng.choice([0, 1, 2])
    if pa.types.is_floating(wanted):
        return float(cell) if abs(cell) < 1e308 else 0.5
    low, high = (0, 127) if pa.types.is_unsigned_integer(wanted) else (-128, 127)
    return int(min(max(cell, low), high)) if cell == cell else 0


def _text(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell, default=str)
