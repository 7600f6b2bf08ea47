//! References and counts made in a test, by the rules of `drift_reference.json`.

use std::collections::HashMap;

use flowgate::drift::{Categorical, Feature, Numeric, Part, Seen, Values};

pub(crate) fn feature(name: &str, nulls: u64, values: Values) -> Feature {
    let [name, tensor] = [name.to_owned(), name.to_owned()];
    Feature { name, tensor, width: 1, part: Part::Element(0), nulls, values }
}

/// The reference of these numbers: 250 cells and ten bins of equally many, but that a bin also ends
/// with a cell of a fifth of them.
pub(crate) fn of_numbers(raw: &[f64]) -> Feature {
    let values: Vec<f64> = raw.iter().copied().filter(|value| value.is_finite()).collect();
    let n = values.len();
    let mut ascending = values.clone();
    ascending.sort_by(f64::total_cmp);
    let mut edges: Vec<f64> = (0..250).map(|k| ascending[k * n / 250]).collect();
    edges.dedup();
    let start = |k: usize| {
        let value = ascending[k * n / 10];
        edges.partition_point(|edge| *edge < value)
    };
    let tenths: Vec<usize> = (1..10).map(start).collect();
    edges.push(ascending[n - 1]);
    let mean = values.iter().sum::<f64>() / n as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n as f64;
    let cells = edges.len() - 1;
    let empty = Numeric {
        mean: Some(mean),
        std: Some(variance.sqrt()),
        edges,
        counts: vec![0; cells],
        bins: vec![0, cells],
    };
    let mut feature = feature("number", (raw.len() - n) as u64, Values::Numeric(empty.clone()));
    let counts = numbers(&feature, raw).cells;
    let common = (1..=cells).filter(|end| counts[end - 1] * 5 >= n as u64);
    let mut bins: Vec<usize> = [0, cells].into_iter().chain(tenths).chain(common).collect();
    bins.sort_unstable();
    bins.dedup();
    feature.values = Values::Numeric(Numeric { counts, bins, ..empty });
    feature
}

/// The reference of these texts, each given by its number.
pub(crate) fn of_texts(texts: &[usize]) -> Feature {
    let mut counts: HashMap<usize, u64> = HashMap::new();
    for text in texts {
        *counts.entry(*text).or_default() += 1;
    }
    let mut ranked: Vec<(String, u64)> =
        counts.into_iter().map(|(text, count)| (format!("t{text:06}"), count)).collect();
    ranked.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    let rest = ranked.split_off(ranked.len().min(64));
    let other = rest.iter().map(|(_, count)| count).sum();
    feature("text", 0, Values::Categorical(Categorical { categories: ranked, other }))
}

/// What is seen of a feature in rows with these numbers.
pub(crate) fn numbers(feature: &Feature, values: &[f64]) -> Seen {
    let Values::Numeric(numeric) = &feature.values else { panic!("it is numeric") };
    let mut seen = Seen::nothing(feature);
    for value in values {
        seen.add_number(numeric, *value);
    }
    seen
}

/// What is seen of a feature in rows with these texts.
pub(crate) fn texts(feature: &Feature, texts: &[usize]) -> Seen {
    let Values::Categorical(categorical) = &feature.values else { panic!("it is categorical") };
    let places: HashMap<usize, usize> = categorical
        .categories
        .iter()
        .enumerate()
        .map(|(place, (text, _))| (text[1..].parse().unwrap(), place))
        .collect();
    let mut seen = Seen::nothing(feature);
    for text in texts {
        seen.add_category(places.get(text).copied());
    }
    seen
}

/// What is seen where every row of the reference is served once.
pub(crate) fn itself(feature: &Feature) -> Seen {
    let mut seen = Seen { nulls: feature.nulls, ..Seen::nothing(feature) };
    match &feature.values {
        Values::Numeric(numeric) => seen.cells.clone_from(&numeric.counts),
        Values::Categorical(categorical) => {
            let counts = categorical.categories.iter().map(|(_, count)| *count);
            seen.cells = counts.chain([categorical.other]).collect();
        }
    }
    seen
}
