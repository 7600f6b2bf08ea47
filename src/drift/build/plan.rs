//! Which features a model has, and what they are called.

use std::collections::HashSet;

use super::cells::{Kind, Rows};
use super::gather::Gathered;
use super::{FEATURES_MAX, LeftOut};
use crate::drift::Part;
use crate::model::{Schema, Signature};

/// Tensors with rows of at most so many elements are followed at every place.
const PLACES_MAX: usize = 64;

/// Most features of the outputs. What they leave of [`FEATURES_MAX`] is the inputs'.
const OUTPUTS_MAX: usize = 512;

/// One tensor and what is gathered about it.
pub(super) struct Followed {
    pub(super) tensor: String,
    pub(super) width: usize,
    pub(super) kind: Kind,
    pub(super) features: Vec<FollowedFeature>,
    /// Why it is not followed any more.
    pub(super) fault: Option<&'static str>,
}

pub(super) struct FollowedFeature {
    pub(super) name: String,
    pub(super) part: Part,
    pub(super) gathered: Gathered,
}

/// The features of some tensors, given the first rows of each.
pub(super) struct Plan {
    pub(super) followed: Vec<Followed>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Plan {
    pub(super) fn outputs(tensors: &[(&str, Result<Rows<'_>, &'static str>)]) -> Self {
        Self::new(tensors, None, OUTPUTS_MAX)
    }

    pub(super) fn inputs(
        tensors: &[(&str, Result<Rows<'_>, &'static str>)],
        signature: &Signature,
        outputs: &Self,
    ) -> Self {
        Self::new(tensors, column_names(signature), FEATURES_MAX - outputs.features())
    }

    fn new(
        tensors: &[(&str, Result<Rows<'_>, &'static str>)],
        columns: Option<Vec<&str>>,
        features_max: usize,
    ) -> Self {
        let mut plan = Self { followed: Vec::new(), left_out: Vec::new() };
        let columns = columns.filter(|_| tensors.len() == 1);
        let mut names = HashSet::new();
        for (tensor, rows) in tensors {
            let mut followed = Followed {
                tensor: (*tensor).to_owned(),
                width: 0,
                kind: Kind::Float,
                features: Vec::new(),
                fault: rows.as_ref().err().copied(),
            };
            if let Ok(rows) = rows {
                (followed.width, followed.kind) = (rows.width, rows.kind());
                if rows.width > PLACES_MAX && matches!(rows.kind(), Kind::Flag | Kind::Text) {
                    followed.fault = Some("its rows have more than 64 values that are no numbers");
                } else {
                    for (name, part) in parts(tensor, rows.width, columns.as_deref()) {
                        if names.len() >= features_max {
                            plan.leave_out(name, "the reference has its most features without it");
                        } else if names.insert(name.clone()) {
                            let gathered = Gathered::of(followed.kind, part);
                            followed.features.push(FollowedFeature { name, part, gathered });
                        } else {
                            plan.leave_out(name, "another feature has that name");
                        }
                    }
                }
            }
            plan.followed.push(followed);
        }
        plan
    }

    fn leave_out(&mut self, name: String, reason: &str) {
        self.left_out.push(LeftOut { name, reason: reason.to_owned() });
    }

    fn features(&self) -> usize {
        self.followed.iter().map(|followed| followed.features.len()).sum()
    }
}

fn column_names(signature: &Signature) -> Option<Vec<&str>> {
    match signature.inputs.as_ref()? {
        Schema::Columns(columns) if columns.named => {
            Some(columns.specs.iter().map(|spec| spec.name.as_str()).collect())
        }
        Schema::Columns(_) | Schema::Tensors(_) => None,
    }
}

fn parts(tensor: &str, width: usize, columns: Option<&[&str]>) -> Vec<(String, Part)> {
    if width > PLACES_MAX {
        return vec![
            (format!("{tensor}.mean"), Part::Mean),
            (format!("{tensor}.deviation"), Part::Deviation),
        ];
    }
    let columns = columns.filter(|columns| columns.len() == width);
    let name = |index: usize| match columns {
        Some(columns) => columns[index].to_owned(),
        None if width == 1 => tensor.to_owned(),
        None => format!("{tensor}[{index}]"),
    };
    (0..width).map(|index| (name(index), Part::Element(index))).collect()
}
