"""MLServer with its MLflow runtime, asked in MLflow's protocol and in its own."""

from __future__ import annotations

import json
from pathlib import Path

from peers.process import free_port
from peers.server import CORES, MODELS, Request, Server, package_version, peer_venv, run

# A batch takes what waits, up to this many requests, and waits this long for more.
BATCH_REQUESTS_MAX = 64
BATCH_SECONDS_MAX = 0.002


class MlserverInvocations(Server):
    """`/invocations`, which MLServer does not batch, on a worker process a core."""

    name = "mlserver-invocations"
    title = f"MLServer, `/invocations`, {CORES} parallel workers"

    def install(self) -> None:
        run(["scripts/peer-venv.sh", "mlserver"])

    def version(self) -> str:
        return package_version(peer_venv("mlserver") / "python", "mlserver")

    def batching(self) -> dict[str, object]:
        return {}

    def command(self, model: str, port: int, home: Path) -> list[str]:
        settings = {
            "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(),
            "metrics_port": free_port(), "metrics_dir": str(home / "metrics"),
            "environments_dir": str(home / "environments"),
            "parallel_workers": CORES, "debug": False,
        }  # fmt: skip
        described = {
            "name": model, "implementation": "mlserver_mlflow.MLflowRuntime",
            "parameters": {"uri": str(MODELS / model / "model")}, **self.batching(),
        }  # fmt: skip
        (home / "metrics").mkdir(exist_ok=True)
        (home / "settings.json").write_text(json.dumps(settings))
        (home / "model-settings.json").write_text(json.dumps(described))
        return [str(peer_venv("mlserver") / "mlserver"), "start", str(home)]


class MlserverV2(MlserverInvocations):
    """`/v2/models/<name>/infer` with adaptive batching."""

    name = "mlserver-v2"
    title = f"MLServer, V2 with adaptive batching, {CORES} parallel workers"

    def batching(self) -> dict[str, object]:
        return {"max_batch_size": BATCH_REQUESTS_MAX, "max_batch_time": BATCH_SECONDS_MAX}

    def request(self, model: str, rows: int) -> Request:
        return Request(f"/v2/models/{model}/infer", MODELS / model / f"bodies/v2-{rows}.jsonl")
