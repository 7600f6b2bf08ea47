"""flowgate follows a real MLflow registry, at constant load.

    target/mlflow-venv/bin/python tests/registry/follow.py

Starts `mlflow server` (SQLite, artifact proxy) and registers versions of models/wine-quality; then
a flowgate that serves `models:/wine@champion` and another that serves `models:/wine/Production`.
While requests are sent without a pause, the alias and the stage move: forward, back, to a damaged
graph, to a version that drops an input, to one whose example fails, to a version that is deleted
afterwards; and the registry goes away. No request may fail, and each answer must be that of the
version that its header names. Environment: `FLOWGATE_BIN` (default target/debug/flowgate). Exit
code 1 when anything is not as it should be.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "differential"))

from servers import ROOT, Server, free_port  # noqa: E402

os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"

import mlflow  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

MODEL = "wine"
BINARY = os.environ.get("FLOWGATE_BIN", str(ROOT / "target/debug/flowgate"))
WINE = ROOT / "models/wine-quality"
SWAP_SECONDS = 20
QUICK = ("--poll-interval", "200ms")


class MlflowServer(Server):
    """A registry with its artifacts, in a directory of its own."""

    def __init__(self, home: Path, port: int) -> None:
        home.mkdir(exist_ok=True)
        program = Path(sys.executable).parent / "mlflow"
        command = [
            str(program), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{home}/mlflow.db",
            "--artifacts-destination", str(home / "artifacts"), "--serve-artifacts",
        ]  # fmt: skip
        kept = dict(os.environ) | {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            # Webhooks may go to this machine, and count soon after they were made.
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_WEBHOOK_CACHE_TTL": "1",
            "PATH": f"{program.parent}:{os.environ['PATH']}",
        }
        super().__init__(command, port, home / "log.txt", "", kept)

    def wait(self) -> None:
        until(lambda: self.request("GET", "/health").status == 200, "the registry answers", 90)


def until(check: Callable[[], bool], what: str, seconds: float = SWAP_SECONDS) -> float:
    """Waits until something holds; the seconds that it took."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        try:
            if check():
                return time.monotonic() - start
        except Exception:  # noqa: BLE001: whatever it is, it is not yet so
            pass
        time.sleep(0.02)
    raise AssertionError(f"after {seconds} s it is not so that {what}")


def flowgate(
    uri: str, tracking: str, home: Path, admin: int, more: tuple[str, ...] = QUICK
) -> Server:
    port = free_port()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FLOWGATE_")}
    library = subprocess.run(
        [str(ROOT / "scripts/onnxruntime.sh")], check=True, capture_output=True, text=True
    ).stdout.strip()
    command = [
        BINARY, "serve", uri, "--host", "127.0.0.1", "--port", str(port), "--admin-port",
        str(admin), "--keep-predecessor", "1s", "--cache-dir", str(home / "cache"), *more,
    ]  # fmt: skip
    home.mkdir(exist_ok=True)
    environment = kept | {"MLFLOW_TRACKING_URI": tracking, "ORT_DYLIB_PATH": library}
    return Server(command, port, home / "log.txt", "/invocations", environment)


class Load:
    """Sends requests without a pause, and keeps what came."""

    def __init__(self, port: int, body: bytes, expected: dict[str, str]) -> None:
        self.port, self.body, self.expected = port, body, expected
        self.versions: Counter[str] = Counter()
        self.faults: list[str] = []
        self.order: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self._stop.is_set():
            try:
                connection.request(
                    "POST", "/invocations", self.body, {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                text = answer.read().decode()
            except Exception as failure:  # noqa: BLE001: any of them is a lost request
                self.faults.append(repr(failure))
                return
            version = answer.headers.get("x-model-version", "none")
            if answer.status != 200 or self.expected.get(version) != text:
                self.faults.append(f"{answer.status} of version {version}: {text[:200]}")
                return
            self.versions[version] += 1
            if not self.order or self.order[-1] != version:
                self.order.append(version)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def models(admin: int) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=10)
    connection.request("GET", f"/v1/models/{MODEL}")
    return json.loads(connection.getresponse().read())


def register(client: MlflowClient, directory: Path) -> str:
    """Logs a model directory as the artifacts of a run, and registers it; its version."""
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(directory), "model")
    source = f"runs:/{run.info.run_id}/model"
    return client.create_model_version(MODEL, source, run.info.run_id).version


def changed(base: Path, to: Path, change: Callable[[Path], None]) -> Path:
    shutil.copytree(base, to)
    change(to)
    return to


def drop_input(directory: Path) -> None:
    mlmodel = directory / "MLmodel"
    text = mlmodel.read_text()
    assert '"alcohol"' in text
    mlmodel.write_text(text.replace('"alcohol"', '"alcohol_content"'))


def spoil_example(directory: Path) -> None:
    (directory / "serving_input_example.json").write_text('{"dataframe_split": {"columns": [')


def follow(work: Path) -> None:
    registry_port = free_port()
    tracking = f"http://127.0.0.1:{registry_port}"
    registry = MlflowServer(work / "registry", registry_port)
    servers: list[Server] = []
    loads: list[Load] = []
    try:
        registry.wait()
        mlflow.set_tracking_uri(tracking)
        client = MlflowClient()
        client.create_registered_model(MODEL)
        one, two = register(client, WINE / "1"), register(client, WINE / "2")
        damaged = register(client, changed(
            WINE / "2", work / "damaged", lambda to: (to / "model.onnx").write_bytes(b"no graph")))
        dropped = register(client, changed(WINE / "2", work / "dropped", drop_input))
        spoilt = register(client, changed(WINE / "2", work / "spoilt", spoil_example))
        client.set_registered_model_alias(MODEL, "champion", one)
        client.transition_model_version_stage(MODEL, one, "Production")

        admins = [free_port(), free_port()]
        by_alias = flowgate(f"models:/{MODEL}@champion", tracking, work / "alias", admins[0])
        by_stage = flowgate(f"models:/{MODEL}/Production", tracking, work / "stage", admins[1])
        servers += [by_alias, by_stage]
        for server in servers:
            server.wait()
        body = (WINE / "1/serving_input_example.json").read_bytes()
        expected: dict[str, str] = {}
        headers = {"Content-Type": "application/json"}

        def now(server: Server) -> str:
            answer, found = server.exchange("POST", "/invocations", headers, body)
            assert answer.status == 200, answer
            expected.setdefault(found["x-model-version"], answer.body)
            return found["x-model-version"]

        assert [now(server) for server in servers] == [one, one]
        # What version two answers has to be known before the load may meet it.
        probe = flowgate(f"models:/{MODEL}/{two}", tracking, work / "probe", free_port())
        servers.append(probe)
        probe.wait()
        assert now(probe) == two
        loads += [Load(server.port, body, expected) for server in (by_alias, by_stage)]

        def moves(server: Server, to: str, how: str) -> None:
            took = until(lambda: now(server) == to, f"{how} serves version {to}")
            print(f"  {how}: version {to} after {took:.2f} s")

        client.set_registered_model_alias(MODEL, "champion", two)
        moves(by_alias, two, "alias forward")
        client.set_registered_model_alias(MODEL, "champion", one)
        moves(by_alias, one, "alias back")
        client.transition_model_version_stage(MODEL, two, "Production", True)
        moves(by_stage, two, "stage forward, the other archived")
        client.transition_model_version_stage(MODEL, one, "Production", True)
        moves(by_stage, one, "stage back")

        for version, reason in [
            (damaged, "damaged"), (dropped, "'alcohol' is dropped"), (spoilt, "example request")
        ]:  # fmt: skip
            client.set_registered_model_alias(MODEL, "champion", version)
            log = by_alias.log
            refused = f"version={version} "
            until(
                lambda: any("refused" in line and refused in line and reason in line
                            for line in log.read_text(errors="replace").splitlines()),
                f"version {version} is refused: {reason}",
            )  # fmt: skip
            assert now(by_alias) == one

            def told(version: str = version, reason: str = reason) -> bool:
                tags = client.get_model_version(MODEL, version).tags
                is_refused = tags.get("flowgate.status") == "refused"
                return is_refused and reason in tags.get("flowgate.reason", "")

            until(told, f"the registry is told that version {version} is refused: {reason}")
            print(f"  alias to a version that is refused ({reason}): version {one} stays")
        client.set_registered_model_alias(MODEL, "champion", two)
        moves(by_alias, two, "alias to a good one again")

        def statuses() -> dict[str, str | None]:
            tags = {version: client.get_model_version(MODEL, version).tags for version in (one, two)}
            return {version: its.get("flowgate.status") for version, its in tags.items()}

        # Of the two servers the last one to speak counts: this one, which has just swapped.
        until(lambda: statuses() == {one: "replaced", two: "serving"}, "both are tagged")
        print("  the registry knows which version serves, which was replaced, which were refused")

        client.delete_model_version(MODEL, one)
        time.sleep(1.0)
        assert now(by_stage) == one, "a version that was deleted serves on"
        print(f"  version {one} deleted: it serves on")
        registry.stop()
        time.sleep(1.0)
        assert (now(by_alias), now(by_stage)) == (two, one)
        print("  the registry went away: both serve on")
        by_alias_again = flowgate(
            f"models:/{MODEL}@champion", tracking, work / "alias", free_port())
        servers.append(by_alias_again)
        by_alias_again.wait()
        assert now(by_alias_again) == two
        print(f"  a start without the registry: the last known version {two} serves")
        for load in loads:
            load.stop()
            assert not load.faults, load.faults
        assert loads[0].order[:3] == [one, two, one], loads[0].order
        counts = [dict(load.versions) for load in loads]
        print(f"answers by version: {counts}; no request failed")
    finally:
        for load in loads:
            load.stop()
        for server in [*servers, registry]:
            server.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        follow(Path(work))
    print("flowgate follows a real MLflow registry")


if __name__ == "__main__":
    main()
