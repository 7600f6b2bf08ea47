"""The HTTP surface: methods, paths and codings, compared on the genuine `mlflow models serve`."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

from compare import difference
from servers import Server


@dataclass(frozen=True)
class Probe:
    """A request to both servers. `parity` is the number of an intended difference, which then
    must show: `expected` is our own status there."""

    method: str
    path: str
    parity: int | None = None
    expected: int | None = None


PROBES = [
    Probe("GET", "/ping"),
    Probe("GET", "/health"),
    Probe("GET", "/version"),
    Probe("GET", "/ping?x=1"),
    Probe("GET", "/%70ing"),
    Probe("HEAD", "/ping", parity=9, expected=200),
    Probe("HEAD", "/health", parity=9, expected=200),
    Probe("HEAD", "/version"),
    Probe("POST", "/ping"),
    Probe("POST", "/version"),
    *(Probe(method, "/invocations") for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS")),
    Probe("HEAD", "/invocations"),
    Probe("GET", "/nothing"),
    Probe("POST", "/nothing"),
    Probe("GET", "/PING"),
    Probe("GET", "/ping/"),
    Probe("POST", "/invocations/"),
]  # fmt: skip


def check(theirs: Server, ours: Server, body: bytes) -> tuple[int, dict[int, int], list[str]]:
    """Probes compared, intended differences by number, and what differs otherwise. `body` is a
    good JSON request of the model at `/invocations`."""
    intended: dict[int, int] = {}
    wrong: list[str] = []
    for probe in PROBES:
        reference, their_headers = theirs.exchange(probe.method, probe.path)
        answer, our_headers = ours.exchange(probe.method, probe.path)
        name = f"{probe.method} {probe.path}"
        if probe.parity is not None:
            if answer.status == probe.expected != reference.status:
                intended[probe.parity] = intended.get(probe.parity, 0) + 1
            else:
                wrong.append(f"{name}: status {answer.status} instead of {probe.expected}")
            continue
        found = difference(reference, answer)
        found = found or _headers_differ(their_headers, our_headers, theirs.port, ours.port)
        if found:
            wrong.append(f"{name}: {found}")
    _check_gzip(theirs, ours, body, intended, wrong)
    return len(PROBES) + 1, intended, wrong


def _headers_differ(theirs, ours, their_port: int, our_port: int) -> str | None:
    for name in ("allow", "location"):
        wanted = theirs.get(name)
        if wanted is not None:
            wanted = wanted.replace(f":{their_port}", f":{our_port}")
        if ours.get(name) != wanted:
            return f"header {name}: {ours.get(name)!r} instead of {wanted!r}"
    return None


def _check_gzip(
    theirs: Server, ours: Server, body: bytes, intended: dict[int, int], wrong: list[str]
) -> None:
    """A compressed body is answered as the plain one, which MLflow refuses to do."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    plain = theirs.request("POST", "/invocations", {"Content-Type": "application/json"}, body)
    found = difference(plain, ours.request("POST", "/invocations", headers, gzip.compress(body)))
    if found:
        wrong.append(f"POST /invocations with gzip: {found}")
    else:
        intended[8] = intended.get(8, 0) + 1
