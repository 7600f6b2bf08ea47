//! The protocol applied to one model: bodies to feeds, outputs to answers.

use super::WireError;
use super::coerce::cast_frame;
use super::content_type::{self, BodyFormat};
use super::csv::{CsvOptions, CsvTypes, Datetimes, UnevenRows, read_csv};
use super::dataframe::{from_records, from_split};
use super::encode::{Draft, Encoder};
use super::enforce::{enforce_columns, enforce_tensors};
use super::feed::{Casts, ModelInput, feed};
use super::frame::{Frame, Label, Series};
use super::json;
use super::memory;
use super::number_text::parse_float;
use super::numpy::NdArray;
use super::params::enforce_params;
use super::parquet::read_parquet;
use super::stream::StreamPlan;
use super::tensors::{Data, Item, from_inputs, from_instances};
use super::value::Value;
use crate::model::{ColumnType, GraphIo, OutputRows, Schema, Signature, TensorSpec, ValueType};
use crate::tensor::Tensor;

/// How one model version speaks the protocol: its signature and its graph, prepared once.
#[derive(Debug)]
pub struct Scoring {
    signature: Signature,
    io: GraphIo,
    encoder: Encoder,
    stream: Option<StreamPlan>,
    options: ScoringOptions,
}

/// Settings of the protocol.
#[derive(Clone, Copy, Debug)]
pub struct ScoringOptions {
    pub record_shape: RecordShape,
    /// Most bytes that a compressed Parquet body may unfold to.
    pub decoded_bytes_max: usize,
}

/// What a record of an answer to a data frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordShape {
    /// One value of every flattened output, as MLflow; one row where MLflow fails.
    Flattened,
    /// Always one row.
    Rows,
}

/// A decoded request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// One tensor for each graph input, in the graph's order.
    pub feeds: Vec<Tensor>,
    /// Items along the batch axis.
    pub rows: usize,
    /// What the answer looks like.
    pub layout: Layout,
}

/// The shape of an answer: it follows what reached the model, not the request's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `{"predictions": [{...}, ...]}`, a list of records: a data frame reached the model.
    Records,
    /// `{"predictions": {"output": [...]}}`: tensors reached the model.
    Tensors,
}

/// The four forms of a JSON body, by their top-level keys.
pub(super) const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

impl Scoring {
    /// Prepares the protocol for a model.
    #[must_use]
    pub fn new(signature: Signature, io: GraphIo, options: ScoringOptions) -> Self {
        let encoder = Encoder::new(&io, options.record_shape);
        let stream = StreamPlan::new(&signature, &io);
        Self { signature, io, encoder, stream, options }
    }

    /// Decodes a body of `content_type` into the graph's feeds: as a usual one if it can be, else
    /// exactly.
    ///
    /// # Errors
    /// When MLflow's scoring server would refuse the request.
    pub fn decode(&self, content_type: Option<&str>, body: &[u8]) -> Result<Decoded, WireError> {
        match self.decode_usual(content_type, body) {
            Some(decoded) => Ok(decoded),
            None => self.decode_exactly(content_type, body),
        }
    }

    /// Decodes a usual JSON body, in time and memory that follow its size; `None` where only
    /// [`decode_exactly`](Self::decode_exactly) knows what the request means.
    #[must_use]
    pub fn decode_usual(&self, content_type: Option<&str>, body: &[u8]) -> Option<Decoded> {
        match content_type::parse(content_type) {
            Ok(BodyFormat::Json) => self.stream(body),
            _ => None,
        }
    }

    /// The exact path: what MLflow does, step by step. For bodies that
    /// [`decode_usual`](Self::decode_usual) has given up, as the two agree on all others.
    ///
    /// # Errors
    /// When MLflow's scoring server would refuse the request.
    pub fn decode_exactly(
        &self,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Decoded, WireError> {
        let (data, params) = match content_type::parse(content_type)? {
            BodyFormat::Json => self.read_json(body)?,
            BodyFormat::Csv => return self.decode_csv(body),
            BodyFormat::Parquet => {
                (Data::Frame(read_parquet(body, self.options.decoded_bytes_max)?), None)
            }
        };
        self.finish(data, params.as_ref())
    }

    /// Most bytes of memory that [`decode_usual`](Self::decode_usual) takes for a body of
    /// `body_len` bytes, the tensors that it makes included.
    #[must_use]
    pub fn usual_bytes_max(&self, body_len: usize) -> usize {
        self.stream.as_ref().map_or(0, |plan| memory::stream(plan.has_texts(), body_len))
    }

    /// Most bytes of memory that [`decode_exactly`](Self::decode_exactly) takes for a body, the
    /// tensors that it makes included: far more than most bodies need. Quick to know.
    #[must_use]
    pub fn exact_bytes_max(&self, content_type: Option<&str>, body: &[u8]) -> usize {
        memory::exact(content_type, body, self.options.decoded_bytes_max)
    }

    /// What the streaming decoder makes of a JSON body alone.
    pub(super) fn stream(&self, body: &[u8]) -> Option<Decoded> {
        self.stream.as_ref()?.decode(body)
    }

    fn decode_csv(&self, body: &[u8]) -> Result<Decoded, WireError> {
        let (data, refused_by_mlflow) = self.read_csv(body)?;
        self.finish(data, None).map_err(|error| {
            // MLflow refuses all of these while it parses, so whatever does not fit is an error
            // of parsing.
            if refused_by_mlflow { WireError::bad_request(error.message) } else { error }
        })
    }

    /// From data to feeds.
    fn finish(&self, data: Data, params: Option<&Value>) -> Result<Decoded, WireError> {
        let (input, casts) = self.enforce(data)?;
        if let Some(specs) = &self.signature.params {
            enforce_params(params, specs)?;
        }
        let layout = match input {
            ModelInput::Frame(_) => Layout::Records,
            ModelInput::Array(_) | ModelInput::Named(_) => Layout::Tensors,
        };
        let (feeds, rows) = feed(input, &self.io, casts)?;
        Ok(Decoded { feeds, rows, layout })
    }

    /// An answer that only has to be written: its size is bounded before it is.
    ///
    /// # Errors
    /// When the outputs cannot be answered in this layout.
    pub fn draft<'a>(
        &'a self,
        outputs: &OutputRows<'a>,
        layout: Layout,
    ) -> Result<Draft<'a>, WireError> {
        self.encoder.draft(outputs, layout)
    }

    /// Appends the answer to `body`.
    ///
    /// # Errors
    /// When the outputs cannot be answered in this layout.
    ///
    /// # Panics
    /// When a range of rows is asked for that an output does not have.
    pub fn encode(
        &self,
        outputs: &OutputRows<'_>,
        layout: Layout,
        body: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let draft = self.draft(outputs, layout)?;
        body.reserve(draft.bytes_max());
        draft.write(body);
        Ok(())
    }

    /// A JSON body: Python values first, then pandas' or numpy's rules.
    fn read_json(&self, body: &[u8]) -> Result<(Data, Option<Value>), WireError> {
        let members = match json::parse(body) {
            Ok(Value::Dict(members)) => members,
            Ok(other) => {
                return Err(WireError::bad_request(format!(
                    "the body must be a JSON object with exactly one of the members {}, got {}",
                    FORMS.join(", "),
                    other.type_name()
                )));
            }
            Err(error) => return Err(WireError::bad_request(error.to_string())),
        };
        let (mut forms, mut params) = (Vec::new(), None);
        for (key, value) in members {
            if FORMS.contains(&key.as_str()) {
                forms.push((key, value));
            } else if key == "params" {
                params = Some(value);
            }
        }
        if forms.len() != 1 {
            let given: Vec<&str> = forms.iter().map(|(key, _)| key.as_str()).collect();
            return Err(WireError::bad_request(format!(
                "the body must have exactly one of the members {}, got {}",
                FORMS.join(", "),
                if given.is_empty() { "none".into() } else { given.join(" and ") }
            )));
        }
        let (form, value) = forms.remove(0);
        let schema = self.signature.inputs.as_ref();
        let data = match form.as_str() {
            "dataframe_split" => Data::Frame(from_split(value)?),
            "dataframe_records" => Data::Frame(from_records(value)?),
            "instances" => from_instances(value, schema)?,
            _ => from_inputs(value, schema)?,
        };
        match (data, schema) {
            (Data::Frame(frame), Some(schema)) => {
                Ok((Data::Frame(cast_frame(frame, schema)?), params))
            }
            (data, _) => Ok((data, params)),
        }
    }

    /// A CSV's data, and whether MLflow refuses every CSV of this kind (parity policy, P3.11).
    fn read_csv(&self, body: &[u8]) -> Result<(Data, bool), WireError> {
        let text = std::str::from_utf8(body)
            .map_err(|_| WireError::bad_request("the CSV body is not valid UTF-8 text"))?;
        let options = CsvOptions {
            types: CsvTypes::Inferred,
            datetimes: Datetimes::Parse,
            uneven_rows: UnevenRows::Fit,
        };
        let columns = match &self.signature.inputs {
            None => return Ok((Data::Frame(read_csv(text, &options)?), false)),
            Some(Schema::Tensors(specs)) => {
                let strict = CsvOptions { uneven_rows: UnevenRows::Refuse, ..options };
                let data = csv_tensors(read_csv(text, &strict)?, specs)
                    .map_err(|error| WireError::bad_request(error.message))?;
                return Ok((data, true));
            }
            Some(Schema::Columns(columns)) => columns,
        };
        let scalars = columns.specs.iter().map(|spec| match spec.ty {
            ValueType::Scalar(ty) => Ok((spec.name.clone(), ty)),
            _ => Err(WireError::bad_request(format!(
                "column '{}' holds nested values, which CSV cannot; send JSON",
                spec.name
            ))),
        });
        let named = scalars.collect::<Result<Vec<_>, _>>()?;
        let positional: Vec<ColumnType> = named.iter().map(|(_, ty)| *ty).collect();
        let types =
            if columns.named { CsvTypes::Named(&named) } else { CsvTypes::Positional(&positional) };
        let frame = read_csv(text, &CsvOptions { types, ..options })?;
        let is_datetime = |series: &Series| matches!(series, Series::Datetime(_));
        let has_datetime = frame.rows > 0 && frame.columns.iter().any(|(_, s)| is_datetime(s));
        Ok((Data::Frame(frame), has_datetime))
    }

    /// Checks the data against the signature, if there is one.
    fn enforce(&self, data: Data) -> Result<(ModelInput, Casts), WireError> {
        match &self.signature.inputs {
            Some(Schema::Columns(columns)) => {
                Ok((ModelInput::Frame(enforce_columns(data, columns)?), Casts::Exact))
            }
            Some(Schema::Tensors(specs)) => Ok((enforce_tensors(data, specs)?, Casts::Mlflow)),
            None => Ok((without_schema(data)?, Casts::Exact)),
        }
    }
}

/// Without a signature the data reach the model as they are.
fn without_schema(data: Data) -> Result<ModelInput, WireError> {
    match data {
        Data::Frame(frame) => Ok(ModelInput::Frame(frame)),
        Data::Item(Item::Array(array)) => Ok(ModelInput::Array(array)),
        Data::Named(items) => {
            let arrays = items.into_iter().map(|(name, item)| match item {
                Item::Array(array) => Ok((name, array)),
                Item::Scalar(_) | Item::Value(_) => {
                    Err(WireError::bad_request("every input: expected an array"))
                }
            });
            arrays.collect::<Result<Vec<(String, NdArray)>, _>>().map(ModelInput::Named)
        }
        Data::Item(_) | Data::Rows(_) => {
            Err(WireError::bad_request("expected an array or an object of named arrays"))
        }
    }
}

/// A CSV for a tensor signature, which MLflow always refuses (parity policy, P3.11): named
/// columns for named tensors, or all columns side by side for the only one.
fn csv_tensors(frame: Frame, specs: &[TensorSpec]) -> Result<Data, WireError> {
    // A first line of numbers is a header only where it counts the columns, as pandas writes it.
    let looks_like_data = |(i, (label, _)): (usize, &(Label, Series))| match label {
        Label::Name(name) => parse_float(name).is_some_and(|number| number != i as f64),
        Label::Number(_) | Label::Other(_) => false,
    };
    if frame.columns.iter().enumerate().any(looks_like_data) {
        return Err(WireError::bad_request("the CSV body needs a header line with column names"));
    }
    let [spec] = specs else {
        return cast_frame(frame, &Schema::Tensors(specs.to_vec())).map(Data::Frame);
    };
    let unnamed = TensorSpec { name: None, ..spec.clone() };
    let frame = cast_frame(frame, &Schema::Tensors(vec![unnamed.clone()]))?;
    match enforce_tensors(Data::Frame(frame), &[unnamed])? {
        ModelInput::Array(array) => Ok(Data::Item(Item::Array(array))),
        ModelInput::Frame(_) | ModelInput::Named(_) => {
            Err(WireError::bad_request("the CSV does not fill the model's input"))
        }
    }
}
