//! Protobuf by hand: just what the walker of ONNX files looks at.

pub(super) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(super) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

pub(super) fn bytes(field: u64, payload: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(payload.len() as u64), payload.to_vec()].concat()
}

/// A `TensorProto` whose data lie elsewhere.
pub(super) fn external(name: &str, entries: &[(&str, &str)]) -> Vec<u8> {
    let entries = entries.iter().map(|(key, value)| {
        bytes(13, &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat())
    });
    let head = [bytes(8, name.as_bytes()), number(2, 1), number(1, 4), number(1, 3)].concat();
    [head, entries.collect::<Vec<_>>().concat(), number(14, 1)].concat()
}

/// A `ModelProto` whose graph has these initializers.
pub(super) fn model(initializers: &[Vec<u8>]) -> Vec<u8> {
    let initializers = initializers.iter().map(|tensor| bytes(5, tensor));
    [number(1, 10), bytes(7, &initializers.collect::<Vec<_>>().concat())].concat()
}
