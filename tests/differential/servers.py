"""Starting and asking the servers under comparison."""

from __future__ import annotations

import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from answers import Answer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
START_SECONDS = 90
ANSWER_SECONDS = 30


class ServerEnded(RuntimeError):
    """A server could not be started, or went away."""


class Server:
    """A child process that serves HTTP on a port of 127.0.0.1 until `stop`."""

    def __init__(
        self, command: list[str], port: int, log: Path, route: str,
        environment: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.port = port
        self.route = route
        self.log = log
        self._sink: IO[bytes] = log.open("wb")
        self._process = subprocess.Popen(
            command, stdout=self._sink, stderr=subprocess.STDOUT, start_new_session=True,
            env=environment,
        )  # fmt: skip
        self._connection: http.client.HTTPConnection | None = None

    def wait(self) -> None:
        """Returns when `/ping` answers 200."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if self.request("GET", "/ping").status == 200:
                    return
            except (OSError, ServerEnded):
                time.sleep(0.1)
        raise ServerEnded(f"{self._process.args[0]} did not start:\n{self.last_words()}")

    def ask(self, model: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer to a POST to the model's invocations."""
        return self.request("POST", self.route.format(model=model), headers, body)

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        return self.exchange(method, path, headers, body)[0]

    def exchange(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[Answer, http.client.HTTPMessage]:
        """The answer with all its headers. Only the given headers are sent."""
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=ANSWER_SECONDS
                )
            connection = self._connection
            try:
                connection.putrequest(method, path, skip_accept_encoding=True)
                for name, value in (headers or {}).items():
                    connection.putheader(name, value)
                if method not in ("GET", "HEAD"):
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body or None)
                response = connection.getresponse()
                text = response.read().decode("utf-8", "backslashreplace")
                answer = Answer(response.status, response.headers.get("content-type", ""), text)
                return answer, response.headers
            except (ConnectionError, http.client.HTTPException) as failure:
                # A kept-alive connection may have been closed meanwhile: once more, afresh.
                connection.close()
                self._connection = None
                if attempt == 2:
                    raise ServerEnded(f"{method} {path}: {failure!r}") from failure
        raise AssertionError("the loop returns or raises")

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """Ends the process and whatever it started, politely first."""
        if self._connection is not None:
            self._connection.close()
        for each in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, each)
                self._process.wait(timeout=10)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._sink.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def mlflow_mounted(models: dict[str, Path], log: Path) -> Server:
    """The scoring applications of all models in one process, at `/<model>/invocations`."""
    port = free_port()
    pairs = [f"{name}={directory}" for name, directory in models.items()]
    command = [sys.executable, str(HERE / "mounted.py"), str(port), *pairs]
    return Server(command, port, log, "/{model}/invocations")


def mlflow_serve(directory: Path, log: Path) -> Server:
    """What `mlflow models serve` starts, for one model."""
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", str(directory),
        "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port),
    ]  # fmt: skip
    # The virtual environment's bin comes first: the command looks for uvicorn there.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return Server(command, port, log, "/invocations", {**os.environ, "PATH": path})


def flowgate(models: dict[str, Path], log: Path) -> Server:
    """Our server with all models, at `/invocations/<model>`; `/invocations` is the first's.

    It gets none of the caller's `FLOWGATE_*` settings, and, unless `ORT_DYLIB_PATH` names another,
    the ONNX Runtime that MLflow uses, so that only the servers differ.
    """
    port = free_port()
    pairs = [f"{name}={directory}" for name, directory in models.items()]
    command = [str(binary()), "serve", *pairs, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--admin-port", "off", "--cache-dir", "off"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWGATE_")}
    environment = {"ORT_DYLIB_PATH": str(runtime_library())} | kept
    return Server(command, port, log, "/invocations/{model}", environment)


def runtime_library() -> Path:
    """The ONNX Runtime library inside the Python package."""
    package = importlib.util.find_spec("onnxruntime")
    assert package is not None and package.origin is not None
    return next(Path(package.origin).parent.glob("capi/libonnxruntime.so*"))


def binary() -> Path:
    """The program under test: `FLOWGATE_BIN`, else the debug build."""
    path = Path(os.environ.get("FLOWGATE_BIN", ROOT / "target" / "debug" / "flowgate"))
    if not path.is_file():
        raise ServerEnded(f"{path} does not exist: build it, or set FLOWGATE_BIN")
    return path.resolve()
