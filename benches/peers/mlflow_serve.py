"""`mlflow models serve`: the server that flowgate stands in for."""

from __future__ import annotations

import os
from pathlib import Path

from peers.server import CORES, MODELS, ROOT, Server, package_version, run

BIN = ROOT / "target/mlflow-venv/bin"


class MlflowServe(Server):
    """uvicorn with a worker process a core; everything else as `mlflow models serve` has it."""

    name = "mlflow"
    title = f"`mlflow models serve -w {CORES}`"

    def install(self) -> None:
        run(["scripts/mlflow-venv.sh"])

    def version(self) -> str:
        return package_version(BIN / "python", "mlflow")

    def command(self, model: str, port: int, home: Path) -> list[str]:
        return [str(BIN / "mlflow"), "models", "serve", "-m", str(MODELS / model / "model"),
                "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port),
                "-w", str(CORES)]  # fmt: skip

    def environment(self, home: Path) -> dict[str, str]:
        """The command looks for uvicorn on the path."""
        return dict(os.environ) | {"PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])}
