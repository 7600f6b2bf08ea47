"""The queries of the Grafana dashboard, as Grafana would send them."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any

from monitor import ROOT, WINDOW, Prometheus

DASHBOARD = ROOT / "k8s/monitoring/grafana/flowgate.json"


@dataclass
class Query:
    panel: str
    text: str
    is_instant: bool


def load() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text())


def queries(dashboard: dict[str, Any], values: dict[str, str]) -> list[Query]:
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            text = filled(target["expr"], values)
            found.append(Query(panel["title"], text, target.get("instant", False)))
    for note in dashboard["annotations"]["list"]:
        if "expr" in note:
            found.append(Query(f"annotation {note['name']}", filled(note["expr"], values), False))
    return found


def filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${name}", value)
    assert "$" not in text, f"a variable is left: {text}"
    return text


def check(prometheus: Prometheus) -> str:
    """Every query is answered with numbers. What of it, in a line."""
    dashboard = load()
    values = {"__rate_interval": "30s", "window": WINDOW}
    # What the variables stand for when all is chosen.
    values |= {name: ".*" for name in ("job", "model", "version", "feature")}
    found = queries(dashboard, values)
    faults = [
        f"{query.panel}: {query.text}" for query in found if not answer(prometheus, query)
    ]
    assert not faults, "nothing to show for\n" + "\n".join(faults)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            assert choices(prometheus, filled(variable["definition"], values)), variable["name"]
    return f"{len(found)} queries of the dashboard have something to show"


def answer(prometheus: Prometheus, query: Query) -> bool:
    """Whether there is a number in what is found."""
    now = time.time()
    if query.is_instant:
        found = prometheus.api("query", query=query.text, time=now)["result"]
        numbers = [one["value"] for one in found]
    else:
        found = prometheus.api("query_range", query=query.text, start=now - 300, end=now, step=2)
        numbers = [value for one in found["result"] for value in one["values"]]
    return any(math.isfinite(float(number)) for _, number in numbers)


def choices(prometheus: Prometheus, definition: str) -> list[str]:
    """What `label_values(SELECTOR, LABEL)` finds."""
    selector, _, label = definition.removeprefix("label_values(").removesuffix(")").rpartition(",")
    return prometheus.api(f"label/{label.strip()}/values", **{"match[]": selector})
