"""A real Prometheus with the project's rules, and a flowgate that it scrapes."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "differential"))

from servers import ROOT, Server, ServerEnded, free_port  # noqa: E402

BINARY = os.environ.get("FLOWGATE_BIN", str(ROOT / "target/debug/flowgate"))
RULES = ROOT / "k8s/monitoring/rules/flowgate.rules.yml"
# What the alerts are about in this test, in place of an hour. A window covers at least all but
# its last minute, so that what was sent in four minutes is in it as a whole.
WINDOW = "5m"
JOB = "flowgate"


def tool(name: str) -> str:
    """`prometheus` or `promtool`, from where scripts/prometheus.sh puts them."""
    return str(ROOT / "target/prometheus" / name)


def until(check: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Waits until something holds; what it is."""
    start = time.monotonic()
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() - start > seconds:
            raise AssertionError(f"after {seconds} s it is not so that {what}")
        time.sleep(0.1)


class Flowgate(Server):
    """A server on free ports, which its start-up lines name."""

    def __init__(self, models: list[str], more: list[str], log: Path) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FLOWGATE_")}
        library = subprocess.run(
            [str(ROOT / "scripts/onnxruntime.sh")], check=True, capture_output=True, text=True
        ).stdout.strip()
        command = [
            BINARY, "serve", *models, "--host", "127.0.0.1", "--port", "0", "--admin-port", "0",
            *more,
        ]  # fmt: skip
        super().__init__(command, 0, log, "/invocations", kept | {"ORT_DYLIB_PATH": library})
        self.admin = 0

    def wait(self) -> None:
        def ports() -> list[str] | None:
            if self._process.poll() is not None:
                raise ServerEnded(f"flowgate did not start:\n{self.last_words()}")
            return re.findall(
                r" at http://127.0.0.1:(\d+)/(?:invocations|ready)", self.log.read_text()
            ) if "/ready and" in self.log.read_text() else None  # fmt: skip

        found = until(ports, "flowgate names its ports", 90)
        self.port, self.admin = int(found[0]), int(found[-1])

    def get(self, path: str, accept: str | None = None) -> str:
        """What the admin port answers, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        connection.request("GET", path, headers={"Accept": accept} if accept else {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == 200, f"GET {path}: {answer.status} {text[:500]}"
        return text


class Prometheus(Server):
    """Scrapes a flowgate every second and evaluates the rules as often."""

    def __init__(self, home: Path, target: int) -> None:
        home.mkdir()
        (home / "rules.yml").write_text(quick(RULES.read_text()))
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {"job_name": JOB, "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
            ],
        }
        (home / "prometheus.yml").write_text(yaml.safe_dump(config))
        port = free_port()
        command = [
            tool("prometheus"), f"--config.file={home}/prometheus.yml",
            f"--storage.tsdb.path={home}/data", f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        super().__init__(command, port, home / "log.txt", "")

    def wait(self) -> None:
        def is_ready() -> bool:
            if self._process.poll() is not None:
                raise ServerEnded(f"prometheus did not start:\n{self.last_words()}")
            try:
                return self.request("GET", "/-/ready").status == 200
            except (OSError, ServerEnded):
                return False

        until(is_ready, "Prometheus is ready", 60)
        until(lambda: self.value(f'up{{job="{JOB}"}}') == 1, "Prometheus has scraped flowgate")

    def api(self, path: str, **parameters: Any) -> Any:
        text = self.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}").body
        answer = json.loads(text)
        assert answer["status"] == "success", f"{path} {parameters}: {text}"
        return answer["data"]

    def query(self, query: str) -> list[tuple[dict[str, str], float]]:
        found = self.api("query", query=query)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def value(self, query: str) -> float | None:
        """The value of the one series that there is."""
        found = self.query(query)
        assert len(found) < 2, f"{query}: {found}"
        return found[0][1] if found else None

    def scraped_after(self, moment: float) -> None:
        """Returns when a scrape that began after the moment is in."""
        name = f'timestamp(up{{job="{JOB}"}})'
        until(lambda: (self.value(name) or 0) > moment, "Prometheus has scraped once more")

    def alerts(self, name: str) -> list[tuple[str, dict[str, str]]]:
        """State and labels of an alert's instances."""
        found = self.api("alerts")["alerts"]
        return [
            (one["state"], one["labels"]) for one in found if one["labels"]["alertname"] == name
        ]


def quick(rules: str) -> str:
    """The rules, with what a test has no time for made short.

    Alerts wait 3 seconds instead of minutes, and look at the window of five minutes instead of
    that of an hour. The group of the fleet's drift is evaluated as often as the others. All else,
    and all that is compared, is as it is shipped.
    """
    document = yaml.safe_load(rules)
    for group in document["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "3s"
            if "alert" in rule:
                rule["expr"] = rule["expr"].replace('window="1h"', f'window="{WINDOW}"')
    return yaml.safe_dump(document)
