//! What holds for any data.

use std::time::Duration;

use flowgate::drift::statistic::bins;
use flowgate::drift::{Feature, Scores, Scoring, Seen, Values, WindowLength, Windows, score};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::profile;

const SCORING: Scoring = Scoring { values_min: 1, psi_alarm: 0.1, features: 1 };

/// Two rows of counts of the same bins, neither empty.
fn two_sides() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
    let pairs = vec((0_u64..500, 0_u64..500), 1..70).prop_map(|pairs| pairs.into_iter().unzip());
    pairs.prop_filter("rows on both sides", |(a, b): &(Vec<u64>, Vec<u64>)| {
        a.iter().sum::<u64>() > 0 && b.iter().sum::<u64>() > 0
    })
}

/// Numbers with and without ties; a few are null.
fn some_numbers() -> impl Strategy<Value = Vec<f64>> {
    let number = prop_oneof![
        5 => -1e3..1e3,
        3 => (-5_i8..5).prop_map(f64::from),
        1 => Just(f64::NAN),
    ];
    vec(number, 1..600).prop_map(|mut values| {
        values.push(0.0);
        values
    })
}

fn distances(scores: &Scores) -> [Option<f64>; 7] {
    let Scores { psi, js, ks, wasserstein, chi2, linf, tvd, .. } = scores;
    [*psi, *js, *ks, *wasserstein, *chi2, *linf, *tvd]
}

fn check_itself(feature: &Feature) {
    let scores = score(feature, &profile::itself(feature), &SCORING);
    assert!(distances(&scores).into_iter().flatten().all(|distance| distance == 0.0));
    assert!(scores.mean_shift.is_none_or(|shift| shift == 0.0));
    assert!(scores.psi.is_some() && scores.js.is_some() && !scores.is_drifted);
}

/// Counts are equal, sums nearly.
fn check_same(found: &Seen, wanted: &Seen) {
    assert_eq!((&found.cells, found.nulls), (&wanted.cells, wanted.nulls));
    assert_eq!((found.below, found.above), (wanted.below, wanted.above));
    let sums = |seen: &Seen| [seen.sum, seen.below_excess, seen.above_excess];
    for (found, wanted) in sums(found).into_iter().zip(sums(wanted)) {
        assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1e6), "{found} {wanted}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn distances_of_bins_are_bounded_and_symmetric((a, b) in two_sides()) {
        let psi = bins::psi(&a, &b, 0.5).unwrap();
        prop_assert!(psi >= 0.0 && psi.is_finite());
        let js = bins::jensen_shannon(&a, &b).unwrap();
        prop_assert!((0.0..=1.0).contains(&js));
        prop_assert_eq!(Some(js), bins::jensen_shannon(&b, &a));
        let linf = bins::l_infinity(&a, &b).unwrap();
        let tvd = bins::total_variation(&a, &b).unwrap();
        prop_assert!(0.0 <= linf && linf <= tvd + 1e-12 && tvd <= 1.0 + 1e-12);
        if let Some(test) = bins::chi_squared(&a, &b) {
            prop_assert!(test.statistic >= 0.0 && (0.0..=1.0).contains(&test.p_value));
        }
    }

    #[test]
    fn the_order_of_bins_changes_nothing(
        (pairs, mixed) in two_sides().prop_flat_map(|(a, b)| {
            let pairs: Vec<_> = a.into_iter().zip(b).collect();
            (Just(pairs.clone()), Just(pairs).prop_shuffle())
        })
    ) {
        let all = |pairs: Vec<(u64, u64)>| {
            let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            [
                bins::psi(&a, &b, 0.5),
                bins::jensen_shannon(&a, &b).map(|distance| distance.powi(2)),
                bins::l_infinity(&a, &b),
                bins::total_variation(&a, &b),
                bins::chi_squared(&a, &b).map(|test| test.statistic),
            ]
        };
        for (one, other) in all(pairs).into_iter().zip(all(mixed)) {
            let [one, other] = [one.unwrap_or(-1.0), other.unwrap_or(-1.0)];
            prop_assert!((one - other).abs() <= 1e-10 * one.abs().max(1.0), "{} {}", one, other);
        }
    }

    #[test]
    fn numbers_are_no_distance_from_themselves(values in some_numbers()) {
        check_itself(&profile::of_numbers(&values));
    }

    #[test]
    fn texts_are_no_distance_from_themselves(texts in vec(0_usize..200, 1..600)) {
        check_itself(&profile::of_texts(&texts));
    }

    #[test]
    fn scores_of_any_numbers_are_in_their_bounds(
        reference in some_numbers(),
        window in some_numbers(),
    ) {
        let feature = profile::of_numbers(&reference);
        let seen = profile::numbers(&feature, &window);
        let scores = score(&feature, &seen, &SCORING);
        prop_assert!(scores.psi.unwrap() >= 0.0);
        for bounded in [scores.js, scores.ks, scores.null_ratio, scores.out_of_range_ratio] {
            prop_assert!((0.0..=1.0).contains(&bounded.unwrap()));
        }
        if let Some(distance) = scores.wasserstein {
            prop_assert!(distance >= scores.mean_shift.unwrap().abs() - 1e-9);
        }
        prop_assert_eq!(seen.rows(), window.len() as u64);
    }

    #[test]
    fn counts_of_parts_add_up_whatever_the_minutes(
        values in some_numbers(),
        cuts in vec((0_usize..600, 0_u64..30), 0..8),
    ) {
        let feature = profile::of_numbers(&values);
        let whole = profile::numbers(&feature, &values);
        let lengths = [30, 60, 1440].map(|minutes| {
            WindowLength::new(Duration::from_mins(minutes)).unwrap()
        });
        let mut windows = Windows::new([&feature], &lengths);
        let mut merged = Seen::nothing(&feature);
        let (mut rest, mut now) = (values.as_slice(), 0);
        for (size, minutes) in cuts {
            let (part, after) = rest.split_at(size.min(rest.len()));
            let seen = profile::numbers(&feature, part);
            merged.merge(&seen);
            windows.add(Duration::from_mins(now), part.len() as u64, &[seen]);
            (rest, now) = (after, (now + minutes).min(29));
        }
        let last = profile::numbers(&feature, rest);
        merged.merge(&last);
        windows.add(Duration::from_mins(now), rest.len() as u64, &[last]);
        check_same(&merged, &whole);
        for window in 0..lengths.len() {
            let sum = windows.sum(window, Duration::from_mins(now));
            prop_assert_eq!(sum.rows, values.len() as u64);
            check_same(&sum.features[0], &whole);
        }
    }
}

#[test]
fn distances_grow_with_the_shift() {
    let mut random = fastrand::Rng::with_seed(7);
    let normal: Vec<f64> = (0..4000).map(|_| crate::alarms::normal(&mut random)).collect();
    let feature = profile::of_numbers(&normal);
    let mut before = [-1.0; 4];
    for step in 0..=12 {
        let shifted: Vec<f64> = normal.iter().map(|value| value + 0.25 * f64::from(step)).collect();
        let scores = score(&feature, &profile::numbers(&feature, &shifted), &SCORING);
        let now = [scores.psi, scores.js, scores.ks, scores.wasserstein].map(Option::unwrap);
        assert!(now.iter().zip(before).all(|(now, before)| *now > before), "{step}: {now:?}");
        before = now;
    }
}

#[test]
fn too_few_values_are_not_scored() {
    let values: Vec<f64> = (0..1000).map(f64::from).collect();
    let feature = profile::of_numbers(&values);
    let scoring = Scoring::usual(1);
    let scored = |values: &[f64]| score(&feature, &profile::numbers(&feature, values), &scoring);
    assert!(scored(&values[..500]).psi.is_some());
    let few = scored(&values[..499]);
    assert_eq!((few.psi, few.out_of_range_ratio, few.is_drifted), (None, Some(0.0), false));
    let nulls = [vec![f64::NAN; 900], values[..100].to_vec()].concat();
    assert_eq!((scored(&nulls).psi, scored(&nulls).null_ratio), (None, Some(0.9)));
}

#[test]
fn a_constant_that_changes_is_drift() {
    let feature = profile::of_numbers(&[5.0; 1000]);
    let scores = score(&feature, &profile::numbers(&feature, &[6.0; 500]), &Scoring::usual(1));
    assert!(scores.is_drifted && scores.wasserstein.is_none() && scores.ks == Some(1.0));
}

#[test]
fn a_flag_that_is_set_more_often_is_drift() {
    let flags = |rows: usize, step: usize| -> Vec<f64> {
        (0..rows).map(|row| f64::from(u8::from(row % step == 0))).collect()
    };
    let feature = profile::of_numbers(&flags(2000, 20));
    let scored =
        |step| score(&feature, &profile::numbers(&feature, &flags(500, step)), &Scoring::usual(11));
    assert!(!scored(20).is_drifted);
    let often = scored(2);
    // From 5 % to 50 %: 0.45 * ln(10) + 0.45 * ln(0.95 / 0.5).
    assert!(often.is_drifted && often.psi.unwrap() > 1.2, "{often:?}");
}

#[test]
fn a_value_that_stands_for_unknown_is_drift() {
    let mut random = fastrand::Rng::with_seed(8);
    let mut numbers = |rows: usize, unknown: f64| -> Vec<f64> {
        let number = |row: usize, random: &mut fastrand::Rng| {
            if row % 5 < 3 { unknown } else { crate::alarms::normal(random).exp() }
        };
        (0..rows).map(|row| number(row, &mut random)).collect()
    };
    let feature = profile::of_numbers(&numbers(2000, 0.0));
    let windows = [0.0, -1.0, 1e9].map(|unknown| numbers(500, unknown));
    let [same, below, above] = windows
        .map(|window| score(&feature, &profile::numbers(&feature, &window), &Scoring::usual(11)));
    assert!(!same.is_drifted, "{same:?}");
    for scores in [below, above] {
        // 60 % of the rows have left a bin, and are in one that was empty.
        assert!(scores.is_drifted && scores.psi.unwrap() > 5.0, "{scores:?}");
        assert!(scores.js.unwrap() > 0.7 && scores.out_of_range_ratio == Some(0.6), "{scores:?}");
    }
}

#[test]
fn a_reference_without_values_is_not_scored() {
    let mut feature = profile::of_numbers(&[1.0]);
    let Values::Numeric(numeric) = &mut feature.values else { panic!("it is numeric") };
    (numeric.mean, numeric.std) = (None, None);
    numeric.edges.clear();
    numeric.counts.clear();
    numeric.bins.clear();
    let scores = score(&feature, &profile::numbers(&feature, &[1.0, f64::NAN]), &SCORING);
    assert_eq!(scores, Scores { null_ratio: Some(0.5), ..Scores::default() });
}
