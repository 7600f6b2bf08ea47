"""Rules of the benchmarks that need no server: run by `make test-mlflow`."""

from __future__ import annotations

import json
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from figures import sample
from figures.figure import Figure, Goal, Result, Scenario, ratio
from figures.sample import Load, Sample, Unsound
from figures.scenarios import Choices, goodput, scenarios
from figures.stage import Limits, Stage, close
from figures.swaps import Answered, Promotion, around, quantile, read
from figures.table import Report
from peers import Request, Server, ServerFailed
from peers.process import Tree
from peers.server import Running, numbers

SOUND = {
    "wrong": 0, "first_wrong": None, "right": 10, "right_per_s": 5.0, "statuses": {"200": 10},
    "failures": {}, "latency_us": {"p50": 1.0, "p99": 2.0, "p99_9": 3.0, "max": 4.0},
    "server": {"cpu_us_per_answer": 64.0, "memory_end_bytes": 1},
}  # fmt: skip


class Absent(Server):
    """A server that cannot be installed."""

    name = "absent"
    title = "a server | with a bar"

    def install(self) -> None:
        raise ServerFailed("no such package")

    def version(self) -> str:
        return "0"

    def command(self, model: str, port: int, home: Path) -> list[str]:
        return ["false"]


class Answers(unittest.TestCase):
    def test_all_forms_of_one_prediction_are_the_same_numbers(self) -> None:
        forms = [
            b'{"predictions": [{"a": 1, "b": 0.5}, {"a": 2, "b": 0.25}]}',
            b'{"predictions": {"a": [1, 2], "b": [[0.5], [0.25]]}}',
            b'{"outputs": [{"shape": [2], "data": [1, 2]}, {"shape": [2], "data": [0.5, 0.25]}]}',
        ]
        self.assertEqual([numbers(form) for form in forms], [[0.25, 0.5, 1.0, 2.0]] * 3)

    def test_predictions_are_alike_up_to_the_last_digits_and_in_number(self) -> None:
        self.assertTrue(close([1.0, 0.0], [1.00001, 0.000001]))
        self.assertFalse(close([1.0], [1.001]))
        self.assertFalse(close([1.0], [1.0, 1.0]))


class Loads(unittest.TestCase):
    """With a stand-in for the load generator that prints what it is told to."""

    def load(self, **changes: object) -> Sample:
        with tempfile.TemporaryDirectory() as scratch:
            tool = Path(scratch) / "load"
            tool.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(SOUND | changes)}\nEND\n")
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
            running = Running(Absent(), "m", 1, mock.Mock(spec=Tree, pid=1), Path(scratch))
            with mock.patch.object(sample, "EXAMPLES", Path(scratch)):
                how = Load(4, rows=32, refusals=bool(changes.get("refusals")))
                return sample.load(running, Request("/", Path("bodies")), how, 1.0, 0.0)

    def test_rows_count_apart_from_requests(self) -> None:
        found = self.load()
        self.assertEqual([found.rate, found.rows_rate, found.cpu_us_row], [5.0, 160.0, 2.0])

    def test_what_is_wrong_failed_or_refused_ends_the_run(self) -> None:
        for change in (
            {"wrong": 1, "first_wrong": {"body": 0}},
            {"failures": {"closed": 1}},
            {"statuses": {"200": 9, "429": 1}},
            {"statuses": {"200": 9, "500": 1}, "refusals": True},
            {"right": 0},
        ):
            with self.subTest(change), self.assertRaises(Unsound):
                self.load(**change)

    def test_refusals_may_come_where_they_are_expected(self) -> None:
        self.load(statuses={"200": 9, "429": 1}, refusals=True)


class Figures(unittest.TestCase):
    def test_ratios_are_taken_within_a_round(self) -> None:
        figure = Figure("", ratio("a", "b"), Goal(least=2.0))
        rounds = [{"a": Sample(rate=a), "b": Sample(rate=b)} for a, b in ((2, 1), (90, 30), (1, 4))]
        (result,) = Scenario("", "", lambda _: {}, (figure,)).results(rounds)
        self.assertEqual((result.values, result.median, result.met), ([2.0, 3.0, 0.25], 2.0, True))

    def test_a_goal_is_the_least_or_the_most(self) -> None:
        self.assertEqual([Goal(least=1.0).met(x) for x in (0.9, 1.0)], [False, True])
        self.assertEqual([Goal(most=1.0).met(x) for x in (1.0, 1.1)], [True, False])

    def test_what_was_not_measured_meets_no_goal(self) -> None:
        figure = Figure("", ratio("a", "b"), Goal(least=2.0))
        (result,) = Scenario("", "", lambda _: {}, (figure,)).results([{"a": Sample(rate=1.0)}])
        self.assertEqual((result.median, result.met), (None, None))
        self.assertIsNone(Result(figure, []).met)

    def test_goodput_without_an_overload_is_not_measured(self) -> None:
        def one_round(answers: float) -> dict[str, Sample]:
            overload = Sample(rate=9.5, printed={"answers_per_s": answers})
            return {"capacity": Sample(rate=10.0), "3x": overload}

        self.assertEqual(goodput(one_round(29.0)), 0.95)
        with self.assertRaises(KeyError):
            goodput(one_round(9.5))

    def test_scenarios_have_names_of_their_own_and_figures(self) -> None:
        found = scenarios(Choices(None, None, ("one",)))
        self.assertEqual(len({each.name for each in found}), len(found))
        self.assertTrue(all(each.figures for each in found))


class Swaps(unittest.TestCase):
    """A load of a request a tenth of a second, whose version is 2 from second 105 on."""

    def answers(self, until: int = 1100) -> list[Answered]:
        return [Answered(tenth / 10, tenth, 1 + (tenth >= 1050)) for tenth in range(1000, until)]

    def test_requests_around_a_swap_are_those_until_a_while_after_its_first_answer(self) -> None:
        swap = around(Promotion(2, 104.0), self.answers())
        assert swap is not None
        self.assertEqual(swap.seconds, 1.0)
        self.assertEqual(swap.latencies_us, list(range(1035, 1070)))

    def test_a_swap_that_the_load_does_not_see_to_its_end_is_left_out(self) -> None:
        self.assertIsNone(around(Promotion(2, 104.0), self.answers(1055)))
        self.assertIsNone(around(Promotion(3, 104.0), self.answers()))

    def test_what_the_load_generator_writes_is_read(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write("due_us,latency_us,version\n500000,70,1\n")
            file.flush()
            self.assertEqual(read(Path(file.name), 9.0), [Answered(9.5, 70.0, 1)])

    def test_a_quantile_is_the_least_value_that_so_many_do_not_exceed(self) -> None:
        ordered = [float(each) for each in range(1, 1001)]
        self.assertEqual([quantile(ordered, share) for share in (0.5, 0.99, 1.0)], [500, 990, 1000])
        self.assertEqual(quantile([7.0], 0.5), 7.0)


class Missing(unittest.TestCase):
    def test_a_server_that_cannot_be_installed_is_in_the_table_with_its_reason(self) -> None:
        stage = Stage({"absent": Absent()}, Limits(), Path("logs"))
        self.assertIsNone(stage.load("absent", "m", Load(1)))
        report = Report(Limits(), 1, 0.0, titles={"absent": Absent.title})
        report.missing |= stage.missing
        self.assertIn("not measured: no such package", report.servers())


if __name__ == "__main__":
    unittest.main()
