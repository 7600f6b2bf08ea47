"""Containers of the image under test, through the command line of Docker or podman."""

from __future__ import annotations

import datetime
import http.client
import json
import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKER = os.environ.get("DOCKER", "docker")
IMAGE = f"{os.environ.get('IMAGE', 'flowgate')}:{os.environ.get('TAG', 'dev')}"
DEMO = f"{os.environ.get('IMAGE', 'flowgate')}:{os.environ.get('DEMO_TAG', 'demo')}"

# What a careful operator takes away. Every test runs like this.
HARDENED = [
    "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
]  # fmt: skip
READY_SECONDS = 60


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run([DOCKER, *arguments], capture_output=True, text=True)
    if check and ran.returncode != 0:
        raise AssertionError(f"{DOCKER} {' '.join(arguments)}: {ran.stderr or ran.stdout}")
    return ran


class Answer:
    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def json(self) -> dict:
        return json.loads(self.body)


class Container:
    """A running container, removed at the end of its `with`."""

    def __init__(
        self, *command: str, image: str = IMAGE, cpus: str = "1", memory: str = "512m",
        options: list[str] | None = None,
    ) -> None:  # fmt: skip
        self.id = docker(
            "run", "--detach", *HARDENED, "--cpus", cpus,
            "--memory", memory, "--memory-swap", memory,
            "--publish", "127.0.0.1::8080", "--publish", "127.0.0.1::8082",
            *(options or []), image, *command,
        ).stdout.strip()  # fmt: skip

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        docker("rm", "--force", "--volumes", self.id, check=False)

    def state(self) -> dict:
        return json.loads(docker("inspect", self.id).stdout)[0]["State"]

    def logs(self) -> str:
        ran = docker("logs", self.id)
        return ran.stdout + ran.stderr

    def port(self, inner: int) -> int:
        return int(docker("port", self.id, f"{inner}/tcp").stdout.split()[0].rsplit(":", 1)[1])

    def ask(
        self, method: str, path: str, body: bytes | None = None, inner: int = 8080,
    ) -> Answer:  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", self.port(inner), timeout=60)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def wait_until_ready(self) -> float:
        """Seconds from the start of the process to the first `/ready` that says yes."""
        end = time.monotonic() + READY_SECONDS
        port = self.port(8082)
        while time.monotonic() < end:
            if is_ready(port):
                return time.time() - seconds_of(self.state()["StartedAt"])
            time.sleep(0.002)
        raise AssertionError(f"not ready after {READY_SECONDS} s: {self.logs()}")

    def wait_until_ready_or_ended(self) -> str:
        """What became of it, in words."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            # An ended container has no ports.
            published = docker("port", self.id, "8082/tcp", check=False).stdout.split()
            if published and is_ready(int(published[0].rsplit(":", 1)[1])):
                return "ready"
            state = self.state()
            if not state["Running"]:
                return f"exit code {state['ExitCode']}"
            time.sleep(0.1)
        raise AssertionError(f"neither ready nor ended after {READY_SECONDS} s: {self.logs()}")

    def wait_until_ended(self) -> int:
        """The exit code."""
        return int(docker("wait", self.id).stdout)

    def thread_names(self) -> list[str] | None:
        """The process's threads; `None` where the daemon is on another machine."""
        tasks = Path(f"/proc/{self.state()['Pid']}/task")
        try:
            return sorted((task / "comm").read_text().strip() for task in tasks.iterdir())
        except OSError:
            return None


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def seconds_of(moment: str) -> float:
    """RFC 3339 with nanoseconds, as Docker has it."""
    whole, _, fraction = moment.rstrip("Z").partition(".")
    start = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return start.timestamp() + float(f"0.{fraction or 0}")
