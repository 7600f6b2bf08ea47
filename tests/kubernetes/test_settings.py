"""What the manifests set is what flowgate takes, and what its documents say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import binary
import policy
import yaml
from manifests import (
    COMBINATIONS,
    ROOT,
    Document,
    arguments,
    combination,
    configuration,
    container,
    environment,
    only,
    pod_templates,
    render,
)


def known_variables() -> set[str]:
    texts = [(ROOT / "docs" / name).read_text() for name in ("config.md", "registry.md")]
    return {name for text in texts for name in re.findall(r"`((?:FLOWGATE|MLFLOW)_\w+)`", text)}


def pods() -> Iterator[tuple[str, Document, str | None]]:
    """Every kind of pod, and its configuration file."""
    for name in COMBINATIONS:
        found = combination(name)
        for title, template in pod_templates(found):
            mounted = any(each["name"] == "config" for each in template["spec"].get("volumes", []))
            yield f"{name}: {title}", template, configuration(found, template) if mounted else None


class Effective:
    """What `flowgate config` says is in force in a pod."""

    def __init__(self, template: Document, file: str | None) -> None:
        its = container(template)
        variables = environment(its)
        with tempfile.TemporaryDirectory() as work:
            if file is not None:
                mounts = {mount["name"]: mount["mountPath"] for mount in its["volumeMounts"]}
                assert variables["FLOWGATE_CONFIG"] == f"{mounts['config']}/flowgate.yaml"
                variables["FLOWGATE_CONFIG"] = f"{work}/flowgate.yaml"
                Path(variables["FLOWGATE_CONFIG"]).write_text(file)
            command, *served = (each.replace("{{.Name}}", "wine") for each in arguments(its))
            assert command == "serve", command
            ran = binary.run(["config", *served], variables)
        self.status = ran.returncode
        self.said = ran.stderr
        self.settings: dict[str, Any] = yaml.safe_load(ran.stdout) or {}


class Revision(unittest.TestCase):
    def test_an_image_says_that_files_were_not_committed(self) -> None:
        """The Makefile's own command, in a repository of its own, with `echo` for docker."""
        with tempfile.TemporaryDirectory() as work:
            home = Path(work)
            for name in ("Makefile", "Cargo.toml"):
                shutil.copy(ROOT / name, home)
            who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
            for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
                subprocess.run(["git", *words], cwd=home, check=True)
            self.assertRegex(self.revision(home), r"^[0-9a-f]{40}$")
            (home / "src").mkdir()
            # Among what the build reads, though git does not know it yet.
            (home / "src/main.rs").write_text("fn main() {}")
            self.assertRegex(self.revision(home), r"^[0-9a-f]{40}-dirty$")
            (home / "src/main.rs").unlink()
            (home / "Cargo.toml").write_text("")
            self.assertRegex(self.revision(home), r"^[0-9a-f]{40}-dirty$")

    def revision(self, home: Path) -> str:
        made = subprocess.run(["make", "--no-print-directory", "image", "DOCKER=echo"], cwd=home,
                              capture_output=True, text=True, check=True)  # fmt: skip
        first, _ = re.findall(r"FLOWGATE_GIT_SHA=(\S+)", made.stdout)
        return first


class Settings(unittest.TestCase):
    def test_flowgate_takes_what_every_pod_has_and_warns_of_nothing(self) -> None:
        seen = set()
        for name, template, file in pods():
            key = repr((file, container(template)["args"], environment(container(template))))
            if key in seen:
                continue
            seen.add(key)
            with self.subTest(name):
                found = Effective(template, file)
                self.assertEqual((found.status, found.said), (0, ""))
                self.ends_well(template, found.settings["server"])
                (model,) = found.settings["models"]
                self.assertIn(model["name"], ("wine-quality", "wine"))
                self.assertNotIn("$(", model["path"])
        self.assertGreaterEqual(len(seen), 5)

    def ends_well(self, template: Document, server: dict[str, Any]) -> None:
        """By the settings that are in force, wherever they come from."""
        # KServe's runtimes have no grace of their own: the InferenceService has.
        example = only(render("kserve/example"), "InferenceService")["spec"]["predictor"]
        grace = template["spec"].get("terminationGracePeriodSeconds",
                                     example["terminationGracePeriodSeconds"])  # fmt: skip
        times = [policy.seconds(str(server[key]))
                 for key in ("lame_duck", "shutdown_timeout", "request_timeout")]  # fmt: skip
        self.assertEqual(policy.end_faults(grace, container(template), *times), [])
        self.assertEqual(server["host"], "0.0.0.0")
        self.assertIs(server["exit_on_error"], True)
        data, admin = server["port"], server["admin_port"]
        named = {each.get("name", "http"): each["containerPort"]
                 for each in container(template)["ports"]}  # fmt: skip
        self.assertEqual(named.get("http"), data)
        self.assertEqual(named.get("admin", 8082), admin)

    def test_a_mistake_in_the_file_would_be_seen(self) -> None:
        _, template, file = next(pods())
        assert file is not None
        self.assertEqual(Effective(template, file.replace("shutdown_t", "shutdwon_t")).status, 2)
        self.assertEqual(Effective(template, file.replace("35s", "soon")).status, 2)

    def test_every_variable_is_one_that_is_documented(self) -> None:
        known = known_variables()
        self.assertIn("FLOWGATE_TIMEOUT", known)
        for name, template, _ in pods():
            with self.subTest(name):
                names = set(environment(container(template)))
                # For the arguments alone, and for every program.
                names -= {"FLOWGATE_CONFIG", "MODEL_VERSION", "TMPDIR"}
                self.assertEqual(names - known, set())

    def test_variables_that_the_comments_promise_are_documented(self) -> None:
        known = known_variables()
        for path in sorted((ROOT / "k8s").rglob("*.yaml")) + [ROOT / "docs/kubernetes.md"]:
            promised = set(re.findall(r"\b((?:FLOWGATE|MLFLOW)_[A-Z_]+[A-Z])\b", path.read_text()))
            with self.subTest(path.name):
                self.assertEqual(promised - known - {"FLOWGATE_CONFIG"}, set())

    def test_the_image_is_that_of_this_version(self) -> None:
        (version,) = re.findall(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)
        for name, template, _ in pods():
            with self.subTest(name):
                tag = "demo" if name.startswith("local") else version
                self.assertEqual(container(template)["image"], f"flowgate:{tag}")


if __name__ == "__main__":
    unittest.main()
