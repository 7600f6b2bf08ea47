"""The bare echo: actix-web as flowgate sets it up, answering with the body that came."""

from __future__ import annotations

from pathlib import Path

from peers.flowgate import TARGET
from peers.server import CORES, Server


class Echo(Server):
    """benches/echo, with as many event loops as flowgate has by default."""

    name = "echo"
    title = "bare actix-web echo"

    def version(self) -> str:
        return "of this tree"

    def command(self, model: str, port: int, home: Path) -> list[str]:
        workers = max(1, CORES // 2)
        return [str(TARGET / "release/examples/echo"), "--port", str(port),
                "--workers", str(workers)]  # fmt: skip
