"""Everything renders, and is what a strict API server takes, of an old and of a new version."""

from __future__ import annotations

import copy
import re
import sys
import unittest
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import strict
import yaml
from manifests import COMBINATIONS, K8S, Document, combination, only, render, text_of, title

OLDEST, NEWEST = strict.versions()[0], strict.versions()[-1]


def roots() -> list[Path]:
    """What `kubectl apply -k` takes; components are part of others."""
    found = sorted(path.parent for path in K8S.rglob("kustomization.yaml"))
    return [each for each in found if each.parent.name != "components"]


class Schemas(unittest.TestCase):
    def test_whatever_can_be_applied_renders_and_is_part_of_a_combination(self) -> None:
        used = {base for parts in COMBINATIONS.values() for base, _ in parts}
        for root in roots():
            with self.subTest(root.name):
                self.assertTrue(text_of(root))
                place = str(root.relative_to(K8S))
                self.assertTrue(place in used or place == "base", place)

    def test_every_component_is_part_of_a_combination(self) -> None:
        used = {each for parts in COMBINATIONS.values() for _, more in parts for each in more}
        # Named by kustomizations that are.
        named = set().union(*(
            re.findall(r"^ +- (?:\.\./)+(?:components/)?([\w-]+)$", path.read_text(), re.M)
            for path in K8S.rglob("kustomization.yaml")
        ))  # fmt: skip
        there = {path.name for path in (K8S / "components").iterdir()}
        self.assertEqual(there - used - named, set())

    def test_every_object_is_one_that_the_oldest_and_the_newest_version_take(self) -> None:
        self.assertNotEqual(OLDEST, NEWEST)
        seen: dict[str, Document] = {}
        for name in COMBINATIONS:
            for document in combination(name):
                # Many are the same in several combinations.
                if document in seen.values():
                    continue
                seen[f"{name}: {title(document)}"] = document
                for version in (OLDEST, NEWEST):
                    with self.subTest(name, of=title(document), version=version):
                        self.assertEqual(strict.faults(document, version), [])
        self.assertGreater(len(seen), 20)

    def test_what_is_applied_as_a_file_is_taken_as_well(self) -> None:
        monitor = yaml.safe_load((K8S / "kserve/pod-monitor.yaml").read_text())
        self.assertEqual(strict.faults(monitor, NEWEST), [])


class Strictness(unittest.TestCase):
    """The check can fail."""

    def refused(self, document: Document, change: Callable[[Document], None], word: str) -> None:
        self.assertEqual(strict.faults(document, NEWEST), [])
        for version in (OLDEST, NEWEST):
            changed = copy.deepcopy(document)
            change(changed)
            found = strict.faults(changed, version)
            self.assertTrue(found, f"{title(document)}, {version}: {word} passes")
            self.assertIn(word, " ".join(found))

    def test_a_misspelt_field_is_refused_wherever_it_is(self) -> None:
        pinned = render("overlays/pinned", "scrape")
        for kind in ("Deployment", "Service", "NetworkPolicy", "HorizontalPodAutoscaler",
                     "PodDisruptionBudget", "PodMonitor"):  # fmt: skip
            with self.subTest(kind):
                self.refused(only(pinned, kind),
                             lambda it: it["spec"].update(selektor={}), "selektor")  # fmt: skip
        deployment = only(pinned, "Deployment")
        one = ["template", "spec", "containers", 0]
        for path in (
            ["template", "spec"], one, [*one, "securityContext"],
            [*one, "readinessProbe", "httpGet"], ["strategy", "rollingUpdate"],
        ):  # fmt: skip

            def misspell(it: Document, path: list = path) -> None:
                place = it["spec"]
                for step in path:
                    place = place[step]
                place["tpyo"] = 1

            self.refused(deployment, misspell, "tpyo")
        self.refused(only(pinned, "ServiceAccount"),
                     lambda it: it.update(automountToken=False), "automountToken")  # fmt: skip

    def test_a_wrong_type_is_refused(self) -> None:
        pinned = render("overlays/pinned")
        self.refused(only(pinned, "Deployment"),
                     lambda it: it["spec"].update(minReadySeconds="5"), "5")  # fmt: skip
        # YAML reads an unquoted version as a number.
        self.refused(only(pinned, "Deployment"), lambda it: it["spec"]["template"]["spec"]
                     ["containers"][0]["env"][0].update(value=3), "3")  # fmt: skip
        self.refused(only(pinned, "HorizontalPodAutoscaler"),
                     lambda it: it["spec"].update(maxReplicas="ten"), "ten")  # fmt: skip

    def test_custom_objects_are_held_to_their_schemas(self) -> None:
        monitor = only(render("overlays/pinned", "scrape"), "PodMonitor")
        endpoint = "podMetricsEndpoints"
        self.refused(monitor, lambda it: it["spec"][endpoint][0].update(prot="admin"), "prot")
        self.refused(monitor, lambda it: it["spec"][endpoint][0].update(interval=15), "15")
        self.refused(monitor, lambda it: it["spec"].pop("selector"), "selector")
        route = only(render("overlays/canary-gateway"), "HTTPRoute")

        def behind(it: Document) -> Document:
            return it["spec"]["rules"][0]["backendRefs"][0]

        self.refused(route, lambda it: behind(it).update(weigth=1), "weigth")
        self.refused(route, lambda it: behind(it).update(weight="5"), "5")
        rule = only(render("monitoring"), "PrometheusRule")
        self.refused(rule, lambda it: it["spec"]["groups"][0]["rules"][0].update(exp=""), "exp")
        runtime = only(render("kserve"), "ClusterServingRuntime")
        self.refused(runtime, lambda it: it["spec"].update(protocols=[]), "protocols")
        self.refused(runtime, lambda it: it["spec"]["containers"][0].update(arg=[]), "arg")
        service = only(render("kserve/example"), "InferenceService")
        self.refused(service, lambda it: it["spec"]["predictor"]["model"].update(uri=""), "uri")

    def test_a_kind_that_nobody_knows_is_refused(self) -> None:
        service = only(render("overlays/pinned"), "Service")
        self.assertTrue(strict.faults(service | {"apiVersion": "v3"}, NEWEST))
        monitor = only(render("overlays/pinned", "scrape"), "PodMonitor")
        self.assertTrue(strict.faults(monitor | {"apiVersion": "monitoring.coreos.com/v2"}, NEWEST))


if __name__ == "__main__":
    unittest.main()
