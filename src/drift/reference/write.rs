//! A reference as text, byte for byte what `docs/drift_reference.py` writes for the same values.

use serde_json::Value as Json;

use super::{Categorical, Feature, Numeric, Part, Reference, SCHEMA, Values};
use crate::number::write_f64;

pub(super) fn to_json(reference: &Reference) -> String {
    let Reference { signature, rows, inputs, outputs } = reference;
    let mut out = Vec::new();
    let signature = signature.as_deref().map_or(Json::Null, Json::from);
    put(&mut out, &format!("{{\"schema\":{SCHEMA},\"signature\":{signature},\"rows\":{rows}"));
    for (key, features) in [("inputs", inputs), ("outputs", outputs)] {
        put(&mut out, &format!(",\"{key}\":"));
        list(&mut out, features, write_feature);
    }
    put(&mut out, "}\n");
    String::from_utf8(out).expect("it is made of texts")
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn write_feature(out: &mut Vec<u8>, feature: &Feature) {
    let Feature { name, tensor, width, part, nulls, values } = feature;
    let [name, tensor] = [name, tensor].map(|text| Json::from(text.as_str()));
    let part = match part {
        Part::Element(index) => format!("\"index\":{index}"),
        Part::Mean => "\"summary\":\"mean\"".to_owned(),
        Part::Deviation => "\"summary\":\"deviation\"".to_owned(),
    };
    let kind = match values {
        Values::Numeric(_) => "numeric",
        Values::Categorical(_) => "categorical",
    };
    put(
        out,
        &format!(
            "{{\"name\":{name},\"tensor\":{tensor},\"width\":{width},{part},\
             \"kind\":\"{kind}\",\"nulls\":{nulls}"
        ),
    );
    match values {
        Values::Numeric(numeric) => write_numeric(out, numeric),
        Values::Categorical(categorical) => write_categorical(out, categorical),
    }
    out.push(b'}');
}

fn write_numeric(out: &mut Vec<u8>, numeric: &Numeric) {
    let Numeric { mean, std, edges, counts, bins } = numeric;
    for (key, value) in [("mean", mean), ("std", std)] {
        put(out, &format!(",\"{key}\":"));
        match value {
            Some(value) => write_f64(out, *value),
            None => put(out, "null"),
        }
    }
    put(out, ",\"edges\":");
    list(out, edges, |out, edge| write_f64(out, *edge));
    put(out, ",\"counts\":");
    list(out, counts, |out, count| put(out, &count.to_string()));
    put(out, ",\"bins\":");
    list(out, bins, |out, bin| put(out, &bin.to_string()));
}

fn write_categorical(out: &mut Vec<u8>, categorical: &Categorical) {
    put(out, ",\"categories\":");
    list(out, &categorical.categories, |out, (text, count)| {
        put(out, &format!("[{},{count}]", Json::from(text.as_str())));
    });
    put(out, &format!(",\"other\":{}", categorical.other));
}
