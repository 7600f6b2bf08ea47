"""Promotions while a server is loaded: what requests around them took, and how soon they show."""

from __future__ import annotations

import csv
import http.client
import math
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from peers import Running
from peers.promoted import PROMOTED_SECONDS, Promoted, serving

from figures.sample import Load, Sample, Unsound, load

# A request belongs to a swap when it was due from so long before the registry changed until so long
# after the first answer of the new version.
BEFORE_SECONDS = 0.5
AFTER_SECONDS = 2.0
# Between two looks at what serves; they share the cores with the load.
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Answered:
    """One right answer: when it was due, by the clock on the wall, and its latency."""

    due: float
    latency_us: float
    version: int


@dataclass
class Promotion:
    """One change of the registry, by the clock on the wall."""

    version: int
    at: float


@dataclass
class Promoter:
    """Promotes one version after the other, on a thread of its own."""

    running: Running
    begin: float
    end: float
    promotions: list[Promotion] = field(default_factory=list)
    failure: Exception | None = None

    def run(self) -> None:
        try:
            self._promote_all()
        except Exception as failure:  # noqa: BLE001: told by `around`
            self.failure = failure

    def _promote_all(self) -> None:
        server = self.running.server
        assert isinstance(server, Promoted)
        count = server.versions(self.running.model)
        time.sleep(max(0.0, self.begin - time.time()))
        while not self.promotions or time.time() < self.end:
            version = serving(self.running) % count + 1
            self.promotions.append(Promotion(version, time.time()))
            server.promote(self.running, version)
            deadline = time.time() + PROMOTED_SECONDS
            while serving(self.running) != version:
                if time.time() > deadline:
                    raise Unsound(f"version {version} does not come to serve")
                time.sleep(LOOK_SECONDS)
            time.sleep(BEFORE_SECONDS + AFTER_SECONDS)


def under_swaps(
    running: Running, how: Load, seconds: float, warmup: float, room: float
) -> Sample:
    """Loads a server for so long while its versions are swapped: latencies are those of requests
    around the swaps. No promotion begins in the last `room` seconds."""
    request = running.server.request(running.model, how.rows)
    begin = time.time() + warmup + 2 * BEFORE_SECONDS
    promoter = Promoter(running, begin, begin + seconds - room)
    thread = threading.Thread(target=promoter.run)
    thread.start()
    path = running.home / "samples.csv"
    try:
        sample = load(running, request, how, seconds, warmup, path)
    finally:
        thread.join()
    if promoter.failure is not None:
        raise promoter.failure
    answers = read(path, sample.printed["began_unix_s"])
    found = [swap for each in promoter.promotions if (swap := around(each, answers))]
    if not found:
        raise Unsound(f"{running.server.name} on {running.model}: no swap within the load")
    latencies = sorted(one for swap in found for one in swap.latencies_us)
    sample.p50_us, sample.p99_us, sample.p99_9_us = (
        quantile(latencies, each) for each in (0.5, 0.99, 0.999)
    )
    sample.max_us = latencies[-1]
    sample.seconds = statistics.median(swap.seconds for swap in found)
    sample.printed["swaps"] = [vars(each) for each in promoter.promotions]
    sample.printed["swap_seconds"] = [swap.seconds for swap in found]
    return sample


@dataclass(frozen=True)
class Swap:
    # From the change of the registry to when the first request was due that the new version answered.
    seconds: float
    latencies_us: list[float]


def around(promotion: Promotion, answers: list[Answered]) -> Swap | None:
    """The requests around a promotion; None where the load ended before it was over."""
    later = (each for each in answers if each.due >= promotion.at)
    first = next((each for each in later if each.version == promotion.version), None)
    if first is None or answers[-1].due < first.due + AFTER_SECONDS / 2:
        return None
    begin, end = promotion.at - BEFORE_SECONDS, first.due + AFTER_SECONDS
    latencies = [each.latency_us for each in answers if begin <= each.due < end]
    return Swap(first.due - promotion.at, latencies)


def read(path: Path, began: float) -> list[Answered]:
    """What the load generator wrote, in the order in which the requests were due."""
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return [Answered(began + int(due) / 1e6, int(us), int(version)) for due, us, version in rows]


def quantile(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def seconds_to_serve(running: Running, times: int) -> list[float]:
    """Seconds from a change of the registry to the first answer of the new version, as one client
    sees it that asks all the time."""
    server = running.server
    assert isinstance(server, Promoted)
    request = server.request(running.model, 1)
    body = request.first_body()
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    version, found = serving(running), []
    for number in range(times):
        # At no certain time within the interval of a registry's polls.
        time.sleep(0.3 + 0.37 * (number % 5))
        version = version % server.versions(running.model) + 1
        promoted = time.monotonic()
        server.promote(running, version)
        while True:
            connection.request("POST", request.path, body, {"Content-Type": request.content_type})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise Unsound(f"{server.name} on {running.model}: {answer.status} {text[:300]!r}")
            if int(answer.headers["x-model-version"]) == version:
                break
            if time.monotonic() > promoted + PROMOTED_SECONDS:
                raise Unsound(f"{server.name}: version {version} does not come to serve")
            time.sleep(0.001)
        found.append(time.monotonic() - promoted)
    connection.close()
    return found
