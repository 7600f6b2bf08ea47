"""JSON documents that Python's own writer cannot produce: duplicate keys and chosen number tokens.

A document is what `json.loads` returns, plus two node types:

* `Token`: text written as it stands, for numbers in a chosen spelling (`1E+2`, `1e400`, `01`);
* `Pairs`: an object as a list of pairs, so that a key can appear twice.
"""

from __future__ import annotations

import json
import random
from typing import Any


class Token(str):
    """Text to be written as it stands."""

    __slots__ = ()


class Pairs(list):
    """An object's members in order; keys may repeat."""

    __slots__ = ()


def write(node: Any, rng: random.Random | None = None, ascii_only: bool = True) -> str:
    """The document as JSON text. With `rng`, insignificant white space varies."""
    comma, colon = ", ", ": "
    if rng is not None:
        comma = rng.choice([", ", ",", " ,\n"])
        colon = rng.choice([": ", ":", " :\t"])

    def member(key: str, inner: Any) -> str:
        return json.dumps(key, ensure_ascii=ascii_only) + colon + text(inner)

    def text(inner: Any) -> str:
        if isinstance(inner, Token):
            return str(inner)
        if isinstance(inner, Pairs):
            return "{" + comma.join(member(key, each) for key, each in inner) + "}"
        if isinstance(inner, dict):
            return "{" + comma.join(member(key, each) for key, each in inner.items()) + "}"
        if isinstance(inner, list):
            return "[" + comma.join(text(each) for each in inner) + "]"
        return json.dumps(inner, ensure_ascii=ascii_only)

    return text(node)


def smaller(node: Any):
    """Yields copies of `node` that lack one part, larger parts first. Feeds the shrinker."""
    if isinstance(node, dict):
        for key in list(node):
            yield {other: node[other] for other in node if other != key}
        for key in node:
            for inner in smaller(node[key]):
                yield {**node, key: inner}
    elif isinstance(node, Pairs):
        for index in range(len(node)):
            yield Pairs(node[:index] + node[index + 1 :])
        for index, (key, each) in enumerate(node):
            for inner in smaller(each):
                yield Pairs([*node[:index], (key, inner), *node[index + 1 :]])
    elif isinstance(node, list):
        if len(node) > 3:
            yield node[: len(node) // 2]
            yield node[len(node) // 2 :]
        for index in range(len(node)):
            yield node[:index] + node[index + 1 :]
        for index, each in enumerate(node):
            for inner in smaller(each):
                yield [*node[:index], inner, *node[index + 1 :]]
