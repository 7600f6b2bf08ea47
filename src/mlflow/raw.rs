//! The `MLmodel` file as it is written, before it is checked: every key may be absent or null,
//! unknown keys are skipped, text is kept as written.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawMlModel {
    pub(super) flavors: Option<RawFlavors>,
    pub(super) signature: Option<RawSignature>,
    pub(super) is_signature_from_type_hint: Option<bool>,
    pub(super) saved_input_example_info: Option<RawExampleInfo>,
    pub(super) metadata: Option<Json>,
    pub(super) mlflow_version: Option<String>,
    pub(super) model_id: Option<String>,
    pub(super) model_uuid: Option<String>,
    pub(super) run_id: Option<String>,
    pub(super) utc_time_created: Option<String>,
}

/// The flavors: the two that matter, and the names of all.
#[derive(Debug, Default)]
pub(super) struct RawFlavors {
    pub(super) onnx: Option<RawOnnx>,
    pub(super) python_function: Option<RawPythonFunction>,
    pub(super) names: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawOnnx {
    pub(super) data: Option<String>,
    pub(super) onnx_version: Option<String>,
    pub(super) providers: Option<RawProviders>,
    pub(super) onnx_session_options: Option<RawSessionOptions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawPythonFunction {
    pub(super) data: Option<String>,
    pub(super) loader_module: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawSessionOptions {
    pub(super) execution_mode: Option<String>,
    pub(super) graph_optimization_level: Option<u32>,
    pub(super) intra_op_num_threads: Option<u32>,
    pub(super) inter_op_num_threads: Option<u32>,
    pub(super) extra_session_config: Option<TextMap>,
}

/// JSON texts inside the YAML.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawSignature {
    pub(super) inputs: Option<String>,
    pub(super) outputs: Option<String>,
    pub(super) params: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawExampleInfo {
    pub(super) serving_input_path: Option<String>,
}

/// A list of providers, or one bare name.
#[derive(Debug, Default)]
pub(super) struct RawProviders(pub(super) Vec<RawProvider>);

/// A provider's name, or the list `[name, {options}]`.
#[derive(Debug)]
pub(super) struct RawProvider {
    pub(super) name: String,
    pub(super) options: TextMap,
}

/// A mapping from text to scalars, in the order of the file. Scalars are kept as written; null
/// entries are dropped, as they say nothing.
#[derive(Debug, Default)]
pub(super) struct TextMap(pub(super) Vec<(String, String)>);

impl<'de> Deserialize<'de> for RawFlavors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlavorsVisitor;
        impl<'de> Visitor<'de> for FlavorsVisitor {
            type Value = RawFlavors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from flavor name to its settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawFlavors, A::Error> {
                let mut flavors = RawFlavors::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "onnx" => {
                            flavors.onnx = Some(map.next_value::<Option<_>>()?.unwrap_or_default());
                        }
                        "python_function" => flavors.python_function = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    flavors.names.push(name);
                }
                Ok(flavors)
            }
        }
        deserializer.deserialize_map(FlavorsVisitor)
    }
}

impl<'de> Deserialize<'de> for RawProviders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ProvidersVisitor;
        impl<'de> Visitor<'de> for ProvidersVisitor {
            type Value = RawProviders;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of execution providers")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<RawProviders, E> {
                Ok(RawProviders(vec![RawProvider::bare(name)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawProviders, A::Error> {
                let mut providers = Vec::new();
                while let Some(provider) = seq.next_element()? {
                    providers.push(provider);
                }
                Ok(RawProviders(providers))
            }
        }
        deserializer.deserialize_any(ProvidersVisitor)
    }
}

impl RawProvider {
    fn bare(name: &str) -> Self {
        Self { name: name.to_owned(), options: TextMap::default() }
    }
}

impl<'de> Deserialize<'de> for RawProvider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ProviderVisitor;
        impl<'de> Visitor<'de> for ProviderVisitor {
            type Value = RawProvider;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a provider's name or the list [name, {options}]")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<RawProvider, E> {
                Ok(RawProvider::bare(name))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawProvider, A::Error> {
                let name = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let options = seq.next_element::<Option<TextMap>>()?.flatten().unwrap_or_default();
                if seq.next_element::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::invalid_length(3, &self));
                }
                Ok(RawProvider { name, options })
            }
        }
        deserializer.deserialize_any(ProviderVisitor)
    }
}

impl<'de> Deserialize<'de> for TextMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextMapVisitor;
        impl<'de> Visitor<'de> for TextMapVisitor {
            type Value = TextMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from option name to a single value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextMap, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Option<String>>()? {
                    if let Some(value) = value {
                        entries.push((key, value));
                    }
                }
                Ok(TextMap(entries))
            }
        }
        deserializer.deserialize_map(TextMapVisitor)
    }
}
