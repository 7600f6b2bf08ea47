"""Makes prometheus-rule.yaml, for the Prometheus operator, from rules/flowgate.rules.yml.

    python k8s/monitoring/generate.py              writes the file anew
    python k8s/monitoring/generate.py --check      exit code 1 when it is not what it would be
    python k8s/monitoring/generate.py --runbook-base URL
                                                   prints it, with runbooks at URL/docs/...
    python k8s/monitoring/generate.py --runbook-base URL --plain
                                                   prints such a rule file of plain Prometheus

Needs PyYAML.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
RULES = HERE / "rules" / "flowgate.rules.yml"
MANIFEST = HERE / "prometheus-rule.yaml"
HEAD = "# Made by generate.py from rules/flowgate.rules.yml: change that one.\n"


class Dumper(yaml.SafeDumper):
    """Expressions of several lines stay several lines."""


def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, text)


def written(document: dict[str, Any]) -> str:
    return HEAD + yaml.dump(document, Dumper=Dumper, sort_keys=False, width=100, allow_unicode=True)


def groups(runbook_base: str | None = None) -> list[dict[str, Any]]:
    """The rules; with a base, runbooks have an absolute address."""
    found = yaml.safe_load(RULES.read_text())["groups"]
    for rule in (rule for group in found for rule in group["rules"]):
        if runbook_base and "alert" in rule:
            notes = rule["annotations"]
            notes["runbook_url"] = f"{runbook_base.rstrip('/')}/{notes['runbook_url']}"
    return found


def manifest(found: list[dict[str, Any]]) -> str:
    return written(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "flowgate", "labels": {"app.kubernetes.io/name": "flowgate"}},
            "spec": {"groups": found},
        }
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--runbook-base", metavar="URL")
    parser.add_argument("--plain", action="store_true")
    asked = parser.parse_args()
    found = groups(asked.runbook_base)
    if asked.runbook_base or asked.plain:
        print(written({"groups": found}) if asked.plain else manifest(found), end="")
        return 0
    if asked.check:
        if MANIFEST.read_text() == manifest(found):
            return 0
        print(f"{MANIFEST.name} is not what generate.py makes: run it", file=sys.stderr)
        return 1
    MANIFEST.write_text(manifest(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
