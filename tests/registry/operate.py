"""What a registry and its people do with flowgate: webhooks and promotions, with the real MLflow.

    target/mlflow-venv/bin/python tests/registry/operate.py

Starts `mlflow server` and two flowgates: one that follows an alias and would ask only every minute,
but takes the registry's webhooks; and one that follows a stage. `flowgate promote` moves both,
forward and back. Environment: `FLOWGATE_BIN` (default target/debug/flowgate). Exit code 1 when
anything is not as it should be.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from follow import BINARY, MODEL, WINE, MlflowServer, flowgate, free_port, register, until

import mlflow
import onnx
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

REFERENCE = "drift_reference.json"
SECRET = "s3cr3t of the registry"
# The registry is asked by itself every minute; what comes sooner, a webhook brought.
POLL_INTERVAL = "60s"
PUSHED_SECONDS = 20


# Without what concerns the tests only, of which flowgate would say that it knows no such setting.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "FLOWGATE_BIN"}


def promote(tracking: str, *arguments: str) -> str:
    """Runs `flowgate promote`; what it says, on standard output if it went well."""
    ended = subprocess.run(
        [BINARY, "promote", *arguments],
        env=ENVIRONMENT | {"MLFLOW_TRACKING_URI": tracking}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert (ended.returncode == 0) == bool(ended.stdout), ended
    return (ended.stdout or f"{ended.returncode}: {ended.stderr}").strip()


def serving(server: object) -> str:
    """The version that answers."""
    body = (WINE / "1/serving_input_example.json").read_bytes()
    answer, found = server.exchange(
        "POST", "/invocations", {"Content-Type": "application/json"}, body
    )
    assert answer.status == 200, answer
    return found["x-model-version"]


def create_webhook(client: MlflowClient, admin: int) -> str:
    """A webhook for all that happens to versions; its id."""
    version = [
        (WebhookEntity.MODEL_VERSION, WebhookAction.CREATED),
        (WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED),
        (WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.DELETED),
        (WebhookEntity.MODEL_VERSION_TAG, WebhookAction.SET),
    ]
    return client.create_webhook(
        name="flowgate",
        url=f"http://127.0.0.1:{admin}/v1/webhooks/mlflow",
        events=[WebhookEvent(entity, action) for entity, action in version],
        secret=SECRET,
    ).webhook_id


def pushes(client: MlflowClient, tracking: str, work: Path, servers: list[object]) -> None:
    """An alias that moves is served at once, though the registry is hardly ever asked."""
    secret = work / "secret"
    secret.write_text(SECRET + "\n")
    admin = free_port()
    more = ("--poll-interval", POLL_INTERVAL, "--webhook-secret-file", str(secret))
    server = flowgate(f"models:/{MODEL}@champion", tracking, work / "alias", admin, more)
    servers.append(server)
    server.wait()
    assert serving(server) == "1"
    webhook = create_webhook(client, admin)
    tested = client.test_webhook(webhook)
    assert tested.success and "no model here" in tested.response_body, tested
    for version, how in [("2", "MLflow"), ("1", "flowgate promote"), ("2", "flowgate promote")]:
        if how == "MLflow":
            client.set_registered_model_alias(MODEL, "champion", version)
        else:
            other = {"1": "2", "2": "1"}[version]
            said = promote(tracking, f"models:/{MODEL}", version, "--alias", "champion")
            words = f"{MODEL} version {version} is promoted to alias champion, which version"
            assert said == f"{words} {other} had before", said
        took = until(
            lambda: serving(server) == version, f"version {version} serves", PUSHED_SECONDS
        )
        print(f"  alias by {how}: version {version} after {took:.2f} s, asked every {POLL_INTERVAL}")
    secret_of_another = client.update_webhook(webhook, secret="another")
    tested = client.test_webhook(secret_of_another.webhook_id)
    assert tested.response_status == 401, tested
    print("  a delivery signed with another secret: 401")


def stages(client: MlflowClient, tracking: str, work: Path, servers: list[object]) -> None:
    """A stage moves to a version, and back; others in it are archived."""
    server = flowgate(f"models:/{MODEL}/Production", tracking, work / "stage", free_port())
    servers.append(server)
    server.wait()
    assert serving(server) == "1"
    for version, other in [("2", "1"), ("1", "2")]:
        said = promote(tracking, MODEL, version, "--stage", "Production")
        assert said.endswith(f"stage Production, which version {other} had before"), said
        took = until(lambda: serving(server) == version, f"version {version} serves")
        stage = client.get_model_version(MODEL, other).current_stage
        assert stage == "Archived", stage
        print(f"  stage by flowgate promote: version {version} after {took:.2f} s")


def refusals(client: MlflowClient, tracking: str) -> None:
    """What cannot be promoted changes nothing, and is said in one sentence."""
    before = client.get_registered_model(MODEL).aliases
    for arguments, code, words in [
        ((MODEL, "9", "--alias", "champion"), 1, "version 9 of model wine"),
        (("absent", "1", "--stage", "Production"), 1, "version 1 of model absent"),
        ((MODEL, "1", "--alias", "v1"), 2, "cannot be an alias"),
    ]:
        said = promote(tracking, *arguments)
        assert said.startswith(f"{code}: flowgate: ") and words in said, said
        assert said.count("\n") == 0, said
    assert client.get_registered_model(MODEL).aliases == before
    try:
        client.get_model_version_by_alias(MODEL, "v1")
    except MlflowException:
        print("  what cannot be promoted is refused, and nothing moves")
    else:
        raise AssertionError("alias v1 was set")


def references(client: MlflowClient, tracking: str, work: Path, servers: list[object]) -> None:
    """A version whose files hold no drift reference has that of the run that logged it."""
    signature = mlflow.models.Model.load(WINE / "1").signature
    with mlflow.start_run() as run:
        logged = mlflow.onnx.log_model(
            onnx.load(WINE / "1" / "model.onnx"), name="model", signature=signature
        )
        mlflow.log_artifact(WINE / "1" / REFERENCE)
    version = mlflow.register_model(logged.model_uri, "referenced").version
    client.set_registered_model_alias("referenced", "champion", version)
    admin = free_port()
    server = flowgate("models:/referenced@champion", tracking, work / "run", admin)
    servers.append(server)
    server.wait()
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    digest = hashlib.sha256((WINE / "1" / REFERENCE).read_bytes()).hexdigest()[:12]
    [info] = [line for line in lines if line.startswith("flowgate_drift_reference_info{")]
    assert 'source="run"' in info and f'digest="{digest}"' in info, info
    [info] = [line for line in lines if line.startswith("flowgate_model_version_info{")]
    assert 'alias_or_stage="champion"' in info and f'run_id="{run.info.run_id}"' in info, info
    print("  a run's drift reference is that of its model")


def batches(tracking: str, work: Path) -> None:
    """The version of an alias is checked, and scores a file, without a server."""
    where = ("--tracking-uri", tracking, "--cache-dir", str(work / "batch"))
    uri = f"models:/{MODEL}@champion"
    command = [BINARY, "check", uri, *where]
    checked = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stdout.startswith(f"{MODEL}/2: ok"), checked
    example = json.loads((WINE / "2" / "input_example.json").read_text())
    body = json.dumps({"dataframe_split": example})
    command = [BINARY, "predict", "-m", uri, *where]
    scored = subprocess.run(
        command, env=ENVIRONMENT, input=body, capture_output=True, text=True
    )
    assert scored.returncode == 0, scored.stderr
    assert len(json.loads(scored.stdout)["predictions"]) == len(example["data"]), scored.stdout
    print("  check and predict take the version of an alias")


def operate(work: Path) -> None:
    port = free_port()
    tracking = f"http://127.0.0.1:{port}"
    registry = MlflowServer(work / "registry", port)
    servers: list[object] = []
    try:
        registry.wait()
        mlflow.set_tracking_uri(tracking)
        client = MlflowClient()
        client.create_registered_model(MODEL)
        for version in ["1", "2"]:
            assert register(client, WINE / version) == version
        client.set_registered_model_alias(MODEL, "champion", "1")
        client.transition_model_version_stage(MODEL, "1", "Production")
        # Until the registry has forgotten that nobody wanted to know of aliases.
        time.sleep(1.1)
        pushes(client, tracking, work, servers)
        stages(client, tracking, work, servers)
        refusals(client, tracking)
        references(client, tracking, work, servers)
        batches(tracking, work)
    finally:
        for server in [*servers, registry]:
            server.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        operate(Path(work))
    print("a registry and its people do with flowgate what they should")


if __name__ == "__main__":
    main()
