"""The manifests of k8s/, as `kubectl kustomize` renders them."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
K8S = ROOT / "k8s"

Document = dict[str, Any]
# libyaml's, where PyYAML was built with it, is ten times as fast.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What is in a cluster at once: overlays with components, or something that stands for itself.
COMBINATIONS: dict[str, list[tuple[str, list[str]]]] = {
    "hot-swap": [("overlays/hot-swap", [])],
    "local": [("overlays/local", [])],
    "pinned": [("overlays/pinned", [])],
    "canary": [("overlays/pinned", []), ("overlays/canary", [])],
    "canary-gateway": [("overlays/pinned", []), ("overlays/canary-gateway", [])],
    "hot-swap, monitoring": [("overlays/hot-swap", ["monitoring"])],
    "hot-swap, all": [
        (
            "overlays/hot-swap",
            ["cache-on-volume", "monitoring", "autoscale-on-queue", "namespace"],
        )
    ],
    "canary, scrape, queue": [
        ("overlays/pinned", ["scrape", "autoscale-on-queue"]),
        ("overlays/canary", []),
    ],
    "canary-gateway, all": [
        ("overlays/pinned", ["cache-on-volume", "scrape", "autoscale-on-queue"]),
        ("overlays/canary-gateway", ["cache-on-volume", "autoscale-on-queue"]),
    ],
    "monitoring": [("monitoring", [])],
    "kserve": [("kserve", []), ("kserve/example", [])],
}


@functools.cache
def kubectl() -> str:
    """A kubectl that renders, and patches what is in a file."""
    found = subprocess.run(
        [str(ROOT / "scripts/kubectl.sh")], check=True, capture_output=True, text=True
    )
    return found.stdout.strip()


def text_of(directory: Path) -> str:
    made = subprocess.run([kubectl(), "kustomize", str(directory)], capture_output=True, text=True)
    assert made.returncode == 0, f"{directory}: {made.stderr}"
    assert not made.stderr, f"{directory}: {made.stderr}"
    return made.stdout


@functools.cache
def _rendered(base: str, components: tuple[str, ...]) -> str:
    if not components:
        return text_of(K8S / base)
    with tempfile.TemporaryDirectory() as work:
        # Without links, as kustomize sees it.
        home = Path(work).resolve()
        root = os.path.relpath(K8S, home)
        kustomization = {
            "resources": [f"{root}/{base}"],
            "components": [f"{root}/components/{each}" for each in components],
        }
        (home / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return text_of(home)


def samples() -> list[str]:
    """The overlays of one's own that docs/kubernetes.md shows."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    return [block for block in blocks if "../flowgate/k8s" in block]


def sample(mark: str) -> Document:
    """The one that has this text, to be rendered by `beside`."""
    (block,) = (each for each in samples() if mark in each)
    return yaml.load(block, Loader=LOADER)


def beside(kustomization: Document) -> list[Document]:
    """An overlay beside a copy of this project called `flowgate`."""
    with tempfile.TemporaryDirectory() as work:
        home = Path(work).resolve()
        shutil.copytree(K8S, home / "flowgate/k8s")
        (home / "mine").mkdir()
        (home / "mine/kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return documents(text_of(home / "mine"))


def documents(text: str) -> list[Document]:
    return [each for each in yaml.load_all(text, Loader=LOADER) if each]


def render(base: str, *components: str) -> list[Document]:
    """A fresh copy, which the caller may change."""
    return documents(_rendered(base, components))


def combination(name: str) -> list[Document]:
    return [each for base, components in COMBINATIONS[name] for each in render(base, *components)]


def of_kind(found: list[Document], *kinds: str) -> list[Document]:
    return [each for each in found if each["kind"] in kinds]


def only(found: list[Document], kind: str, name: str | None = None) -> Document:
    (one,) = (each for each in of_kind(found, kind) if name in (None, each["metadata"]["name"]))
    return one


def title(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def pod_template(document: Document) -> Document | None:
    """The template of the pods that an object makes; a runtime of KServe is one by itself."""
    if document["kind"] == "Deployment":
        return document["spec"]["template"]
    if document["kind"] == "ClusterServingRuntime":
        return {"metadata": {}, "spec": {"containers": document["spec"]["containers"]}}
    return None


def pod_templates(found: list[Document]) -> Iterator[tuple[str, Document]]:
    for document in found:
        template = pod_template(document)
        if template is not None:
            yield title(document), template


def container(template: Document) -> Document:
    (one,) = template["spec"]["containers"]
    return one


def environment(its: Document) -> dict[str, str]:
    """The variables that stand in a container as plain text."""
    return {each["name"]: each["value"] for each in its.get("env", []) if "value" in each}


def arguments(its: Document) -> list[str]:
    """With `$(NAME)` replaced as the kubelet does: one that is not set stays as it is."""
    known = environment(its)
    return [re.sub(r"\$\((\w+)\)", lambda m: known.get(m[1], m[0]), each) for each in its["args"]]


def configuration(found: list[Document], template: Document) -> str:
    """The text of the configuration file that is mounted into a pod."""
    (volume,) = (each for each in template["spec"]["volumes"] if each["name"] == "config")
    return only(found, "ConfigMap", volume["configMap"]["name"])["data"]["flowgate.yaml"]
