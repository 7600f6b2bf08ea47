"""A server's processes: started, watched until ready, paused, ended.

Servers in Python answer from several processes, so memory is that of the whole tree below the
process that was started. Processor time the load generator measures, in the same way.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

START_SECONDS = 120.0
STOP_SECONDS = 15.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ServerFailed(RuntimeError):
    """A server could not be installed or started, or ended on its own."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Tree:
    """A process with everything that it starts. It leads a session of its own."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        with log.open("wb") as sink:
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                    start_new_session=True, env=environment,
                )  # fmt: skip
            except OSError as failure:
                raise ServerFailed(f"{command[0]}: {failure.strerror}") from failure

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, ready: Callable[[], bool]) -> float:
        """Seconds from the start until `ready` says so."""
        while time.monotonic() < self.started + START_SECONDS:
            if not self.alive():
                raise ServerFailed(f"ended with {self._process.returncode}: {self.last_words()}")
            if ready():
                return time.monotonic() - self.started
            # Short beside the quickest start, and it costs a slow one little.
            time.sleep(0.002 if time.monotonic() < self.started + 1.0 else 0.1)
        raise ServerFailed(f"not ready after {START_SECONDS:.0f} s: {self.last_words()}")

    def alive(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:])[-600:] or "it said nothing"

    def pids(self) -> list[int]:
        """The process and its descendants, as they are now."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                fields = stat_fields(int(entry.name))
                if fields:
                    children.setdefault(int(fields[1]), []).append(int(entry.name))
        found = [self.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def resident_bytes(self) -> int:
        """Resident memory of the tree; pages that processes share count once for each."""
        fields = [stat_fields(pid) for pid in self.pids()]
        return sum(int(each[21]) for each in fields if each) * PAGE_BYTES

    def pause(self) -> None:
        """Keeps the tree from running until `resume`: a server that polls costs while it idles."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Asks the leader to end, then ends whatever is left of its session."""
        if self.alive():
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on; none when the process is gone.

    The second, the name in brackets, may hold spaces and brackets of its own.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
