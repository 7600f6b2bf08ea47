"""A `kubectl` for k8s/rollout.sh without a cluster.

    PATH=.../with/a/link/called/kubectl:$PATH CLUSTER=DIRECTORY k8s/rollout.sh 4

What a cluster would do is done to files of the directory: `deployment.yaml`, `pod-*.yaml` and
`replicaset-*.yaml`. Patches are applied, and templates evaluated, by the kubectl that KUBECTL
names, which needs no cluster for that. `rollout status` ends with what the file `status` says. A
pod that the file `vanished` names is listed, and not there when it is asked for. `calls.jsonl` has
every call.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

HOME = Path(os.environ["CLUSTER"])
DEPLOYMENT = HOME / "deployment.yaml"


def real(path: Path, *more: str) -> str:
    """The object of a file, patched, but not the file."""
    made = subprocess.run(
        [os.environ["KUBECTL"], "patch", "--local", "--filename", str(path), *more],
        capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode != 0:
        sys.exit(made.stderr)
    return made.stdout


def show(path: Path, output: str) -> None:
    print(real(path, "--type", "merge", "--patch", "{}", "--output", output), end="")


def show_all(paths: list[Path], output: str) -> None:
    """As one list, which kubectl makes of nothing but a patch when it may not ask a cluster."""
    items = {"items": [yaml.safe_load(path.read_text()) for path in paths]}
    (HOME / "list.yaml").write_text('{"apiVersion": "v1", "kind": "List"}')
    patch = ["--type", "merge", "--patch", json.dumps(items)]
    print(real(HOME / "list.yaml", *patch, "--output", output), end="")


def named(path: Path) -> dict:
    return yaml.safe_load(path.read_text())["metadata"]


def vanished() -> str:
    path = HOME / "vanished"
    return path.read_text() if path.exists() else ""


def selected(kind: str, selector: str) -> list[Path]:
    wanted = dict(pair.split("=") for pair in selector.split(","))
    return [path for path in sorted(HOME.glob(f"{kind}-*.yaml"))
            if wanted.items() <= named(path)["labels"].items()]  # fmt: skip


def main() -> None:
    with (HOME / "calls.jsonl").open("a") as calls:
        print(json.dumps(sys.argv[1:]), file=calls)
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="+")
    for option in ("namespace", "output", "patch", "type", "selector"):
        parser.add_argument(f"--{option}")
    asked = parser.parse_args()
    match asked.words:
        case ["get", "deployment", name] if name == named(DEPLOYMENT)["name"]:
            show(DEPLOYMENT, asked.output)
        case ["patch", "deployment", name] if name == named(DEPLOYMENT)["name"]:
            made = real(DEPLOYMENT, "--type", asked.type, "--patch", asked.patch,
                        "--output", "yaml")  # fmt: skip
            DEPLOYMENT.write_text(made)
        case ["rollout", "status", "deployment", name] if name == named(DEPLOYMENT)["name"]:
            sys.exit(int((HOME / "status").read_text()))
        case ["get", "pods"] if asked.output == "name":
            for path in selected("pod", asked.selector):
                print(f"pod/{named(path)['name']}")
        case ["get", "replicasets"]:
            show_all(selected("replicaset", asked.selector), asked.output)
        case ["get", pod] if pod.startswith("pod/") and pod.removeprefix("pod/") != vanished():
            show(HOME / f"pod-{pod.removeprefix('pod/')}.yaml", asked.output)
        case _:
            sys.exit(f"there is no such call in this cluster: {sys.argv[1:]}")


if __name__ == "__main__":
    main()
