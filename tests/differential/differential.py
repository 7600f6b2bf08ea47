"""Compares flowgate with the real MLflow scoring server on generated requests, over HTTP.

    target/mlflow-venv/bin/python tests/differential/differential.py [--only MODEL ...]
    target/mlflow-venv/bin/python tests/differential/differential.py --against-itself
    target/mlflow-venv/bin/python tests/differential/differential.py --matrix

With `--matrix` the requests are those of `matrix.py`, a share that the seed chooses.

Environment: `FLOWGATE_BIN` (default target/debug/flowgate), `FLOWGATE_DIFFERENTIAL_SECONDS` (60),
`FLOWGATE_DIFFERENTIAL_SEED` (1), `FLOWGATE_SKIP_DIFFERENTIAL=1` to skip. Prints a summary; each
mismatch goes to stderr as a reproducer made as small as possible, and to
target/differential/failures.jsonl. Exit code 1 on a mismatch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import model_zoo
import parity
import subject as subjects
import surface
from answers import Answer, quiet
from compare import difference
from document import smaller, write
from generator import Generator, Request
from matrix import Matrix
from oracle import case_line, kind_of
from servers import ROOT, Server, ServerEnded, flowgate, mlflow_mounted, mlflow_serve
from subject import Subject

# Started by `mlflow models serve` itself, besides being mounted with the others.
GENUINE = ["wine-quality-1", "t_f32"]
SHRINK_STEPS = 120
SHRINK_LIMIT = 12
PRINT_LIMIT = 40


@dataclass
class Tally:
    """What was compared, and how it ended."""

    forms: dict[str, Counter] = field(default_factory=dict)
    outcomes: Counter = field(default_factory=Counter)
    errors: Counter = field(default_factory=Counter)
    intended: Counter = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)

    def count(self, request: Request, theirs: Answer) -> None:
        self.forms.setdefault(request.model, Counter())[request.form] += 1
        self.outcomes["200" if theirs.status == 200 else "error"] += 1
        if theirs.status != 200:
            self.errors[f"{theirs.status} {kind_of(theirs.error())}"] += 1

    def compared(self) -> int:
        return self.outcomes.total()


class Comparison:
    """The two servers and the models they serve."""

    def __init__(
        self, models: dict[str, Path], theirs: Server, ours: Server, *, against_itself: bool
    ) -> None:
        self.theirs = theirs
        self.ours = ours
        self.against_itself = against_itself
        self.subjects = {name: subjects.read(path, name) for name, path in models.items()}
        self.twins = {
            name: model_zoo.ZOO[name]().twin for name in models if name in model_zoo.ZOO
        }

    def judge(
        self,
        subject: Subject,
        headers: dict[str, str],
        body: bytes,
        reference: Server | None = None,
    ) -> tuple[Answer, Answer, str | None, int | None]:
        """Both answers, what differs, and the intended difference that explains it."""
        theirs = (reference or self.theirs).ask(subject.name, headers, body)
        ours = self.ours.ask(subject.name, headers, body)
        if self.against_itself:
            ours = ours.without_trace()
        found = difference(theirs, ours)
        if found is None:
            return theirs, ours, None, None
        twin = self.twins.get(subject.name)
        twin = twin if twin in self.subjects else None
        pair = parity.Pair(subject, twin, headers, body, theirs, ours, self.theirs.ask)
        return theirs, ours, found, parity.intended(pair)

    def shrink(self, subject: Subject, request: Request) -> bytes:
        """The smallest body found that still fails, for requests that are plain JSON."""
        document, steps = request.document, 0
        improved = document is not None
        while improved:
            improved = False
            for candidate in smaller(document):
                if (steps := steps + 1) > SHRINK_STEPS:
                    break
                _, _, found, number = self.judge(
                    subject, request.headers, write(candidate).encode("utf-8", "surrogatepass")
                )
                if found and number is None:
                    document, improved = candidate, True
                    break
        if document is None:
            return request.body
        return write(document).encode("utf-8", "surrogatepass")


def run(
    comparison: Comparison, genuine: dict[str, Server], make: type[Generator | Matrix], seed: int,
    deadline: float, failures: Path,
) -> Tally:  # fmt: skip
    """Takes requests for each model in turn until the deadline, or until there are no more."""
    tally = Tally()
    generators = {name: make(each, seed) for name, each in comparison.subjects.items()}
    with failures.open("w") as sink:
        while generators and time.monotonic() < deadline:
            for name, generator in list(generators.items()):
                request = generator.request()
                if request is None:
                    del generators[name]
                    continue
                # Every fourth request to a model that is served twice goes to the genuine one.
                reference = genuine.get(name) if generator.count % 4 == 0 else None
                theirs, ours, found, number = comparison.judge(
                    generator.subject, request.headers, request.body, reference
                )
                tally.count(request, theirs)
                if number is not None:
                    tally.intended[number] += 1
                elif found:
                    report = mismatch(comparison, generator.subject, request, tally, sink)
                    tally.mismatches.append(report)
                    if len(tally.mismatches) <= PRINT_LIMIT:
                        print(report, file=sys.stderr, flush=True)
                if time.monotonic() >= deadline:
                    break
    return tally


def mismatch(comparison, subject: Subject, request: Request, tally: Tally, sink) -> str:
    """The text of one mismatch; the original request and its reference answer go to `sink`."""
    body = request.body
    if len(tally.mismatches) < SHRINK_LIMIT:
        body = comparison.shrink(subject, request)
    theirs, ours, found, number = comparison.judge(subject, request.headers, body)
    if found is None or number is not None:
        body = request.body
        theirs, ours, found, _ = comparison.judge(subject, request.headers, body)
    sink.write(json.dumps(case_line(subject.name, request.case, request.headers, body, theirs)))
    sink.write("\n")
    shown = body if len(body) <= 1500 else body[:1500] + b"..."
    return "\n".join(
        [
            f"MISMATCH {subject.name} {request.case}: {found}",
            f"  model   {subject.directory}",
            f"  headers {request.headers}",
            f"  body    {shown!r}",
            f"  mlflow  {theirs.status} {theirs.body[:400]}",
            f"  ours    {ours.status} {ours.body[:400]}",
        ]
    )


def summary(tally: Tally, probes: int, seconds: float, seed: int) -> str:
    compared = tally.compared()
    lines = [f"{'model':26} requests  forms"]
    for name, forms in tally.forms.items():
        shown = " ".join(f"{form}:{number}" for form, number in sorted(forms.items()))
        lines.append(f"{name:26} {forms.total():8}  {shown}")
    shown = ", ".join(f"{number} {what}" for what, number in tally.errors.most_common())
    by_number = ", ".join(f"P3.{key}: {tally.intended[key]}" for key in sorted(tally.intended))
    lines += [
        "",
        f"compared {compared} requests and {probes} probes of the HTTP surface"
        f" in {seconds:.0f} s (seed {seed})",
        f"answered 200: {tally.outcomes['200']}"
        f" ({100 * tally.outcomes['200'] / max(compared, 1):.0f} %), errors: {shown}",
        f"intended differences: {by_number or 'none'}",
        f"mismatches: {len(tally.mismatches)}",
    ]  # fmt: skip
    return "\n".join(lines)


def sample_models() -> dict[str, Path]:
    """The committed models, as `<name>-<version>`."""
    found = sorted((ROOT / "models").glob("*/*/MLmodel"))
    return {f"{path.parts[-3]}-{path.parts[-2]}": path.parent for path in found}


def main() -> int:
    parser = argparse.ArgumentParser(description="flowgate against the real MLflow scoring server")
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="these models and their twins")
    parser.add_argument(
        "--against-itself", action="store_true", help="MLflow on both sides: checks this program"
    )
    parser.add_argument("--matrix", action="store_true", help="systematic requests, not random ones")
    given = parser.parse_args()
    if os.environ.get("FLOWGATE_SKIP_DIFFERENTIAL") == "1":
        print("differential test skipped: FLOWGATE_SKIP_DIFFERENTIAL=1")
        return 0
    seconds = float(os.environ.get("FLOWGATE_DIFFERENTIAL_SECONDS", "60"))
    seed = int(os.environ.get("FLOWGATE_DIFFERENTIAL_SEED", "1"))
    quiet()

    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as started:
        logs = ROOT / "target" / "differential"
        logs.mkdir(parents=True, exist_ok=True)
        zoo = model_zoo.build(Path(scratch))
        models = sample_models() | {path.name: path for path in zoo}
        if given.only:
            twins = {model_zoo.ZOO[each]().twin for each in given.only if each in model_zoo.ZOO}
            models = {name: models[name] for name in models if name in {*given.only, *twins}}

        def start(server: Server) -> Server:
            started.callback(server.stop)
            return server

        try:
            theirs = start(mlflow_mounted(models, logs / "mlflow.log"))
            served = mlflow_mounted if given.against_itself else flowgate
            ours = start(served(models, logs / "ours.log"))
            genuine = {
                name: start(mlflow_serve(models[name], logs / f"mlflow-{name}.log"))
                for name in GENUINE if name in models
            }  # fmt: skip
            for server in (theirs, ours, *genuine.values()):
                server.wait()
        except ServerEnded as failure:
            print(failure, file=sys.stderr)
            return 1
        comparison = Comparison(models, theirs, ours, against_itself=given.against_itself)
        begun = time.monotonic()
        probes, intended, wrong = 0, {}, []
        first = next(iter(models))
        try:
            if first in sample_models() and not given.against_itself:
                probes, intended, wrong = probe_surface(models, first, genuine, ours, start, logs)
            deadline = begun + seconds
            make = Matrix if given.matrix else Generator
            tally = run(comparison, genuine, make, seed, deadline, logs / "failures.jsonl")
        except ServerEnded as failure:
            print(f"{failure}\n{ours.last_words()}", file=sys.stderr)
            return 1
    tally.intended.update(intended)
    for each in wrong:
        tally.mismatches.append(each)
        print(f"MISMATCH {each}", file=sys.stderr)
    print(summary(tally, probes, time.monotonic() - begun, seed))
    return 1 if tally.mismatches else 0


def probe_surface(models, first: str, genuine, ours: Server, start, logs: Path):
    """Compares the HTTP surface. Our `/invocations` is the first model's: so must be theirs."""
    reference = genuine.get(first)
    if reference is None:
        reference = start(mlflow_serve(models[first], logs / f"mlflow-{first}.log"))
        reference.wait()
    body = (models[first] / "serving_input_example.json").read_bytes()
    return surface.check(reference, ours, body)


if __name__ == "__main__":
    sys.exit(main())
