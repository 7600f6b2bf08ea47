"""The real flowgate, with what the manifests give to it."""

from __future__ import annotations

import functools
import http.client
import os
import re
import subprocess
import time
from pathlib import Path

from manifests import ROOT

BINARY = os.environ.get("FLOWGATE_BIN", str(ROOT / "target/debug/flowgate"))
START_SECONDS = 90


@functools.cache
def _surroundings() -> dict[str, str]:
    """Ours without settings of flowgate and MLflow, and with ONNX Runtime's library."""
    library = subprocess.run(
        [str(ROOT / "scripts/onnxruntime.sh")], check=True, capture_output=True, text=True
    ).stdout.strip()
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("FLOWGATE_", "MLFLOW_"))}  # fmt: skip
    return kept | {"ORT_DYLIB_PATH": library}


def run(arguments: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs until it ends by itself."""
    return subprocess.run(
        [BINARY, *arguments], capture_output=True, text=True, timeout=START_SECONDS,
        env=_surroundings() | variables,
    )  # fmt: skip


class Flowgate:
    """A server on free ports of 127.0.0.1, whatever else it is told."""

    def __init__(self, arguments: list[str], variables: dict[str, str], log: Path) -> None:
        self.log = log
        self._sink = log.open("wb")
        own = {"FLOWGATE_HOST": "127.0.0.1", "FLOWGATE_PORT": "0", "FLOWGATE_ADMIN_PORT": "0"}
        self._process = subprocess.Popen(
            [BINARY, *arguments], stdout=self._sink, stderr=subprocess.STDOUT,
            env=_surroundings() | variables | own,
        )  # fmt: skip
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Flowgate:
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._sink.close()

    def _wait(self) -> None:
        """Until the start-up lines have named both ports."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            text = self.log.read_text()
            found = dict(re.findall(r"127\.0\.0\.1:(\d+)/(invocations|ready)", text))
            if len(set(found.values())) == 2:
                self.ports = {"http" if path == "invocations" else "admin": int(port)
                              for port, path in found.items()}  # fmt: skip
                return
            assert self._process.poll() is None, f"flowgate did not start:\n{text}"
            time.sleep(0.05)
        raise AssertionError(f"flowgate has not named its ports:\n{self.log.read_text()}")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def ended(self, seconds: float) -> int:
        """The exit code, once it has ended by itself."""
        return self._process.wait(seconds)

    def ask(
        self, port: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, str]:
        """Status and text of the answer on the port of that name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=30)
        try:
            headers = {"Content-Type": kind} if body is not None else {}
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
