"""Requests of every outcome, counted as they are sent."""

from __future__ import annotations

import http.client
import importlib.util
import io
import json
import socket
import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from monitor import ROOT, until

WINE = "wine-quality"
CHURN = "churn"
JSON = {"Content-Type": "application/json"}
# More than this is refused; it is announced and never sent.
BODY_BYTES_MAX = 8 << 20
# As many requests may be in progress.
REQUESTS_MAX = 16

# model, version, outcome; all of this comes in over MLflow's protocol.
Counted = tuple[str, str, str]


def trainer() -> Any:
    """models/train.py, which has the generators of the sample models' data."""
    found = importlib.util.spec_from_file_location("train", ROOT / "models/train.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


class Traffic:
    """Sends requests; remembers how many of which outcome, and the rows for the wine model."""

    def __init__(self, port: int, wines: pd.DataFrame, customers: pd.DataFrame) -> None:
        self.port = port
        self.wines, self.customers = wines, customers
        self.chance = np.random.default_rng(7)
        self.sent: Counter[Counted] = Counter()
        self.rows: list[pd.DataFrame] = []
        self.answers: list[float] = []

    def post(
        self, path: str, body: bytes, status: int, counted: Counted, headers: dict[str, str] = JSON
    ) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status == status, f"{path}: {answer.status} {text[:300]!r}"
        self.sent[counted] += 1
        return text

    def draw(self, count: int) -> pd.DataFrame:
        """Wines as the model was trained on."""
        chosen = self.chance.integers(0, len(self.wines), count)
        return self.wines.iloc[chosen].reset_index(drop=True)

    def wine(
        self, frame: pd.DataFrame, form: str = "split", version: str = "1",
        path: str = "/invocations",
    ) -> None:  # fmt: skip
        """Wines are scored, as a request of one of the forms."""
        headers = {"Content-Type": "text/csv"} if form == "csv" else JSON
        text = self.post(path, wine_body(frame, form), 200, (WINE, version, "ok"), headers)
        self.rows.append(frame)
        self.answers += [one["quality"] for one in json.loads(text)["predictions"]]

    def good(self) -> None:
        for form in ("split", "records", "instances", "inputs", "csv"):
            for rows in (1, 7, 40):
                self.wine(self.draw(rows), form)
        self.wine(self.draw(3), path=f"/invocations/{WINE}")

    def bad(self) -> None:
        """Mistakes of clients."""
        invalid = (WINE, "1", "invalid")
        body = wine_body(self.draw(2), "split")
        self.post("/invocations", b"{", 400, invalid)
        self.post("/invocations", b'{"dataframe_split": {"columns": ["x"], "data": [[1]]}}', 400,
                  invalid)  # fmt: skip
        self.post("/invocations", body, 415, invalid, {"Content-Type": "text/plain"})
        self.post("/invocations", body, 415, invalid, JSON | {"Content-Encoding": "lzma"})
        self.post("/invocations", body, 400, invalid, JSON | {"x-request-timeout-ms": "soon"})
        self.announced(BODY_BYTES_MAX + 1, 413, invalid)
        for _ in range(3):
            self.post("/invocations/nobody", body, 404, ("", "", "unknown"))

    def announced(self, size: int, status: int, counted: Counted) -> None:
        """A body of so many bytes is announced and does not come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()
        self.sent[counted] += 1

    def unfortunate(self, in_flight: Any) -> None:
        """Requests that the server or the model does not answer.

        Decoding 20,000 customers takes longer than the millisecond that their client waits, and
        long enough for another client to leave meanwhile. The graph `gather` looks up a row that
        it does not have. As many requests as may be in progress have sent the beginning of their
        bodies when one more comes; then their clients leave.
        """
        many = customer_body(self.customers.sample(20_000, replace=True, random_state=1))
        self.post(f"/invocations/{CHURN}", many, 504, (CHURN, "2", "expired"),
                  JSON | {"x-request-timeout-ms": "1"})  # fmt: skip
        self.post("/invocations/broken", b"{}", 503, ("broken", "", "unavailable"))
        self.post("/invocations/gather", b'{"inputs": [0, 1]}', 200, ("gather", "1", "ok"))
        self.post("/invocations/gather", b'{"inputs": [1000000]}', 400, ("gather", "1", "failed"))
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        held = []
        for _ in range(REQUESTS_MAX):
            client = socket.create_connection(("127.0.0.1", self.port))
            client.sendall(head + b"Content-Length: 100\r\n\r\n{")
            held.append(client)
        until(lambda: in_flight() == REQUESTS_MAX, f"{REQUESTS_MAX} requests are in progress")
        self.post("/invocations", wine_body(self.draw(1), "split"), 429, (WINE, "1", "rejected"))
        for client in held:
            client.close()
            self.sent[WINE, "1", "abandoned"] += 1
        self.leaves(many)
        until(lambda: in_flight() == 0, "no request is in progress any more")

    def leaves(self, body: bytes) -> None:
        """A client that sends everything and is gone before the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", f"/invocations/{CHURN}", body, JSON)
        connection.close()
        self.sent[CHURN, "2", "abandoned"] += 1


class Load(threading.Thread):
    """Clients that send customers without a pause."""

    def __init__(self, port: int, body: bytes) -> None:
        super().__init__()
        self.port, self.body = port, body
        self.stopped = threading.Event()
        self.answered = 0
        self.fault: str | None = None
        self.start()

    def run(self) -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            while not self.stopped.is_set():
                connection.request("POST", f"/invocations/{CHURN}", self.body, JSON)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status
                self.answered += 1
        except Exception as failure:  # noqa: BLE001: any of them is a lost request
            self.fault = repr(failure)

    def stop(self) -> int:
        self.stopped.set()
        self.join()
        assert self.fault is None, self.fault
        return self.answered


def timed(port: int, body: bytes, count: int) -> list[float]:
    """How long requests for customers take a client, one after the other, in seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took = []
    for _ in range(count):
        start = time.perf_counter()
        connection.request("POST", f"/invocations/{CHURN}", body, JSON)
        answer = connection.getresponse()
        answer.read()
        took.append(time.perf_counter() - start)
        assert answer.status == 200, answer.status
    connection.close()
    return took


def wine_body(frame: pd.DataFrame, form: str) -> bytes:
    if form == "csv":
        text = io.StringIO()
        frame.to_csv(text, index=False)
        return text.getvalue().encode()
    shapes = {
        "split": ("dataframe_split", "split"),
        "records": ("dataframe_records", "records"),
        "instances": ("instances", "records"),
        "inputs": ("inputs", "list"),
    }
    key, orient = shapes[form]
    content = frame.to_dict(orient=orient)
    if form == "split":
        content.pop("index")
    return json.dumps({key: content}).encode()


def customer_body(frame: pd.DataFrame) -> bytes:
    return json.dumps({"dataframe_records": frame.to_dict(orient="records")}).encode()
