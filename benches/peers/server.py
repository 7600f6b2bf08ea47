"""What the benchmarks know about any server: how to install, start and ask it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from peers.process import ServerFailed, Tree, free_port

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "target/bench-models"
PEERS = ROOT / "target/peers"
CPUS = sorted(os.sched_getaffinity(0))
CORES = len(CPUS)
# Of an overload, where what the load generator takes must not be the server's loss: it has the last
# core for itself, as if it were another machine.
LOAD_CPUS = ("taskset", "--cpu-list", str(CPUS[-1]))
SERVER_CPUS = ("taskset", "--cpu-list", ",".join(map(str, CPUS[:-1] or CPUS)))
ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Request:
    """Where a server takes which bodies. The first answers must be 200 for it to count as ready."""

    path: str
    bodies: Path
    content_type: str = "application/json"

    def first_body(self) -> bytes:
        with self.bodies.open("rb") as file:
            return file.readline().rstrip(b"\n")


class Server(ABC):
    """A kind of server in one configuration; `start` makes a running one for a model."""

    name: str
    # What the table says it is.
    title: str

    def install(self) -> None:
        """Puts what it needs under target/, if that is not there yet."""

    @abstractmethod
    def version(self) -> str:
        """The version that is installed."""

    @abstractmethod
    def command(self, model: str, port: int, home: Path) -> list[str]:
        """Starts it on 127.0.0.1. `home` is a directory of its own."""

    def environment(self, home: Path) -> dict[str, str]:
        return dict(os.environ)

    def request(self, model: str, rows: int) -> Request:
        """MLflow's protocol with `rows` rows a body, unless the server speaks another one."""
        return Request("/invocations", MODELS / model / f"bodies/rows-{rows}.jsonl")

    def start(self, model: str, home: Path) -> Running:
        """Starts it and returns once it answers a first request."""
        home.mkdir(parents=True, exist_ok=True)
        port = free_port()
        tree = Tree(self.command(model, port, home), home / "log.txt", self.environment(home))
        running = Running(self, model, port, tree, home)
        try:
            request = self.request(model, 1)
            running.ready_seconds = tree.wait(lambda: running.answers(request))
        except BaseException:
            tree.stop()
            raise
        return running


@dataclass
class Running:
    """A server that serves one model on a port."""

    server: Server
    model: str
    port: int
    tree: Tree
    home: Path
    ready_seconds: float = 0.0

    def url(self, request: Request) -> str:
        return f"http://127.0.0.1:{self.port}{request.path}"

    def ask(self, request: Request, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", request.path, body, {"Content-Type": request.content_type})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def answers(self, request: Request) -> bool:
        try:
            return self.ask(request, request.first_body())[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def predictions(self, rows: int) -> list[float]:
        """The numbers of the answer to the first body of that size, in ascending order."""
        request = self.server.request(self.model, rows)
        status, answer = self.ask(request, request.first_body())
        if status != 200:
            raise ServerFailed(f"{self.server.name} on {self.model}: {status} {answer[:300]!r}")
        return numbers(answer)

    def stop(self) -> None:
        self.tree.stop()


def numbers(answer: bytes) -> list[float]:
    """What an answer in MLflow's or V2 form predicts, sorted: the forms order it differently."""
    document = json.loads(answer)
    if "outputs" in document:
        return sorted(leaf for each in document["outputs"] for leaf in leaves(each["data"]))
    return sorted(leaves(document["predictions"]))


def leaves(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, (int, float)):
        yield float(value)


def run(command: list[str]) -> str:
    """The standard output of a command that prepares something; its failure is the server's."""
    try:
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except OSError as failure:
        raise ServerFailed(f"{command[0]}: {failure.strerror}") from failure
    except subprocess.CalledProcessError as failure:
        words = (failure.stderr or failure.stdout or "").strip().splitlines()
        raise ServerFailed(f"{command[0]}: {' / '.join(words[-3:])[-600:]}") from failure
    return done.stdout


def peer_venv(name: str) -> Path:
    """The `bin` of the virtual environment that scripts/peer-venv.sh makes for a peer."""
    return PEERS / f"{name}-venv/bin"


def package_version(python: Path, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return run([str(python), "-c", code]).strip()
