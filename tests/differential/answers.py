"""What a server answered, and MLflow's own answer computed in this process.

The in-process answer runs the very function behind MLflow's `/invocations` route and wraps its
exceptions as the route does; it exists to be fast. The HTTP tests run the whole server.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A response. `body` is decoded as UTF-8; scoring answers are always ASCII."""

    status: int
    content_type: str
    body: str

    def error(self) -> dict[str, Any]:
        """The error object of a JSON error, else an empty one."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    def without_trace(self) -> Answer:
        """The answer without MLflow's traceback, which ours must not have."""
        error = self.error()
        if self.status == 200 or error.pop("stack_trace", None) is None:
            return self
        return replace(self, body=json.dumps(error))


def quiet() -> None:
    """Keeps pandas, MLflow and ONNX Runtime from commenting on every hostile request."""
    import onnxruntime

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(4)


class InProcess:
    """MLflow's answers for one model directory, without HTTP."""

    def __init__(self, directory: Path) -> None:
        os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
        from mlflow.pyfunc import scoring_server

        self._invocations = scoring_server.invocations
        self._model = scoring_server.load_model_with_mlflow_config(str(directory))
        self._schema = self._model.metadata.get_input_schema()

    def ask(self, headers: dict[str, str], body: bytes) -> Answer:
        """The answer to a POST to `/invocations`."""
        from mlflow.exceptions import MlflowException

        content_type = headers.get("Content-Type")
        # HTTP servers strip white space around a header's value.
        content_type = content_type.strip(" \t") if content_type is not None else None
        try:
            result = self._invocations(body, content_type, self._model, self._schema)
        except MlflowException as failure:
            status = failure.get_http_status_code()
            return Answer(status, "application/json", failure.serialize_as_json())
        except Exception:  # what Starlette answers for any other exception
            return Answer(500, "text/plain; charset=utf-8", "Internal Server Error")
        media = result.mimetype
        if media.startswith("text/"):
            media += "; charset=utf-8"
        return Answer(result.status, media, result.response)
