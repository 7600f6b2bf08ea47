"""Measures flowgate beside its yardsticks and its peers, and says which goals it meets.

    make bench                                                    after the micro-benchmarks
    make bench-servers BENCH='--list'                             the scenarios
    make bench-servers BENCH='--scenarios "tiny-*" peers-linear --rounds 7'
    make bench-servers BENCH='--variant "one=--workers 1" --scenarios "variants-*"'

Every scenario is measured in rounds, server by server (A B C A B C), with the other servers paused;
ratios are taken within a round. Results go to target/bench/table.md and target/bench/results.json.
An answer that is wrong or missing ends the run with exit code 1; a goal that is not met does not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from fnmatch import fnmatch

from figures.figure import Round, Scenario
from figures.sample import Unsound
from figures.scenarios import Choices, scenarios
from figures.stage import Limits, Stage, opened
from figures.table import Report, shown, verdict
from peers import SERVERS, Flowgate, ServerFailed
from peers.flowgate import TARGET
from peers.server import ROOT, run

OUT = ROOT / "target/bench"
# Where `cargo bench --bench wire` leaves the time that decoding 1,000 rows takes.
PARSE = TARGET / "criterion/decode/split/1000/new/estimates.json"
# Without these there is nothing to say.
NEEDED = ("flowgate", "echo")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="print the scenarios and end")
    parser.add_argument("--scenarios", nargs="+", default=["*"], metavar="PATTERN",
                        help="only those whose names match")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before each")
    parser.add_argument("--memory-requests", type=int, default=10_000_000,
                        help="how many the memory scenario sends")  # fmt: skip
    parser.add_argument("--parse-us", type=float, metavar="US",
                        help="decoding 1,000 rows; default: what bench `wire` found")  # fmt: skip
    parser.add_argument("--mlp-batch", type=int, metavar="ROWS",
                        help="rows a batch of raw ONNX Runtime; default: flowgate's")  # fmt: skip
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=FLAGS",
                        help="a further configuration of flowgate, for variants-*")  # fmt: skip
    return parser.parse_args()


def main() -> None:
    chosen = options()
    servers = dict(SERVERS)
    for variant in chosen.variant:
        name, _, flags = variant.partition("=")
        servers[name] = Flowgate(name, flags)
    choices = Choices(
        parse_us=chosen.parse_us or parse_us(), mlp_batch=chosen.mlp_batch,
        variants=tuple(variant.partition("=")[0] for variant in chosen.variant),
    )  # fmt: skip
    todo = [
        scenario
        for scenario in scenarios(choices)
        if any(fnmatch(scenario.name, pattern) for pattern in chosen.scenarios)
    ]
    if chosen.list:
        for scenario in todo:
            print(f"{scenario.name:18} {scenario.what}")
            for figure in scenario.figures:
                print(f"{'':20} {figure.what}: {figure.goal or 'no goal'} {figure.unit}")
        return
    if not todo:
        sys.exit("no scenario has such a name; --list shows them")
    limits = Limits(chosen.seconds, chosen.warmup, chosen.memory_requests)
    titles = {name: server.title for name, server in servers.items()}
    report = Report(limits, chosen.rounds, os.getloadavg()[0], titles=titles)
    OUT.mkdir(parents=True, exist_ok=True)
    # So that the servers end with a run that is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        prepare()
        for scenario in todo:
            print(f"\n{scenario.name}: {scenario.what}", flush=True)
            with opened(servers, limits, OUT / "logs") as stage:
                report.done.append((scenario, rounds(scenario, stage, chosen.rounds)))
                gather(report, stage)
            write(report)
    except (Unsound, ServerFailed) as failure:
        sys.exit(f"bench: {failure}")
    print(f"\n{report.markdown()}\n{OUT / 'table.md'}")


def prepare() -> None:
    """The models; `make bench` has built the programs."""
    run(["scripts/mlflow-venv.sh", "--train"])
    run(["target/mlflow-venv/bin/python", "benches/models/make.py"])


def rounds(scenario: Scenario, stage: Stage, count: int) -> list[Round]:
    """All rounds of a scenario; prints the figures so far after each."""
    if scenario.alike:
        stage.agree(list(scenario.alike), scenario.model)
    done: list[Round] = []
    for number in range(min(count, scenario.rounds_max or count)):
        done.append(scenario.measure(stage))
        for name in NEEDED:
            if name in stage.missing:
                raise ServerFailed(f"{name}: {stage.missing[name]}")
        for result in scenario.results(done[-1:]):
            print(f"  {number + 1}: {result.figure.what}: {shown(result)}", flush=True)
    for result in scenario.results(done):
        goal = result.figure.goal or ""
        print(f"  = {result.figure.what}: {shown(result)} {goal} {verdict(result)}", flush=True)
    for name, reason in stage.missing.items():
        print(f"  ! {name} was not measured: {reason}", flush=True)
    return done


def gather(report: Report, stage: Stage) -> None:
    """Adds what the stage knows of its servers; a binary that was built anew ends the run."""
    for name, version in stage.versions.items():
        before = report.versions.setdefault(name, version)
        if version != before:
            raise Unsound(f"{name} was {before} in an earlier scenario and is {version} now")
    report.ready_seconds |= stage.ready_seconds
    report.missing |= stage.missing


def write(report: Report) -> None:
    (OUT / "table.md").write_text(report.markdown())
    (OUT / "results.json").write_text(json.dumps(report.document(), indent=1))


def parse_us() -> float | None:
    """The median of the criterion benchmark, if it has been run."""
    if not PARSE.is_file():
        return None
    return json.loads(PARSE.read_text())["median"]["point_estimate"] / 1000.0


if __name__ == "__main__":
    main()
