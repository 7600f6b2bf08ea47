"""Generates request cases and answers them with MLflow, in one process, without HTTP.

    python oracle.py generate --models-dir DIR --out CASES_DIR [--count 200] [--seed 1]
        writes CASES_DIR/<model>.jsonl for every model directory in DIR, answers included
    python oracle.py answer --models-dir DIR --cases FILE.jsonl [--out ANSWERS.jsonl]
        answers the requests of a file (fields `model`, `case`, `headers`, `body` or `body_b64`)

Both write one JSON object a line: model, case, method, path, headers, body or body_b64, status,
response_headers, response_body, class, compare. `compare` says how to judge another server:
`json_tolerance` (numbers within rtol 1e-4, atol 1e-6; int or float, key order strict), `error`
(status, content type, error_code, sqlstate, error_class) or `exact`. The Python traceback that
MLflow puts into some errors is replaced by a marker.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import subject as subjects
from answers import Answer, InProcess, quiet
from generator import Generator


def case_line(model: str, case: str, headers: dict[str, str], body: bytes, answer: Answer) -> dict:
    """A request and its answer in the schema of recorded cases."""
    line: dict[str, Any] = {
        "model": model, "case": case, "method": "POST", "path": "/invocations", "headers": headers,
    }  # fmt: skip
    try:
        line["body"] = body.decode("utf-8")
    except UnicodeDecodeError:
        line["body_b64"] = base64.b64encode(body).decode()
    text, described, compare = answer.body, {"kind": "text"}, "exact"
    if answer.status == 200:
        described, compare = {"kind": "ok"}, "json_tolerance"
    elif answer.content_type == "application/json":
        error = answer.error()
        has_trace = "stack_trace" in error
        if has_trace:
            # Kept until here because the trace is what tells one failure from another.
            described = {"kind": kind_of(error), "cause": error["stack_trace"].splitlines()[-1]}
            error["stack_trace"] = "(python traceback)"
            text = json.dumps(error)
        else:
            described = {"kind": kind_of(error)}
        for key in ("error_code", "sqlstate", "error_class"):
            described[key] = error.get(key)
        described["has_stack_trace"] = has_trace
        compare = "error"
    return line | {
        "status": answer.status,
        "response_headers": {"content-type": answer.content_type},
        "response_body": text,
        "class": described,
        "compare": compare,
    }


def kind_of(error: dict[str, Any]) -> str:
    """The situation of an error, told by its message."""
    message = error.get("message", "")
    rules = [
        ("json_syntax", "valid JSON formatted string. Error: "),
        ("top_level_keys", "exactly one of the input fields"),
        ("utf8", "valid UTF-8 encoded string"),
        ("csv", "`pandas.DataFrame.to_csv()`"),
        ("parquet", "`pandas.DataFrame.to_parquet()`"),
        ("column_conversion", "Data is not compatible with model signature"),
        ("df_split", "split"),
        ("df_records", "Dataframe records format"),
        ("schema", "Failed to enforce schema"),
        ("params", "Invalid parameters found"),
        ("params", "Parameters must be a dictionary"),
        ("predict_exception", "unexpected error while evaluating the model"),
        ("other_invalid_input", "Invalid input."),
    ]
    return next((kind for kind, text in rules if text in message), "other")


def generate(models: Path, out: Path, count: int, seed: int) -> Counter:
    out.mkdir(parents=True, exist_ok=True)
    totals: Counter = Counter()
    for directory in model_dirs(models):
        generator = Generator(subjects.read(directory), seed)
        server = InProcess(directory)
        with (out / f"{directory.name}.jsonl").open("w") as sink:
            for _ in range(count):
                request = generator.request()
                answer = server.ask(request.headers, request.body)
                line = case_line(
                    request.model, request.case, request.headers, request.body, answer
                )
                sink.write(json.dumps(line) + "\n")
                totals[f"{answer.status} {line['class']['kind']}"] += 1
    return totals


def answer_file(models: Path, cases: Path, out: Path | None) -> Counter:
    servers: dict[str, InProcess] = {}
    totals: Counter = Counter()
    sink = out.open("w") if out else sys.stdout
    with cases.open() as source:
        for text in source:
            given = json.loads(text)
            name = given["model"]
            if name not in servers:
                servers[name] = InProcess(models / name)
            body = base64.b64decode(given["body_b64"]) if "body_b64" in given else (
                given.get("body", "").encode("utf-8", "surrogatepass"))  # fmt: skip
            headers = given.get("headers", {"Content-Type": "application/json"})
            answer = servers[name].ask(headers, body)
            line = case_line(name, given.get("case", ""), headers, body, answer)
            sink.write(json.dumps(line) + "\n")
            totals[f"{answer.status} {line['class']['kind']}"] += 1
    if out:
        sink.close()
    return totals


def model_dirs(parent: Path) -> list[Path]:
    return sorted(path.parent for path in parent.glob("*/MLmodel"))


def main() -> None:
    parser = argparse.ArgumentParser(description="MLflow's answers, fast")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("generate", help="write random cases with their answers")
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--count", type=int, default=200)
    make.add_argument("--seed", type=int, default=1)
    reply = commands.add_parser("answer", help="answer the requests of a file")
    reply.add_argument("--cases", type=Path, required=True)
    reply.add_argument("--out", type=Path)
    for each in (make, reply):
        each.add_argument("--models-dir", type=Path, required=True)
    given = parser.parse_args()

    quiet()
    started = time.monotonic()
    if given.command == "generate":
        totals = generate(given.models_dir, given.out, given.count, given.seed)
    else:
        totals = answer_file(given.models_dir, given.cases, given.out)
    seconds = time.monotonic() - started
    for what, number in totals.most_common():
        print(f"{number:6}  {what}", file=sys.stderr)
    print(f"{totals.total()} requests in {seconds:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
