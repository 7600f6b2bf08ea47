"""What the documents tell to type is there, and what they ask of Prometheus exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import policy
import yaml
from manifests import (
    K8S,
    ROOT,
    beside,
    combination,
    container,
    kubectl,
    only,
    render,
    sample,
    samples,
    text_of,
)

DOCUMENT = ROOT / "docs/kubernetes.md"
ADAPTER = K8S / "components/autoscale-on-queue/prometheus-adapter-rule.yaml"


def promtool(*words: str) -> str:
    """From where scripts/prometheus.sh puts it."""
    ran = subprocess.run(
        [str(ROOT / "target/prometheus/promtool"), *words], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def anchors(text: str) -> set[str]:
    """Of the headings of a document, as they are made of their words."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    heads = re.findall(r"^#+ (.+)$", plain, re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def shares(rule: dict) -> dict[str, int]:
    return {each["name"]: each["weight"] for each in rule["backendRefs"]}


def queries() -> list[str]:
    """Those of the blocks of PromQL: one begins at a comment, an empty line or at no indent."""
    blocks = re.findall(r"^```promql\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    plain = re.sub(r"^#.*\n", "", "\n".join(blocks), flags=re.M)
    return [one for one in re.split(r"\n(?=[a-z])", plain) if one.strip()]


def metrics_query() -> str:
    """Of the adapter's rule, as the adapter fills it in."""
    (rule,) = yaml.safe_load(ADAPTER.read_text())["rules"]["custom"]
    filled = {"<<.Series>>": rule["seriesQuery"].split("{")[0],
              "<<.LabelMatchers>>": 'namespace="models",pod=~"a|b"', "<<.GroupBy>>": "pod"
              }  # fmt: skip
    text = rule["metricsQuery"]
    for mark, value in filled.items():
        text = text.replace(mark, value)
    return text


class Documents(unittest.TestCase):
    def test_places_that_are_named_are_there(self) -> None:
        for path in (DOCUMENT, K8S / "README.md", ROOT / "README.md", ROOT / "docs/operations.md"):
            text = path.read_text()
            for place in re.findall(r"\b((?:k8s|tests/kubernetes)/[\w./-]*\w)", text):
                with self.subTest(path.name, place=place):
                    self.assertTrue((ROOT / place).exists())
            inside = r"`((?:overlays|components|base|kserve|monitoring)/[\w./-]*)`"
            if path != ROOT / "README.md":
                for place in re.findall(inside, text):
                    with self.subTest(path.name, place=place):
                        self.assertTrue((K8S / place).exists())

    def test_what_is_applied_can_be_rendered(self) -> None:
        told = set(re.findall(r"-k (k8s/[\w/-]+)", DOCUMENT.read_text()))
        self.assertGreaterEqual(len(told), 6)
        for place in told:
            with self.subTest(place):
                self.assertTrue(text_of(ROOT / place))

    def test_overlays_of_ones_own_are_as_the_document_has_them(self) -> None:
        self.assertEqual(len(samples()), 3)
        for block in samples():
            found = beside(yaml.safe_load(block))
            for rule in policy.RULES:
                self.assertEqual(rule(found), [], rule.__name__)

    def test_the_first_overlay_has_its_namespace_image_and_label_of_the_scrape(self) -> None:
        found = beside(sample("namespace: models"))
        deployment = only(found, "Deployment")
        image = container(deployment["spec"]["template"])["image"]
        self.assertEqual(image, "registry.example/flowgate:0.1.0")
        self.assertEqual({each["metadata"]["namespace"] for each in found}, {"models"})
        for kind in ("PodMonitor", "PrometheusRule"):
            self.assertEqual(only(found, kind)["metadata"]["labels"]["release"], "prometheus")
        # An operator's label is no business of the pods: they would be rolled by it.
        self.assertNotIn("release", policy.labels_of(deployment))

    def test_an_overlay_on_pinned_has_the_version_that_it_says(self) -> None:
        its = sample("overlays/pinned")
        (generator,) = its["configMapGenerator"]
        self.assertEqual(generator["literals"], ["version=7"])
        found = beside(its)
        self.assertEqual(policy.pinned(found), [])
        deployment = only(found, "Deployment")
        self.assertEqual(policy.labels_of(deployment)[policy.VERSION], "7")
        # What the sample is for: kustomize says nothing, and the version is that of the project.
        del its["components"]
        without = only(beside(its), "Deployment")
        self.assertEqual(policy.labels_of(without)[policy.VERSION], "3")

    def test_links_lead_to_headings_that_are_there(self) -> None:
        seen = 0
        for name in ("kubernetes.md", "operations.md"):
            text = (ROOT / "docs" / name).read_text()
            for file, anchor in re.findall(r"\]\(([\w.]*)#([\w-]+)\)", text):
                seen += 1
                with self.subTest(name, link=f"{file}#{anchor}"):
                    self.assertIn(anchor, anchors((ROOT / "docs" / (file or name)).read_text()))
        self.assertGreater(seen, 20)

    def weighted(self, number: int) -> list[dict]:
        """Stable and canary behind the route, with its weights as the document's command sets them:
        the first gives the canary a share, the second takes it."""
        found = combination("canary-gateway")
        route = only(found, "HTTPRoute")
        patches = re.findall(r"kubectl patch httproute flowgate --type json --patch '(.*?)'",
                             DOCUMENT.read_text(), re.S)  # fmt: skip
        self.assertEqual(len(patches), 2)
        made = subprocess.run(
            [kubectl(), "patch", "--local", "--filename", "-", "--type", "json",
             "--patch", patches[number], "--output", "json"],
            input=json.dumps(route), capture_output=True, text=True, check=True,
        )  # fmt: skip
        route["spec"] = json.loads(made.stdout)["spec"]
        self.assertEqual(policy.route(found), [])
        return found

    def test_a_canary_has_no_share_before_it_has_pods(self) -> None:
        (rule,) = only(render("overlays/canary-gateway"), "HTTPRoute")["spec"]["rules"]
        self.assertEqual(shares(rule), {"flowgate-stable": 100, "flowgate-canary": 0})
        (rule,) = only(self.weighted(0), "HTTPRoute")["spec"]["rules"]
        self.assertEqual(shares(rule), {"flowgate-stable": 95, "flowgate-canary": 5})

    def test_a_canary_that_is_taken_away_leaves_no_share_without_pods(self) -> None:
        found = self.weighted(1)
        (words,) = re.findall(r"kubectl delete (deployment,\S+ .+)", DOCUMENT.read_text())
        self.assertEqual(words, "deployment,horizontalpodautoscaler flowgate-canary")
        left = [each for each in found if not (
            each["kind"].lower() in words.split()[0].split(",")
            and each["metadata"]["name"] == "flowgate-canary")]  # fmt: skip
        self.assertEqual(len(found) - len(left), 2)
        (rule,) = only(left, "HTTPRoute")["spec"]["rules"]
        for name, share in shares(rule).items():
            behind = policy.selected(left, only(left, "Service", name)["spec"]["selector"])
            self.assertEqual(bool(share), bool(behind), name)

    def test_pods_of_kserve_are_asked_at_the_admin_port(self) -> None:
        """By the relabeling of a real Prometheus, of what it finds out about such a pod: a target
        for each port, and one for each container that has none."""
        monitor = yaml.safe_load((K8S / "kserve/pod-monitor.yaml").read_text())
        service = only(render("kserve/example"), "InferenceService")["metadata"]["name"]
        self.assertEqual(monitor["spec"]["selector"]["matchLabels"],
                         {"serving.kserve.io/inferenceservice": service})  # fmt: skip
        self.assertIn("flowgate", monitor["metadata"]["name"])
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        runtime = only(render("kserve"), "ClusterServingRuntime")["spec"]["containers"][0]
        (port,) = (each["containerPort"] for each in runtime["ports"])
        number = "__meta_kubernetes_pod_container_port_number"
        targets = [
            {"targets": [f"10.0.0.1:{port}"], "labels": {number: str(port)}},
            {"targets": [f"[fd00::1]:{port}"], "labels": {number: str(port)}},
            # Of a sidecar, and of the container that fetches the model.
            {"targets": ["10.0.0.1:9081"], "labels": {number: "9081"}},
            {"targets": ["10.0.0.1"], "labels": {}},
        ]
        names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
        rules = [{names.get(key, key): value for key, value in rule.items()}
                 for rule in endpoint["relabelings"]]  # fmt: skip
        job = {"job_name": "pods", "metrics_path": endpoint["path"], "static_configs": targets,
               "relabel_configs": rules}  # fmt: skip
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "prometheus.yml"
            path.write_text(yaml.safe_dump({"scrape_configs": [job]}))
            found = json.loads(promtool(
                # It waits to the end of this for more to be discovered.
                "check", "service-discovery", "--timeout=2s", str(path), "pods"
            ))  # fmt: skip
        asked = [each["labels"] for each in found if each["labels"]]
        admin = runtime["readinessProbe"]["httpGet"]["port"]
        self.assertEqual(sorted(each["__address__"] for each in asked),
                         [f"10.0.0.1:{admin}", f"[fd00::1]:{admin}"])  # fmt: skip
        self.assertEqual({each["__metrics_path__"] for each in asked}, {"/metrics"})

    def test_every_overlay_component_and_file_is_told_of(self) -> None:
        text = DOCUMENT.read_text()
        for path in [*(K8S / "overlays").iterdir(), *(K8S / "components").iterdir()]:
            self.assertIn(path.name, text)

    def test_the_times_of_an_end_are_those_of_the_manifests(self) -> None:
        found = render("overlays/pinned")
        server = yaml.safe_load(only(found, "ConfigMap")["data"]["flowgate.yaml"])["server"]
        spec = only(found, "Deployment")["spec"]["template"]["spec"]
        lame, shutdown = (int(server[key][:-1]) for key in ("lame_duck", "shutdown_timeout"))
        text = DOCUMENT.read_text()
        for row in (f"| 0 to {lame} |", f"| {lame} to {lame + shutdown} |",
                    f"| {spec['terminationGracePeriodSeconds']} |"):  # fmt: skip
            self.assertIn(row, text)
        self.assertIn(f"`server.shutdown_timeout`, {server['shutdown_timeout'][:-1]} s", text)
        self.assertIn(f"takes {server['request_timeout'][:-1]} s at most", text)
        # In words.
        deployment = only(found, "Deployment")["spec"]
        self.assertEqual(deployment["progressDeadlineSeconds"], 7 * 60)
        self.assertIn("After seven minutes without progress", text)
        self.assertEqual(policy.startup_seconds(container(deployment["template"])), 5 * 60)
        self.assertIn("more than five minutes to fetch and to load", text)

    def test_every_metric_exists(self) -> None:
        known = set(re.findall(r"`(flowgate_\w+)`", (ROOT / "docs/metrics.md").read_text()))
        rules = yaml.safe_load((K8S / "monitoring/rules/flowgate.rules.yml").read_text())
        known |= {rule["record"] for group in rules["groups"] for rule in group["rules"]
                  if "record" in rule}  # fmt: skip
        for query in [*queries(), metrics_query()]:
            names = re.findall(r"\bflowgate[_:][\w:]+", query)
            self.assertTrue(names, query)
            for name in names:
                self.assertTrue({name, re.sub(r"_(bucket|count|sum)$", "", name)} & known, name)


class Queries(unittest.TestCase):
    """What Prometheus makes of them."""

    def check(self, document: dict, *words: str) -> None:
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "rules.yml"
            path.write_text(yaml.safe_dump(document))
            promtool(*words, str(path))

    def test_prometheus_can_read_those_of_the_document(self) -> None:
        found = queries()
        self.assertEqual(len(found), 8)
        rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(found)]
        self.check({"groups": [{"name": "document", "rules": rules}]}, "check", "rules")

    def values(self, series: dict[str, str], query: str) -> list[dict]:
        return [{
            "interval": "15s",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{"expr": query, "eval_time": "10m", "exp_samples": []}],
        }]  # fmt: skip

    def test_the_metric_of_the_autoscaler_is_how_many_requests_wait(self) -> None:
        stage = 'flowgate_stage_duration_seconds_sum{namespace="models",model="m",version="1"'
        # Three requests waiting all the time make three seconds of wait a second.
        tests = self.values({
            stage + ',stage="queue",pod="a"}': "0+45x60",
            stage + ',stage="queue",pod="b"}': "0x60",
            stage + ',stage="execute",pod="a"}': "0+30x60",
        }, metrics_query())  # fmt: skip
        tests[0]["promql_expr_test"][0]["exp_samples"] = [
            {"labels": '{pod="a"}', "value": 3}, {"labels": '{pod="b"}', "value": 0},
        ]  # fmt: skip
        self.check({"tests": tests}, "test", "rules")

    def test_the_processor_time_of_a_row_is_told_by_version(self) -> None:
        (query,) = (each for each in queries() if "process_cpu_seconds_total" in each)
        info = 'flowgate_model_version_info{namespace="n",model="wine-quality"'
        rows = 'flowgate_rows_total{namespace="n",model="wine-quality"'
        series = {}
        for pod, version, cpu, count in (("a", "3", 15, 30), ("b", "3", 15, 30), ("c", "4", 6, 3)):
            series[f'process_cpu_seconds_total{{namespace="n",pod="{pod}"}}'] = f"0+{cpu}x60"
            series[f'{info},pod="{pod}",version="{version}"}}'] = "1x60"
            series[f'{rows},pod="{pod}",version="{version}"}}'] = f"0+{count}x60"
        tests = self.values(series, query)
        tests[0]["promql_expr_test"][0]["exp_samples"] = [
            {"labels": '{version="3"}', "value": 0.5}, {"labels": '{version="4"}', "value": 2},
        ]  # fmt: skip
        self.check({"tests": tests}, "test", "rules")


if __name__ == "__main__":
    unittest.main()
