"""The results as Markdown, and all samples as JSON."""

from __future__ import annotations

import platform
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from peers.server import CORES

from figures.figure import Result, Round, Scenario
from figures.stage import Limits


@dataclass
class Report:
    """Everything that a run found, growing scenario by scenario."""

    limits: Limits
    rounds: int
    # Processes that wanted to run before anything was started, on average over a minute.
    busy: float
    done: list[tuple[Scenario, list[Round]]] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    ready_seconds: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        parts = [self.conditions(), self.figures(), self.measurements(), self.servers()]
        return "\n\n".join(parts) + "\n"

    def conditions(self) -> str:
        return (
            f"{CORES} cores ({processor()}), {platform.system()} {platform.release()}; the load "
            f"generator on the same cores. Medians of {self.rounds} interleaved rounds of "
            f"{self.limits.seconds:g} s each, after {self.limits.warmup:g} s to warm up; in "
            "brackets the least and the greatest round. Before it the machine's load average was "
            f"{self.busy:.1f}."
        )

    def figures(self) -> str:
        rows = []
        for scenario, rounds in self.done:
            for result in scenario.results(rounds):
                goal = result.figure.goal
                rows.append([
                    f"`{scenario.name}`", scenario.what, result.figure.what,
                    "" if goal is None else str(goal), shown(result), verdict(result),
                ])  # fmt: skip
        return table(["scenario", "", "figure", "goal", "measured", "met"], rows)

    def measurements(self) -> str:
        """What the figures were made of."""
        rows = []
        for scenario, rounds in self.done:
            for name in rounds[0] if rounds else ():
                samples = [each[name] for each in rounds if name in each]
                cells = [f"`{scenario.name}`", name]
                columns = ("rate", "rows_rate", "cpu_us", "cpu_us_row", "p50_us", "p99_us")
                for column in columns:
                    value = statistics.median(getattr(each, column) for each in samples)
                    cells.append(figure(value) if value else "")
                if any(cells[2:]):
                    rows.append(cells)
        return table(
            ["scenario", "measured", "requests/s", "rows/s", "CPU us/request", "CPU us/row",
             "p50 us", "p99 us"], rows,
        )  # fmt: skip

    def servers(self) -> str:
        rows = [
            [f"`{name}`", self.titles[name], version,
             ", ".join(f"{key.split(' on ')[1]} {seconds:.2f} s"
                       for key, seconds in self.ready_seconds.items()
                       if key.startswith(f"{name} on "))]
            for name, version in self.versions.items() if name not in self.missing
        ]  # fmt: skip
        rows += [
            [f"`{name}`", self.titles[name], f"not measured: {reason}".replace("|", "\\|"), ""]
            for name, reason in self.missing.items()
        ]
        return table(["server", "what it is", "version", "first answer after"], rows)

    def document(self) -> dict[str, Any]:
        """All of it for programs, each sample with what its tool printed."""
        return {
            "cores": CORES, "processor": processor(), "load_average": self.busy,
            "rounds": self.rounds,
            "limits": asdict(self.limits), "versions": self.versions, "missing": self.missing,
            "ready_seconds": self.ready_seconds,
            "scenarios": [
                {
                    "name": scenario.name,
                    "figures": [
                        {"what": result.figure.what, "unit": result.figure.unit,
                         "goal": str(result.figure.goal or ""), "met": result.met,
                         "median": result.median, "rounds": result.values}
                        for result in scenario.results(rounds)
                    ],
                    "rounds": [
                        {name: asdict(each) for name, each in one.items()} for one in rounds
                    ],
                }
                for scenario, rounds in self.done
            ],
        }  # fmt: skip


def shown(result: Result) -> str:
    if result.median is None:
        return "not measured"
    text = f"{figure(result.median)} {result.figure.unit}".rstrip()
    if len(result.values) > 1:
        text += f" ({figure(min(result.values))} to {figure(max(result.values))})"
    return text


def verdict(result: Result) -> str:
    return {None: "", True: "yes", False: "**no**"}[result.met]


def figure(value: float) -> str:
    """Three digits, or all of them before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
