"""Rules, alerts and the dashboard on their own: no server is needed.

    target/mlflow-venv/bin/python -m unittest discover tests/prometheus
"""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

import dashboard
from monitor import ROOT, RULES, WINDOW, quick, tool

MONITORING = ROOT / "k8s/monitoring"
TESTS = sorted((MONITORING / "tests").glob("*.yml"))


def promtool(*arguments: str) -> str:
    ran = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def rules() -> list[dict]:
    document = yaml.safe_load(RULES.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def alerts() -> list[dict]:
    return [rule for rule in rules() if "alert" in rule]


def anchors(markdown: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    heads = (line.lstrip("#").strip() for line in markdown.splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


class Rules(unittest.TestCase):
    def test_prometheus_takes_them(self) -> None:
        promtool("check", "rules", str(RULES))
        promtool("check", "config", str(MONITORING / "prometheus.yml"))

    def test_they_do_what_their_own_tests_say(self) -> None:
        promtool("test", "rules", *map(str, TESTS))

    def test_the_manifest_is_made_from_them(self) -> None:
        made = subprocess.run([sys.executable, str(MONITORING / "generate.py"), "--check"])
        self.assertEqual(made.returncode, 0)

    def test_every_alert_says_what_to_do(self) -> None:
        runbook = (ROOT / "docs/operations.md").read_text()
        for alert in alerts():
            with self.subTest(alert["alert"]):
                self.assertIn(alert["labels"]["severity"], ("critical", "warning"))
                notes = alert["annotations"]
                self.assertEqual(set(notes), {"summary", "description", "runbook_url"})
                file, anchor = notes["runbook_url"].split("#")
                self.assertEqual((file, anchor), ("docs/operations.md", alert["alert"].lower()))
                self.assertIn(anchor, anchors(runbook))

    def test_every_alert_is_tested_firing_and_silent(self) -> None:
        seen: dict[str, set[bool]] = {alert["alert"]: set() for alert in alerts()}
        for path in TESTS:
            for test in yaml.safe_load(path.read_text())["tests"]:
                for one in test.get("alert_rule_test", []):
                    seen[one["alertname"]].add(bool(one["exp_alerts"]))
        self.assertEqual({name: {True, False} for name in seen}, seen)

    def test_only_what_takes_time_differs_in_the_test(self) -> None:
        short = [rule for group in yaml.safe_load(quick(RULES.read_text()))["groups"]
                 for rule in group["rules"]]  # fmt: skip
        for rule, other in zip(rules(), short, strict=True):
            self.assertEqual(rule["expr"].replace('window="1h"', f'window="{WINDOW}"')
                             if "alert" in rule else rule["expr"], other["expr"])  # fmt: skip


class Dashboard(unittest.TestCase):
    def test_panels_do_not_overlap_and_ask_the_chosen_source(self) -> None:
        taken: set[tuple[int, int]] = set()
        ids = set()
        for panel in dashboard.load()["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(place["x"] + dx, place["y"] + dy)
                     for dx in range(place["w"]) for dy in range(place["h"])}  # fmt: skip
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells
            self.assertNotIn(panel["id"], ids)
            ids.add(panel["id"])
            for target in panel.get("targets", []):
                self.assertEqual(target["datasource"]["uid"], "${datasource}", panel["title"])

    def test_every_metric_of_rules_and_dashboard_exists(self) -> None:
        known = set(re.findall(r"`(flowgate_\w+)`", (ROOT / "docs/metrics.md").read_text()))
        recorded = {rule["record"] for rule in rules() if "record" in rule}
        texts = [rule["expr"] for rule in rules()] + [
            target["expr"] for panel in dashboard.load()["panels"]
            for target in panel.get("targets", [])
        ]  # fmt: skip
        for text in texts:
            for name in re.findall(r"\bflowgate[_:][\w:]+", text):
                base = re.sub(r"_(bucket|count|sum)$", "", name)
                self.assertTrue({name, base} & (known | recorded), name)


if __name__ == "__main__":
    unittest.main()
