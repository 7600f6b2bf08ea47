//! Settings of ONNX Runtime.

use super::{Setting, known};

pub const ORT_LIBRARY: Setting = Setting {
    key: "onnxruntime.library",
    flag: "onnxruntime-library",
    short: None,
    env: "FLOWGATE_ONNXRUNTIME_LIBRARY",
    env_known: Some(known("ORT_DYLIB_PATH")),
    default: None,
    expected: "the path of libonnxruntime.so",
    meaning: "ONNX Runtime's library; if not set it is searched for.",
};

pub const ORT_PROVIDERS: Setting = Setting {
    key: "onnxruntime.providers",
    flag: "onnxruntime-providers",
    short: None,
    env: "FLOWGATE_ONNXRUNTIME_PROVIDERS",
    env_known: None,
    default: None,
    expected: "execution providers, separated by commas (`CUDAExecutionProvider,\
               CPUExecutionProvider`)",
    meaning: "Execution providers in order of preference, instead of those in the MLmodel file.",
};

pub const ORT_THREADS: Setting = Setting {
    key: "onnxruntime.intra_op_threads",
    flag: "onnxruntime-intra-op-threads",
    short: None,
    env: "FLOWGATE_ONNXRUNTIME_INTRA_OP_THREADS",
    env_known: None,
    default: Some("auto"),
    expected: "`auto` or a number from 1 to 1024",
    meaning: "Threads within one run of a model whose MLmodel file does not say; `auto` is 1, \
              which keeps a run on its inference thread, or the number of cores with the profile \
              `latency`.",
};

pub const ORT_SPINNING: Setting = Setting {
    key: "onnxruntime.spinning",
    flag: "onnxruntime-spinning",
    short: None,
    env: "FLOWGATE_ONNXRUNTIME_SPINNING",
    env_known: None,
    default: Some("auto"),
    expected: "`auto`, `true` or `false`",
    meaning: "Whether ONNX Runtime's own threads wait by spinning: faster, at a core's expense. \
              `auto` is `false`, or `true` with the profile `latency`.",
};
