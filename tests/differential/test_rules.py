"""Checks of the comparison itself: what it must notice, and what it must let pass."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

import document
import model_zoo
import parity
import subject as subjects
from answers import Answer
from compare import difference
from generator import Generator

JSON = "application/json"


def ok(predictions: str) -> Answer:
    return Answer(200, JSON, '{"predictions": ' + predictions + "}")


def refusal(status: int = 400, code: str = "BAD_REQUEST", **more: str) -> Answer:
    error = {"error_code": code, "message": "why", "sqlstate": "KAM00",
             "error_class": "INVALID_PARAMETER_VALUE"}  # fmt: skip
    return Answer(status, JSON, json.dumps(error | more))


class Comparison(unittest.TestCase):
    def test_floats_within_the_tolerance_are_equal(self) -> None:
        self.assertIsNone(difference(ok("[1.0, NaN]"), ok("[1.00001, NaN]")))

    def test_every_other_change_of_a_prediction_is_noticed(self) -> None:
        reference = ok('[{"a": 1, "b": 0.5, "c": "\\u00e9"}]')
        for changed in (
            '[{"a": 1.0, "b": 0.5, "c": "\\u00e9"}]',
            '[{"a": 2, "b": 0.5, "c": "\\u00e9"}]',
            '[{"b": 0.5, "a": 1, "c": "\\u00e9"}]',
            '[{"a": 1, "b": 0.501, "c": "\\u00e9"}]',
            '[{"a": 1, "b": 5e-1, "c": "\\u00e9"}]',
            '[{"a": 1, "b": null, "c": "\\u00e9"}]',
            '[{"a": 1, "b": NaN, "c": "\\u00e9"}]',
            '[{"a": 1, "b": 0.5, "c": "\u00e9"}]',
            '[{"a":1,"b":0.5,"c":"\\u00e9"}]',
            "[]",
        ):
            with self.subTest(changed):
                self.assertIsNotNone(difference(reference, ok(changed)))

    def test_the_sign_of_zero_and_of_infinity_counts(self) -> None:
        self.assertIsNotNone(difference(ok("[0.0]"), ok("[-0.0]")))
        self.assertIsNotNone(difference(ok("[Infinity]"), ok("[-Infinity]")))

    def test_messages_may_differ_but_codes_may_not(self) -> None:
        self.assertIsNone(difference(refusal(stack_trace="..."), refusal(message="other")))
        self.assertIsNotNone(difference(refusal(), refusal(code="INTERNAL_ERROR")))
        self.assertIsNotNone(difference(refusal(), refusal(sqlstate="KAM01")))
        self.assertIsNotNone(difference(refusal(), refusal(status=500)))

    def test_a_traceback_of_ours_is_a_difference(self) -> None:
        self.assertIsNotNone(difference(refusal(), refusal(stack_trace="...")))


class Parity(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.scratch = tempfile.TemporaryDirectory()
        names = ["t_f32", "long_long_f32", "probabilities_columns", "nosig_multi_f32"]
        directories = model_zoo.build(Path(cls.scratch.name), names)
        cls.subjects = {path.name: subjects.read(path) for path in directories}

    @classmethod
    def tearDownClass(cls) -> None:
        cls.scratch.cleanup()

    def intended(
        self, model: str, theirs: Answer, ours: Answer, body: bytes = b'{"inputs": []}',
        headers: dict[str, str] | None = None, ask=None, twin: str | None = None,
    ) -> int | None:  # fmt: skip
        headers = {"Content-Type": JSON} if headers is None else headers
        return parity.intended(
            parity.Pair(self.subjects[model], twin, headers, body, theirs, ours, ask)
        )

    def test_a_missing_content_type(self) -> None:
        theirs = Answer(500, "text/plain; charset=utf-8", "Internal Server Error")
        ours = Answer(415, "text/plain; charset=utf-8", "only these")
        self.assertEqual(self.intended("t_f32", theirs, ours, headers={}), 5)
        self.assertIsNone(self.intended("t_f32", theirs, ours))

    def test_a_numeric_cast_must_agree_with_the_twin(self) -> None:
        trace = "Unexpected input data type. Actual: (tensor(int64)) , expected: (tensor(float))"
        theirs, twin = refusal(stack_trace=trace), "long_long_cast"

        def ask(model: str, headers: dict[str, str], body: bytes) -> Answer:
            self.assertEqual(model, twin)
            return ok('[{"out_x": 1.0}]')

        right, wrong = ok('[{"out_x": 1.0}]'), ok('[{"out_x": 2.0}]')
        self.assertEqual(self.intended("long_long_f32", theirs, right, ask=ask, twin=twin), 2)
        self.assertIsNone(self.intended("long_long_f32", theirs, wrong, ask=ask, twin=twin))
        text = refusal(stack_trace=trace.replace("int64", "string"))
        self.assertIsNone(self.intended("long_long_f32", text, right, ask=ask, twin=twin))

    def test_unequal_outputs_must_hold_the_twins_cells(self) -> None:
        theirs = refusal(stack_trace="ValueError: All arrays must be of the same length")

        def ask(*_: object) -> Answer:
            return ok('[{"scores": 0.1}, {"scores": 0.2}, {"scores": 0.7}]')

        right = ok('[{"label": 2, "scores": [0.1, 0.2, 0.7]}]')
        wrong = ok('[{"label": 2, "scores": [0.1, 0.7, 0.2]}]')
        flat = ok('[{"label": 2, "scores": 0.1}]')
        for ours, number in ((right, 1), (wrong, None), (flat, None)):
            found = self.intended("probabilities_columns", theirs, ours, ask=ask, twin="twin")
            self.assertEqual(found, number)

    def test_other_keys_are_ignored_only_when_the_rest_answers_so(self) -> None:
        body = b'{"inputs": [[1.0]], "prompt": "x"}'
        theirs = refusal(stack_trace="ValueError: Required inputs (['x']) are missing")

        def ask(model: str, headers: dict[str, str], plain: bytes) -> Answer:
            self.assertEqual(json.loads(plain), {"inputs": [[1.0]]})
            return ok("[1.0]")

        self.assertEqual(self.intended("t_f32", theirs, ok("[1.0]"), body, ask=ask), 6)
        self.assertIsNone(self.intended("t_f32", theirs, ok("[2.0]"), body, ask=ask))

    def test_a_bare_array_for_several_inputs(self) -> None:
        theirs = refusal(500, "INTERNAL_ERROR", sqlstate="XXM00")
        self.assertEqual(self.intended("nosig_multi_f32", theirs, refusal()), 7)
        self.assertIsNone(self.intended("t_f32", theirs, refusal()))


class Requests(unittest.TestCase):
    def test_the_same_seed_makes_the_same_requests(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            [directory] = model_zoo.build(Path(scratch), ["scalar_columns"])
            subject = subjects.read(directory)
            first, again, other = (Generator(subject, seed) for seed in (1, 1, 2))
            made = [first.request() for _ in range(100)]
            self.assertEqual(made, [again.request() for _ in range(100)])
            self.assertNotEqual(made, [other.request() for _ in range(100)])

    def test_documents_keep_repeated_keys_and_chosen_tokens(self) -> None:
        pairs = document.Pairs([("a", document.Token("1E2")), ("a", [None])])
        self.assertEqual(document.write(pairs), '{"a": 1E2, "a": [null]}')


if __name__ == "__main__":
    unittest.main()
