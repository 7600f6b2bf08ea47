"""The LitServe application that serves a graph; runs in target/peers/litserve-venv.

It takes MLflow's bodies (`dataframe_split`, `inputs`) and gives its answers' form, but checks no
signature. A batch is whatever requests wait: their rows run as one, and the outputs are cut again.
"""

from __future__ import annotations

import argparse
from typing import Any

import litserve as ls
import numpy as np
import onnxruntime as ort

BATCH_REQUESTS_MAX = 64
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class Graph(ls.LitAPI):
    """One ONNX graph of one input."""

    def __init__(self, path: str, batch_seconds: float) -> None:
        super().__init__(
            api_path="/invocations", max_batch_size=BATCH_REQUESTS_MAX, batch_timeout=batch_seconds
        )
        self._path = path

    def setup(self, device: str) -> None:
        options = ort.SessionOptions()
        # There is a process a core; more threads within a run would only take turns.
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(
            self._path, options, providers=["CPUExecutionProvider"]
        )
        (self._input,) = self._session.get_inputs()
        self._outputs = [each.name for each in self._session.get_outputs()]

    # No annotation of `request`: LitServe takes one as the shape of the body to check.
    def decode_request(self, request) -> np.ndarray:
        split = request.get("dataframe_split")
        rows = split["data"] if split is not None else request["inputs"]
        return np.asarray(rows, dtype=TYPES[self._input.type])

    def batch(self, inputs: list[np.ndarray]) -> tuple[list[int], np.ndarray]:
        return [len(each) for each in inputs], np.concatenate(inputs)

    def predict(self, batch: tuple[list[int], np.ndarray]) -> tuple[list[int], list[np.ndarray]]:
        sizes, rows = batch
        return sizes, self._session.run(None, {self._input.name: rows})

    def unbatch(self, output: tuple[list[int], list[np.ndarray]]) -> list[list[np.ndarray]]:
        sizes, tensors = output
        ends = np.cumsum(sizes)
        return [
            [tensor[end - size : end] for tensor in tensors]
            for size, end in zip(sizes, ends, strict=True)
        ]

    def encode_response(self, output: list[np.ndarray]) -> dict[str, Any]:
        named = zip(self._outputs, output, strict=True)
        return {"predictions": {name: tensor.tolist() for name, tensor in named}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graph", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--batch-seconds", type=float, required=True)
    options = parser.parse_args()
    server = ls.LitServer(
        Graph(options.graph, options.batch_seconds), accelerator="cpu",
        workers_per_device=options.workers, timeout=False, restart_workers=False,
    )  # fmt: skip
    server.run(
        host="127.0.0.1", port=options.port, num_api_servers=options.workers,
        log_level="warning", generate_client_file=False, access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
