"""How long scrapes take while the data port is saturated."""

from __future__ import annotations

import statistics
import threading
import time
import urllib.request

from peers import Running
from peers.flowgate import ADMIN_PORT

from figures import sample
from figures.sample import Load, Sample, Unsound

# Far more often than any Prometheus asks.
PAUSE_SECONDS = 0.1


def under_load(running: Running, how: Load, seconds: float, warmup: float) -> Sample:
    """Median and longest scrape during a load, in seconds."""
    url = f"http://127.0.0.1:{(running.home / ADMIN_PORT).read_text()}/metrics"
    over = threading.Event()
    took: list[float] = []
    failures: list[Exception] = []

    def scrape() -> None:
        while not over.wait(PAUSE_SECONDS):
            start = time.perf_counter()
            try:
                # As Prometheus asks.
                asked = urllib.request.Request(
                    url, headers={"Accept": "application/openmetrics-text;version=1.0.0"}
                )
                with urllib.request.urlopen(asked, timeout=10) as answer:
                    answer.read()
            except OSError as failure:
                failures.append(failure)
                return
            took.append(time.perf_counter() - start)

    thread = threading.Thread(target=scrape, name="scrapes")
    thread.start()
    try:
        request = running.server.request(running.model, how.rows)
        loaded = sample.load(running, request, how, seconds, warmup)
    finally:
        over.set()
        thread.join()
    if failures or not took:
        raise Unsound(f"a scrape failed: {failures}")
    loaded.seconds, loaded.seconds_max = statistics.median(took), max(took)
    return loaded
