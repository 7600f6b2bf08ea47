"""Every pod satisfies the profile `restricted`; every rule of it can tell a pod that does not."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pod_security
from manifests import COMBINATIONS, combination, container, pod_templates

Spec = dict[str, Any]


def minimal() -> Spec:
    """A pod that says no more than it has to."""
    return {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "one",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }


def bad(rule: str) -> list[Spec]:
    """Pods that are refused by this rule, and would pass without it."""
    of_pod: dict[str, list[Spec]] = {
        "host_process": [{"windowsOptions": {"hostProcess": True}}],
        "app_armor": [{"appArmorProfile": {"type": "Unconfined"}}],
        "selinux": [
            {"seLinuxOptions": {"type": "spc_t"}},
            {"seLinuxOptions": {"user": "system_u"}},
        ],
        "sysctls": [{"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}],
        "non_root": [{"runAsNonRoot": False}, {"runAsNonRoot": None}],
        "user": [{"runAsUser": 0}],
        "seccomp": [{"seccompProfile": {"type": "Unconfined"}}, {"seccompProfile": None}],
    }
    of_container: dict[str, list[Spec]] = {
        "privileged": [{"privileged": True}],
        "capabilities": [
            {"capabilities": {}},
            {"capabilities": {"drop": ["NET_RAW"]}},
            {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
            {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}},
        ],
        "proc_mount": [{"procMount": "Unmasked"}],
        "escalation": [{"allowPrivilegeEscalation": True}, {"allowPrivilegeEscalation": None}],
        "app_armor": [{"appArmorProfile": {"type": "Unconfined"}}],
        "non_root": [{"runAsNonRoot": False}],
        "user": [{"runAsUser": 0}],
        "seccomp": [{"seccompProfile": {"type": "Unconfined"}}],
    }
    elsewhere: dict[str, list[tuple[str, Any]]] = {
        "host_namespaces": [("hostNetwork", True), ("hostPID", True), ("hostIPC", True)],
        "volumes": [
            ("volumes", [{"name": "v", kind: {}}]) for kind in ("hostPath", "nfs", "gitRepo")
        ],
    }
    in_container: dict[str, list[tuple[str, Any]]] = {
        "host_ports": [("ports", [{"containerPort": 80, "hostPort": 80}])],
        "probe_hosts": [
            ("livenessProbe", {"httpGet": {"host": "10.0.0.1", "port": 80}}),
            ("lifecycle", {"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}}),
        ],
    }
    made = []
    for change in of_pod.get(rule, []):
        made.append(minimal())
        made[-1]["securityContext"] |= change
    for change in of_container.get(rule, []):
        made.append(minimal())
        made[-1]["containers"][0]["securityContext"] |= change
    for key, value in elsewhere.get(rule, []):
        made.append(minimal() | {key: value})
    for key, value in in_container.get(rule, []):
        made.append(minimal())
        made[-1]["containers"][0][key] = value
    # Containers that run before the others, or are added while they run, are no exception.
    if rule in of_container:
        for kind in ("initContainers", "ephemeralContainers"):
            made.append(minimal())
            context = minimal()["containers"][0]["securityContext"] | of_container[rule][0]
            made[-1][kind] = [{"name": "other", "securityContext": context}]
    return made


class PodSecurity(unittest.TestCase):
    def test_every_pod_is_restricted(self) -> None:
        seen = 0
        for name in COMBINATIONS:
            for title, template in pod_templates(combination(name)):
                seen += 1
                with self.subTest(name, of=title):
                    self.assertEqual(pod_security.faults(template["spec"]), [])
        self.assertGreater(seen, len(COMBINATIONS) - 3)

    def test_every_pod_is_more_than_restricted(self) -> None:
        for name in COMBINATIONS:
            for title, template in pod_templates(combination(name)):
                with self.subTest(name, of=title):
                    of_pod = template["spec"].get("securityContext", {})
                    its = of_pod | container(template)["securityContext"]
                    self.assertIs(its["readOnlyRootFilesystem"], True)
                    # A number: the kubelet cannot tell whether a name is root.
                    self.assertEqual((its["runAsUser"], its["runAsGroup"]), (65532, 65532))

    def test_what_is_allowed_passes(self) -> None:
        self.assertEqual(pod_security.faults(minimal()), [])

    def test_every_rule_tells_a_bad_pod_and_no_other_rule_does(self) -> None:
        for rule in pod_security.RULES:
            samples = bad(rule.__name__)
            self.assertTrue(samples, f"{rule.__name__} has no bad sample")
            for sample in samples:
                with self.subTest(rule.__name__, sample=sample):
                    self.assertTrue(rule(sample))
                    others = [each for each in pod_security.RULES if each is not rule]
                    self.assertFalse([each.__name__ for each in others if each(sample)])


if __name__ == "__main__":
    unittest.main()
