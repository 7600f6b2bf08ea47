"""MLflow's scoring server for many models in one process.

`scoring_server.init` makes the very application that `mlflow models serve` runs; here each is
mounted under its model's name, so that 70 models cost one start-up. Started by `servers.py`:

    python mounted.py PORT NAME=DIR ...
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from answers import quiet
from fastapi import FastAPI
from mlflow.pyfunc import scoring_server


def main() -> None:
    port, *models = sys.argv[1:]
    quiet()
    app = FastAPI()
    for each in models:
        name, _, directory = each.partition("=")
        served = scoring_server.load_model_with_mlflow_config(str(Path(directory)))
        app.mount(f"/{name}", scoring_server.init(served))

    @app.get("/ping")
    async def ping() -> str:
        return "ready"

    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="critical")


if __name__ == "__main__":
    main()
