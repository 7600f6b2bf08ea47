"""k8s/rollout.sh changes a version in one revision, and says why a rollout failed."""

from __future__ import annotations

import copy
import json
import os
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import policy
import yaml
from manifests import K8S, ROOT, Document, container, kubectl, only, render
from test_policy import restored

SENTENCE = "flowgate: cannot serve models:/wine-quality/4: it has no file model.onnx"


class Rollout(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.home = Path(place.name)
        (self.home / "bin").mkdir()
        stub = self.home / "bin/kubectl"
        # The interpreter of this test, whatever the PATH has.
        program = [sys.executable, str(Path(__file__).resolve().parent / "stub_cluster.py")]
        stub.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
        stub.chmod(0o755)

    def cluster(
        self, deployment: Document, status: int = 0, pods: tuple[Document, ...] = ()
    ) -> None:
        (self.home / "deployment.yaml").write_text(yaml.safe_dump(deployment))
        (self.home / "status").write_text(str(status))
        for pod in pods:
            path = self.home / f"pod-{pod['metadata']['name']}.yaml"
            path.write_text(yaml.safe_dump(pod))

    def deployment(self) -> Document:
        return yaml.safe_load((self.home / "deployment.yaml").read_text())

    def calls(self) -> list[list[str]]:
        path = self.home / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def roll(self, *words: str) -> subprocess.CompletedProcess[str]:
        variables = os.environ | {
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "CLUSTER": str(self.home), "KUBECTL": kubectl(),
        }  # fmt: skip
        return subprocess.run(
            [str(K8S / "rollout.sh"), *words], capture_output=True, text=True, env=variables
        )

    def test_version_label_and_cause_change_in_one_patch_and_nothing_else_does(self) -> None:
        for overlay, name in (("pinned", "flowgate"), ("canary", "flowgate-canary")):
            with self.subTest(overlay):
                before = only(render(f"overlays/{overlay}"), "Deployment")
                was = policy.labels_of(before)[policy.VERSION]
                self.cluster(before)
                ended = self.roll("--deployment", name, "17", "--namespace", "models")
                self.assertEqual((ended.returncode, ended.stderr), (0, ""))
                self.assertIn(f"from version {was} to version 17", ended.stdout)
                after = self.deployment()
                self.assertEqual(policy.pinned([after]), [])
                self.assertEqual(policy.labels_of(after)[policy.VERSION], "17")
                self.assertEqual(restored(after, "17", was), before)
                patches = [call for call in self.calls() if call[0] == "patch"]
                self.assertEqual(len(patches), 1)
                for call in self.calls():
                    self.assertIn("--namespace", call)
                (self.home / "calls.jsonl").unlink()

    def test_back_and_forth_is_as_before(self) -> None:
        before = only(render("overlays/pinned"), "Deployment")
        self.cluster(before)
        self.assertEqual(self.roll("4").returncode, 0)
        self.assertEqual(self.roll("3").returncode, 0)
        self.assertEqual(self.deployment(), before)

    def pod(self, name: str, version: str, message: str | None, track: str = "stable") -> Document:
        state = {"terminated": {"exitCode": 1, "message": message}} if message else {}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {"app.kubernetes.io/name": "flowgate", "flowgate.io/track": track,
                           policy.VERSION: version},
            },
            "spec": {"containers": [{"name": "flowgate"}]},
            "status": {"containerStatuses": [{"name": "flowgate", "lastState": state}]},
        }  # fmt: skip

    def test_a_rollout_that_fails_says_what_the_new_pods_said(self) -> None:
        log = '{"level":"ERROR","fields":{"message":"refused"}}\n'
        pods = (
            self.pod("flowgate-a", "4", log + SENTENCE + "\n"),
            self.pod("flowgate-b", "4", None),
            self.pod("flowgate-c", "3", "an old pod's words"),
            self.pod("flowgate-d", "4", "the canary's words", "canary"),
        )
        self.cluster(only(render("overlays/pinned"), "Deployment"), status=1, pods=pods)
        ended = self.roll("4", "--namespace", "models")
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stderr.splitlines(), [
            f"rollout: pod/flowgate-a said: {SENTENCE}",
            "rollout: version 4 does not serve; pods of version 3 do",
            "rollout: to go back: kubectl rollout undo deployment flowgate --namespace models",
        ])  # fmt: skip
        # Nothing is undone by itself.
        self.assertEqual(policy.labels_of(self.deployment())[policy.VERSION], "4")

    def test_what_makes_no_sense_changes_nothing(self) -> None:
        self.cluster(only(render("overlays/pinned"), "Deployment"))
        for words in ([], ["champion"], ["03"], ["4;5"], [""], ["--deployment"],
                      ["--deployment", "flowgate"], ["-1"], ["v4"]):  # fmt: skip
            with self.subTest(words):
                ended = self.roll(*words)
                self.assertEqual(ended.returncode, 2)
                self.assertIn("usage:", ended.stderr)
        self.assertEqual(self.calls(), [])

    def test_a_deployment_that_is_not_pinned_is_left_alone(self) -> None:
        self.cluster(only(render("overlays/hot-swap"), "Deployment"))
        ended = self.roll("4")
        self.assertEqual(ended.returncode, 1)
        self.assertIn("not pinned", ended.stderr)
        self.assertEqual([call[0] for call in self.calls()], ["get"])

    def test_a_deployment_that_is_not_there_is_told(self) -> None:
        self.cluster(only(render("overlays/pinned"), "Deployment"))
        self.assertNotEqual(self.roll("--deployment", "churn", "4").returncode, 0)


class SetEnv(unittest.TestCase):
    def test_kubectl_set_env_leaves_label_and_cause_behind(self) -> None:
        """As docs/kubernetes.md says."""
        before = only(render("overlays/pinned"), "Deployment")
        made = subprocess.run(
            [kubectl(), "set", "env", "--local", "--filename", "-", "--output", "yaml",
             "MODEL_VERSION=4"],
            input=yaml.safe_dump(before), capture_output=True, text=True, check=True,
        )  # fmt: skip
        after = yaml.safe_load(made.stdout)
        (fault,) = policy.pinned([after])
        self.assertIn("serves 4, is labelled 3", fault)
        expected = copy.deepcopy(before)
        for each in container(expected["spec"]["template"])["env"]:
            if each["name"] == "MODEL_VERSION":
                each["value"] = "4"
        after["metadata"].pop("creationTimestamp", None)
        after.pop("status", None)
        after["spec"]["template"]["metadata"].pop("creationTimestamp", None)
        self.assertEqual(after, expected)


class Scripts(unittest.TestCase):
    def test_bash_can_read_them(self) -> None:
        scripts = [K8S / "rollout.sh", *sorted((ROOT / "scripts").glob("kube*.sh")),
                   *sorted(Path(__file__).resolve().parent.glob("*.sh"))]  # fmt: skip
        for script in scripts:
            with self.subTest(script.name):
                subprocess.run(["bash", "-n", str(script)], check=True)
                self.assertTrue(os.access(script, os.X_OK), "it cannot be run")


if __name__ == "__main__":
    unittest.main()
