"""The servers that the benchmarks compare."""

from __future__ import annotations

from peers.echo import Echo
from peers.flowgate import Flowgate
from peers.litserve import Litserve
from peers.mlflow_serve import MlflowServe
from peers.mlserver import MlserverInvocations, MlserverV2
from peers.promoted import Promoted, PromotedByMlflow
from peers.process import ServerFailed
from peers.server import SERVER_CPUS, Request, Running, Server

# How often the flowgate of an MLflow registry asks it.
POLL_SECONDS = 1

SERVERS: dict[str, Server] = {
    server.name: server
    for server in (
        Flowgate(),
        Flowgate("flowgate-unbatched", "--batch-rows-max 1"),
        # In one lane: which one a model takes is measured, and differs where the machine is noisy.
        Flowgate("flowgate-watched", "--lane express"),
        Flowgate("flowgate-unwatched", "--lane express --drift off"),
        Flowgate("flowgate-base", "--lane express", variable="FLOWGATE_BASE_BIN"),
        Flowgate("flowgate-apart", prefix=SERVER_CPUS),
        # Without what earlier loads have measured, as a version that is new would be.
        Promoted("flowgate-swapped", "--cache-dir off"),
        Promoted("flowgate-directory", "--keep-predecessor 0s"),
        PromotedByMlflow(
            "flowgate-mlflow", f"--keep-predecessor 0s --poll-interval {POLL_SECONDS}s"
        ),
        Echo(),
        MlflowServe(),
        MlserverInvocations(),
        MlserverV2(),
        Litserve(),
    )
}

__all__ = ["POLL_SECONDS", "SERVERS", "Flowgate", "Request", "Running", "Server", "ServerFailed"]
