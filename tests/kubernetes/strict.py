"""Whether an object is one that the API server takes, with every field known.

Kubernetes' own objects are held to the schemas of `kubernetes-validate`, custom ones to those in
crds/. These were written for this test and know only the fields that the manifests use: whatever
else is written is refused until it has been looked up. `FLOWGATE_CRDS` names a directory of whole
CustomResourceDefinitions to use in their place.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from kubernetes_validate import utils
from manifests import Document, title

# The first with all fields that the manifests use (matters of rollouts and budgets).
OLDEST = "1.27"
CRDS = Path(os.environ.get("FLOWGATE_CRDS", str(Path(__file__).resolve().parent / "crds")))


def versions() -> list[str]:
    """The oldest and the newest, and what lies between, by their first two numbers."""
    known = {tuple(map(int, each.split(".")[:2])) for each in utils.all_versions()}
    oldest = tuple(map(int, OLDEST.split(".")))
    return [f"{major}.{minor}" for major, minor in sorted(known) if (major, minor) >= oldest]


def closed(schema: Any) -> Any:
    """A schema that takes no field which it does not name, as the API server does when it is asked
    to be strict."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        made["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    return made


METADATA = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


@functools.cache
def custom(directory: Path = CRDS) -> dict[tuple[str, str], Document]:
    """The schemas of custom objects, by `group/version` and kind."""
    found = {}
    for path in sorted(directory.glob("*.yaml")):
        for crd in filter(None, yaml.safe_load_all(path.read_text())):
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"},
                    "metadata": METADATA,
                }  # fmt: skip
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def faults(document: Document, version: str) -> list[str]:
    """What a strict API server of this version would say."""
    key = (document.get("apiVersion", ""), document.get("kind", ""))
    try:
        if key in custom():
            return custom_faults(document, custom()[key]) + containers_faults(document, version)
        utils.validate(document, version, strict=True)
    except utils.ValidationError as error:
        place = ".".join(map(str, error.path))
        return [f"{title(document)}: {place}: {error.message[:300]}"]
    except utils.SchemaNotFoundError as error:
        return [f"{title(document)}: {error.message}"]
    return []


def custom_faults(document: Document, schema: Document) -> list[str]:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
    return [f"{title(document)}: {'.'.join(map(str, each.path))}: {each.message[:300]}"
            for each in errors]  # fmt: skip


def containers_faults(document: Document, version: str) -> list[str]:
    """Containers within a custom object are those of a pod."""
    containers = document["spec"].get("containers")
    if not isinstance(containers, list):
        return []
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": document["metadata"]["name"]},
           "spec": {"containers": containers}}  # fmt: skip
    return faults(pod, version)
