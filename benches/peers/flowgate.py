"""flowgate itself, in named configurations."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import urllib.request
from pathlib import Path

from peers.process import ServerFailed, free_port
from peers.server import MODELS, ROOT, Running, Server, run

# The variable that names a build in place of the usual one.
OWN_BUILD = "FLOWGATE_BIN"
# A file in its home that says where it listens for operators.
ADMIN_PORT = "admin_port"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Flowgate(Server):
    """The release build, or the one that FLOWGATE_BIN names, with defaults and some flags."""

    def __init__(
        self,
        name: str = "flowgate",
        flags: str = "",
        prefix: tuple[str, ...] = (),
        variable: str = OWN_BUILD,
    ) -> None:
        """`prefix`: words of a command that runs it. `variable` names another build."""
        self.name = name
        self.title = f"flowgate `{flags}`" if flags else "flowgate, its defaults"
        if prefix:
            self.title += f", by `{shlex.join(prefix)}`"
        self._prefix = prefix
        self._flags = shlex.split(flags)
        self._binary = Path(os.environ.get(variable, TARGET / "release/flowgate")).resolve()
        self._variable = variable
        self._library = ""

    def install(self) -> None:
        if self._variable != OWN_BUILD and self._variable not in os.environ:
            raise ServerFailed(f"{self._variable} names no build")
        self._library = onnxruntime_library()

    def version(self) -> str:
        """With the start of the binary's digest: builds of one version differ."""
        version = run([str(self._binary), "--version"]).split()[-1]
        return f"{version} (sha256 {hashlib.sha256(self._binary.read_bytes()).hexdigest()[:12]})"

    def command(self, model: str, port: int, home: Path) -> list[str]:
        place = self.place(model, home)
        return [*self._prefix, str(self._binary), "serve", f"{model}={place}", "--host", "127.0.0.1",
                "--port", str(port), "--log-level", "error", *self._flags]  # fmt: skip

    def place(self, model: str, home: Path) -> str:
        """The directory or registry that it serves."""
        return str(MODELS / model / "model")

    def environment(self, home: Path) -> dict[str, str]:
        """None of the caller's settings. The cache is its own, and empty where `home` is new."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FLOWGATE_")}
        admin_port = str(free_port())
        (home / ADMIN_PORT).write_text(admin_port)
        return kept | {
            "ORT_DYLIB_PATH": self._library,
            "XDG_CACHE_HOME": str(home / "cache"),
            "FLOWGATE_ADMIN_PORT": admin_port,
        }


def batch_rows_max(running: Running) -> int | None:
    """Rows of one run, at most, as the admin port tells; None where it does not."""
    port = (running.home / ADMIN_PORT).read_text()
    url = f"http://127.0.0.1:{port}/v1/models/{running.model}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(json.load(answer)["batching"]["batch_rows_max"])
    except (OSError, ValueError, KeyError):
        return None


def onnxruntime_library() -> str:
    """Where `make setup` puts it, unless ORT_DYLIB_PATH names another."""
    return os.environ.get("ORT_DYLIB_PATH") or run(["scripts/onnxruntime.sh"]).strip()
