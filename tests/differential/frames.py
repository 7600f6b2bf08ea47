"""DataFrames as JSON: the split and records forms, and ways of bending any value."""

from __future__ import annotations

import random
from typing import Any

from document import Pairs


def split(
    rng: random.Random, names: list[str], rows: list[list[Any]], *, bent: bool, unnamed: bool
) -> Any:
    """`dataframe_split`: `{"columns": ..., "data": ...}` with its variations."""
    made: dict[str, Any] = {"columns": list(names), "data": rows}
    if unnamed and rng.random() < 0.4:
        del made["columns"]
    if rng.random() < 0.15:
        made["index"] = rng.choice(
            [list(range(len(rows))), [7] * len(rows), [f"r{i}" for i in range(len(rows))]]
        )
    if rng.random() < 0.1:
        made = {key: made[key] for key in reversed(made)}
    return _bend_split(rng, made) if bent else made


def _bend_split(rng: random.Random, made: dict[str, Any]) -> Any:
    columns, data = made.get("columns") or [], made["data"]
    pick = rng.randrange(18)
    if pick == 0 and columns:
        dropped = rng.randrange(len(columns))
        made["columns"] = columns[:dropped] + columns[dropped + 1 :]
        made["data"] = [row[:dropped] + row[dropped + 1 :] for row in data]
    elif pick == 1 and columns:
        made["columns"] = columns[:-1]
    elif pick == 2:
        made["columns"] = [*columns, "one more"]
    elif pick == 3 and columns:
        made["columns"] = [columns[0]] * len(columns)
    elif pick == 4:
        made["columns"] = rng.choice([None, "abc", 3, {}, {"a": 1}, list(range(len(columns))), []])
    elif pick == 5:
        made["data"] = rng.choice([None, {}, [], [[]], 1, "x", [[], []], {"a": [1]}])
    elif pick == 6 and data and data[-1]:
        data[-1].pop()
    elif pick == 7 and data:
        data[-1].append(1)
    elif pick == 8 and data:
        made["data"] = data[0]
    elif pick == 9:
        made["data"] = [[row] for row in data]
    elif pick == 10:
        made["index"] = rng.choice([[0] * (len(data) + 1), None, "x", {}, []])
    elif pick == 11:
        made["surplus"] = 1
    elif pick == 12:
        del made["data"]
    elif pick == 13:
        return rng.choice([None, [], [made], "x", 1, {}])
    elif pick == 14:
        return Pairs([("columns", ["z"]), *made.items()])
    elif pick == 15 and columns:
        made["columns"] = [name.upper() if name else name for name in columns]
    elif pick == 16:
        made["data"] = [dict(zip(columns, row)) for row in data]
    elif data:
        data[rng.randrange(len(data))] = rng.choice([None, 1, "abc", [], {"a": 1}])
    return made


def records(
    rng: random.Random, names: list[str], rows: list[list[Any]], *, bent: bool, unnamed: bool
) -> Any:
    """`dataframe_records`: a list of objects, or for unnamed columns sometimes of lists."""
    if unnamed and rng.random() < 0.2:
        return [list(row) for row in rows]
    made: list[Any] = [dict(zip(names, row)) for row in rows]
    if rng.random() < 0.1:
        made = [{key: row[key] for key in reversed(row)} for row in made]
    if not bent:
        return made
    pick = rng.randrange(8)
    if pick == 0 and made:
        drop_keys(rng, made)
    elif pick == 1 and made:
        made[-1] = rng.choice([None, 1, "x", [], [1, 2], {}])
    elif pick == 2:
        return rng.choice([None, {}, "x", 1, [], [[]], [{}], made[0] if made else {}])
    elif pick == 3:
        return [list(row.values()) for row in made]
    elif pick == 4:
        return [Pairs([*row.items(), *list(row.items())[:1]]) for row in made]
    elif pick == 5 and made:
        made[-1]["late"] = 1
    elif pick == 6:
        return {name: [row[i] for row in rows] for i, name in enumerate(names)}
    else:
        return [made]
    return made


def drop_keys(rng: random.Random, rows: list[dict[str, Any]]) -> None:
    """Removes one key from one row, or from all."""
    row = rng.choice(rows)
    if not row:
        return
    key = rng.choice(list(row))
    for each in rows if rng.random() < 0.4 else [row]:
        each.pop(key, None)


def bend(rng: random.Random, made: Any) -> Any:
    """Some structural change to the value of `inputs` or `instances`."""
    pick = rng.randrange(9)
    if pick == 0:
        return rng.choice([None, {}, [], "x", 1, 1.5, True, [None], [[]], [{}], [[], []], {"": []}])
    if pick == 1:
        return [made]
    if pick == 2 and isinstance(made, dict) and made:
        made.pop(rng.choice(list(made)))
    elif pick == 3 and isinstance(made, dict) and made:
        key = rng.choice(list(made))
        made[key] = rng.choice([None, {}, [], 1, [made[key]], made[key] * 2 if made[key] else 0])
    elif pick == 4 and isinstance(made, list) and made:
        made[rng.randrange(len(made))] = rng.choice([None, {}, [], 1, "x", [[1]], {"a": 1}])
    elif pick == 5 and isinstance(made, list) and made:
        return made[0]
    elif pick == 6 and isinstance(made, dict):
        return {key.upper(): each for key, each in made.items()}
    elif pick == 7 and isinstance(made, dict):
        return [made, made]
    elif pick == 8 and isinstance(made, list):
        return {"x": made}
    return made
