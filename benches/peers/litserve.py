"""LitServe over ONNX Runtime, with its batching on."""

from __future__ import annotations

from pathlib import Path

from peers.server import CORES, MODELS, Server, package_version, peer_venv, run

# How long a batch waits for more requests. Without any wait the model processes spin.
BATCH_SECONDS = 0.002
APP = Path(__file__).resolve().parent / "apps/litserve_graph.py"


class Litserve(Server):
    """apps/litserve_graph.py: a model process and an HTTP process a core."""

    name = "litserve"
    title = f"LitServe over ONNX Runtime, batching, {CORES} workers"

    def install(self) -> None:
        run(["scripts/peer-venv.sh", "litserve"])

    def version(self) -> str:
        return package_version(peer_venv("litserve") / "python", "litserve")

    def command(self, model: str, port: int, home: Path) -> list[str]:
        graph = MODELS / model / "model/model.onnx"
        return [str(peer_venv("litserve") / "python"), str(APP), "--graph", str(graph),
                "--port", str(port), "--workers", str(CORES),
                "--batch-seconds", str(BATCH_SECONDS)]  # fmt: skip
