"""The servers of a scenario: all started, one running at a time."""

from __future__ import annotations

import contextlib
import math
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from peers import Running, Server, ServerFailed
from peers.flowgate import batch_rows_max

from figures import sample, scrapes, swaps
from figures.sample import Load, Sample, Unsound

# Predictions of different ONNX Runtime builds and batch sizes differ in the last digits of float32.
RELATIVE = 1e-4
ABSOLUTE = 1e-5
# A load with swaps takes so many times as long as another.
SWAPS_FACTOR = 4
# Time for the last of its swaps.
SWAP_SECONDS = 5.0


@dataclass
class Limits:
    """How long to measure."""

    seconds: float = 5.0
    warmup: float = 1.0
    memory_requests: int = 10_000_000


@dataclass
class Stage:
    """Gives a scenario its measurements. Whatever is not being measured is paused.

    A server that cannot be installed or started is `missing`, with its reason; what it would have
    measured is left out of the rounds.
    """

    servers: dict[str, Server]
    limits: Limits
    logs: Path
    running: dict[tuple[str, str], Running] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    ready_seconds: dict[str, float] = field(default_factory=dict)

    def open(self, name: str, model: str) -> Running | None:
        """The server for a model, started if it is not there yet, with nothing else running."""
        if name in self.missing:
            return None
        if (name, model) not in self.running:
            try:
                self.start(name, model)
            except ServerFailed as failure:
                self.missing[name] = str(failure)
                return None
        for key, other in self.running.items():
            if key != (name, model):
                other.tree.pause()
        found = self.running[name, model]
        found.tree.resume()
        return found

    def start(self, name: str, model: str) -> Running:
        server = self.servers[name]
        if name not in self.versions:
            server.install()
            self.versions[name] = server.version()
        running = server.start(model, self.logs / f"{name}-{model}")
        self.running[name, model] = running
        self.ready_seconds[f"{name} on {model}"] = running.ready_seconds
        return running

    def agree(self, names: list[str], model: str) -> None:
        """Raises unless all of these servers predict the same for the same rows."""
        first: tuple[str, list[float]] | None = None
        for name in names:
            running = self.open(name, model)
            if running is None:
                continue
            found = running.predictions(32)
            if first is None:
                first = name, found
            elif not close(first[1], found):
                raise Unsound(f"{first[0]} and {name} predict different things on {model}")

    def load(self, name: str, model: str, how: Load) -> Sample | None:
        running = self.open(name, model)
        if running is None:
            return None
        request = running.server.request(model, how.rows)
        return sample.load(running, request, how, self.limits.seconds, self.limits.warmup)

    def under_swaps(self, name: str, model: str, how: Load) -> Sample | None:
        """The same, for several swaps' time, with latencies of the requests around those."""
        running = self.open(name, model)
        if running is None:
            return None
        seconds = SWAPS_FACTOR * self.limits.seconds
        return swaps.under_swaps(running, how, seconds, self.limits.warmup, SWAP_SECONDS)

    def without_swaps(self, name: str, model: str, how: Load) -> Sample | None:
        """A load as long as that of `under_swaps`."""
        running = self.open(name, model)
        if running is None:
            return None
        request = running.server.request(model, how.rows)
        seconds = SWAPS_FACTOR * self.limits.seconds
        return sample.load(running, request, how, seconds, self.limits.warmup)

    def scraped(self, name: str, model: str, how: Load) -> Sample | None:
        """A load during which metrics are scraped ten times a second: seconds of those."""
        running = self.open(name, model)
        if running is None:
            return None
        return scrapes.under_load(running, how, self.limits.seconds, self.limits.warmup)

    def seconds_to_serve(self, name: str, model: str, times: int) -> Sample | None:
        """Median seconds from a change of the registry to an answer of the new version."""
        running = self.open(name, model)
        if running is None:
            return None
        found = swaps.seconds_to_serve(running, times)
        printed = {"seconds_to_serve": found}
        return Sample(seconds=statistics.median(found), seconds_max=max(found), printed=printed)

    def raw(self, model: str, batch: int, threads: int) -> Sample:
        for other in self.running.values():
            other.tree.pause()
        return sample.raw(model, batch, threads, self.limits.seconds)

    def batch_rows_max(self, name: str, model: str) -> int | None:
        """What a flowgate chose for a model, or was told."""
        running = self.open(name, model)
        return batch_rows_max(running) if running else None

    def start_up(self, name: str, model: str, fresh: bool) -> Sample | None:
        """Seconds until a first request is answered; `fresh` without what an earlier start kept."""
        home = self.logs / f"{name}-{model}"
        self.close()
        if fresh:
            shutil.rmtree(home, ignore_errors=True)
        running = self.open(name, model)
        if running is None:
            return None
        self.close()
        return Sample(seconds=running.ready_seconds)

    def resident(self, name: str, model: str) -> Sample | None:
        running = self.open(name, model)
        return Sample(memory_bytes=running.tree.resident_bytes()) if running else None

    def close(self) -> None:
        for running in self.running.values():
            running.stop()
        self.running.clear()


def close(left: list[float], right: list[float]) -> bool:
    return len(left) == len(right) and all(
        math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        for one, other in zip(left, right, strict=True)
    )


@contextlib.contextmanager
def opened(servers: dict[str, Server], limits: Limits, logs: Path) -> Iterator[Stage]:
    """A stage whose servers end with it, whatever happens."""
    stage = Stage(servers, limits, logs)
    try:
        yield stage
    finally:
        stage.close()
