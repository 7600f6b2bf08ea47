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

REVISION = "deployment.kubernetes.io/revision"
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
        self, deployment: Document, status: int = 0, others: tuple[Document, ...] = ()
    ) -> None:
        (self.home / "deployment.yaml").write_text(yaml.safe_dump(deployment))
        (self.home / "status").write_text(str(status))
        for each in others:
            path = self.home / f"{each['kind'].lower()}-{each['metadata']['name']}.yaml"
            path.write_text(yaml.safe_dump(each))

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
                self.assertIn(f"goes from version {was} to version 17", ended.stdout)
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

    def at_revision(self, revision: int) -> Document:
        """The stable Deployment, with what the controller writes to it."""
        deployment = only(render("overlays/pinned"), "Deployment")
        deployment["metadata"]["annotations"][REVISION] = str(revision)
        return deployment

    def replicas(
        self, revision: int, version: str, ready: int, track: str = "stable"
    ) -> Document:
        """The ReplicaSet of a revision; its label may be of another version than the variable."""
        template = only(render("overlays/pinned"), "Deployment")["spec"]["template"]
        its = container(template)
        next(each for each in its["env"] if each["name"] == "MODEL_VERSION")["value"] = version
        # What stands beside it may have variables of that name, or none at all.
        template["spec"]["containers"].insert(
            0, {"name": "proxy", "env": [{"name": "MODEL_VERSION", "value": "99"}]}
        )
        template["spec"]["containers"].append({"name": "logs"})
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{track}-{revision}",
                "annotations": {REVISION: str(revision)},
                "labels": {"app.kubernetes.io/name": "flowgate", "flowgate.io/track": track},
            },
            "spec": {"template": template},
            # The field is left out where it is zero.
            "status": {"readyReplicas": ready} if ready else {"replicas": 1},
        }

    def pod(self, name: str, version: str, message: str | None, track: str = "stable") -> Document:
        state = {"terminated": {"exitCode": 1, "message": message}} if message else {}
        other = {"terminated": {"exitCode": 1, "message": "another container's words"}}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {"app.kubernetes.io/name": "flowgate", "flowgate.io/track": track,
                           policy.VERSION: version},
            },
            "spec": {"containers": [{"name": "flowgate"}]},
            "status": {"containerStatuses": [{"name": "flowgate", "lastState": state},
                                             {"name": "proxy", "lastState": other}]},
        }  # fmt: skip

    def test_a_rollout_that_fails_says_what_the_new_pods_said(self) -> None:
        log = '{"level":"ERROR","fields":{"message":"refused"}}\n'
        others = (
            self.pod("flowgate-a", "4", log + SENTENCE + "\n"),
            self.pod("flowgate-b", "4", None),
            self.pod("flowgate-c", "3", "an old pod's words"),
            self.pod("flowgate-d", "4", "the canary's words", "canary"),
            self.replicas(1, "3", ready=2),
            self.replicas(2, "4", ready=0),
            self.replicas(7, "8", ready=1, track="canary"),
        )
        self.cluster(self.at_revision(2), status=1, others=others)
        ended = self.roll("4", "--namespace", "models")
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stderr.splitlines(), [
            f"rollout: pod/flowgate-a said: {SENTENCE}",
            "rollout: not all pods serve version 4; versions of the ready pods: 3",
            "rollout: to go back to version 3: kubectl rollout undo deployment flowgate "
            "--to-revision 1 --namespace models",
        ])  # fmt: skip
        # Nothing is undone by itself.
        self.assertEqual(policy.labels_of(self.deployment())[policy.VERSION], "4")

    def test_after_two_failures_the_way_back_is_to_what_serves(self) -> None:
        """The template before is of a version that has never served."""
        before = self.at_revision(3)
        policy.labels_of(before)[policy.VERSION] = "4"
        for each in container(before["spec"]["template"])["env"]:
            if each["name"] == "MODEL_VERSION":
                each["value"] = "4"
        # Revisions are numbers: 10 is newer than 9.
        for old, failed, newest in ((1, 2, 3), (9, 10, 11)):
            with self.subTest(newest=newest):
                before["metadata"]["annotations"][REVISION] = str(newest)
                self.cluster(before, status=1, others=(
                    self.replicas(old, "3", ready=4),
                    self.replicas(failed, "4", ready=0),
                    self.replicas(newest, "5", ready=0),
                ))  # fmt: skip
                ended = self.roll("5")
                self.assertEqual(ended.returncode, 1)
                self.assertEqual(ended.stderr.splitlines(), [
                    "rollout: not all pods serve version 5; versions of the ready pods: 3",
                    "rollout: to go back to version 3: kubectl rollout undo deployment flowgate "
                    f"--to-revision {old}",
                ])  # fmt: skip
            for path in self.home.glob("replicaset-*"):
                path.unlink()

    def test_a_rollout_that_stops_halfway_has_two_versions(self) -> None:
        """The newest revision with ready pods is not the way back from itself."""
        self.cluster(self.at_revision(12), status=1, others=(
            self.replicas(9, "9", ready=1), self.replicas(11, "10", ready=2),
            self.replicas(12, "11", ready=1),
        ))  # fmt: skip
        ended = self.roll("11")
        self.assertEqual(ended.stderr.splitlines(), [
            "rollout: not all pods serve version 11; versions of the ready pods: 9 10 11",
            "rollout: to go back to version 10: kubectl rollout undo deployment flowgate "
            "--to-revision 11",
        ])  # fmt: skip

    def test_where_nothing_is_ready_the_history_is_told_of(self) -> None:
        self.cluster(self.at_revision(1), status=1, others=(self.replicas(1, "4", ready=0),))
        ended = self.roll("4", "--namespace", "models")
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stderr.splitlines(), [
            "rollout: not all pods serve version 4; versions of the ready pods: none",
            "rollout: no revision before has ready pods; which there are: "
            "kubectl rollout history deployment flowgate --namespace models",
        ])  # fmt: skip

    def test_a_pod_that_vanishes_keeps_nothing_back(self) -> None:
        others = (self.pod("flowgate-a", "4", "gone"), self.pod("flowgate-b", "4", SENTENCE),
                  self.replicas(1, "3", ready=2))  # fmt: skip
        self.cluster(self.at_revision(2), status=1, others=others)
        (self.home / "vanished").write_text("flowgate-a")
        ended = self.roll("4")
        self.assertEqual(ended.returncode, 1)
        first, *_, last = ended.stderr.splitlines()
        self.assertEqual(first, f"rollout: pod/flowgate-b said: {SENTENCE}")
        self.assertIn("--to-revision 1", last)

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

    def test_bash_of_a_laptop_can_run_it(self) -> None:
        """macOS has bash 3.2, for which an empty array is not set, and `set -u` ends the script."""
        newer = r"\[[@*]\]|declare -A|mapfile|\$\{\w+,,"
        self.assertNotRegex((K8S / "rollout.sh").read_text(), newer)


if __name__ == "__main__":
    unittest.main()
