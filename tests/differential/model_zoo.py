"""Small MLflow ONNX models that together touch every part of the scoring protocol.

Every model is written by the real `mlflow.onnx.save_model`, from a graph built with `onnx.helper`.
The graphs echo their inputs wherever possible, so that an answer shows exactly what the server
made of each value on its way in and out; the few that compute do so to reach an output kind
(ZipMap, probabilities, scalars, non-finite numbers).

    python model_zoo.py DIR        writes every model to DIR/<name>
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property

F16, F32, F64 = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE
I8, I16, I32, I64 = TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64
U8, U16, U32, U64 = TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64
BOOL, STRING = TensorProto.BOOL, TensorProto.STRING

NUMPY_DTYPE = {
    F16: "float16", F32: "float32", F64: "float64",
    I8: "int8", I16: "int16", I32: "int32", I64: "int64",
    U8: "uint8", U16: "uint16", U32: "uint32", U64: "uint64",
    BOOL: "bool", STRING: "str",
}  # fmt: skip

IR_VERSION = 10
OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]

# Without this, `save_model` would run the model in a second process to infer what it needs.
REQUIREMENTS = ["mlflow==3.18.0", "onnx", "onnxruntime", "numpy"]


@dataclass(frozen=True)
class Blueprint:
    """What `save_model` needs to write one model."""

    graph: ModelProto
    signature: ModelSignature | None
    # A model that MLflow can serve where it cannot serve this one: where this one is served by an
    # intended difference, the twin's answer says what to expect (see `parity.py`).
    twin: str | None = None


def model(inputs: list, nodes: list, outputs: list, initializers: Iterable = ()) -> ModelProto:
    graph = helper.make_graph(nodes, "zoo", inputs, outputs, initializer=list(initializers))
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=IR_VERSION)


def value(name: str, dtype: int, shape: list):
    return helper.make_tensor_value_info(name, dtype, shape)


def echo(*inputs: tuple[str, int, list]) -> ModelProto:
    """One output `out_<name>` per input, equal to it."""
    return model(
        [value(*each) for each in inputs],
        [helper.make_node("Identity", [name], [f"out_{name}"]) for name, _, _ in inputs],
        [value(f"out_{name}", dtype, shape) for name, dtype, shape in inputs],
    )


def columns(*specs: tuple, params: ParamSchema | None = None) -> ModelSignature:
    """A column signature from `(type, name)` or `(type, name, required)`; name may be None."""
    built = []
    for kind, name, *rest in specs:
        built.append(ColSpec(type=kind, name=name, required=rest[0] if rest else True))
    return ModelSignature(inputs=Schema(built), params=params)


def tensors(*specs: tuple[str, tuple] | tuple[str, tuple, str], params=None) -> ModelSignature:
    """A tensor signature from `(dtype, shape)` or `(dtype, shape, name)`."""
    built = []
    for dtype, shape, *name in specs:
        built.append(TensorSpec(np.dtype(dtype), shape, name[0] if name else None))
    return ModelSignature(inputs=Schema(built), params=params)


# --- DataFrame signatures, one graph input: `DataFrame.values` is fed ---------------------------


def matrix(kind: str, dtype: int, width: int = 3, twin: str | None = None) -> Blueprint:
    """`width` columns of one type on an echo of `[N, width]`."""
    names = ["a", "b c", "größe", "d", "e"][:width]
    return Blueprint(
        echo(("x", dtype, [None, width])), columns(*((kind, name) for name in names)), twin
    )


def matrix_of(kinds: list[str], dtype: int, twin: str | None = None) -> Blueprint:
    """Columns of different types on one graph input: their common dtype decides."""
    specs = [(kind, f"c{index}") for index, kind in enumerate(kinds)]
    return Blueprint(echo(("x", dtype, [None, len(kinds)])), columns(*specs), twin)


def cast_matrix(kinds: list[str], source: int, target: int) -> Blueprint:
    """The twin of a matrix on a graph of another dtype: the graph casts, MLflow need not."""
    specs = [(kind, f"c{index}") for index, kind in enumerate(kinds)]
    shape = [None, len(kinds)]
    graph = model(
        [value("x", source, shape)],
        [helper.make_node("Cast", ["x"], ["out_x"], to=target)],
        [value("out_x", target, shape)],
    )
    return Blueprint(graph, columns(*specs))


def unnamed_columns(kind: str, dtype: int) -> Blueprint:
    return Blueprint(echo(("x", dtype, [None, 3])), columns(*[(kind, None)] * 3))


# --- DataFrame signatures, several graph inputs: each column is fed by itself -------------------

SCALARS = [
    ("double", "d", F64), ("float", "f", F32), ("long", "l", I64),
    ("integer", "i", I32), ("boolean", "b", BOOL), ("string", "s", STRING),
]  # fmt: skip


def scalar_columns() -> Blueprint:
    """Every scalar type: six reach the graph, the optional ones are only checked."""
    graph = echo(*((name, dtype, [None]) for _, name, dtype in SCALARS))
    required = [(kind, name) for kind, name, _ in SCALARS]
    optional = [
        ("double", "od", False), ("long", "ol", False), ("boolean", "ob", False),
        ("string", "os", False), ("binary", "obin", False), ("datetime", "odt", False),
    ]  # fmt: skip
    return Blueprint(graph, columns(*required, *optional))


def one_scalar(kind: str, dtype: int) -> Blueprint:
    """Two columns of one type, each its own input, so that conversions show cell by cell."""
    return Blueprint(
        echo(("p", dtype, [None]), ("q", dtype, [None])), columns((kind, "p"), (kind, "q"))
    )


def unfed_column(kind: str) -> Blueprint:
    """A required column of a type that no graph takes: checked, then dropped."""
    graph = echo(("x", F64, [None]), ("y", F64, [None]))
    return Blueprint(graph, columns(("double", "x"), ("double", "y"), (kind, "extra")))


def multi_cast(kind: str, dtype: int, twin: str | None) -> Blueprint:
    graph = echo(("p", dtype, [None]), ("q", dtype, [None]))
    return Blueprint(graph, columns((kind, "p"), (kind, "q")), twin)


def multi_cast_twin(kind: str, source: int, target: int) -> Blueprint:
    graph = model(
        [value(name, source, [None]) for name in "pq"],
        [helper.make_node("Cast", [name], [f"out_{name}"], to=target) for name in "pq"],
        [value(f"out_{name}", target, [None]) for name in "pq"],
    )
    return Blueprint(graph, columns((kind, "p"), (kind, "q")))


RANK2 = [("long", "age", I64), ("double", "income", F64), ("string", "city", STRING)]


def rank2_columns() -> Blueprint:
    """What skl2onnx writes: every column an input of shape [N, 1]."""
    graph = echo(*((name, dtype, [None, 1]) for _, name, dtype in RANK2))
    return Blueprint(graph, columns(*((k, n) for k, n, _ in RANK2)), "rank1_columns")


def rank1_columns() -> Blueprint:
    graph = echo(*((name, dtype, [None]) for _, name, dtype in RANK2))
    return Blueprint(graph, columns(*((k, n) for k, n, _ in RANK2)))


def optional_input() -> Blueprint:
    """A graph input whose column may be absent: absent is an error of the runtime, not of the
    schema."""
    graph = echo(("a", F64, [None]), ("b", F64, [None]))
    return Blueprint(graph, columns(("double", "a"), ("double", "b", False)))


def complex_columns(required: bool) -> Blueprint:
    """Arrays, objects, maps and `any` beside two doubles that reach the graph."""
    graph = echo(("a", F64, [None]), ("b", F64, [None]))
    point = Object([Property("x", "double"), Property("label", "string", required=False)])
    return Blueprint(
        graph,
        columns(
            ("double", "a"),
            ("double", "b"),
            (Array("double"), "arr", required),
            (Array(Array("long")), "nested", required),
            (point, "obj", required),
            (Map("long"), "map", required),
            (Array("string"), "tags", False),
            (AnyType(), "any", False),
        ),
    )


def params_columns() -> Blueprint:
    return Blueprint(echo(("x", F32, [None, 2])), columns(("double", "u"), ("double", "v"),
                                                          params=PARAMS))  # fmt: skip


PARAMS = ParamSchema(
    [
        ParamSpec("temperature", "double", 0.5),
        ParamSpec("scale", "float", 1.0),
        ParamSpec("top_k", "long", 10),
        ParamSpec("seed", "integer", 1),
        ParamSpec("verbose", "boolean", False),
        ParamSpec("mode", "string", "fast"),
        ParamSpec("stops", "string", ["a"], shape=(-1,)),
        ParamSpec("weights", "double", [0.1, 0.2], shape=(-1,)),
    ]
)


# --- Tensor signatures ------------------------------------------------------------------------


def tensor(dtype: int, shape: tuple, name: str | None = None) -> Blueprint:
    """An echo with a tensor signature of the same shape; the signature's name may be absent."""
    dims = [None if dim == -1 else dim for dim in shape]
    spec = (NUMPY_DTYPE[dtype], shape) + ((name,) if name else ())
    return Blueprint(echo((name or "x", dtype, dims)), tensors(spec))


def dtype_tensors() -> Blueprint:
    """A named tensor of every dtype."""
    named = {name.replace("float", "f"): dtype for dtype, name in NUMPY_DTYPE.items()}
    graph = echo(*((name, dtype, [None, 2]) for name, dtype in named.items()))
    return Blueprint(
        graph, tensors(*((NUMPY_DTYPE[dtype], (-1, 2), name) for name, dtype in named.items()))
    )


def sequence_tensors() -> Blueprint:
    """Two named tensors of free length: a tokenised text."""
    graph = model(
        [value("input_ids", I64, [None, None]), value("attention_mask", I64, [None, None])],
        [
            helper.make_node("Mul", ["input_ids", "attention_mask"], ["masked"]),
            helper.make_node("ReduceSum", ["masked", "axis"], ["total"], keepdims=0),
        ],
        [value("masked", I64, [None, None]), value("total", I64, [None])],
        [helper.make_tensor("axis", I64, [1], [1])],
    )
    return Blueprint(
        graph, tensors(("int64", (-1, -1), "input_ids"), ("int64", (-1, -1), "attention_mask"))
    )


def column_tensors() -> Blueprint:
    """Named tensors that a DataFrame can fill: one column each."""
    graph = echo(("u", F32, [None, 1]), ("v", I64, [None]), ("w", F32, [None, 3]))
    return Blueprint(
        graph, tensors(("float32", (-1, 1), "u"), ("int64", (-1,), "v"), ("float32", (-1, 3), "w"))
    )


def params_tensor() -> Blueprint:
    return Blueprint(echo(("x", F32, [None, 2])), tensors(("float32", (-1, 2)), params=PARAMS))


def outputs_graph(dtype: int = F32) -> ModelProto:
    """Outputs of every awkward kind: non-finite, scalar, rank 3, other dtypes, text."""
    shape = [None, 2]
    return model(
        [value("x", dtype, shape)],
        [
            helper.make_node("Log", ["x"], ["log"]),
            helper.make_node("Div", ["x", "zero"], ["over_zero"]),
            helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
            helper.make_node("Unsqueeze", ["x", "axis"], ["cube"]),
            helper.make_node("Cast", ["x"], ["flag"], to=BOOL),
            helper.make_node("Cast", ["x"], ["half"], to=F16),
            helper.make_node("Cast", ["x"], ["wide"], to=F64),
            helper.make_node("Floor", ["x"], ["floor"]),
            helper.make_node("Cast", ["finite"], ["byte"], to=U8),
            helper.make_node("Clip", ["x", "zero", "top"], ["clipped"]),
            helper.make_node("IsNaN", ["clipped"], ["nan"]),
            helper.make_node("Where", ["nan", "zero", "clipped"], ["finite"]),
        ],
        [
            value("log", dtype, shape), value("over_zero", dtype, shape),
            value("total", dtype, []), value("cube", dtype, [None, 1, 2]),
            value("flag", BOOL, shape), value("half", F16, shape), value("wide", F64, shape),
            value("floor", dtype, shape), value("byte", U8, shape),
        ],
        [
            helper.make_tensor("zero", dtype, [], [0.0]),
            helper.make_tensor("top", dtype, [], [255.0]),
            helper.make_tensor("axis", I64, [1], [1]),
        ],
    )  # fmt: skip


def square_outputs_columns() -> Blueprint:
    """Outputs of [N, 2] behind a DataFrame: MLflow flattens them to 2 N records."""
    graph = model(
        [value("x", F32, [None, 2])],
        [
            helper.make_node("Sqrt", ["x"], ["root"]),
            helper.make_node("Cast", ["x"], ["wide"], to=F64),
        ],
        [value("root", F32, [None, 2]), value("wide", F64, [None, 2])],
    )
    return Blueprint(graph, columns(("double", "u"), ("double", "v")))


# --- Classifiers ------------------------------------------------------------------------------

CLASSIFIER_COEFFICIENTS = [0.9, -0.4, -1.1, 0.3, 0.7, -0.2, -1.2, -0.3, 1.3]


def classifier_nodes(labels: list) -> list:
    text = isinstance(labels[0], str)
    key = "classlabels_strings" if text else "classlabels_ints"
    return [
        helper.make_node(
            "LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml",
            coefficients=CLASSIFIER_COEFFICIENTS, intercepts=[0.1, 0.2, -0.3],
            post_transform="SOFTMAX", multi_class=1, **{key: labels},
        )
    ]  # fmt: skip


def zipmap_graph(labels: list) -> ModelProto:
    text = isinstance(labels[0], str)
    zipmap = helper.make_node(
        "ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml",
        **{"classlabels_strings" if text else "classlabels_int64s": labels},
    )  # fmt: skip
    key = STRING if text else I64
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(key, helper.make_tensor_type_proto(F32, []))
    )
    return model(
        [value("x", F32, [None, 3])],
        [*classifier_nodes(labels), zipmap],
        [value("label", key, [None]), helper.make_value_info("probabilities", maps)],
    )


def probabilities_graph(outputs: tuple[str, ...] = ("label", "scores")) -> ModelProto:
    known = {"label": value("label", I64, [None]), "scores": value("scores", F32, [None, 3])}
    return model(
        [value("x", F32, [None, 3])],
        classifier_nodes([0, 1, 2]),
        [known[name] for name in outputs],
    )


FEATURES = [("double", "u"), ("double", "v"), ("double", "w")]


# --- The zoo ----------------------------------------------------------------------------------

ZOO: dict[str, Callable[[], Blueprint]] = {
    # Columns, one graph input.
    "double_f32": lambda: matrix("double", F32),
    "double_f64": lambda: matrix("double", F64),
    "float_f32": lambda: matrix("float", F32),
    "long_i64": lambda: matrix("long", I64),
    "integer_i32": lambda: matrix("integer", I32),
    "boolean_bool": lambda: matrix("boolean", BOOL),
    "string_str": lambda: matrix("string", STRING),
    "one_string": lambda: matrix("string", STRING, width=1),
    "long_double_f32": lambda: matrix_of(["long", "double"], F32),
    "integer_long_i64": lambda: matrix_of(["integer", "long"], I64),
    "string_double_str": lambda: matrix_of(["string", "double"], STRING),
    "boolean_double_f32": lambda: matrix_of(["boolean", "double"], F32),
    "long_long_f32": lambda: matrix_of(["long", "long"], F32, "long_long_cast"),
    "long_long_cast": lambda: cast_matrix(["long", "long"], I64, F32),
    "integer_integer_i64": lambda: matrix_of(["integer", "integer"], I64, "integer_integer_cast"),
    "integer_integer_cast": lambda: cast_matrix(["integer", "integer"], I32, I64),
    "unnamed_double": lambda: unnamed_columns("double", F64),
    "unnamed_long": lambda: unnamed_columns("long", I64),
    "params_columns": params_columns,
    # Columns, several graph inputs.
    "scalar_columns": scalar_columns,
    "each_double": lambda: one_scalar("double", F64),
    "each_float": lambda: one_scalar("float", F32),
    "each_long": lambda: one_scalar("long", I64),
    "each_integer": lambda: one_scalar("integer", I32),
    "each_boolean": lambda: one_scalar("boolean", BOOL),
    "each_string": lambda: one_scalar("string", STRING),
    "with_binary": lambda: unfed_column("binary"),
    "with_datetime": lambda: unfed_column("datetime"),
    "each_long_f32": lambda: multi_cast("long", F32, "each_long_cast"),
    "each_long_cast": lambda: multi_cast_twin("long", I64, F32),
    "rank2_columns": rank2_columns,
    "rank1_columns": rank1_columns,
    "optional_input": optional_input,
    "complex_optional": lambda: complex_columns(required=False),
    "complex_required": lambda: complex_columns(required=True),
    # Tensors.
    "t_f16": lambda: tensor(F16, (-1, 2)),
    "t_f32": lambda: tensor(F32, (-1, 4)),
    "t_f64": lambda: tensor(F64, (-1, 2)),
    "t_i8": lambda: tensor(I8, (-1, 2)),
    "t_i32": lambda: tensor(I32, (-1, 2)),
    "t_i64": lambda: tensor(I64, (-1,)),
    "t_u8_image": lambda: tensor(U8, (-1, 2, 2, 3)),
    "t_u64": lambda: tensor(U64, (-1, 2)),
    "t_bool": lambda: tensor(BOOL, (-1, 2)),
    "t_str": lambda: tensor(STRING, (-1, 2)),
    "t_f32_fixed": lambda: tensor(F32, (2, 3)),
    "t_f32_cube": lambda: tensor(F32, (-1, 2, 2)),
    "t_f32_free": lambda: tensor(F32, (-1, -1)),
    "t_named": lambda: tensor(F32, (-1, 3), "X"),
    "dtype_tensors": dtype_tensors,
    "sequence_tensors": sequence_tensors,
    "column_tensors": column_tensors,
    "params_tensor": params_tensor,
    "weird_outputs": lambda: Blueprint(outputs_graph(), tensors(("float32", (-1, 2)))),
    "square_outputs": square_outputs_columns,
    # No signature.
    "nosig_f32": lambda: Blueprint(echo(("x", F32, [None, 3])), None),
    "nosig_f64": lambda: Blueprint(echo(("x", F64, [None, 2])), None),
    "nosig_i64": lambda: Blueprint(echo(("x", I64, [None, 2])), None),
    "nosig_str": lambda: Blueprint(echo(("x", STRING, [None, None])), None),
    "nosig_multi_f32": lambda: Blueprint(echo(("a", F32, [None]), ("b", F32, [None])), None),
    "nosig_multi_mixed": lambda: Blueprint(
        echo(("n", F64, [None]), ("k", I64, [None]), ("s", STRING, [None])), None
    ),
    # Classifiers.
    "zipmap_int": lambda: Blueprint(zipmap_graph([0, 1, 2]), columns(*FEATURES)),
    "zipmap_str": lambda: Blueprint(zipmap_graph(["no", "yes", "größer"]), columns(*FEATURES)),
    "zipmap_tensor": lambda: Blueprint(zipmap_graph([0, 1, 2]), tensors(("float32", (-1, 3)))),
    "probabilities_columns": lambda: Blueprint(
        probabilities_graph(), columns(*FEATURES), "scores_columns"
    ),
    "probabilities_tensor": lambda: Blueprint(
        probabilities_graph(), tensors(("float32", (-1, 3)))
    ),
    "scores_columns": lambda: Blueprint(probabilities_graph(("scores",)), columns(*FEATURES)),
}


def write(name: str, directory: Path) -> None:
    """Writes the model `name` to `directory`, which must not exist."""
    import mlflow

    blueprint = ZOO[name]()
    mlflow.onnx.save_model(
        blueprint.graph,
        str(directory),
        signature=blueprint.signature,
        pip_requirements=REQUIREMENTS,
    )


def build(target: Path, names: Iterable[str] | None = None) -> list[Path]:
    """Writes the named models (all when None) under `target`; those already there are kept."""
    warnings.filterwarnings("ignore", message=".*integer column.*")
    written = []
    for name in names or ZOO:
        directory = target / name
        if not (directory / "MLmodel").exists():
            write(name, directory)
        written.append(directory)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python model_zoo.py DIR")
    for each in build(Path(sys.argv[1])):
        print(each)
