"""A figure: a number made of one round's samples, its goal, and its median over the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from figures.sample import Sample
from figures.stage import Stage

# One round of a scenario: what was measured, by the name of the measurement. A measurement is
# absent when its server is missing.
Round = dict[str, Sample]


@dataclass(frozen=True)
class Goal:
    """The least or the most that the median may be."""

    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def __str__(self) -> str:
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"


@dataclass(frozen=True)
class Figure:
    """`value` of a round raises KeyError when a measurement is absent."""

    what: str
    value: Callable[[Round], float]
    goal: Goal | None = None
    unit: str = ""


@dataclass(frozen=True)
class Result:
    """A figure over all rounds: median, least and greatest. None: it was not measured."""

    figure: Figure
    values: list[float]

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def met(self) -> bool | None:
        """None where there is no goal or nothing was measured."""
        if self.figure.goal is None or self.median is None:
            return None
        return self.figure.goal.met(self.median)


@dataclass(frozen=True)
class Scenario:
    """Some measurements that belong together, and the figures that come of them.

    `measure` makes one round. Ratios are taken within a round and their median over the rounds, so
    that what drifts between rounds does not matter.
    """

    name: str
    what: str
    measure: Callable[[Stage], Round]
    figures: tuple[Figure, ...]
    # The servers that must predict the same before the first round, and for which model.
    alike: tuple[str, ...] = ()
    model: str = ""
    # For what needs no repetition.
    rounds_max: int | None = None

    def results(self, rounds: list[Round]) -> list[Result]:
        return [Result(figure, values(figure, rounds)) for figure in self.figures]


def values(figure: Figure, rounds: list[Round]) -> list[float]:
    found = []
    for each in rounds:
        try:
            found.append(figure.value(each))
        except KeyError:
            return []
    return found


def ratio(upper: str, lower: str, field: str = "rate") -> Callable[[Round], float]:
    """A field of one measurement over the same field of another."""
    return lambda each: getattr(each[upper], field) / getattr(each[lower], field)


def field(name: str, field: str, scale: float = 1.0) -> Callable[[Round], float]:
    return lambda each: getattr(each[name], field) * scale


def present(measured: dict[str, Sample | None]) -> Round:
    """Without what missing servers would have measured."""
    return {name: sample for name, sample in measured.items() if sample is not None}
