"""One measurement, by the load generator or by the raw yardstick.

Both are release examples of this package (`cargo build --release --examples`); they print JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import Request, Running
from peers.flowgate import TARGET, onnxruntime_library
from peers.server import LOAD_CPUS, MODELS

EXAMPLES = TARGET / "release/examples"
REFUSALS = {"429", "503", "504"}


class Unsound(RuntimeError):
    """Answers were wrong or missing, so that no figure of this run means anything."""


@dataclass
class Sample:
    """What one server, or ONNX Runtime alone, did in one window of a round.

    Times are in microseconds. `rate` counts right answers a second, `rows_rate` their rows;
    `cpu_us` is processor time for each answer. Raw runs have rows and no requests.
    """

    rate: float = 0.0
    rows_rate: float = 0.0
    cpu_us: float = 0.0
    cpu_us_row: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    p99_9_us: float = 0.0
    max_us: float = 0.0
    memory_bytes: float = 0.0
    seconds: float = 0.0
    seconds_max: float = 0.0
    # What the tool printed.
    printed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """How to load a server: a closed loop, or an open one at `rate` requests a second."""

    connections: int
    rows: int = 1
    rate: float | None = None
    # Whether 429, 503 and 504 may come.
    refusals: bool = False
    # Whether the load generator has a core of its own.
    apart: bool = False


def load(
    running: Running, request: Request, how: Load, seconds: float, warmup: float,
    samples: Path | None = None,
) -> Sample:  # fmt: skip
    """Loads a server for so long, after a warm-up, and checks each of its answers; a line for each
    can go to a file."""
    command = [
        *(LOAD_CPUS if how.apart else ()), str(EXAMPLES / "load"), "--json", "--url", running.url(request),
        "--bodies", str(request.bodies), "--content-type", request.content_type,
        "--connections", str(how.connections), "--duration", f"{seconds}s",
        "--warmup", f"{warmup}s", "--server-pid", str(running.tree.pid),
    ]  # fmt: skip
    if how.rate is not None:
        command += ["--rate", f"{how.rate:.3f}"]
    if samples is not None:
        command += ["--samples", str(samples)]
    printed = output(command)
    where = f"{running.server.name} on {running.model}, {how}"
    if printed.get("wrong"):
        raise Unsound(f"{where}: {printed['wrong']} wrong answers: {printed['first_wrong']}")
    allowed = {"200", *(REFUSALS if how.refusals else ())}
    odd = {status: count for status, count in printed["statuses"].items() if status not in allowed}
    if odd or printed["failures"] or not printed["right"]:
        raise Unsound(f"{where}: statuses {printed['statuses']}, failed {printed['failures']}")
    latency, server = printed["latency_us"], printed["server"]
    cpu = server["cpu_us_per_answer"]
    return Sample(
        rate=printed["right_per_s"], rows_rate=printed["right_per_s"] * how.rows, cpu_us=cpu,
        cpu_us_row=cpu / how.rows, p50_us=latency["p50"], p99_us=latency["p99"],
        p99_9_us=latency["p99_9"], max_us=latency["max"],
        memory_bytes=server["memory_end_bytes"], printed=printed,
    )  # fmt: skip


def raw(model: str, batch: int, threads: int, seconds: float) -> Sample:
    """ONNX Runtime alone, given the rows in its best way."""
    home = MODELS / model
    command = [
        str(EXAMPLES / "raw"), "--json", "--model", str(home / "model"),
        "--rows-file", str(home / "rows.jsonl"), "--batch", str(batch),
        "--threads", str(threads), "--seconds", f"{seconds}",
    ]  # fmt: skip
    if threads == 1:
        # With inputs and outputs bound once, which is the least that a call can cost.
        command.append("--api")
    printed = output(command, {"ORT_DYLIB_PATH": onnxruntime_library()})
    rows, cpu = printed["rows_per_s"], printed["cpu_us_per_row"]
    return Sample(rows_rate=rows, cpu_us_row=cpu, printed=printed)


def output(command: list[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """The JSON that a tool printed. Exit code 1 is the load generator's verdict, told in it."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=dict(os.environ) | (environment or {})
        )
    except OSError as failure:
        raise Unsound(f"{command[0]}: {failure.strerror}; make bench builds it") from failure
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as failure:
        raise Unsound(f"{command[0]} ended with {done.returncode}: {done.stderr}") from failure
