"""Every rendering holds to every rule of policy.py, and every rule can be broken."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import policy
from manifests import (
    COMBINATIONS,
    K8S,
    Document,
    beside,
    combination,
    container,
    documents,
    of_kind,
    only,
    render,
    sample,
    text_of,
    title,
)

Found = list[Document]


def pod(found: Found) -> Document:
    return only(found, "Deployment", "flowgate")["spec"]["template"]["spec"]


def spec(found: Found, kind: str, name: str = "flowgate") -> Document:
    return only(found, kind, name)["spec"]


def its(found: Found) -> Document:
    return pod(found)["containers"][0]


def labels(found: Found) -> Document:
    return spec(found, "Deployment")["template"]["metadata"]["labels"]


def configured(found: Found, before: str, after: str) -> None:
    """Changes the text of the stable pods' configuration file."""
    name = next(volume["configMap"]["name"] for volume in pod(found)["volumes"]
                if volume["name"] == "config")  # fmt: skip
    data = only(found, "ConfigMap", name)["data"]
    assert before in data["flowgate.yaml"], before
    data["flowgate.yaml"] = data["flowgate.yaml"].replace(before, after)


# What breaks a rule, by the rule's name, in the rendering `canary-gateway, all` or `canary`.
BREAKS: dict[str, list[Callable[[Found], Any]]] = {
    "tags": [
        lambda f: its(f).update(image="flowgate"),
        lambda f: its(f).update(image="flowgate:latest"),
        lambda f: its(f).update(image="registry.example:5000/flowgate"),
    ],
    "resources": [
        lambda f: its(f).pop("resources"),
        lambda f: its(f)["resources"]["limits"].pop("cpu"),
        lambda f: its(f)["resources"]["requests"].update(memory="512Mi"),
        lambda f: its(f)["resources"]["requests"].update(cpu="2500m"),
    ],
    "token": [
        lambda f: pod(f).pop("automountServiceAccountToken"),
        lambda f: only(f, "ServiceAccount").update(automountServiceAccountToken=True),
    ],
    "pod_basics": [
        lambda f: pod(f).pop("enableServiceLinks"),
        lambda f: its(f).pop("terminationMessagePolicy"),
    ],
    "references": [
        lambda f: pod(f)["volumes"][0].update(configMap={"name": "flowgate-config"}),
        lambda f: f.remove(of_kind(f, "ConfigMap")[0]),
        lambda f: its(f)["envFrom"][0]["secretRef"].pop("optional"),
        lambda f: its(f)["volumeMounts"].pop(),
        lambda f: pod(f).update(serviceAccountName="default"),
    ],
    "own_selectors": [
        lambda f: spec(f, "Deployment")["selector"]["matchLabels"].pop("flowgate.io/track"),
        lambda f: labels(f).update({"flowgate.io/track": "canary"}),
        lambda f: spec(f, "Deployment")["selector"]["matchLabels"].update({policy.VERSION: "3"}),
        lambda f: pod(f)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].pop(
            "flowgate.io/track"
        ),
    ],
    "other_selectors": [
        lambda f: spec(f, "Service")["selector"].update(app="flowgate"),
        lambda f: spec(f, "PodDisruptionBudget")["selector"]["matchLabels"].update(
            {"flowgate.io/track": "stable"}
        ),
        lambda f: spec(f, "PodMonitor")["selector"]["matchLabels"].update(app="flowgate"),
        lambda f: f.remove(only(f, "NetworkPolicy")),
        lambda f: f.append(only(f, "PodDisruptionBudget")),
    ],
    "service_ports": [
        lambda f: spec(f, "Service")["ports"][0].update(targetPort="https"),
        lambda f: spec(f, "Service")["ports"][0].update(targetPort="admin"),
    ],
    "scrape_ports": [
        lambda f: spec(f, "PodMonitor")["podMetricsEndpoints"][0].update(port="http"),
        lambda f: only(f, "PodMonitor")["metadata"].update(name="models"),
        lambda f: spec(f, "NetworkPolicy")["ingress"].pop(1),
        lambda f: spec(f, "NetworkPolicy")["ingress"][1]["ports"][0].update(port=8081),
        lambda f: spec(f, "NetworkPolicy")["ingress"][1]["from"][0]["namespaceSelector"].update(
            matchLabels={"kubernetes.io/metadata.name": "default"}
        ),
    ],
    "probe_ports": [
        lambda f: its(f)["livenessProbe"]["httpGet"].update(path="/ready"),
        lambda f: its(f)["readinessProbe"]["httpGet"].update(port="http"),
        lambda f: its(f).pop("startupProbe"),
    ],
    "budget": [
        lambda f: spec(f, "PodDisruptionBudget").update(maxUnavailable=0),
        lambda f: spec(f, "PodDisruptionBudget").update(maxUnavailable=5),
    ],
    "autoscaling": [
        lambda f: spec(f, "HorizontalPodAutoscaler")["scaleTargetRef"].update(name="flowgate-old"),
        lambda f: spec(f, "Deployment").update(replicas=3),
        lambda f: spec(f, "HorizontalPodAutoscaler").update(minReplicas=20),
        lambda f: spec(f, "HorizontalPodAutoscaler")["metrics"].pop(),
    ],
    "policy_ports": [
        lambda f: spec(f, "NetworkPolicy")["ingress"].pop(0),
        lambda f: spec(f, "NetworkPolicy")["ingress"][1].pop("from"),
        lambda f: spec(f, "NetworkPolicy")["policyTypes"].pop(),
        lambda f: spec(f, "NetworkPolicy")["egress"].pop(0),
        lambda f: spec(f, "NetworkPolicy")["egress"].pop(1),
    ],
    "rolling": [
        lambda f: spec(f, "Deployment")["strategy"]["rollingUpdate"].update(maxUnavailable=1),
        lambda f: its(f)["startupProbe"].update(failureThreshold=300),
        lambda f: spec(f, "Deployment").update(revisionHistoryLimit=0),
    ],
    "ending": [
        lambda f: pod(f).update(terminationGracePeriodSeconds=30),
        lambda f: configured(f, "lame_duck: 10s", "lame_duck: 0s"),
        lambda f: configured(f, "  lame_duck: 10s\n", ""),
        lambda f: configured(f, "lame_duck: 10s", "lame_duck: 30s"),
        lambda f: configured(f, "request_timeout: 30s", "request_timeout: 1m"),
        lambda f: its(f).update(lifecycle={"preStop": {"exec": {"command": ["sleep", "5"]}}}),
        lambda f: its(f).update(lifecycle={"preStop": {"sleep": {"seconds": 15}}}),
    ],
    "cache": [
        lambda f: configured(f, "bytes_max: 2GiB", "bytes_max: 20GiB"),
        lambda f: configured(f, "dir: /var", "dir: /tmp"),
        lambda f: its(f)["env"].remove({"name": "TMPDIR", "value": "/var/cache/flowgate"}),
        lambda f: pod(f)["volumes"][1]["emptyDir"].pop("sizeLimit"),
        lambda f: its(f)["resources"]["limits"].update({"ephemeral-storage": "2Gi"}),
    ],
    "pinned": [
        lambda f: labels(f).update({policy.VERSION: "2"}),
        lambda f: labels(f).pop(policy.VERSION),
        lambda f: next(e for e in its(f)["env"] if e["name"] == "MODEL_VERSION").update(value="2"),
        lambda f: only(f, "Deployment", "flowgate")["metadata"].pop("annotations"),
        lambda f: its(f).update(args=["serve", "/models/wine-quality/3"]),
    ],
    "route": [
        lambda f: spec(f, "HTTPRoute")["rules"][0]["backendRefs"][0].update(name="flowgate-old"),
        lambda f: spec(f, "HTTPRoute")["rules"][0]["backendRefs"][0].update(name="flowgate"),
        lambda f: spec(f, "HTTPRoute")["rules"][0]["backendRefs"][0].update(port=8080),
        lambda f: spec(f, "HTTPRoute")["rules"][0]["backendRefs"][0].update(weight=50),
    ],
    "identities": [lambda f: f.append(only(f, "PodDisruptionBudget"))],
    "namespace": [lambda f: only(f, "PodDisruptionBudget")["metadata"].update(namespace="other")],
}


class Policy(unittest.TestCase):
    def test_every_rendering_holds_to_every_rule(self) -> None:
        for name in COMBINATIONS:
            found = combination(name)
            for rule in policy.RULES:
                with self.subTest(name, rule=rule.__name__):
                    self.assertEqual(rule(found), [])

    def test_every_rule_can_be_broken(self) -> None:
        self.assertEqual({rule.__name__ for rule in policy.RULES}, set(BREAKS))
        for rule in policy.RULES:
            for number, change in enumerate(BREAKS[rule.__name__]):
                with self.subTest(rule.__name__, number=number):
                    found = combination("canary-gateway, all")
                    if rule.__name__ == "cache":
                        found = combination("canary")
                    change(found)
                    self.assertTrue(rule(found), "nothing is said")

    def test_a_cache_on_a_volume_fits_it(self) -> None:
        def variable(found: Found) -> Document:
            (one,) = (e for e in its(found)["env"] if e["name"] == "FLOWGATE_CACHE_BYTES_MAX")
            return one

        changes: list[Callable[[Found], Any]] = [
            lambda f: variable(f).update(value="20GiB"),
            # The file's bound, of a small cache, is in force.
            lambda f: its(f)["env"].remove(variable(f)),
            lambda f: its(f)["resources"]["limits"].update({"ephemeral-storage": "4Gi"}),
        ]
        for change in changes:
            found = render("overlays/pinned", "cache-on-volume")
            self.assertEqual(policy.cache(found), [])
            change(found)
            self.assertTrue(policy.cache(found), "nothing is said")

    def test_a_namespace_that_takes_any_pod_is_told(self) -> None:
        found = combination("local")
        only(found, "Namespace")["metadata"]["labels"].clear()
        self.assertTrue(policy.namespace(found))


class Changes(unittest.TestCase):
    """What one line changes."""

    def edited(self, overlay: str, file: str, before: str, after: str) -> Found:
        with tempfile.TemporaryDirectory() as work:
            copy = Path(work).resolve() / "k8s"
            shutil.copytree(K8S, copy)
            text = (copy / file).read_text()
            self.assertEqual(text.count(before), 1, f"{file}: {before}")
            (copy / file).write_text(text.replace(before, after))
            return documents(text_of(copy / overlay))

    def test_a_setting_rolls_the_pods(self) -> None:
        before = render("overlays/hot-swap")
        after = self.edited("overlays/hot-swap", "base/flowgate.yaml", "2GiB", "1GiB")
        names = [only(found, "ConfigMap")["metadata"]["name"] for found in (before, after)]
        self.assertNotEqual(*names)
        volumes = [pod(found)["volumes"][0]["configMap"]["name"] for found in (before, after)]
        self.assertEqual(volumes, names)

    def test_one_line_changes_the_version_in_all_three_places(self) -> None:
        for overlay, name, line in (
            ("pinned", "flowgate", "version=3"),
            ("local", "flowgate", "version=1"),
            ("canary", "flowgate-canary", "version=4"),
        ):
            with self.subTest(overlay):
                place = f"overlays/{overlay}"
                after = self.edited(place, f"{place}/kustomization.yaml", line, "version=17")
                one = only(after, "Deployment", name)
                self.assertEqual(policy.pinned(after), [])
                self.assertEqual(policy.labels_of(one)[policy.VERSION], "17")
                before = only(render(place), "Deployment", name)
                self.assertEqual(restored(one, "17", line.split("=")[1]), before)

    def test_a_second_deployment_beside_the_first_selects_its_own_pods(self) -> None:
        """As docs/kubernetes.md says, with the components that have selectors of their own."""
        more = ["scrape", "autoscale-on-queue"]
        for first in ("overlays/hot-swap", "overlays/pinned"):
            with self.subTest(first):
                its = sample("nameSuffix: -churn")
                its["components"] = [f"../flowgate/k8s/components/{each}" for each in more]
                second = beside(its)
                both = render(first, *more) + second
                for rule in policy.RULES:
                    self.assertEqual(rule(both), [], rule.__name__)
                for each in of_kind(both, "Service"):
                    behind = policy.selected(both, each["spec"]["selector"])
                    self.assertEqual(len(behind), 1, title(each))
                served = container(only(second, "Deployment")["spec"]["template"])["args"]
                self.assertEqual(served, ["serve", "churn=models:/churn@champion"])

    def test_a_second_deployment_whose_scrape_takes_the_first_is_told(self) -> None:
        """kustomize knows no selectors of custom objects: the sample names that of the scrape."""
        its = sample("nameSuffix: -churn")
        its["components"] = ["../flowgate/k8s/components/scrape"]
        del its["labels"][0]["fields"]
        both = render("overlays/hot-swap", "scrape") + beside(its)
        self.assertTrue(policy.other_selectors(both))


def restored(deployment: Document, version: str, before: str) -> Document:
    """The Deployment with the version taken back in the three places that may have it."""
    template = deployment["spec"]["template"]
    cause = deployment["metadata"]["annotations"]
    cause[policy.CAUSE] = re.sub(rf"\b{version}$", before, cause[policy.CAUSE])
    template["metadata"]["labels"][policy.VERSION] = before
    for each in container(template)["env"]:
        if each["name"] == "MODEL_VERSION":
            each["value"] = before
    return deployment


if __name__ == "__main__":
    unittest.main()
