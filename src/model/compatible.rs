//! Whether requests for one version of a model can be sent to another.

use crate::tensor::{Dim, Dims};

use super::{Columns, ParamSpec, Schema, Signature, TensorDType, TensorSpec, ValueType};

/// What a client of the old version would stumble over in the new one, a sentence each: what it
/// sends and the new one does not take, what it does not send and the new one needs, and what it
/// reads from answers that is gone. Empty where either version declares nothing.
#[must_use]
pub fn incompatibilities(old: &Signature, new: &Signature) -> Vec<String> {
    let mut found = Vec::new();
    if let (Some(old), Some(new)) = (&old.inputs, &new.inputs) {
        inputs(old, new, &mut found);
    }
    if let (Some(old), Some(new)) = (&old.outputs, &new.outputs) {
        outputs(old, new, &mut found);
    }
    if let (Some(old), Some(new)) = (&old.params, &new.params) {
        params(old, new, &mut found);
    }
    found
}

/// A declared value, whatever its schema calls it.
struct Field<'a> {
    /// `None` for the only one, and for columns that are told apart by their place.
    name: Option<&'a str>,
    ty: FieldType<'a>,
    required: bool,
}

enum FieldType<'a> {
    Tensor(&'a TensorDType, &'a Dims),
    Column(&'a ValueType),
}

fn fields(schema: &Schema) -> Vec<Field<'_>> {
    match schema {
        Schema::Tensors(specs) => specs
            .iter()
            .map(|TensorSpec { name, dtype, dims }| {
                let ty = FieldType::Tensor(dtype, dims);
                Field { name: name.as_deref(), ty, required: true }
            })
            .collect(),
        Schema::Columns(Columns { specs, named }) => specs
            .iter()
            .map(|spec| Field {
                name: named.then_some(spec.name.as_str()),
                ty: FieldType::Column(&spec.ty),
                required: spec.required,
            })
            .collect(),
    }
}

fn inputs(old: &Schema, new: &Schema, found: &mut Vec<String>) {
    let Some((old, new)) = comparable(old, new, "inputs", found) else { return };
    for (place, before) in old.iter().enumerate() {
        let what = describe("input", before, place);
        match partner(before, place, &new) {
            None => found.push(format!("{what} is dropped")),
            Some(after) => {
                retyped(&what, before, after, takes, found);
                if after.required && !before.required {
                    found.push(format!("{what} is required, and was optional"));
                }
            }
        }
    }
    for (place, after) in new.iter().enumerate() {
        if after.required && partner(after, place, &old).is_none() {
            found.push(format!("{} is new and required", describe("input", after, place)));
        }
    }
}

fn outputs(old: &Schema, new: &Schema, found: &mut Vec<String>) {
    let Some((old, new)) = comparable(old, new, "outputs", found) else { return };
    for (place, before) in old.iter().enumerate() {
        let what = describe("output", before, place);
        match partner(before, place, &new) {
            None => found.push(format!("{what} is dropped")),
            // What a client reads has to fit what it knows.
            Some(after) => retyped(&what, before, after, |new, old| takes(old, new), found),
        }
    }
}

fn params(old: &[ParamSpec], new: &[ParamSpec], found: &mut Vec<String>) {
    for before in old {
        let after = new.iter().find(|after| after.name == before.name);
        if let Some(after) = after
            && (&after.ty, after.is_array) != (&before.ty, before.is_array)
        {
            found.push(format!("parameter '{}' has another type", before.name));
        }
    }
}

/// The fields of both, if they are of one kind.
fn comparable<'a>(
    old: &'a Schema,
    new: &'a Schema,
    what: &str,
    found: &mut Vec<String>,
) -> Option<(Vec<Field<'a>>, Vec<Field<'a>>)> {
    let kind = |schema: &Schema| match (schema, schema.is_named()) {
        (Schema::Tensors(_), true) => "named tensors",
        (Schema::Tensors(_), false) => "an unnamed tensor",
        (Schema::Columns(_), true) => "named columns",
        (Schema::Columns(_), false) => "columns without names",
    };
    let kinds = (kind(old), kind(new));
    if !old.is_empty() && !new.is_empty() && kinds.0 != kinds.1 {
        found.push(format!("the {what} are {}, and were {}", kinds.1, kinds.0));
        return None;
    }
    Some((fields(old), fields(new)))
}

/// What stands for a field in the other schema: by name, or by place where there are no names.
fn partner<'a, 'b>(
    field: &Field<'_>,
    place: usize,
    others: &'a [Field<'b>],
) -> Option<&'a Field<'b>> {
    match field.name {
        Some(_) => others.iter().find(|other| other.name == field.name),
        None => others.get(place),
    }
}

fn describe(what: &str, field: &Field<'_>, place: usize) -> String {
    match field.name {
        Some(name) => format!("{what} '{name}'"),
        None => format!("{what} {}", place + 1),
    }
}

fn retyped(
    what: &str,
    before: &Field<'_>,
    after: &Field<'_>,
    fits: impl Fn(&Dims, &Dims) -> bool,
    found: &mut Vec<String>,
) {
    match (&before.ty, &after.ty) {
        (FieldType::Column(before), FieldType::Column(after)) if before != after => {
            let (before, after) = (before.describe(), after.describe());
            found.push(format!("{what} is of type {after}, and was {before}"));
        }
        (FieldType::Tensor(before, old), FieldType::Tensor(after, new)) => {
            if before != after {
                let (before, after) = (before.name(), after.name());
                found.push(format!("{what} is of type {after}, and was {before}"));
            }
            if !fits(new, old) {
                found.push(format!("{what} has the shape {new}, and had {old}"));
            }
        }
        _ => {}
    }
}

/// Whether every shape that fits `old` fits `new`.
fn takes(new: &Dims, old: &Dims) -> bool {
    new.0.len() == old.0.len()
        && new.0.iter().zip(&old.0).all(|(new, old)| *new == Dim::Any || new == old)
}

#[cfg(test)]
mod tests {
    use crate::model::{ColumnSpec, ColumnType, ParamType};
    use crate::tensor::DType;

    use super::*;

    fn columns(specs: &[(&str, ColumnType, bool)]) -> Schema {
        let named = specs.iter().all(|(name, ..)| !name.is_empty());
        let spec = |(name, ty, required): &(&str, ColumnType, bool)| ColumnSpec {
            name: (*name).to_owned(),
            ty: ValueType::Scalar(*ty),
            required: *required,
        };
        Schema::Columns(Columns { specs: specs.iter().map(spec).collect(), named })
    }

    fn tensors(specs: &[(Option<&str>, DType, &[Dim])]) -> Schema {
        let spec = |(name, dtype, dims): &(Option<&str>, DType, &[Dim])| TensorSpec {
            name: name.map(str::to_owned),
            dtype: TensorDType::Known(*dtype),
            dims: Dims(dims.to_vec()),
        };
        Schema::Tensors(specs.iter().map(spec).collect())
    }

    fn of_inputs(old: Schema, new: Schema) -> Vec<String> {
        let with = |inputs| Signature { inputs: Some(inputs), ..Signature::default() };
        incompatibilities(&with(old), &with(new))
    }

    #[test]
    fn columns_may_be_added_if_nobody_has_to_send_them() {
        use ColumnType::{Double, Long};
        let old = || columns(&[("a", Double, true), ("b", Long, false)]);
        let none: [&str; 0] = [];
        assert_eq!(of_inputs(old(), old()), none);
        let reordered = columns(&[("b", Long, false), ("c", Long, false), ("a", Double, true)]);
        assert_eq!(of_inputs(old(), reordered), none);
        let other = columns(&[("a", Long, true), ("d", Double, true)]);
        assert_eq!(
            of_inputs(old(), other),
            [
                "input 'a' is of type long, and was double",
                "input 'b' is dropped",
                "input 'd' is new and required"
            ]
        );
        let stricter = columns(&[("a", Double, true), ("b", Long, true)]);
        assert_eq!(of_inputs(old(), stricter), ["input 'b' is required, and was optional"]);
    }

    #[test]
    fn columns_without_names_are_compared_by_place() {
        use ColumnType::{Double, Long};
        let old = columns(&[("", Double, true), ("", Long, true)]);
        let new = columns(&[("", Double, true)]);
        assert_eq!(of_inputs(old.clone(), new), ["input 2 is dropped"]);
        let named = columns(&[("a", Double, true)]);
        assert_eq!(
            of_inputs(old, named),
            ["the inputs are named columns, and were columns without names"]
        );
    }

    #[test]
    fn a_tensor_may_take_more_shapes_and_not_fewer() {
        use DType::{F32, F64};
        let (any, four) = (Dim::Any, Dim::Fixed(4));
        let of = |dtype, dims: &[Dim]| tensors(&[(None, dtype, dims)]);
        for (old, new, want) in [
            (of(F32, &[any, four]), of(F32, &[any, any]), None),
            (
                of(F32, &[any, any]),
                of(F32, &[any, four]),
                Some("input 1 has the shape (-1, 4), and had (-1, -1)"),
            ),
            (
                of(F32, &[any, four]),
                of(F32, &[any]),
                Some("input 1 has the shape (-1,), and had (-1, 4)"),
            ),
            (of(F32, &[any]), of(F64, &[any]), Some("input 1 is of type float64, and was float32")),
            (
                of(F32, &[any]),
                columns(&[("a", ColumnType::Float, true)]),
                Some("the inputs are named columns, and were an unnamed tensor"),
            ),
        ] {
            assert_eq!(of_inputs(old, new), want.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn answers_may_become_narrower_and_not_wider() {
        let (any, three) = (Dim::Any, Dim::Fixed(3));
        let of = |dims: &[Dim]| Signature {
            outputs: Some(tensors(&[(None, DType::F32, dims)])),
            ..Signature::default()
        };
        assert!(incompatibilities(&of(&[any, any]), &of(&[any, three])).is_empty());
        assert_eq!(
            incompatibilities(&of(&[any, three]), &of(&[any, any])),
            ["output 1 has the shape (-1, -1), and had (-1, 3)"]
        );
    }

    #[test]
    fn what_clients_read_stays_and_parameters_keep_their_types() {
        let with = |outputs, ty, is_array| Signature {
            outputs,
            params: Some(vec![ParamSpec {
                name: "t".to_owned(),
                ty: ParamType::Scalar(ty),
                default: serde_json::Value::Null,
                is_array,
            }]),
            ..Signature::default()
        };
        let label = || Some(columns(&[("label", ColumnType::Long, true)]));
        let more = Some(columns(&[
            ("score", ColumnType::Double, true),
            ("label", ColumnType::Long, true),
        ]));
        let old = with(label(), ColumnType::Double, false);
        assert!(incompatibilities(&old, &with(more.clone(), ColumnType::Double, false)).is_empty());
        assert!(incompatibilities(&old, &Signature::default()).is_empty(), "it declares nothing");
        let wider = with(more, ColumnType::Double, false);
        let narrower = with(label(), ColumnType::Double, true);
        assert_eq!(
            incompatibilities(&wider, &narrower),
            ["output 'score' is dropped", "parameter 't' has another type"]
        );
    }
}
