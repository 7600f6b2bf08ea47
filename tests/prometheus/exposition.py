"""Prometheus's text format: what one scrape says, and what may not happen between two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Scrape:
    """The samples of one scrape, and the types of the families."""

    samples: dict[Series, float] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    def of(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Labels and values of a metric's series that have these labels."""
        wanted = set(labels.items())
        for (found, its), value in self.samples.items():
            if found == name and wanted <= its:
                yield dict(its), value

    def total(self, name: str, **labels: str) -> float:
        return sum(value for _, value in self.of(name, **labels))

    def one(self, name: str, **labels: str) -> float:
        found = [value for _, value in self.of(name, **labels)]
        assert len(found) == 1, f"{len(found)} series {name}{labels}, expected one"
        return found[0]

    def family(self, name: str) -> str:
        """The type of the family that a sample belongs to."""
        for end in ("", "_bucket", "_count", "_sum"):
            kind = self.types.get(name.removesuffix(end)) if name.endswith(end) else None
            if kind is not None and (not end or kind == "histogram"):
                return kind
        raise AssertionError(f"{name} has no type")

    def only_grows(self, series: Series) -> bool:
        """Whether it is a counter, or a part of a histogram."""
        return self.family(series[0]) in ("counter", "histogram")


def parse(text: str) -> Scrape:
    scrape = Scrape()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in scrape.types, f"{name} has two types"
            scrape.types[name] = kind
        elif line and not line.startswith("#"):
            found = LINE.fullmatch(line)
            assert found, f"no sample: {line}"
            name, labels, value = found.groups()
            pairs = frozenset(
                (key, re.sub(r"\\.", lambda one: ESCAPES[one[0]], text))
                for key, text in LABEL.findall(labels or "")
            )
            assert (name, pairs) not in scrape.samples, f"told twice: {line}"
            scrape.samples[name, pairs] = float(value)
    return scrape


class NeverBackwards:
    """Holds every counter of a server to its past, also over a time without it."""

    def __init__(self) -> None:
        self.last: dict[Series, float] = {}
        self.faults: list[str] = []
        self.scrapes = 0

    def see(self, scrape: Scrape) -> None:
        self.scrapes += 1
        for series, value in scrape.samples.items():
            if not scrape.only_grows(series):
                continue
            before = self.last.get(series, 0.0)
            if value < before:
                self.faults.append(f"{series[0]}{dict(series[1])}: {before} became {value}")
            self.last[series] = value
