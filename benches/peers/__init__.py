"""The servers that the benchmarks compare."""

from __future__ import annotations

from peers.echo import Echo
from peers.flowgate import Flowgate
from peers.litserve import Litserve
from peers.mlflow_serve import MlflowServe
from peers.mlserver import MlserverInvocations, MlserverV2
from peers.process import ServerFailed
from peers.server import SERVER_CPUS, Request, Running, Server

SERVERS: dict[str, Server] = {
    server.name: server
    for server in (
        Flowgate(),
        Flowgate("flowgate-unbatched", "--batch-rows-max 1"),
        Flowgate("flowgate-apart", prefix=SERVER_CPUS),
        Echo(),
        MlflowServe(),
        MlserverInvocations(),
        MlserverV2(),
        Litserve(),
    )
}

__all__ = ["SERVERS", "Flowgate", "Request", "Running", "Server", "ServerFailed"]
