"""The scenarios: what flowgate promises, each with its goal.

Loads are closed loops with bodies of one row unless a scenario says otherwise. The names of
measurements are the servers', with the connections where there are several.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from peers import POLL_SECONDS
from peers.server import CORES

from figures.figure import Figure, Goal, Round, Scenario, field, present, ratio
from figures.sample import Load
from figures.stage import Stage

PEERS = ("mlflow", "mlserver-invocations", "mlserver-v2", "litserve")
# The least times as many requests a second as each peer; None is shown without a goal.
FRAMES = {"mlflow": 100.0, "mlserver-invocations": 50.0, "mlserver-v2": 50.0, "litserve": None}
TENSORS = FRAMES | {"mlflow": 50.0}
# More than wait in flowgate's queue, so that an overload is refused and not held back here.
OVERLOAD_CONNECTIONS = 2048
# Right answers and refusals, over the capacity, for three times the capacity to have arrived.
ANSWERED = 2.5
MIB = 1.0 / (1 << 20)


@dataclass(frozen=True)
class Choices:
    """What the command line decides about scenarios."""

    # Microseconds that decoding 1,000 rows takes, without a server; None: not known.
    parse_us: float | None
    # Rows a batch of the raw yardstick for the mlp; None: what flowgate's admin port tells.
    mlp_batch: int | None
    # Further configurations of flowgate, by name.
    variants: tuple[str, ...]


def scenarios(choices: Choices) -> list[Scenario]:
    return [
        tiny("linear"),
        tiny("wine"),
        thousand_rows(choices.parse_us),
        wide_rows(choices.mlp_batch),
        *(latency(model) for model in ("linear", "wine", "forest", "mlp")),
        forest_thousand(),
        forest_single(),
        *(peers(model, FRAMES) for model in ("linear", "wine")),
        *(peers(model, TENSORS) for model in ("digits", "mlp")),
        *(swapped(model) for model in ("mlp-25mb", "mlp-113mb")),
        promotion(),
        start_up(),
        memory(),
        watched(),
        scraped(),
        overload("forest", 32),
        overload("mlp", 1),
        *(variants(model, choices.variants) for model in ("linear", "mlp") if choices.variants),
    ]


def tiny(model: str) -> Scenario:
    def measure(stage: Stage) -> Round:
        names = ("echo", "flowgate")
        return present({name: stage.load(name, model, Load(64)) for name in names})

    def added(each: Round) -> float:
        return each["flowgate"].cpu_us - each["echo"].cpu_us

    return Scenario(
        f"tiny-{model}", f"{model}, 1 row, c64, beside the bare echo", measure,
        (
            Figure("requests/s over the echo's", ratio("flowgate", "echo"), Goal(least=0.85), "x"),
            Figure("server CPU a request beyond the echo's", added, Goal(most=2.0), "us"),
        ),
    )  # fmt: skip


def watched() -> Scenario:
    """What metrics and drift cost. Requests are always counted, so what that costs shows beside a
    build that does not: the one that FLOWGATE_BASE_BIN names, if any."""
    names = ("flowgate-watched", "flowgate-unwatched", "flowgate-base")

    def measure(stage: Stage) -> Round:
        return present({name: stage.load(name, "wine", Load(64)) for name in names})

    def cpu(each: Round, name: str, over: str) -> float:
        return each[name].cpu_us / each[over].cpu_us

    return Scenario(
        "watched-wine",
        "wine, 1 row, c64, express lane: counted and compared with its reference, or not", measure,
        (
            Figure("requests/s with drift over without",
                   ratio("flowgate-watched", "flowgate-unwatched"), Goal(least=0.98), "x"),
            Figure("server CPU a request with drift over without",
                   lambda each: cpu(each, "flowgate-watched", "flowgate-unwatched"),
                   Goal(most=1.02), "x"),
            Figure("requests/s with metrics over a build without",
                   ratio("flowgate-unwatched", "flowgate-base"), Goal(least=0.98), "x"),
            Figure("server CPU a request with metrics over a build without",
                   lambda each: cpu(each, "flowgate-unwatched", "flowgate-base"),
                   Goal(most=1.02), "x"),
        ),
    )  # fmt: skip


def scraped() -> Scenario:
    def measure(stage: Stage) -> Round:
        return present({"flowgate": stage.scraped("flowgate", "wine", Load(256))})

    return Scenario(
        "scraped-wine",
        "wine, 1 row, c256: how long a scrape takes meanwhile, ten a second", measure,
        (
            Figure("scrape, median", field("flowgate", "seconds", 1e3), Goal(most=10.0), "ms"),
            Figure("scrape, longest", field("flowgate", "seconds_max", 1e3), None, "ms"),
        ),
    )  # fmt: skip


def thousand_rows(parse_us: float | None) -> Scenario:
    def measure(stage: Stage) -> Round:
        names = ("echo", "flowgate")
        return present({name: stage.load(name, "linear", Load(16, rows=1000)) for name in names})

    def over_parts(each: Round) -> float:
        if parse_us is None:
            raise KeyError("parse_us")
        return each["flowgate"].cpu_us / (each["echo"].cpu_us + parse_us)

    parse = "not known" if parse_us is None else f"{parse_us:.1f} us"
    return Scenario(
        "rows-1000", f"linear, 1,000 rows of JSON, c16; parsing alone: {parse}", measure,
        (Figure("server CPU a request over echo + parse", over_parts, Goal(most=1.3), "x"),),
    )  # fmt: skip


def wide_rows(chosen: int | None) -> Scenario:
    def measure(stage: Stage) -> Round:
        loads = {name: stage.load(name, "mlp", Load(256)) for name in ("echo", "flowgate")}
        batch = chosen or stage.batch_rows_max("flowgate", "mlp")
        raw = stage.raw("mlp", batch, CORES) if batch else None
        return present({"raw": raw, **loads})

    batches = f"raw batches of {chosen}" if chosen else "raw batches as large as flowgate's may be"

    return Scenario(
        "mlp-c256", f"mlp, 1 row of 512 in JSON, c256; {batches}", measure,
        (
            Figure("server CPU a row over raw ONNX Runtime's",
                   ratio("flowgate", "raw", "cpu_us_row"), Goal(most=1.5), "x"),
        ),
    )  # fmt: skip


def latency(model: str) -> Scenario:
    def measure(stage: Stage) -> Round:
        loads = {name: stage.load(name, model, Load(1)) for name in ("echo", "flowgate")}
        return present({"raw": stage.raw(model, 1, 1), **loads})

    def over_parts(each: Round) -> float:
        # The run's processor time and not its wall time, of which only the mean is known: where
        # the machine does other things too, a mean is far above any median.
        return each["flowgate"].p50_us / (each["echo"].p50_us + each["raw"].cpu_us_row)

    return Scenario(
        f"latency-{model}", f"{model}, 1 row, c1", measure,
        (Figure("median latency over echo + raw run", over_parts, Goal(most=1.1), "x"),),
    )  # fmt: skip


def forest_thousand() -> Scenario:
    def measure(stage: Stage) -> Round:
        raw = stage.raw("forest", 256, CORES)
        return present({"raw": raw, "flowgate": stage.load("flowgate", "forest", Load(16, 1000))})

    return Scenario(
        "forest-1000", "forest, distinct rows, 1,000 a request, c16; raw batches of 256", measure,
        (Figure("rows/s over raw ONNX Runtime's", ratio("flowgate", "raw", "rows_rate"),
                Goal(least=0.9), "x"),),
    )  # fmt: skip


def forest_single() -> Scenario:
    names = ("flowgate-unbatched", "flowgate")

    def measure(stage: Stage) -> Round:
        return present({name: stage.load(name, "forest", Load(64)) for name in names})

    return Scenario(
        "forest-single", "forest, distinct single rows, c64, with batching and without", measure,
        (Figure("requests/s over one by one", ratio("flowgate", "flowgate-unbatched"),
                Goal(least=1.4), "x"),),
        alike=names, model="forest",
    )  # fmt: skip


def peers(model: str, goals: dict[str, float | None]) -> Scenario:
    counts = (16, 64)

    def measure(stage: Stage) -> Round:
        cells = [(name, count) for count in counts for name in (*PEERS, "flowgate")]
        return present(
            {f"{name} c{count}": stage.load(name, model, Load(count)) for name, count in cells}
        )

    figures = [
        Figure(
            f"requests/s over {name}'s, c{count}", ratio(f"flowgate c{count}", f"{name} c{count}"),
            None if (least := goals[name]) is None else Goal(least=least), "x",
        )  # fmt: skip
        for name in PEERS
        for count in counts
    ]
    return Scenario(
        f"peers-{model}", f"{model}, 1 row, c16 and c64, beside the peers", measure,
        tuple(figures), alike=("flowgate", *PEERS), model=model,
    )  # fmt: skip


def swapped(model: str) -> Scenario:
    server = "flowgate-swapped"

    def measure(stage: Stage) -> Round:
        capacity = stage.load(server, model, Load(64))
        if capacity is None:
            return {}
        how = Load(64, rate=capacity.rate / 2)
        return present({
            "capacity": capacity,
            "still": stage.without_swaps(server, model, how),
            "swaps": stage.under_swaps(server, model, how),
        })  # fmt: skip

    latencies = [
        Figure(f"{what}, {name}", field(of, f"{what.replace('.', '_')}_us", 1e-3), None, "ms")
        for what in ("p50", "p99", "p99.9", "max")
        for name, of in (("without swaps", "still"), ("around swaps", "swaps"))
    ]
    return Scenario(
        f"swaps-{model}",
        f"{model}, 1 row, open loop at half of the capacity (c64), while it is swapped for new"
        " versions and while it is not",
        measure,
        (
            *latencies,
            Figure("p99 around swaps over p99 without", ratio("swaps", "still", "p99_us"),
                   Goal(most=1.2), "x"),
            Figure("from the promotion to the first answer", field("swaps", "seconds"), None, "s"),
        ),
    )  # fmt: skip


def promotion() -> Scenario:
    servers = {"directory": "flowgate-directory", "MLflow": "flowgate-mlflow"}
    goals = {"directory": 1.0, "MLflow": 1.0 + POLL_SECONDS}

    def measure(stage: Stage) -> Round:
        return present(
            {name: stage.seconds_to_serve(server, "wine", 10) for name, server in servers.items()}
        )

    return Scenario(
        "promotion",
        "wine, from the change of the registry to the first answer of the new version: a directory,"
        f" and MLflow asked every {POLL_SECONDS} s",
        measure,
        tuple(
            Figure(f"{name}, {what}", field(name, of), Goal(most=goals[name]), "s")
            for name in servers
            for what, of in (("median of ten", "seconds"), ("longest", "seconds_max"))
        ),
    )  # fmt: skip


def start_up() -> Scenario:
    def measure(stage: Stage) -> Round:
        return present({
            "flowgate, new": stage.start_up("flowgate", "wine", fresh=True),
            "flowgate, again": stage.start_up("flowgate", "wine", fresh=False),
        })  # fmt: skip

    return Scenario(
        "start-up", "wine, from the start to the first answer", measure,
        tuple(
            Figure(what, field(f"flowgate, {name}", "seconds"), Goal(most=0.3), "s")
            for what, name in (("first start", "new"), ("later start", "again"))
        ),
    )  # fmt: skip


def memory() -> Scenario:
    def measure(stage: Stage) -> Round:
        measured = {"idle": stage.resident("flowgate", "wine")}
        sent = 0
        for name, share in (("tenth", 0.1), ("half", 0.5), ("all", 1.0)):
            while sent < share * stage.limits.memory_requests:
                sample = stage.load("flowgate", "wine", Load(64))
                if sample is None:
                    return {}
                sent += int(sample.printed["right"])
            measured[name] = stage.resident("flowgate", "wine")
        return present(measured)

    return Scenario(
        "memory", "wine, resident memory, idle and after so many requests", measure,
        (
            Figure("idle", field("idle", "memory_bytes", MIB), None, "MiB"),
            Figure("after a tenth", field("tenth", "memory_bytes", MIB), None, "MiB"),
            Figure("after half of them", field("half", "memory_bytes", MIB), None, "MiB"),
            Figure("after all", field("all", "memory_bytes", MIB), None, "MiB"),
            # The allocator keeps what the busiest moments took, and has seen those by then.
            Figure("all over half", ratio("all", "half", "memory_bytes"), Goal(most=1.02), "x"),
        ),
        rounds_max=1,
    )  # fmt: skip


def overload(model: str, rows: int) -> Scenario:
    server = "flowgate-apart"

    def measure(stage: Stage) -> Round:
        capacity = stage.load(server, model, Load(256, rows, apart=True))
        if capacity is None:
            return {}
        due = {"0.9x": 0.9 * capacity.rate, "1x": capacity.rate, "3x": 3.0 * capacity.rate}
        loads = {
            name: stage.load(server, model, Load(OVERLOAD_CONNECTIONS, rows, rate, True, True))
            for name, rate in due.items()
        }
        return present({"capacity": capacity, **loads})

    return Scenario(
        f"overload-{model}",
        f"{model}, rows a request: {rows}, open loop at the capacity (c256) and at three times it;"
        " the server has all cores but one, the load generator that one",
        measure,
        (
            Figure("p99 of accepted at 0.9 times", field("0.9x", "p99_us", 1e-3), None, "ms"),
            Figure("p99 of accepted at capacity", field("1x", "p99_us", 1e-3), None, "ms"),
            Figure("p99 of accepted at 3 times", field("3x", "p99_us", 1e-3), None, "ms"),
            Figure("p99 at 3 times over p99 at capacity", ratio("3x", "1x", "p99_us"), None, "x"),
            Figure("goodput at 3 times over capacity", goodput, Goal(least=0.9), "x"),
            Figure("all answers at 3 times over capacity", answered, Goal(least=ANSWERED), "x"),
            Figure("refused at 3 times, of all answers", refused),
            Figure("requests sent late at 3 times, p99", sent_late, None, "ms"),
        ),
    )  # fmt: skip


def answered(each: Round) -> float:
    return each["3x"].printed["answers_per_s"] / each["capacity"].rate


def goodput(each: Round) -> float:
    """Not measured where the load generator could not bring about an overload."""
    if answered(each) < ANSWERED:
        raise KeyError("3x")
    return each["3x"].rate / each["capacity"].rate


def refused(each: Round) -> float:
    statuses = each["3x"].printed["statuses"]
    return 1.0 - statuses.get("200", 0) / sum(statuses.values())


def sent_late(each: Round) -> float:
    return each["3x"].printed["send_delay_us"]["p99"] / 1e3


def variants(model: str, names: Iterable[str]) -> Scenario:
    counts = (1, 16, 64)
    everyone = ("flowgate", *names)

    def measure(stage: Stage) -> Round:
        cells = [(name, count) for count in counts for name in everyone]
        return present(
            {f"{name} c{count}": stage.load(name, model, Load(count)) for name, count in cells}
        )

    figures = [
        Figure(f"{name}: {what} over the defaults', c{count}",
               ratio(f"{name} c{count}", f"flowgate c{count}", of), None, "x")
        for name in names
        for count in counts
        for what, of in (("requests/s", "rate"), ("server CPU", "cpu_us"))
    ]  # fmt: skip
    return Scenario(
        f"variants-{model}", f"{model}, 1 row, configurations of flowgate", measure,
        tuple(figures), alike=everyone, model=model,
    )  # fmt: skip
