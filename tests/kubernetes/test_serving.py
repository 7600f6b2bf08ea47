"""The real server, started as the pods are: probes, requests, metrics, and broken versions."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import binary
import policy
import yaml
from manifests import (
    K8S,
    ROOT,
    Document,
    arguments,
    configuration,
    container,
    environment,
    of_kind,
    only,
    pod_templates,
    render,
)

WINE = ROOT / "models/wine-quality"
# What the kubelet keeps of a container's last words.
MESSAGE_BYTES_MAX = 2048


class Work(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.work = Path(place.name)

    def command(
        self, found: list[Document], models: dict[str, Path]
    ) -> tuple[list[str], dict[str, str]]:
        """Arguments and variables of the pods, with paths of this machine for the image's."""
        ((_, template),) = pod_templates(found)
        its = container(template)
        served = [each.replace("{{.Name}}", "wine-quality") for each in arguments(its)]
        for inside, here in models.items():
            served = [each.replace(inside, str(here)) for each in served]
        variables = environment(its) | {"FLOWGATE_CACHE_DIR": str(self.work / "cache")}
        if "FLOWGATE_CONFIG" in variables:
            file = self.work / "flowgate.yaml"
            file.write_text(configuration(found, template))
            variables["FLOWGATE_CONFIG"] = str(file)
        return served, variables

    def start(self, found: list[Document], models: dict[str, Path]) -> binary.Flowgate:
        return binary.Flowgate(*self.command(found, models), self.work / "flowgate.txt")


class Serving(Work):
    def test_probes_and_service_are_answered_as_the_local_overlay_has_it(self) -> None:
        found = render("overlays/local")
        with self.start(found, {"/models": ROOT / "models"}) as server:
            self.probed(found, server)
            (port,) = only(found, "Service")["spec"]["ports"]
            self.scores(server, port["targetPort"])
            # Nothing that is set is unknown.
            self.assertNotIn('"level":"WARN"', server.log.read_text())

    def test_a_runtime_of_kserve_is_named_after_its_service(self) -> None:
        found = render("kserve")
        with self.start(found, {"/mnt/models": WINE / "1"}) as server:
            self.probed(found, server)
            self.scores(server, "http")
            self.assertNotIn('"level":"WARN"', server.log.read_text())

    def test_a_runtime_of_kserve_serves_each_format_that_it_claims(self) -> None:
        formats = only(render("kserve"), "ClusterServingRuntime")["spec"]["supportedModelFormats"]
        # The format `mlflow` is what the test above serves.
        self.assertEqual({each["name"] for each in formats}, {"mlflow", "onnx"})
        bare = self.work / "bare"
        bare.mkdir()
        shutil.copy(WINE / "1/model.onnx", bare)
        with self.start(render("kserve"), {"/mnt/models": bare}) as server:
            example = json.loads((WINE / "1/serving_input_example.json").read_text())
            rows = example["dataframe_split"]["data"]
            status, text = server.ask("http", "/invocations", json.dumps({"inputs": rows}).encode())
        self.assertEqual(status, 200, text)
        self.assertEqual(len(json.loads(text)["predictions"]["quality"]), len(rows))

    def test_an_end_is_as_the_document_tells_it(self) -> None:
        found = render("overlays/local")
        served, variables = self.command(found, {"/models": ROOT / "models"})
        # In the place of 10 s.
        variables["FLOWGATE_LAME_DUCK"] = "2s"
        with binary.Flowgate(served, variables, self.work / "flowgate.txt") as server:
            start = time.monotonic()
            server.signal(signal.SIGTERM)
            while server.ask("admin", "/ready")[0] == 200:
                self.assertLess(time.monotonic() - start, 2)
            self.assertEqual(server.ask("admin", "/ready")[0], 503)
            self.assertEqual(server.ask("admin", "/live")[0], 200)
            self.scores(server, "http")
            self.assertLess(time.monotonic() - start, 2, "too slow to tell")
            self.assertEqual(server.ended(30), 0)
            self.assertGreater(time.monotonic() - start, 2)

    def probed(self, found: list[Document], server: binary.Flowgate) -> None:
        ((_, template),) = pod_templates(found)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container(template)[probe]["httpGet"]
            port = {8082: "admin"}.get(asked["port"], asked["port"])
            status, text = server.ask(port, asked["path"])
            self.assertEqual(status, 200, f"{probe}: {text}")

    def scores(self, server: binary.Flowgate, port: str) -> None:
        body = (WINE / "1/serving_input_example.json").read_bytes()
        for path in ("/invocations", "/invocations/wine-quality"):
            status, text = server.ask(port, path, body)
            self.assertEqual(status, 200, text)
            self.assertIn("predictions", json.loads(text))

    def test_what_is_scaled_on_is_among_the_metrics(self) -> None:
        adapter = K8S / "components/autoscale-on-queue/prometheus-adapter-rule.yaml"
        (rule,) = yaml.safe_load(adapter.read_text())["rules"]["custom"]
        name, label = policy.matched(r'(\w+)\{(\w+="\w+"),.*', rule["seriesQuery"])
        scaled = of_kind(render("overlays/pinned", "autoscale-on-queue"), "HorizontalPodAutoscaler")
        (metric,) = (each["pods"]["metric"]["name"] for each in scaled[0]["spec"]["metrics"]
                     if each["type"] == "Pods")  # fmt: skip
        self.assertEqual(metric, rule["name"]["as"])
        self.assertIn(label, rule["metricsQuery"])
        with self.start(render("overlays/local"), {"/models": ROOT / "models"}) as server:
            # At zero from the start: of a series that begins with the first request the autoscaler
            # learns late, and until then it lacks the metric and takes no pod away.
            self.has_series(server, name, label)
            self.scores(server, "http")
            self.has_series(server, name, label)

    def has_series(self, server: binary.Flowgate, name: str, label: str) -> None:
        status, text = server.ask("admin", "/metrics")
        self.assertEqual(status, 200)
        self.assertRegex(text, rf"(?m)^{name}\{{[^}}]*{label}[^}}]*\}} ")


class Gate(Work):
    """A version that cannot serve ends the process; the last line says why."""

    def refused(self, model: Path, version: str) -> str:
        found = render("overlays/pinned")
        ((_, template),) = pod_templates(found)
        for each in container(template)["env"]:
            if each["name"] == "MODEL_VERSION":
                each["value"] = version
        served, variables = self.command(found, {"models:/wine-quality": model})
        variables |= {"FLOWGATE_HOST": "127.0.0.1", "FLOWGATE_PORT": "0",
                      "FLOWGATE_ADMIN_PORT": "0"}  # fmt: skip
        del variables["MLFLOW_TRACKING_URI"]
        ran = binary.run(served, variables)
        self.assertEqual(ran.returncode, 1, ran.stderr)
        last = ran.stderr.rstrip("\n").rsplit("\n", 1)[-1]
        self.assertTrue(last.startswith("flowgate: cannot serve "), last)
        self.assertLessEqual(len(last.encode()), MESSAGE_BYTES_MAX)
        return last

    def test_a_damaged_graph(self) -> None:
        model = self.work / "wine-quality"
        shutil.copytree(WINE, model)
        (model / "2/model.onnx").write_bytes((WINE / "2/model.onnx").read_bytes()[:100])
        self.assertRegex(self.refused(model, "2"), r"graph .* is damaged")

    def test_a_version_that_is_not_there(self) -> None:
        self.assertIn("wine-quality/17", self.refused(WINE, "17"))

    def test_a_model_of_another_flavor(self) -> None:
        model = self.work / "wine-quality"
        shutil.copytree(WINE, model)
        mlmodel = model / "2/MLmodel"
        mlmodel.write_text(mlmodel.read_text().replace("  onnx:\n", "  sklearn:\n", 1))
        self.assertIn("onnx", self.refused(model, "2").lower())

    def test_a_directory_without_a_model(self) -> None:
        (self.work / "empty/1").mkdir(parents=True)
        self.assertIn("holds no model", self.refused(self.work / "empty", "1"))


if __name__ == "__main__":
    unittest.main()
