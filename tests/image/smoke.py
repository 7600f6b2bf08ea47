"""The built image, run the way a careful operator runs it.

    target/mlflow-venv/bin/python tests/image/smoke.py

Needs a Docker daemon on this machine and the images that `make image` builds. Each container has a
read-only root, no capabilities, no new privileges, and limits of memory and processors. Environment:
`DOCKER` (default docker), `IMAGE` and `TAG` (default flowgate:dev), `DEMO_TAG` (default demo). Prints
what it measured; exit code 1 when anything is not as it should be, or no daemon answers.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
from collections import Counter
from pathlib import Path

import graphs
from container import DEMO, DOCKER, HARDENED, IMAGE, ROOT, Container, docker

# The image as it is unpacked, at most.
IMAGE_BYTES_MAX = 110_000_000
STOP_SECONDS_MAX = 10
WINE = ROOT / "models/wine-quality/1"
DIGITS = "digits"
RECORDED = ROOT / "tests/fixtures/conformance"

# What Docker itself puts into every container.
MADE_BY_DOCKER = {
    ".dockerenv", "dev/console", "dev/pts", "dev/shm", "etc/hostname", "etc/hosts", "etc/mtab",
    "etc/resolv.conf",
}  # fmt: skip

FIGURES: list[str] = []


def note(text: str) -> None:
    FIGURES.append(text)


def mount(directory: Path, at: str) -> list[str]:
    return ["--volume", f"{directory}:{at}:ro"]


def wine_rows(rows: int) -> bytes:
    """A request of this many rows."""
    example = json.loads((WINE / "serving_input_example.json").read_text())["dataframe_split"]
    data = [example["data"][index % len(example["data"])] for index in range(rows)]
    return json.dumps({"dataframe_split": {"columns": example["columns"], "data": data}}).encode()


def recorded(model: str) -> tuple[bytes, dict]:
    """A request, and what MLflow's own server answered."""
    for line in (RECORDED / f"cases/{model}.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case["status"] == 200 and "predictions" in case["response_body"] and "body" in case:
            return case["body"].encode(), json.loads(case["response_body"])
    raise AssertionError(f"no answer of {model} is recorded")


class Contents(unittest.TestCase):
    """What is in the image, without running it."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.image = json.loads(docker("image", "inspect", IMAGE).stdout)[0]
        container = docker("create", IMAGE).stdout.strip()
        exported = subprocess.run([DOCKER, "export", container], capture_output=True, check=True)
        docker("rm", container)
        with tarfile.open(fileobj=io.BytesIO(exported.stdout)) as archive:
            entries = archive.getmembers()
        cls.entries = [entry for entry in entries if entry.name not in MADE_BY_DOCKER]

    def test_it_is_small(self) -> None:
        size = self.image["Size"]
        saved = subprocess.Popen([DOCKER, "save", IMAGE], stdout=subprocess.PIPE)
        packed = subprocess.run(["gzip", "-c"], stdin=saved.stdout, capture_output=True, check=True)
        saved.communicate()
        note(f"size: {size / 1e6:.1f} MB, {len(packed.stdout) / 1e6:.1f} MB compressed (save | gzip)")
        self.assertLess(size, IMAGE_BYTES_MAX)

    def test_the_one_program_is_flowgate(self) -> None:
        def is_program(entry: tarfile.TarInfo) -> bool:
            is_library = re.search(r"\.so(\.|$)", entry.name) is not None
            return entry.isfile() and entry.mode & 0o111 != 0 and not is_library

        programs = {entry.name for entry in self.entries if is_program(entry)}
        self.assertEqual(programs, {"usr/local/bin/flowgate"})
        names = [entry.name for entry in self.entries]
        self.assertFalse([name for name in names if "python" in name.lower()])
        self.assertFalse([name for name in names if re.search(r"bin/(ba|da)?sh$", name)])

    def test_no_file_gives_rights_and_none_but_the_cache_can_be_written(self) -> None:
        self.assertFalse([entry.name for entry in self.entries if entry.mode & 0o6000])
        theirs = {entry.name for entry in self.entries if entry.uid != 0 or entry.gid != 0}
        self.assertEqual(theirs, {"var/cache/flowgate", "var/lib/flowgate"})
        files = [entry for entry in self.entries if not entry.issym()]
        writable = {entry.name for entry in files if entry.mode & 0o002}
        self.assertEqual(writable, {"tmp", "var/tmp"})

    def test_scanners_and_lawyers_find_what_they_need(self) -> None:
        names = {entry.name for entry in self.entries}
        for package in ("ca-certificates", "libc6", "libgcc-s1", "libstdc++6"):
            self.assertIn(f"var/lib/dpkg/status.d/{package}", names)
            self.assertIn(f"usr/share/doc/{package}/copyright", names)
        self.assertIn("usr/share/doc/flowgate/LICENSE", names)
        self.assertIn("usr/share/doc/onnxruntime/ThirdPartyNotices.txt", names)
        self.assertIn("usr/lib/os-release", names)

    def test_it_says_what_it_is_and_runs_as_nobody(self) -> None:
        config = self.image["Config"]
        self.assertEqual(config["User"], "65532:65532")
        self.assertEqual(set(config["ExposedPorts"]), {"8080/tcp", "8082/tcp"})
        self.assertEqual(config["Healthcheck"]["Test"][:2], ["CMD", "/usr/local/bin/flowgate"])
        labels = {
            name.removeprefix("org.opencontainers.image."): value
            for name, value in config["Labels"].items()
        }
        version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)
        self.assertEqual(labels["title"], "flowgate")
        self.assertEqual(labels["licenses"], "Apache-2.0")
        self.assertEqual(labels["version"], version.group(1))
        self.assertRegex(labels["revision"], r"^[0-9a-f]{40}(-dirty)?$")
        self.assertRegex(labels["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


class Running(unittest.TestCase):
    """What a container of it does."""

    @classmethod
    def setUpClass(cls) -> None:
        cls._made = tempfile.TemporaryDirectory()
        cls.made = Path(cls._made.name)
        cls.made.chmod(0o755)

    @classmethod
    def tearDownClass(cls) -> None:
        cls._made.cleanup()

    def test_it_tells_its_version_and_its_help(self) -> None:
        for arguments, said in [(["--version"], "flowgate "), (["serve", "--help"], "--admin-port")]:
            ran = docker("run", "--rm", *HARDENED, IMAGE, *arguments)
            self.assertIn(said, ran.stdout)

    def test_answers_are_those_of_mlflow(self) -> None:
        models = ["iris_zipmap", "cnn_digits", "id_str", "churn_xgb_tensor"]
        paths = [f"/models/{model}" for model in models]
        options = mount(RECORDED / "models", "/models")
        with Container("serve", *paths, options=options) as container:
            container.wait_until_ready()
            for model in models:
                body, expected = recorded(model)
                answer = container.ask("POST", f"/invocations/{model}", body)
                self.assertEqual(answer.status, 200, answer.body)
                self.assert_near(answer.json(), expected)

    def assert_near(self, got: object, expected: object) -> None:
        """Equal but for the last digits of floats, which processors round differently."""
        if isinstance(expected, dict):
            self.assertEqual(list(got), list(expected))
            for key, value in expected.items():
                self.assert_near(got[key], value)
        elif isinstance(expected, list):
            self.assertEqual(len(got), len(expected))
            for one, other in zip(got, expected):
                self.assert_near(one, other)
        elif isinstance(expected, float):
            self.assertAlmostEqual(got, expected, delta=1e-5 * max(1.0, abs(expected)))
        else:
            self.assertEqual(got, expected)

    def test_one_model_is_ready_soon_and_small(self) -> None:
        options = mount(WINE, "/model")
        starts = []
        for _ in range(5):
            with Container("serve", "/model", options=options) as container:
                starts.append(container.wait_until_ready())
        starts.sort()
        note(f"wine-quality, one model: process start to ready {starts[2] * 1000:.0f} ms "
             f"({starts[0] * 1000:.0f} to {starts[-1] * 1000:.0f})")  # fmt: skip
        with Container("serve", "/model", options=options) as container:
            container.wait_until_ready()
            answer = container.ask("POST", "/invocations", wine_rows(2))
            self.assertEqual(answer.status, 200, answer.body)
            self.note_memory("wine-quality, one model", container)

    def note_memory(self, what: str, container: Container) -> None:
        time.sleep(1)
        metrics = container.ask("GET", "/metrics", inner=8082).body.decode()
        resident = re.search(r"^process_resident_memory_bytes (\S+)", metrics, re.M)
        stats = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container.id).stdout
        note(f"{what}: at rest {float(resident.group(1)) / 1e6:.1f} MB resident, "
             f"docker stats {stats.strip()}")  # fmt: skip

    def test_the_demo_serves_its_models(self) -> None:
        with Container(image=DEMO) as container:
            seconds = container.wait_until_ready()
            note(f"demo, three models: process start to ready {seconds * 1000:.0f} ms")
            for name in ("wine-quality", "customer-churn", DIGITS):
                example = ROOT / f"models/{name}/1/serving_input_example.json"
                answer = container.ask("POST", f"/invocations/{name}", example.read_bytes())
                self.assertEqual(answer.status, 200, answer.body)
            self.note_memory("demo, three models", container)
            metrics = container.ask("GET", "/metrics", inner=8082).body.decode()
            label = "org.opencontainers.image.revision"
            revision = docker("inspect", "--format", f'{{{{index .Config.Labels "{label}"}}}}', DEMO)
            built_from = re.search(r'^flowgate_build_info{git_sha="([^"]*)"', metrics, re.M)
            self.assertEqual(built_from.group(1), revision.stdout.strip())

    def test_it_becomes_healthy_and_is_asked_without_a_shell(self) -> None:
        options = ["--health-interval", "1s", *mount(WINE, "/model")]
        with Container("serve", "/model", options=options) as container:
            self.until_health(container, "healthy")
            ran = docker("exec", container.id, "/usr/local/bin/flowgate", "probe", "live")
            self.assertEqual(ran.stdout.strip(), '{"status":"live"}')
        # Without a version of each model it is alive, but not healthy.
        options += [
            "--env", "FLOWGATE_EXIT_ON_ERROR=false", "--health-start-period", "1s",
            "--env", "MLFLOW_TRACKING_URI=http://127.0.0.1:9",
            "--tmpfs", "/var/cache/flowgate:uid=65532",
        ]  # fmt: skip
        with Container("serve", "/model", "models:/absent@champion", options=options) as container:
            self.until_health(container, "unhealthy")
            self.assertEqual(container.ask("GET", "/live", inner=8082).status, 200)

    def until_health(self, container: Container, health: str) -> None:
        end = time.monotonic() + 40
        while (found := container.state().get("Health", {}).get("Status")) != health:
            self.assertLess(time.monotonic(), end, f"{found}: {container.logs()}")
            time.sleep(0.2)

    def test_a_cache_that_is_mounted_is_used(self) -> None:
        volume = docker("volume", "create").stdout.strip()
        try:
            options = [*mount(WINE, "/model"), "--volume", f"{volume}:/var/cache/flowgate"]
            sources = []
            for _ in range(2):
                with Container("serve", "/model", options=options) as container:
                    container.wait_until_ready()
                    sources.append(self.model(container)["batching"]["source"])
            self.assertEqual(sources, ["measured", "cache"])
        finally:
            docker("volume", "rm", volume)

    def test_the_locale_of_text_models_is_there(self) -> None:
        options = mount(graphs.upper_case(self.made / "upper"), "/upper")
        with Container("serve", "/upper", options=options) as container:
            container.wait_until_ready()
            body = json.dumps({"inputs": [["grün"], ["λόγος"], ["plain"]]}).encode()
            answer = container.ask("POST", "/invocations", body)
            self.assertEqual(answer.status, 200, answer.body)
            expected = {"capitals": ["GRÜN", "ΛΌΓΟΣ", "PLAIN"]}
            self.assertEqual(answer.json()["predictions"], expected)

    def test_threads_follow_the_processors(self) -> None:
        pools = {}
        for cpus in ("1", "2"):
            with Container("serve", "/model", cpus=cpus, options=mount(WINE, "/model")) as container:
                container.wait_until_ready()
                names = container.thread_names()
            if names is None:
                self.skipTest("the daemon's processes cannot be seen from here")
            kinds = Counter(re.sub(r"[-:_]?\d+$", "", name) for name in names)
            note(f"--cpus {cpus}: {len(names)} threads, {dict(kinds)}")
            pools[cpus] = sum(1 for name in names if name.startswith("infer"))
        if (os.cpu_count() or 1) < 2:
            self.skipTest("one processor gives one thread whatever the limit")
        self.assertEqual(pools, {"1": 1, "2": 2})

    def test_a_version_that_does_not_fit_is_refused_and_the_one_before_serves_on(self) -> None:
        folder = self.made / "dense"
        graphs.dense(folder / "1", 1)
        graphs.dense(folder / "2", 150)
        graphs.promote(folder, 1)
        with Container("serve", "/dense", memory="256m", options=mount(folder, "/dense")) as container:
            container.wait_until_ready()
            graphs.promote(folder, 2)
            end = time.monotonic() + 30
            while not (refused := self.model(container)["lifecycle"]["refused"]):
                self.assertLess(time.monotonic(), end, container.logs())
                time.sleep(0.2)
            self.assertRegex(refused[0]["cause"], "it may take .* of memory, and .* are left")
            self.assertEqual(self.model(container)["version"], 1)
            self.assertTrue(container.state()["Running"])
        # The same version alone is tried, and the log says what it may come to.
        alone = ["serve", "/dense/2"]
        with Container(*alone, memory="256m", options=mount(folder, "/dense")) as container:
            became = container.wait_until_ready_or_ended()
            self.assertRegex(container.logs(), "it may take .* of memory, and .* are left")
            note(f"150 MiB of weights in 256 MiB, nothing before: {became}, after a warning")
        with Container(*alone, memory="768m", options=mount(folder, "/dense")) as container:
            container.wait_until_ready()

    def model(self, container: Container) -> dict:
        (model,) = container.ask("GET", "/v1/models", inner=8082).json()["models"]
        return model

    def test_memory_for_requests_follows_the_limit(self) -> None:
        # 30 MB of JSON need some 300 MB while they are decoded.
        body = wine_rows(500_000)
        for memory, expected in [("192m", {413, 429}), ("2g", {200})]:
            options = mount(WINE, "/model")
            with Container("serve", "/model", memory=memory, options=options) as container:
                container.wait_until_ready()
                answer = container.ask("POST", "/invocations", body)
                self.assertIn(answer.status, expected, answer.body[:200])
                small = container.ask("POST", "/invocations", wine_rows(1))
                self.assertEqual(small.status, 200, "it serves on")
                self.assertFalse(container.state()["OOMKilled"])

    def test_sigterm_lets_a_request_finish_and_ends_with_0(self) -> None:
        rows = 200_000
        with Container("serve", "/model", memory="1g", options=mount(WINE, "/model")) as container:
            container.wait_until_ready()
            connection = http.client.HTTPConnection("127.0.0.1", container.port(8080), timeout=60)
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/invocations", wine_rows(rows), headers)
            start = time.monotonic()
            stopping = threading.Thread(target=docker, args=("stop", container.id))
            stopping.start()
            answer = connection.getresponse()
            answered = json.loads(answer.read())
            self.assertEqual((answer.status, len(answered["predictions"])), (200, rows))
            stopping.join()
            seconds = time.monotonic() - start
            self.assertEqual(container.wait_until_ended(), 0, container.logs())
            self.assertLess(seconds, STOP_SECONDS_MAX)
            note(f"SIGTERM during a request of {rows:,} rows: answered, exit code 0, {seconds:.1f} s")

    def test_sigterm_at_rest_ends_it_at_once(self) -> None:
        with Container("serve", "/model", options=mount(WINE, "/model")) as container:
            container.wait_until_ready()
            start = time.monotonic()
            docker("stop", container.id)
            seconds = time.monotonic() - start
            self.assertEqual(container.wait_until_ended(), 0)
            self.assertLess(seconds, STOP_SECONDS_MAX)
            note(f"SIGTERM at rest: {seconds:.1f} s until the container is gone")


def unusable() -> str | None:
    """Why nothing can be tried here."""
    try:
        asked = docker("version", "--format", "{{.Server.Version}}", check=False)
    except OSError as error:
        return f"{DOCKER} does not run: {error}"
    if asked.returncode != 0:
        return f"no container daemon answers {DOCKER}: {asked.stderr.strip()}"
    for image in (IMAGE, DEMO):
        if docker("image", "inspect", image, check=False).returncode != 0:
            return f"there is no image {image}: `make image` builds it"
    return None


def main() -> int:
    if cause := unusable():
        print(f"smoke: {cause} (FLOWGATE_SKIP_IMAGE=1 skips this)", file=sys.stderr)
        return 1
    result = unittest.main(exit=False, verbosity=2).result
    print("\n".join(FIGURES))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
