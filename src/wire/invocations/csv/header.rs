//! Column names as pandas makes them of a header line.

use std::collections::{HashMap, HashSet};

/// The names of a header's columns, each once, with the name that stands in the header for those
/// that had to be changed: a repeated `a` becomes `a.1`, an empty name `Unnamed: 3`.
pub(super) fn unique_names(fields: Vec<&str>) -> Vec<ColumnName> {
    let unnamed: Vec<bool> = fields.iter().map(|field| field.is_empty()).collect();
    let mut names: Vec<ColumnName> = fields
        .into_iter()
        .enumerate()
        .map(|(i, field)| {
            let name = if field.is_empty() { format!("Unnamed: {i}") } else { field.to_owned() };
            ColumnName { repeats: None, name }
        })
        .collect();
    let mut taken: HashSet<String> = names.iter().map(|column| column.name.clone()).collect();
    let mut counts: HashMap<String, usize> = HashMap::new();

    // Names that stand in the header keep their place before those that we made up.
    let given = (0..names.len()).filter(|&i| !unnamed[i]);
    let made_up = (0..names.len()).filter(|&i| unnamed[i]);
    for i in given.chain(made_up).collect::<Vec<_>>() {
        let original = names[i].name.clone();
        let mut name = original.clone();
        let mut count = counts.get(&name).copied().unwrap_or(0);
        while count > 0 {
            counts.insert(original.clone(), count + 1);
            name = format!("{original}.{count}");
            count = if taken.contains(&name) {
                count + 1
            } else {
                counts.get(&name).copied().unwrap_or(0)
            };
        }
        counts.insert(name.clone(), count + 1);
        if name != original {
            taken.insert(name.clone());
            names[i] = ColumnName { repeats: Some(original), name };
        }
    }
    names
}

/// A column's name, and the one that it would repeat.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ColumnName {
    pub(super) name: String,
    pub(super) repeats: Option<String>,
}

impl ColumnName {
    /// The name that stands in the header.
    pub(super) fn declared(&self) -> &str {
        self.repeats.as_deref().unwrap_or(&self.name)
    }
}
