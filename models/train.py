"""Trains the sample models and has MLflow write them to this directory.

    scripts/mlflow-venv.sh --train
    target/mlflow-venv/bin/python models/train.py

Offline and deterministic: the data come from scikit-learn's bundled sets or from the seeded
generators below, and time stamps and ids are fixed, so that a second run changes nothing. Prints
one line of quality per model; models/README.md repeats them. The rows that each model was trained
with are written to target/train, for `make references`; with --rows nothing else is done.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import uuid
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import pandas as pd
from mlflow.models import Model, ModelSignature, infer_signature
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HERE = Path(__file__).resolve().parent
ROWS = HERE.parent / "target/train"
SEED = 20240229
OPSET = {"": 18, "ai.onnx.ml": 3}
CREATED = "2026-11-20 00:00:00.000000"
REQUIREMENTS = ["mlflow==3.18.0", "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.31.1"]


def save(
    name: str, version: int, graph: onnx.ModelProto, example, signature: ModelSignature,
    quality: dict[str, float], held_out: tuple[Any, str, np.ndarray],
) -> None:  # fmt: skip
    """Has MLflow write `models/<name>/<version>`, and prints the measured quality.

    `held_out` is inputs, the name of an output, and what the trained estimator says for it: the
    written model must say the same.
    """
    # The converter lists operator sets in the order of a set, which varies from run to run.
    opsets = sorted((each.domain, each.version) for each in graph.opset_import)
    del graph.opset_import[:]
    graph.opset_import.extend(helper.make_opsetid(*each) for each in opsets)
    onnx.checker.check_model(graph, full_check=True)
    directory = HERE / name / str(version)
    shutil.rmtree(directory, ignore_errors=True)
    identity = Model(
        utc_time_created=CREATED,
        model_uuid=uuid.uuid5(uuid.NAMESPACE_URL, f"flowgate/{name}/{version}").hex,
        metadata={"holdout": quality},
    )
    mlflow.onnx.save_model(
        graph, str(directory), mlflow_model=identity, signature=signature, input_example=example,
        pip_requirements=REQUIREMENTS, save_as_external_data=False,
    )  # fmt: skip
    inputs, output, expected = held_out
    predicted = mlflow.pyfunc.load_model(str(directory)).predict(inputs)[output]
    np.testing.assert_allclose(np.asarray(predicted), expected, rtol=1e-4, atol=1e-5)
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    shown = ", ".join(f"{key} {value}" for key, value in quality.items())
    print(f"{name} {version}: {shown} on held-out data; {size / 1000:.0f} kB")


def rounded(value: float) -> float:
    return round(float(value), 3)


# --- wine-quality: eleven measurements to a grade -------------------------------------------------

# column: (mean, standard deviation, skew by a logarithm), close to the red vinho verde wines that
# made these column names well known. The set itself is not redistributed here.
WINE = {
    "fixed acidity": (8.3, 1.7, True),
    "volatile acidity": (0.53, 0.18, True),
    "citric acid": (0.27, 0.19, False),
    "residual sugar": (2.5, 1.4, True),
    "chlorides": (0.087, 0.047, True),
    "free sulfur dioxide": (15.9, 10.5, True),
    "total sulfur dioxide": (46.5, 32.9, True),
    "density": (0.9967, 0.0019, False),
    "pH": (3.31, 0.15, False),
    "sulphates": (0.66, 0.17, True),
    "alcohol": (10.4, 1.07, True),
}


def wine_data(count: int = 4000) -> tuple[pd.DataFrame, np.ndarray]:
    """Synthetic wines: correlated measurements and a grade that depends on them not linearly."""
    rng = np.random.default_rng(SEED)
    names = list(WINE)
    noise = pd.DataFrame(rng.standard_normal((count, len(names))), columns=names)
    noise["citric acid"] += 0.6 * noise["fixed acidity"] - 0.5 * noise["volatile acidity"]
    noise["pH"] -= 0.7 * noise["fixed acidity"]
    noise["density"] += 0.6 * noise["fixed acidity"] + 0.4 * noise["residual sugar"]
    noise["density"] -= 0.7 * noise["alcohol"]
    noise["total sulfur dioxide"] += 0.8 * noise["free sulfur dioxide"]
    noise = (noise - noise.mean()) / noise.std()
    frame = pd.DataFrame(index=range(count))
    for name, (mean, deviation, skewed) in WINE.items():
        if skewed:
            spread = np.sqrt(np.log(1 + (deviation / mean) ** 2))
            frame[name] = mean * np.exp(spread * noise[name] - spread**2 / 2)
        else:
            frame[name] = np.maximum(mean + deviation * noise[name], 0.0)
    decimals = {"density": 4, "chlorides": 3, "volatile acidity": 3}
    for name in names:
        frame[name] = frame[name].round(decimals.get(name, 2))
    grade = (
        5.6
        + 0.45 * noise["alcohol"]
        - 0.35 * noise["volatile acidity"]
        + 0.30 * np.tanh(noise["sulphates"])
        - 0.15 * noise["chlorides"]
        - 0.25 * np.maximum(noise["total sulfur dioxide"] - 0.8, 0.0)
        + 0.20 * noise["citric acid"] * (noise["alcohol"] > 0)
        + rng.normal(0.0, 0.35, count)
    )
    return frame, np.clip(grade, 3.0, 9.0).to_numpy()


def wine_split() -> list:
    return train_test_split(*wine_data(), test_size=0.25, random_state=SEED)


def wine_quality() -> None:
    train_x, test_x, train_y, test_y = wine_split()
    versions = {
        1: make_pipeline(StandardScaler(), Ridge(alpha=1.0)),
        2: GradientBoostingRegressor(
            n_estimators=120, max_depth=3, learning_rate=0.1, subsample=0.8, random_state=SEED
        ),
    }
    for version, estimator in versions.items():
        estimator.fit(train_x.to_numpy(), train_y)
        predicted = estimator.predict(test_x.to_numpy())
        graph = convert_sklearn(
            estimator, f"wine-quality-{version}",
            [("features", FloatTensorType([None, len(WINE)]))], target_opset=OPSET,
        )  # fmt: skip
        rename_output(graph, 0, "quality")
        quality = {
            "mean_absolute_error": rounded(mean_absolute_error(test_y, predicted)),
            "r2": rounded(r2_score(test_y, predicted)),
        }
        answer = pd.DataFrame({"quality": predicted[:2].astype(np.float32)})
        example = test_x.head(2).reset_index(drop=True)
        save(
            "wine-quality", version, graph, example, infer_signature(example, answer), quality,
            (test_x, "quality", predicted),
        )  # fmt: skip


def rename_output(graph: onnx.ModelProto, index: int, name: str) -> None:
    old = graph.graph.output[index].name
    graph.graph.output[index].name = name
    for node in graph.graph.node:
        for position, each in enumerate(node.output):
            if each == old:
                node.output[position] = name


# --- customer-churn: numbers, words and flags to a probability ------------------------------------

CHURN_NUMBERS = {"tenure_months": "long", "support_calls": "long", "monthly_charges": "double"}
CHURN_FLAGS = ["senior_citizen", "paperless_billing"]
CHURN_WORDS = {
    "contract": ["month-to-month", "one-year", "two-year"],
    "internet_service": ["none", "dsl", "fiber"],
    "payment_method": ["bank-transfer", "credit-card", "electronic-check", "mailed-check"],
}


def churn_data(count: int = 6000) -> tuple[pd.DataFrame, np.ndarray]:
    """Synthetic telephone customers with the usual reasons to leave."""
    rng = np.random.default_rng(SEED + 1)
    contract = rng.choice(CHURN_WORDS["contract"], count, p=[0.55, 0.21, 0.24])
    internet = rng.choice(CHURN_WORDS["internet_service"], count, p=[0.22, 0.34, 0.44])
    payment = rng.choice(CHURN_WORDS["payment_method"], count, p=[0.22, 0.22, 0.33, 0.23])
    tenure = np.clip(
        rng.gamma(1.6, 14.0, count) + 20.0 * (contract != "month-to-month"), 1, 72
    ).astype(np.int64)
    calls = rng.poisson(1.1 + 0.6 * (internet == "fiber"))
    base = np.select([internet == "none", internet == "dsl"], [20.0, 50.0], 80.0)
    charges = np.round(base + rng.normal(10.0, 9.0, count).clip(-8.0, 40.0), 2)
    senior = rng.random(count) < 0.16
    paperless = rng.random(count) < 0.59
    tendency = (
        -1.9
        + 1.5 * (contract == "month-to-month")
        - 0.9 * (contract == "two-year")
        + 0.7 * (internet == "fiber")
        + 0.5 * (payment == "electronic-check")
        + 0.55 * np.maximum(calls - 1, 0)
        - 0.035 * tenure
        + 0.012 * (charges - 65.0)
        + 0.3 * senior
        + 0.15 * paperless
        + 1.2 * ((tenure < 6) & (calls > 2))
        - 1.4 * ((contract == "two-year") & (internet == "fiber") & (charges > 90.0))
    )
    left = rng.random(count) < 1.0 / (1.0 + np.exp(-tendency))
    frame = pd.DataFrame(
        {
            "tenure_months": tenure,
            "support_calls": calls.astype(np.int64),
            "monthly_charges": charges,
            "senior_citizen": senior,
            "paperless_billing": paperless,
            "contract": contract,
            "internet_service": internet,
            "payment_method": payment,
        }
    )
    return frame, left


def churn_split() -> list:
    return train_test_split(*churn_data(), test_size=0.25, random_state=SEED)


def customer_churn() -> None:
    train_x, test_x, train_y, test_y = churn_split()
    settings = {
        1: {"n_estimators": 25, "max_depth": 2, "learning_rate": 0.15},
        2: {"n_estimators": 100, "max_depth": 3, "learning_rate": 0.06, "subsample": 0.7},
    }
    plain = [*CHURN_NUMBERS, *CHURN_FLAGS]
    for version, chosen in settings.items():
        words = OneHotEncoder(
            categories=list(CHURN_WORDS.values()), handle_unknown="ignore", sparse_output=False
        )
        estimator = Pipeline(
            [
                ("columns", ColumnTransformer(
                    [("plain", "passthrough", plain), ("words", words, list(CHURN_WORDS))]
                )),
                ("trees", GradientBoostingClassifier(random_state=SEED, **chosen)),
            ]
        )  # fmt: skip
        estimator.fit(train_x, train_y.astype(np.int64))
        probability = estimator.predict_proba(test_x)[:, 1]
        graph = churn_graph(estimator, version, plain)
        quality = {
            "auc": rounded(roc_auc_score(test_y, probability)),
            "accuracy": rounded(np.mean((probability >= 0.5) == test_y)),
        }
        answer = pd.DataFrame(
            {"churn": probability[:2] >= 0.5, "churn_probability": probability[:2].astype("f4")}
        )
        example = test_x.head(2).reset_index(drop=True)
        save(
            "customer-churn", version, graph, example, infer_signature(example, answer), quality,
            (test_x, "churn_probability", probability),
        )  # fmt: skip


def churn_graph(estimator: Pipeline, version: int, plain: list[str]) -> onnx.ModelProto:
    """The pipeline with the inputs and outputs that a DataFrame signature needs.

    MLflow feeds each column as a tensor of rank 1 with the column's own type, while skl2onnx makes
    inputs of shape [N, 1] and one numeric type: casts and reshapes go in front. A probability per
    class would make an output longer than the label's, which MLflow cannot put into one DataFrame:
    the probability of leaving is cut out, and the label becomes a boolean.
    """
    kinds = {name: FloatTensorType([None, 1]) for name in plain}
    kinds |= {name: StringTensorType([None, 1]) for name in CHURN_WORDS}
    converted = convert_sklearn(
        estimator, f"customer-churn-{version}", list(kinds.items()), target_opset=OPSET,
        options={id(estimator): {"zipmap": False}},
    )  # fmt: skip
    graph = converted.graph
    types = {name: TensorProto.STRING for name in CHURN_WORDS}
    types |= {name: TensorProto.BOOL for name in CHURN_FLAGS}
    types |= {
        name: TensorProto.INT64 if kind == "long" else TensorProto.DOUBLE
        for name, kind in CHURN_NUMBERS.items()
    }
    for node in graph.node:
        for position, each in enumerate(node.input):
            if each in types:
                node.input[position] = f"{each}/column"
    front = []
    for name, dtype in types.items():
        source = name
        if dtype != TensorProto.STRING:
            source = f"{name}/float"
            front.append(helper.make_node("Cast", [name], [source], to=TensorProto.FLOAT))
        front.append(helper.make_node("Reshape", [source, "as_column"], [f"{name}/column"]))
    label, probabilities = (each.name for each in graph.output)
    back = [
        helper.make_node("Cast", [label], ["churn"], to=TensorProto.BOOL),
        helper.make_node("Gather", [probabilities, "leaving"], ["churn_probability"], axis=1),
    ]
    tensor = helper.make_tensor_value_info
    made = helper.make_graph(
        [*front, *graph.node, *back],
        graph.name,
        [tensor(name, types[name], [None]) for name in kinds],
        [
            tensor("churn", TensorProto.BOOL, [None]),
            tensor("churn_probability", TensorProto.FLOAT, [None]),
        ],
        [
            *graph.initializer,
            helper.make_tensor("as_column", TensorProto.INT64, [2], [-1, 1]),
            helper.make_tensor("leaving", TensorProto.INT64, [], [1]),
        ],
    )
    return helper.make_model(
        made, opset_imports=converted.opset_import, ir_version=converted.ir_version,
        producer_name=converted.producer_name,
    )  # fmt: skip


# --- digits: an 8 by 8 image to ten probabilities -------------------------------------------------

FILTERS = 16


def digits_split() -> list:
    bundled = load_digits()
    images = bundled.images.astype(np.float32)[:, None]
    return train_test_split(
        images, bundled.target, test_size=0.25, random_state=SEED, stratify=bundled.target
    )


def digits() -> None:
    """A small convolutional network, trained here by gradient descent on scikit-learn's digits."""
    train_x, test_x, train_y, test_y = digits_split()
    weights = train_network(train_x, train_y)
    scores, _ = forward(weights, windows(test_x / 16.0))
    graph = digits_graph(weights)
    accuracy = {"accuracy": rounded(np.mean(scores.argmax(axis=1) == test_y))}
    example = test_x[:1]
    answer = {"label": np.array([3], np.int64), "probabilities": np.zeros((1, 10), np.float32)}
    signature = infer_signature(example, answer)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    held_out = (test_x, "probabilities", odds / odds.sum(axis=1, keepdims=True))
    save("digits", 1, graph, example, signature, accuracy, held_out)


def windows(images: np.ndarray) -> np.ndarray:
    """Each image's 3 by 3 neighbourhoods, zero-padded: [N, 1, 8, 8] to [N, 64, 9]."""
    padded = np.pad(images[:, 0], ((0, 0), (1, 1), (1, 1)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return seen.reshape(len(images), 64, 9)


def forward(weights: dict[str, np.ndarray], seen: np.ndarray) -> tuple[np.ndarray, dict]:
    """Scores, and what the backward pass needs: convolution, ReLU, 2 by 2 maximum, linear."""
    maps = np.maximum(seen @ weights["filters"] + weights["filter_bias"], 0.0)
    blocks = maps.reshape(-1, 4, 2, 4, 2, FILTERS).transpose(0, 1, 3, 5, 2, 4)
    blocks = blocks.reshape(-1, 16, FILTERS, 4)
    pooled = blocks.max(axis=3)
    flat = pooled.transpose(0, 2, 1).reshape(len(seen), -1)
    return flat @ weights["linear"] + weights["bias"], {"blocks": blocks, "flat": flat}


def backward(
    weights: dict[str, np.ndarray], seen: np.ndarray, kept: dict, error: np.ndarray
) -> dict[str, np.ndarray]:
    """The gradients, given the gradient of the loss by the scores."""
    flat_error = error @ weights["linear"].T
    pooled_error = flat_error.reshape(-1, FILTERS, 16).transpose(0, 2, 1)
    blocks = kept["blocks"]
    winner = blocks.argmax(axis=3)[..., None]
    block_error = np.zeros_like(blocks)
    passed = (np.take_along_axis(blocks, winner, 3) > 0) * pooled_error[..., None]
    np.put_along_axis(block_error, winner, passed, 3)
    map_error = block_error.reshape(-1, 4, 4, FILTERS, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    map_error = map_error.reshape(-1, 64, FILTERS)
    return {
        "linear": kept["flat"].T @ error,
        "bias": error.sum(axis=0),
        "filters": np.einsum("npk,npf->kf", seen, map_error),
        "filter_bias": map_error.sum(axis=(0, 1)),
    }


def train_network(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Momentum descent on the cross entropy, 40 passes in batches of 64."""
    rng = np.random.default_rng(SEED + 2)
    weights = {
        "filters": rng.normal(0.0, 0.3, (9, FILTERS)),
        "filter_bias": np.zeros(FILTERS),
        "linear": rng.normal(0.0, 0.06, (FILTERS * 16, 10)),
        "bias": np.zeros(10),
    }
    speed = {name: np.zeros_like(each) for name, each in weights.items()}
    seen, wanted = windows(images / 16.0).astype(np.float64), np.eye(10)[labels]
    for step in range(40):
        rate = 0.1 if step < 25 else 0.02
        order = rng.permutation(len(seen))
        for start in range(0, len(order), 64):
            batch = order[start : start + 64]
            scores, kept = forward(weights, seen[batch])
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            error = (odds / odds.sum(axis=1, keepdims=True) - wanted[batch]) / len(batch)
            for name, slope in backward(weights, seen[batch], kept, error).items():
                speed[name] = 0.9 * speed[name] - rate * (slope + 1e-4 * weights[name])
                weights[name] = weights[name] + speed[name]
    return weights


def digits_graph(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """Pixels 0 to 16 to the label and ten probabilities."""
    constants = {
        "full_ink": np.float32(16.0),
        "filters": weights["filters"].T.reshape(FILTERS, 1, 3, 3).astype(np.float32),
        "filter_bias": weights["filter_bias"].astype(np.float32),
        "linear": weights["linear"].astype(np.float32),
        "bias": weights["bias"].astype(np.float32),
    }
    nodes = [
        helper.make_node("Div", ["image", "full_ink"], ["ink"]),
        helper.make_node(
            "Conv", ["ink", "filters", "filter_bias"], ["maps"],
            kernel_shape=[3, 3], pads=[1, 1, 1, 1],
        ),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("MaxPool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "linear", "bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]  # fmt: skip
    tensor = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "digits-1",
        [tensor("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [
            tensor("label", TensorProto.INT64, ["batch"]),
            tensor("probabilities", TensorProto.FLOAT, ["batch", 10]),
        ],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


# --- what they were trained with ------------------------------------------------------------------


def write_rows() -> None:
    """The training rows as `target/train/<name>.<form>`, one form of file for each model."""
    ROWS.mkdir(parents=True, exist_ok=True)
    wines, _, grades, _ = wine_split()
    wines.assign(grade=grades.round(3)).to_csv(ROWS / "wine-quality.csv", index=False)
    customers, _, left, _ = churn_split()
    customers.assign(left=left).to_parquet(ROWS / "customer-churn.parquet", index=False)
    images, _, _, _ = digits_split()
    lines = (json.dumps(image.tolist()) + "\n" for image in images)
    (ROWS / "digits.jsonl").write_text("".join(lines))


def main() -> None:
    write_rows()
    if "--rows" in sys.argv[1:]:
        return
    warnings.filterwarnings("ignore", message=".*integer column.*")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    wine_quality()
    customer_churn()
    digits()


if __name__ == "__main__":
    main()
