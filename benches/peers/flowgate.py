"""flowgate itself, in named configurations."""

from __future__ import annotations

import hashlib
import os
import shlex
from pathlib import Path

from peers.server import MODELS, ROOT, Server, run

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Flowgate(Server):
    """The release build, or the one that FLOWGATE_BIN names, with defaults and some flags."""

    def __init__(self, name: str = "flowgate", flags: str = "") -> None:
        self.name = name
        self.title = f"flowgate `{flags}`" if flags else "flowgate, its defaults"
        self._flags = shlex.split(flags)
        self._binary = Path(os.environ.get("FLOWGATE_BIN", TARGET / "release/flowgate")).resolve()
        self._library = ""

    def install(self) -> None:
        self._library = onnxruntime_library()

    def version(self) -> str:
        """With the start of the binary's digest: builds of one version differ."""
        version = run([str(self._binary), "--version"]).split()[-1]
        return f"{version} (sha256 {hashlib.sha256(self._binary.read_bytes()).hexdigest()[:12]})"

    def command(self, model: str, port: int, home: Path) -> list[str]:
        directory = MODELS / model / "model"
        return [str(self._binary), "serve", f"{model}={directory}", "--host", "127.0.0.1",
                "--admin-port", "off", "--port", str(port), "--log-level", "error", *self._flags]  # fmt: skip

    def environment(self, home: Path) -> dict[str, str]:
        """None of the caller's settings, and a cache of its own: empty where `home` is new."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FLOWGATE_")}
        own = {"ORT_DYLIB_PATH": self._library, "XDG_CACHE_HOME": str(home / "cache")}
        return kept | own


def onnxruntime_library() -> str:
    """Where `make setup` puts it, unless ORT_DYLIB_PATH names another."""
    return os.environ.get("ORT_DYLIB_PATH") or run(["scripts/onnxruntime.sh"]).strip()
