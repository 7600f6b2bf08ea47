"""flowgate on a registry: versions that a benchmark promotes while it is loaded."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from peers.flowgate import ADMIN_PORT, Flowgate
from peers.process import ServerFailed, Tree, free_port
from peers.server import MODELS, ROOT, Request, Running, run

# The sample model's versions; other models have a folder of theirs under target/bench-models.
WINE = ROOT / "models/wine-quality"
PROMOTED_SECONDS = 60.0
# Versions are settled when nothing about them has changed for a second.
SETTLE_SECONDS = 1.2


class Promoted(Flowgate):
    """A flowgate that serves a directory registry."""

    def start(self, model: str, home: Path) -> Running:
        folder = home / "registry"
        shutil.rmtree(folder, ignore_errors=True)
        # What is large is linked: pages that wait to be written would cost those who are measured.
        copy = shutil.copy2 if model == "wine" else os.link
        shutil.copytree(versions(model), folder, copy_function=copy)
        # Written here, whatever the folder said.
        (folder / "registry.yaml").unlink(missing_ok=True)
        assign(folder, 1)
        time.sleep(SETTLE_SECONDS)
        return super().start(model, home)

    def request(self, model: str, rows: int) -> Request:
        """The swapped nets read what the mlp reads."""
        bodies = "wine" if model == "wine" else "mlp"
        return Request("/invocations", MODELS / bodies / f"bodies/rows-{rows}.jsonl")

    def place(self, model: str, home: Path) -> str:
        return str(home / "registry")

    def promote(self, running: Running, version: int) -> None:
        assign(running.home / "registry", version)

    def versions(self, model: str) -> int:
        return sum(entry.name.isdigit() for entry in versions(model).iterdir())


def versions(model: str) -> Path:
    return WINE if model == "wine" else MODELS / model / "versions"


def assign(folder: Path, version: int) -> None:
    """Writes `registry.yaml` whole, as `flowgate promote` does."""
    fresh = folder / ".registry-fresh"
    fresh.write_text(f"stages: {{Production: {version}}}\n")
    fresh.replace(folder / "registry.yaml")


class PromotedByMlflow(Promoted):
    """A flowgate that asks an MLflow tracking server, which is started for it, for an alias."""

    def __init__(self, name: str, flags: str) -> None:
        super().__init__(name, flags)
        self._registries: dict[Path, Registry] = {}

    def start(self, model: str, home: Path) -> Running:
        registry = Registry.start(model, home / "mlflow")
        self._registries[home] = registry
        try:
            registry.fill(versions(model), self.versions(model))
            running = Flowgate.start(self, model, home)
        except BaseException:
            registry.tree.stop()
            raise
        return Following(**vars(running), registry=registry)

    def place(self, model: str, home: Path) -> str:
        return f"models:/{model}@champion"

    def environment(self, home: Path) -> dict[str, str]:
        uri = f"http://127.0.0.1:{self._registries[home].port}"
        return super().environment(home) | {"MLFLOW_TRACKING_URI": uri}

    def promote(self, running: Running, version: int) -> None:
        self._registries[running.home].promote(version)


@dataclass
class Following(Running):
    """One whose registry ends with it."""

    registry: Registry | None = None

    def stop(self) -> None:
        super().stop()
        if self.registry:
            self.registry.tree.stop()


@dataclass
class Registry:
    """A real MLflow tracking server with SQLite and its artifact proxy."""

    model: str
    port: int
    tree: Tree

    @classmethod
    def start(cls, model: str, home: Path) -> Registry:
        run(["scripts/mlflow-venv.sh"])
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        port = free_port()
        command = [
            str(ROOT / "target/mlflow-venv/bin/python"), "-m", "mlflow", "server",
            "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{home}/mlflow.db",
            "--artifacts-destination", str(home / "artifacts"), "--serve-artifacts",
        ]  # fmt: skip
        kept = dict(os.environ) | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        registry = cls(model, port, Tree(command, home / "log.txt", kept))
        registry.tree.wait(registry.is_ready)
        return registry

    def is_ready(self) -> bool:
        try:
            return self._ask("GET", "/health")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def fill(self, folder: Path, count: int) -> None:
        """Registers the folder's versions; the first is the champion."""
        self._api("registered-models/create", {"name": self.model})
        for version in range(1, count + 1):
            # The files are artifacts of a run, as they are when a model is logged.
            about = self._api("runs/create", {"experiment_id": "0"})["run"]["info"]
            source = f"{about['artifact_uri']}/model"
            for file in sorted((folder / str(version)).iterdir()):
                at = f"{source.removeprefix('mlflow-artifacts:/')}/{quote(file.name)}"
                path = f"/api/2.0/mlflow-artifacts/artifacts/{at}"
                status, answer = self._ask("PUT", path, file.read_bytes())
                if status != 200:
                    raise ServerFailed(f"{path}: {status} {answer[:300]!r}")
            created = {"name": self.model, "source": source, "run_id": about["run_id"]}
            self._api("model-versions/create", created)
        self.promote(1)

    def promote(self, version: int) -> None:
        alias = {"name": self.model, "alias": "champion", "version": str(version)}
        self._api("registered-models/alias", alias)

    def _api(self, path: str, body: dict[str, str]) -> Any:
        status, answer = self._ask("POST", f"/api/2.0/mlflow/{path}", json.dumps(body).encode())
        if status != 200:
            raise ServerFailed(f"{path}: {status} {answer[:300]!r}")
        return json.loads(answer)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def serving(running: Running) -> int:
    """The version that serves, as the admin port tells."""
    port = int((running.home / ADMIN_PORT).read_text())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/v1/models/{running.model}")
        return int(json.load(connection.getresponse())["version"])
    finally:
        connection.close()
