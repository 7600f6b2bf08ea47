//! How often windows without drift are called drifted, and windows with drift are not.
//!
//! `FLOWGATE_DRIFT_WINDOWS` multiplies the number of windows (1 unless set).

use std::env;

use fastrand::Rng;
use flowgate::drift::statistic::{PSEUDO_COUNT, bins, scored_bins};
use flowgate::drift::{Feature, Scoring, Seen, score};

use crate::profile;

/// Of all windows without drift at most this share may be called drifted.
const FALSE_ALARMS_MAX: f64 = 1e-3;
/// Of all windows with half a standard deviation of shift at least this share is called drifted.
const DETECTED_MIN: f64 = 0.999;

fn times(windows: usize) -> usize {
    let factor = env::var("FLOWGATE_DRIFT_WINDOWS").ok().map_or(1, |text| text.parse().unwrap());
    windows * factor
}

/// One draw of a standard normal distribution (Box and Muller).
pub(crate) fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// Texts, each given by its number, with a weight each.
#[derive(Clone)]
struct Texts {
    /// The weights of this text and all before it, the last one 1.
    up_to: Vec<f64>,
}

impl Texts {
    fn new(weights: impl Iterator<Item = f64>) -> Self {
        let weights: Vec<f64> = weights.collect();
        let all: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let up_to = weights.iter().map(|weight| {
            sum += weight / all;
            sum
        });
        Self { up_to: up_to.collect() }
    }

    fn draw(&self, random: &mut Rng) -> usize {
        let at = random.f64();
        self.up_to.partition_point(|up_to| *up_to <= at).min(self.up_to.len() - 1)
    }
}

/// Where values come from.
#[derive(Clone)]
enum Kind {
    Normal,
    Lognormal,
    /// Small integers, a few of which are most of the rows.
    Discrete(Texts),
    /// So many ones among zeros.
    Flag(f64),
    /// Zeros, and two of five rows lognormal.
    MostlyZero,
    Texts(Texts),
}

fn kinds() -> Vec<(&'static str, Kind)> {
    let zipf = |count: i32, power: f64| {
        Texts::new((1..=count).map(move |rank| f64::from(rank).powf(-power)))
    };
    let equal = |count: usize| Texts::new(std::iter::repeat_n(1.0, count));
    // A third of the texts are in fewer than one of a thousand rows each.
    let rare = Texts::new((0..64).map(|rank| 0.87_f64.powi(rank)));
    let identifiers = Texts::new(std::iter::once(3e4).chain(std::iter::repeat_n(0.2, 5000)));
    vec![
        ("normal", Kind::Normal),
        ("lognormal", Kind::Lognormal),
        ("discrete", Kind::Discrete(zipf(20, 0.7))),
        ("flag", Kind::Flag(0.05)),
        ("mostly zero", Kind::MostlyZero),
        ("2 texts", Kind::Texts(Texts::new([0.9, 0.1].into_iter()))),
        ("30 texts", Kind::Texts(zipf(30, 1.0))),
        ("64 texts, equal", Kind::Texts(equal(64))),
        ("64 texts, rare ones", Kind::Texts(rare)),
        ("300 texts, equal", Kind::Texts(equal(300))),
        ("2,000 texts", Kind::Texts(zipf(2000, 1.0))),
        ("identifiers", Kind::Texts(identifiers)),
    ]
}

impl Kind {
    fn number(&self, random: &mut Rng) -> f64 {
        match self {
            Self::Normal => normal(random),
            Self::Flag(ones) => f64::from(u8::from(random.f64() < *ones)),
            Self::MostlyZero if random.f64() < 0.6 => 0.0,
            Self::Lognormal | Self::MostlyZero => normal(random).exp(),
            Self::Discrete(texts) | Self::Texts(texts) => texts.draw(random) as f64,
        }
    }

    fn numbers(&self, random: &mut Rng, rows: usize) -> Vec<f64> {
        (0..rows).map(|_| self.number(random)).collect()
    }

    fn texts(&self, random: &mut Rng, rows: usize) -> Option<Vec<usize>> {
        let Self::Texts(texts) = self else { return None };
        Some((0..rows).map(|_| texts.draw(random)).collect())
    }

    fn reference(&self, random: &mut Rng, rows: usize) -> Feature {
        match self.texts(random, rows) {
            Some(texts) => profile::of_texts(&texts),
            None => profile::of_numbers(&self.numbers(random, rows)),
        }
    }

    fn window(&self, feature: &Feature, random: &mut Rng, rows: usize) -> Seen {
        match self.texts(random, rows) {
            Some(texts) => profile::texts(feature, &texts),
            None => profile::numbers(feature, &self.numbers(random, rows)),
        }
    }
}

/// Windows, and how many of them were called drifted.
#[derive(Default)]
struct Rate {
    windows: usize,
    drifted: usize,
}

impl Rate {
    fn add(&mut self, is_drifted: bool) {
        self.windows += 1;
        self.drifted += usize::from(is_drifted);
    }

    fn merge(&mut self, more: &Self) {
        self.windows += more.windows;
        self.drifted += more.drifted;
    }

    fn share(&self) -> f64 {
        self.drifted as f64 / self.windows as f64
    }

    fn print(&self, title: &str) {
        let percent = 100.0 * self.share();
        println!("{title}: {} of {} windows, {percent:.4} %", self.drifted, self.windows);
    }
}

#[test]
fn one_feature_without_drift_is_hardly_ever_called_drifted() {
    let mut random = Rng::with_seed(20_240_605);
    let mut all = Rate::default();
    for (name, kind) in kinds() {
        let mut rate = Rate::default();
        for reference_rows in [2_000, 10_000] {
            for (rows, windows) in [(500, 400), (1_000, 200), (5_000, 40)] {
                // The reference is a sample, too.
                for _ in 0..4 {
                    let feature = kind.reference(&mut random, reference_rows);
                    for _ in 0..times(windows / 4) {
                        let seen = kind.window(&feature, &mut random, rows);
                        rate.add(score(&feature, &seen, &Scoring::usual(1)).is_drifted);
                    }
                }
            }
        }
        rate.print(name);
        all.merge(&rate);
    }
    all.print("one feature, false alarms");
    assert!(all.share() < FALSE_ALARMS_MAX);
}

/// What lies beyond the ends of few values is much of the distribution.
#[test]
fn windows_are_hardly_ever_called_drifted_where_the_reference_is_small() {
    let mut random = Rng::with_seed(150);
    let mut all = Rate::default();
    for kind in [Kind::Normal, Kind::Lognormal, Kind::MostlyZero, Kind::Flag(0.3)] {
        for reference_rows in [60, 150, 400] {
            for (rows, windows) in [(500, 2_000), (5_000, 200)] {
                for _ in 0..times(windows) {
                    let feature = kind.reference(&mut random, reference_rows);
                    let seen = kind.window(&feature, &mut random, rows);
                    all.add(score(&feature, &seen, &Scoring::usual(1)).is_drifted);
                }
            }
        }
    }
    all.print("one feature, small references, false alarms");
    assert!(all.share() < FALSE_ALARMS_MAX);
}

#[test]
fn eleven_features_without_drift_are_hardly_ever_called_drifted() {
    let mut random = Rng::with_seed(11);
    // To quantiles the first two are the same.
    let kinds: Vec<Kind> = kinds().into_iter().map(|(_, kind)| kind).skip(1).collect();
    let scoring = Scoring::usual(kinds.len());
    let mut any = Rate::default();
    let mut each = Rate::default();
    for reference_rows in [2_000, 10_000] {
        for (rows, windows) in [(500, 500), (1_000, 150), (5_000, 20)] {
            let features: Vec<Feature> =
                kinds.iter().map(|kind| kind.reference(&mut random, reference_rows)).collect();
            for _ in 0..times(windows) {
                let pairs = kinds.iter().zip(&features);
                let drifted: Vec<bool> = pairs
                    .map(|(kind, feature)| {
                        let seen = kind.window(feature, &mut random, rows);
                        score(feature, &seen, &scoring).is_drifted
                    })
                    .collect();
                for is_drifted in &drifted {
                    each.add(*is_drifted);
                }
                any.add(drifted.contains(&true));
            }
        }
    }
    each.print("each of 11 features, false alarms");
    any.print("any of 11 features, false alarms");
    assert!(any.share() < FALSE_ALARMS_MAX);
}

#[test]
fn half_a_standard_deviation_shows_in_one_window_of_500_rows() {
    let mut random = Rng::with_seed(5);
    let mut all = Rate::default();
    for kind in [Kind::Normal, Kind::Lognormal] {
        for reference_rows in [2_000, 10_000] {
            let mut rate = Rate::default();
            for _ in 0..8 {
                let values = kind.numbers(&mut random, reference_rows);
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let square = |value: &f64| (value - mean).powi(2);
                let std = (values.iter().map(square).sum::<f64>() / values.len() as f64).sqrt();
                let feature = profile::of_numbers(&values);
                for _ in 0..times(100) {
                    let mut shifted = kind.numbers(&mut random, 500);
                    for value in &mut shifted {
                        *value += 0.5 * std;
                    }
                    let seen = profile::numbers(&feature, &shifted);
                    rate.add(score(&feature, &seen, &Scoring::usual(11)).is_drifted);
                }
            }
            let name = if matches!(kind, Kind::Normal) { "normal" } else { "lognormal" };
            rate.print(&format!("{name}, {reference_rows} rows of reference, detected"));
            all.merge(&rate);
        }
    }
    all.print("half a standard deviation, detected");
    assert!(all.share() >= DETECTED_MIN);
}

#[test]
fn the_index_is_distributed_as_published_without_drift() {
    // Yurdakul and Naranjo: (1/N + 1/M) times chi-squared with nine degrees of freedom, whose mean
    // is 9 and whose quantile of 95 % is 16.919. The bin outside is none of theirs.
    let mut random = Rng::with_seed(9);
    for (reference_rows, rows) in [(10_000, 500), (10_000, 1_000), (2_000, 1_000)] {
        let mut found = Vec::new();
        for _ in 0..40 {
            let feature = Kind::Normal.reference(&mut random, reference_rows);
            for _ in 0..times(25) {
                let seen = Kind::Normal.window(&feature, &mut random, rows);
                let mut bins = scored_bins(&feature, &seen);
                bins.reference.pop();
                bins.window.pop();
                found.push(bins::psi(&bins.reference, &bins.window, PSEUDO_COUNT).unwrap());
            }
        }
        found.sort_by(f64::total_cmp);
        let scale = 1.0 / reference_rows as f64 + 1.0 / rows as f64;
        let mean = found.iter().sum::<f64>() / found.len() as f64 / (9.0 * scale);
        let p95 = found[found.len() * 95 / 100] / (16.919 * scale);
        println!("N {reference_rows}, M {rows}: mean {mean:.3}, 95 % {p95:.3} of the published");
        assert!((mean - 1.0).abs() < 0.05 && (p95 - 1.0).abs() < 0.1);
    }
}
