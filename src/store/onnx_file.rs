//! What an ONNX file says about the files beside it.
//!
//! Weights of a kilobyte or more usually lie in other files, which the graph names tensor by
//! tensor. The graph is walked for these names only: node by node, through attributes, subgraphs
//! and functions, skipping every weight. Memory use follows the number of named files.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::onnx_wire::{Value, WireError, WireReader};

/// Nested messages followed: protobuf's own limit, which the runtimes have too.
const DEPTH_MAX: u32 = 100;
/// Longest tensor or file name that is read, in bytes.
const NAME_BYTES_MAX: u64 = 4096;
/// Other files that a graph may name; one for each tensor of the largest models is far below.
const FILES_MAX: usize = 100_000;
/// `TensorProto.data_location` of a tensor in another file.
const LOCATION_EXTERNAL: u64 = 1;

/// A file that a graph keeps weights in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExternalFile {
    /// As the graph names it, relative to the graph's own directory.
    pub(super) location: String,
    /// How long the file has to be, in bytes, for every tensor in it to be whole.
    pub(super) bytes_min: u64,
    /// The tensor that reaches this far.
    pub(super) tensor: String,
}

/// What a graph keeps, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GraphWeights {
    /// Sorted by location.
    pub(super) files: Vec<ExternalFile>,
    /// Bytes of the graph's own file that are tensors.
    pub(super) own_bytes: u64,
    /// Bytes that all tensors have when 16-bit numbers are widened to 32: an engine does that where
    /// it has no code for them.
    pub(super) wide_bytes: u64,
}

/// Why a file is not a readable ONNX graph. Each text reads after "the graph ...".
#[derive(Debug, thiserror::Error)]
pub enum OnnxFileError {
    #[error("cannot be read: {0}")]
    Io(std::io::Error),
    #[error("is damaged or not ONNX: at byte {position} {what}")]
    Malformed { position: u64, what: &'static str },
    #[error("is damaged or not ONNX: it holds no graph")]
    NoGraph,
    #[error("is nested more than {DEPTH_MAX} levels deep (at byte {position})")]
    TooDeep { position: u64 },
    #[error("keeps tensor `{tensor}` in another file, but {what}")]
    External { tensor: String, what: &'static str },
}

impl From<WireError> for OnnxFileError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Io(error) => Self::Io(error),
            WireError::Malformed { position, what } => Self::Malformed { position, what },
        }
    }
}

/// Walks an ONNX file of `bytes` bytes from its start and returns what it says of its weights.
///
/// # Errors
/// When the file ends early, is not an ONNX model, or names another file in a way that means
/// nothing.
pub(super) fn graph_weights<R: Read + Seek>(
    reader: R,
    bytes: u64,
) -> Result<GraphWeights, OnnxFileError> {
    let mut walk = Walk {
        reader: WireReader::new(reader),
        found_graph: false,
        files: BTreeMap::new(),
        own_bytes: 0,
        wide_bytes: 0,
    };
    walk.message(Message::Model, bytes, 0)?;
    if !walk.found_graph {
        return Err(OnnxFileError::NoGraph);
    }
    let Walk { files, own_bytes, wide_bytes, .. } = walk;
    let files = files
        .into_iter()
        .map(|(location, (bytes_min, tensor))| ExternalFile { location, bytes_min, tensor })
        .collect();
    Ok(GraphWeights { files, own_bytes, wide_bytes })
}

/// The files that it keeps weights in: sorted, relative to the graph's own directory.
///
/// # Errors
/// As [`graph_weights`].
pub(crate) fn external_locations<R: Read + Seek>(
    reader: R,
    bytes: u64,
) -> Result<Vec<String>, OnnxFileError> {
    Ok(graph_weights(reader, bytes)?.files.into_iter().map(|file| file.location).collect())
}

/// The messages on the way to a tensor (`onnx.proto`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
    SparseTensor,
    Tensor,
}

impl Message {
    /// The message in a field of this one; `None` for what holds no tensor. Training information
    /// is left out: inference does not load it.
    const fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => {
                Self::Tensor
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            _ => return None,
        })
    }
}

struct Walk<R> {
    reader: WireReader<R>,
    found_graph: bool,
    /// By location: how far the tensors in it reach, and which one reaches farthest.
    files: BTreeMap<String, (u64, String)>,
    own_bytes: u64,
    wide_bytes: u64,
}

/// What a `TensorProto` says about where its data are.
#[derive(Default)]
struct TensorHead {
    name: String,
    /// `None` when the product exceeds 64 bits.
    elements: Option<u64>,
    data_type: u64,
    is_external: bool,
    location: Option<String>,
    offset: Option<String>,
    length: Option<String>,
}

impl<R: Read + Seek> Walk<R> {
    fn message(&mut self, message: Message, end: u64, depth: u32) -> Result<(), OnnxFileError> {
        if depth > DEPTH_MAX {
            return Err(OnnxFileError::TooDeep { position: self.reader.position() });
        }
        while let Some(field) = self.reader.next(end)? {
            let Value::Bytes { end: field_end } = field.value else { continue };
            match message.child(field.number) {
                Some(Message::Tensor) => self.tensor(field_end)?,
                Some(child) => {
                    self.found_graph |= child == Message::Graph;
                    self.message(child, field_end, depth + 1)?;
                }
                None => self.reader.skip_to(field_end)?,
            }
        }
        Ok(())
    }

    fn tensor(&mut self, end: u64) -> Result<(), OnnxFileError> {
        let start = self.reader.position();
        let mut head = TensorHead { elements: Some(1), ..TensorHead::default() };
        while let Some(field) = self.reader.next(end)? {
            match (field.number, field.value) {
                (1, Value::Varint(size)) => head.multiply(size),
                (1, Value::Bytes { end }) => {
                    while self.reader.position() < end {
                        head.multiply(self.reader.varint(end)?);
                    }
                }
                (2, Value::Varint(data_type)) => head.data_type = data_type,
                (8, Value::Bytes { end }) => {
                    head.name = self.reader.text(end, NAME_BYTES_MAX)?.unwrap_or_default();
                }
                (13, Value::Bytes { end }) => {
                    let (key, value) = self.entry(end)?;
                    head.take(&key, value);
                }
                (14, Value::Varint(location)) => head.is_external = location == LOCATION_EXTERNAL,
                (_, Value::Bytes { end }) => self.reader.skip_to(end)?,
                (_, Value::Varint(_) | Value::Fixed) => {}
            }
        }
        let own_bytes = end.saturating_sub(start);
        let bytes = if head.is_external { head.bytes().unwrap_or_default() } else { own_bytes };
        let widened = if head.bits() == 16 { 2 } else { 1 };
        self.own_bytes = self.own_bytes.saturating_add(own_bytes);
        self.wide_bytes = self.wide_bytes.saturating_add(bytes.saturating_mul(widened));
        if head.is_external { self.record(head) } else { Ok(()) }
    }

    /// A `StringStringEntryProto`: key and value.
    fn entry(&mut self, end: u64) -> Result<(String, String), OnnxFileError> {
        let (mut key, mut value) = (String::new(), String::new());
        while let Some(field) = self.reader.next(end)? {
            let Value::Bytes { end } = field.value else { continue };
            match field.number {
                1 => key = self.reader.text(end, NAME_BYTES_MAX)?.unwrap_or_default(),
                2 => value = self.reader.text(end, NAME_BYTES_MAX)?.unwrap_or_default(),
                _ => self.reader.skip_to(end)?,
            }
        }
        Ok((key, value))
    }

    fn record(&mut self, head: TensorHead) -> Result<(), OnnxFileError> {
        let (location, bytes_min) = match head.extent() {
            Ok(extent) => extent,
            Err(what) => return Err(OnnxFileError::External { tensor: head.name, what }),
        };
        if self.files.len() >= FILES_MAX && !self.files.contains_key(&location) {
            let what = "the graph names more than 100000 files";
            return Err(OnnxFileError::External { tensor: head.name, what });
        }
        let farthest = self.files.entry(location).or_insert_with(|| (0, String::new()));
        if bytes_min >= farthest.0 {
            *farthest = (bytes_min, head.name);
        }
        Ok(())
    }
}

impl TensorHead {
    /// Keeps an entry of `external_data`; the others (`checksum`, ...) are no runtime's concern.
    fn take(&mut self, key: &str, value: String) {
        match key {
            "location" => self.location = Some(value),
            "offset" => self.offset = Some(value),
            "length" => self.length = Some(value),
            _ => {}
        }
    }

    fn multiply(&mut self, size: u64) {
        self.elements = self.elements.and_then(|elements| elements.checked_mul(size));
    }

    /// The file that holds the data, and where in it the data end.
    fn extent(&self) -> Result<(String, u64), &'static str> {
        let location = self
            .location
            .as_ref()
            .filter(|location| !location.is_empty())
            .ok_or("does not name it (or with more than 4096 bytes)")?;
        let number = |text: &String| text.trim().parse::<u64>();
        let offset = self.offset.as_ref().map(number).transpose();
        let offset = offset.map_err(|_| "its offset is not a number")?.unwrap_or(0);
        let length = self.length.as_ref().map(number).transpose();
        let length = match length.map_err(|_| "its length is not a number")? {
            Some(length) => length,
            None => self.bytes().ok_or("its size exceeds 64 bits")?,
        };
        let end = offset.checked_add(length).ok_or("its end exceeds 64 bits")?;
        Ok((location.clone(), end))
    }

    /// Bytes that the elements take; 0 for element types without a fixed size.
    fn bytes(&self) -> Option<u64> {
        Some(self.elements?.checked_mul(self.bits())?.div_ceil(8))
    }

    /// Bits of an element (`TensorProto.DataType`); 0 where they have no fixed number.
    const fn bits(&self) -> u64 {
        match self.data_type {
            2 | 3 | 9 | 17..=20 | 24 => 8,
            4 | 5 | 10 | 16 => 16,
            1 | 6 | 12 => 32,
            7 | 11 | 13 | 14 => 64,
            15 => 128,
            27 | 28 => 6,
            21..=23 => 4,
            25 | 26 => 2,
            _ => 0,
        }
    }
}
