"""Throughput of flowgate beside `mlflow models serve`, on the same model, body and machine.

Both servers run at the same time; wrk loads one and then the other, round by round, so that what
else the machine does falls on both. Printed are the medians of the rounds, their range, and the
median of the ratios taken round by round.

    make bench                              the wine model, one row as dataframe_split
    python benches/compare_mlflow.py --rounds 7 --connections 1 16 64

Needs wrk (a Debian package), the release binary and target/mlflow-venv; `make bench` sets up the
last two.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "target/mlflow-venv/bin"
ROW = [7.4, 0.7, 0.0, 1.9, 0.076, 11.0, 34.0, 0.9978, 3.51, 0.56, 9.4]
COLUMNS = ["fixed acidity", "volatile acidity", "citric acid", "residual sugar", "chlorides",
           "free sulfur dioxide", "total sulfur dioxide", "density", "pH", "sulphates",
           "alcohol"]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(command: list[str], port: int, env: dict[str, str] | None = None) -> Iterator[str]:
    """Starts a server, waits for its /ping, and ends its whole process group afterwards."""
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(
        command, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **(env or {})}
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            if process.poll() is not None:
                log.seek(0)
                sys.exit(f"{command[0]} ended: {log.read().decode(errors='replace')[-2000:]}")
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"{address}/ping", timeout=1).status == 200:
                    break
            time.sleep(0.2)
        else:
            sys.exit(f"{command[0]} did not answer /ping within a minute")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answer(address: str, body: str) -> object:
    request = urllib.request.Request(
        f"{address}/invocations", body.encode(), {"Content-Type": "application/json"}
    )
    return json.load(urllib.request.urlopen(request))


def load(address: str, script: Path, connections: int, seconds: int) -> float:
    """Requests a second, as wrk counts them; ends the program on any failed request."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), address]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if re.search(r"Non-2xx|Socket errors: .*(read|write|timeout) [1-9]", out):
        sys.exit(f"requests failed:\n{out}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert found, out
    return float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "models/wine-quality/1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing; on Debian: apt-get install wrk")

    body = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [ROW]}})
    cores = len(os.sched_getaffinity(0))
    ports = free_port(), free_port()
    mlflow = [str(VENV / "mlflow"), "models", "serve", "-m", str(options.model), "--env-manager",
              "local", "-h", "127.0.0.1", "-p", str(ports[0]), "-w", str(cores)]  # fmt: skip
    ours = [str(ROOT / "target/release/flowgate"), "serve", str(options.model), "--host",
            "127.0.0.1", "--port", str(ports[1]), "--admin-port", "off", "--log-level", "error"]  # fmt: skip
    path = {"PATH": f"{VENV}:{os.environ['PATH']}"}
    with (
        tempfile.TemporaryDirectory() as scratch,
        server(mlflow, ports[0], path) as theirs,
        server(ours, ports[1]) as mine,
    ):
        print(f"model {options.model.name}, body {len(body)} bytes, {cores} cores, wrk on the same")
        print(f"mlflow answers   {answer(theirs, body)}\nflowgate answers {answer(mine, body)}")
        script = Path(scratch) / "post.lua"
        script.write_text(
            'wrk.method = "POST"\nwrk.path = "/invocations"\n'
            f"wrk.body = [==[{body}]==]\n"
            'wrk.headers["Content-Type"] = "application/json"\n'
        )
        for address in (theirs, mine):  # warm up
            load(address, script, 16, 2)
        for connections in options.connections:
            pairs = [
                (load(theirs, script, connections, options.seconds),
                 load(mine, script, connections, options.seconds))
                for _ in range(options.rounds)
            ]  # fmt: skip
            columns = [sorted(column) for column in zip(*pairs, strict=True)]
            mlflow_rps, our_rps = (
                f"{statistics.median(c):,.0f} ({c[0]:,.0f} to {c[-1]:,.0f})" for c in columns
            )
            ratio = statistics.median(mine / theirs for theirs, mine in pairs)
            print(f"c{connections}: mlflow {mlflow_rps} requests/s, "
                  f"flowgate {our_rps}, ratio {ratio:.0f}x")  # fmt: skip


if __name__ == "__main__":
    main()
