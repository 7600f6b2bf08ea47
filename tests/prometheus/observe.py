"""What Prometheus sees of flowgate is what happened.

    target/mlflow-venv/bin/python tests/prometheus/observe.py

Starts flowgate with a copy of models/wine-quality and a real Prometheus that scrapes it every
second, with the project's rules. Requests of every outcome are sent and found in the counters, one
by one; latencies agree with those measured at the client's socket; drift that is not there raises
no alert and drift that is there raises one, with the PSI worked out here from the rows that were
sent; every query of the dashboard has something to show; a promotion takes the series of the
version before with it, and no counter ever goes backwards. Environment: `FLOWGATE_BIN` (default
target/debug/flowgate). Exit code 1 when anything is not as it should be.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dashboard
import numpy as np
import psi
from exposition import NeverBackwards, Scrape, parse
from monitor import BINARY, ROOT, WINDOW, Flowgate, Prometheus, tool, until
from traffic import (
    BODY_BYTES_MAX,
    CHURN,
    REQUESTS_MAX,
    WINE,
    Load,
    Traffic,
    customer_body,
    timed,
    trainer,
)

# Prometheus may not wait longer for a scrape, however busy the data port is. A scrape takes some
# milliseconds; this says that nothing holds it up, not how fast it is.
SCRAPE_SECONDS_MAX = 2.0
# All rows have to be within the window when its score is read.
WINDOW_SECONDS = 4 * 60


class Scraper(threading.Thread):
    """Scrapes the server all the time, and watches its counters."""

    def __init__(self, server: Flowgate) -> None:
        super().__init__()
        self.server = server
        self.history = NeverBackwards()
        self.stopped = threading.Event()
        self.failure: str | None = None
        self.start()

    def run(self) -> None:
        try:
            while not self.stopped.wait(0.3):
                self.history.see(parse(self.server.get("/metrics")))
        except Exception as failure:  # noqa: BLE001: any of them is a scrape that failed
            self.failure = repr(failure)

    def stop(self) -> None:
        self.stopped.set()
        self.join()
        assert self.failure is None, self.failure
        assert not self.history.faults, "\n".join(self.history.faults[:20])


def scrape(server: Flowgate) -> Scrape:
    return parse(server.get("/metrics"))


def models(work: Path) -> list[str]:
    """What is served; two of the models are not well."""
    shutil.copytree(ROOT / "models/wine-quality", work / WINE)
    shutil.copytree(ROOT / "models/wine-quality/1", work / "broken/1")
    (work / "broken/1/model.onnx").write_bytes(b"no graph")
    (work / "gather/1").mkdir(parents=True)
    shutil.copy(ROOT / "tests/fixtures/onnx/gather.onnx", work / "gather/1/model.onnx")
    (work / "gather/1/MLmodel").write_text(
        "flavors:\n  onnx:\n    data: model.onnx\n  python_function:\n    data: model.onnx\n"
        "    loader_module: mlflow.onnx\nmlflow_version: 3.18.0\n"
    )
    return [str(work / WINE), f"{CHURN}={ROOT}/models/customer-churn", str(work / "broken"),
            str(work / "gather")]  # fmt: skip


def outcomes(server: Flowgate, prometheus: Prometheus, traffic: Traffic) -> None:
    """Each request is counted once, under the outcome that it had."""
    assert scrape(server).total("flowgate_requests_total") == 0
    traffic.good()
    traffic.bad()
    traffic.unfortunate(lambda: scrape(server).total("flowgate_in_flight_requests"))
    sent = +traffic.sent

    def counted(samples: list[tuple[dict[str, str], float]]) -> Counter:
        found: Counter = Counter()
        for labels, value in samples:
            # To Prometheus a label without a text is none.
            key = (labels.get("model", ""), labels.get("version", ""), labels["outcome"])
            found[key] += int(value)
            assert labels["protocol"] == "invocations" or value == 0, labels
        return +found

    name = "flowgate_requests_total"
    # A client may have its answer, or be gone, a moment before the server has counted it.
    for each in (name, "flowgate_request_duration_seconds_count"):
        patient(lambda each=each: difference(counted(list(scrape(server).of(each))), sent), each)
    direct = scrape(server)
    reasons = {labels["reason"]: value for labels, value in direct.of(
        "flowgate_rejected_total", model=WINE) if value}  # fmt: skip
    prometheus.scraped_after(time.time())
    assert counted(prometheus.query(name)) == sent, "what Prometheus has differs"
    print(f"  {sum(sent.values())} requests of {len(sent)} kinds, each counted once: "
          f"{dict(totals(sent))}; refused: {reasons}")  # fmt: skip


def patient(fault: Callable[[], str], what: str) -> None:
    """Waits until there is no fault any more; the last one after some seconds."""
    deadline = time.monotonic() + 5
    while found := fault():
        assert time.monotonic() < deadline, f"{what}: {found}"
        time.sleep(0.1)


def totals(sent: Counter) -> Counter:
    by_outcome: Counter = Counter()
    for (_, _, outcome), count in sent.items():
        by_outcome[outcome] += count
    return by_outcome


def difference(found: Counter, sent: Counter) -> str:
    keys = sorted(key for key in found | sent if found[key] != sent[key])
    return "; ".join(f"{key}: {sent[key]} sent, {found[key]} counted" for key in keys)


def well_formed(server: Flowgate) -> None:
    """`promtool check metrics` finds nothing to say."""
    text = server.get("/metrics")
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert checked.returncode == 0 and not checked.stderr, checked.stderr
    print(f"  promtool check metrics: nothing to say about {len(parse(text).samples)} samples")


def refused(prometheus: Prometheus) -> None:
    """The counter of a version that was refused begins with 1, and its alert fires all the same."""

    def alerted() -> list[str]:
        found = prometheus.alerts("FlowgatePromotionRefused")
        return [labels["model"] for state, labels in found if state == "firing"]

    until(lambda: alerted() == ["broken"], "the alert on the model that is broken fires")
    assert not prometheus.alerts("FlowgateDown") and not prometheus.alerts("FlowgateFallback")
    print("  the version that was refused raises its alert")


def drift(server: Flowgate, prometheus: Prometheus, traffic: Traffic, start: float) -> None:
    """Wines like those of the training do not drift. Stronger ones do, and the score is right."""
    for _ in range(3):
        traffic.wine(traffic.draw(500))
    counts(server, traffic)
    # Longer than alerts wait here.
    time.sleep(8)
    steady = alcohol(scrape(server))
    floor = scrape(server).one("flowgate_drift_score_noise_floor", **which("alcohol"))
    assert steady < floor, f"PSI {steady}, by chance up to {floor}"
    agrees(server, prometheus, traffic)
    for name in ("FlowgateDrift", "FlowgatePredictionDrift", "FlowgateDataQuality"):
        assert not prometheus.alerts(name), prometheus.alerts(name)

    deviation = traffic.wines["alcohol"].std()
    states: list[str] = []

    def fires() -> bool:
        found = {state for state, _ in prometheus.alerts("FlowgateDrift")}
        states.extend(state for state in found if state not in states)
        return "firing" in found

    for _ in range(8):
        stronger = traffic.draw(500)
        stronger["alcohol"] = (stronger["alcohol"] + deviation).round(2)
        traffic.wine(stronger)
    until(fires, "the alert fires", 60)
    assert states == ["pending", "firing"], states
    features = {labels["feature"] for _, labels in prometheus.alerts("FlowgateDrift")}
    assert features == {"alcohol"}, features
    counts(server, traffic)
    agrees(server, prometheus, traffic)
    took = time.monotonic() - start
    assert took < WINDOW_SECONDS, f"{took:.0f} s: rows have left the window"
    shifted = alcohol(scrape(server))
    print(f"  PSI of alcohol {steady:.4f} (by chance up to {floor:.4f}), then {shifted:.4f}: "
          f"the alert was {' and then '.join(states)}")  # fmt: skip


def which(feature: str, kind: str = "input") -> dict[str, str]:
    return {"model": WINE, "version": "1", "feature": feature, "kind": kind, "window": WINDOW}


def alcohol(seen: Scrape) -> float:
    return seen.one("flowgate_drift_score", stat="psi", **which("alcohol"))


def counts(server: Flowgate, traffic: Traffic) -> None:
    """Waits until every row that was sent has been looked at; none was dropped."""
    rows = sum(len(frame) for frame in traffic.rows)
    version = {"model": WINE, "version": "1"}
    until(lambda: scrape(server).one("flowgate_drift_rows_total", **version) == rows,
          f"{rows} rows are looked at")  # fmt: skip
    seen = scrape(server)
    assert seen.total("flowgate_drift_rows_dropped_total", **version) == 0
    assert seen.one("flowgate_drift_window_rows", window=WINDOW, **version) == rows


def agrees(server: Flowgate, prometheus: Prometheus, traffic: Traffic) -> None:
    """Scores are those of the rows that were sent, here and in the whole fleet.

    To the process's PSI there is no difference but that of adding in another order. Prometheus
    extrapolates a count over the range that it is asked about, so the fleet's counts are up to a
    scrape interval's worth too large, all by the same factor: only the half count that each bin has
    more weighs a little less then.
    """
    known = psi.reference(ROOT / "models/wine-quality/1")
    inputs = np.concatenate([frame.to_numpy() for frame in traffic.rows])
    expected = {
        ("input", name): psi.score(psi.feature(known, "inputs", name), inputs[:, place])
        for place, name in enumerate(traffic.wines.columns)
    }
    (output,) = known["outputs"]
    expected["output", output["name"]] = psi.score(output, np.array(traffic.answers))
    seen = scrape(server)
    for (kind, name), score in expected.items():
        found = seen.one("flowgate_drift_score", stat="psi", **which(name, kind))
        assert math.isclose(found, score, rel_tol=1e-9, abs_tol=1e-12), (name, found, score)

    def fleet() -> bool:
        values = {
            (labels["kind"], labels["feature"]): value
            for labels, value in prometheus.query(
                f'flowgate:drift_psi:fleet{{model="{WINE}",version="1",window="{WINDOW}"}}'
            )
        }
        return all(
            math.isclose(values.get(key, math.nan), score, rel_tol=0.02, abs_tol=2e-4)
            for key, score in expected.items()
        )

    until(fleet, "the fleet's PSI is that of the rows")


def latencies(server: Flowgate, traffic: Traffic) -> None:
    """What the server says a request took is what its client saw, within a bucket.

    A client's time begins before the server knows of the request and ends after the server is done
    with it, so request by request the server's time is the shorter one, and so are its quantiles.
    How much shorter is up to Python, the socket and the scheduler: a fraction of a millisecond. So
    the requests are made large (tens of milliseconds), one after the other, and buckets are a
    factor of two apart: the server's quantile may lie in the client's bucket or the one below. It
    may not lie above; two below would mean that half of the time is not in the histogram.
    """
    body = customer_body(traffic.customers.sample(3_000, replace=True, random_state=2))
    timed(server.port, body, 3)
    which = {"model": CHURN, "version": "2", "protocol": "invocations", "outcome": "ok"}
    before = buckets(scrape(server), which)
    took = sorted(timed(server.port, body, 60))
    until(lambda: buckets(scrape(server), which)[math.inf] - before[math.inf] == len(took),
          "each of them is in the histogram")  # fmt: skip
    after = buckets(scrape(server), which)
    ends = sorted(after)
    said = []
    for share in (0.5, 0.9):
        rank = math.ceil(share * len(took))
        server_at = next(i for i, end in enumerate(ends) if after[end] - before[end] >= rank)
        client_at = next(i for i, end in enumerate(ends) if took[rank - 1] <= end)
        assert client_at - 1 <= server_at <= client_at, (
            f"quantile {share}: {took[rank - 1]} s for the client, up to {ends[server_at]} s for "
            "the server"
        )
        said.append(f"{share:.0%}: client {took[rank - 1] * 1e3:.1f} ms, server up to "
                    f"{ends[server_at] * 1e3:.1f} ms")  # fmt: skip
    print(f"  latencies of {len(took)} requests, {'; '.join(said)}")


def buckets(seen: Scrape, labels: dict[str, str]) -> dict[float, float]:
    found = seen.of("flowgate_request_duration_seconds_bucket", **labels)
    return {float(its["le"]): value for its, value in found}


def under_load(server: Flowgate, traffic: Traffic) -> None:
    """The admin port answers while the data port has all it can do, and nothing is lost."""
    version = {"model": CHURN, "version": "2", "outcome": "ok"}
    before = scrape(server).total("flowgate_requests_total", **version)
    body = customer_body(traffic.customers.sample(1_000, replace=True, random_state=3))
    loads = [Load(server.port, body) for _ in range(8)]
    try:
        until(lambda: scrape(server).total("flowgate_in_flight_requests", model=CHURN) >= 4,
              "the server is busy")  # fmt: skip
        took = []
        for _ in range(2):
            time.sleep(1)
            start = time.perf_counter()
            server.get("/metrics")
            took.append(time.perf_counter() - start)
            assert took[-1] < SCRAPE_SECONDS_MAX, f"a scrape took {took[-1]} s"
    finally:
        answered = sum(load.stop() for load in loads)
    until(lambda: scrape(server).total("flowgate_requests_total", **version) - before == answered,
          f"{answered} requests are counted")  # fmt: skip
    after = scrape(server)
    assert after.total("flowgate_in_flight_requests") == 0
    assert after.total("flowgate_queue_requests") == after.total("flowgate_queue_rows") == 0
    shown = " and ".join(f"{each * 1e3:.1f} ms" for each in took)
    print(f"  {answered} requests under full load, scrapes in {shown}; the gauges are back at 0")


def promotion(server: Flowgate, prometheus: Prometheus, work: Path, traffic: Traffic) -> None:
    """Version 2 serves, and the series of version 1 go."""
    promoted = subprocess.run(
        [BINARY, "promote", str(work / WINE), "2", "--stage", "Production"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert promoted.returncode == 0, promoted.stderr
    info = "flowgate_model_version_info"
    until(lambda: list(scrape(server).of(info, model=WINE, version="2")), "version 2 serves")
    traffic.wine(traffic.draw(5), version="2")
    old = {"model": WINE, "version": "1"}

    def names() -> list[str]:
        return [name for name, labels in scrape(server).samples if set(old.items()) <= labels]

    took = time.monotonic()
    until(lambda: not names(), "no series of version 1 is left")
    took = time.monotonic() - took
    seen = scrape(server)
    assert seen.total("flowgate_requests_total", model=WINE, version="2", outcome="ok") == 1
    assert seen.total("flowgate_promotions_total", model=WINE, result="swapped") == 2
    prometheus.scraped_after(time.time())
    scraped = f'{{__name__=~"flowgate_.+",model="{WINE}",version="1"}}'
    assert not prometheus.query(scraped), "Prometheus still has series of version 1"
    # Rates look back five minutes, but what is gone does not drift.
    fleet = f'flowgate:drift_psi:fleet{{model="{WINE}",version="1"}}'
    until(lambda: not prometheus.query(fleet), "the fleet has no PSI of version 1")
    until(lambda: not prometheus.alerts("FlowgateDrift"), "the alert is over")
    print(f"  version 2 serves; the last series of version 1 was gone {took:.1f} s later")


def observe(work: Path) -> None:
    data = trainer()
    options = [
        "--drift-bins", "on", "--drift-windows", f"1m,{WINDOW}", "--metrics-retention", "5s",
        "--keep-predecessor", "0s", "--poll-interval", "200ms", "--exit-on-error", "false",
        "--requests-max", str(REQUESTS_MAX), "--body-bytes-max", str(BODY_BYTES_MAX),
        "--cache-dir", str(work / "cache"),
    ]  # fmt: skip
    server = Flowgate(models(work), options, work / "flowgate.txt")
    prometheus: Prometheus | None = None
    scraper: Scraper | None = None
    try:
        server.wait()
        scraper = Scraper(server)
        prometheus = Prometheus(work / "prometheus", server.admin)
        prometheus.wait()
        start = time.monotonic()
        traffic = Traffic(server.port, data.wine_data()[0], data.churn_data()[0])
        outcomes(server, prometheus, traffic)
        well_formed(server)
        refused(prometheus)
        drift(server, prometheus, traffic, start)
        latencies(server, traffic)
        under_load(server, traffic)
        promotion(server, prometheus, work, traffic)
        # At last, since some panels are about promotions; the others look back.
        print(f"  {dashboard.check(prometheus)}")
        scraper.stop()
        print(f"  no counter went backwards in {scraper.history.scrapes} scrapes")
    finally:
        if scraper is not None:
            scraper.stopped.set()
        for each in (prometheus, server):
            if each is not None:
                each.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        observe(Path(work))
    print("Prometheus sees what flowgate does")


if __name__ == "__main__":
    main()
