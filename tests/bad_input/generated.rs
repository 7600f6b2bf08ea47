//! Random bodies and mutations of valid ones.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestError, TestRunner};

use crate::{MODELS, Target, bodies};

/// Cases a property, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 4_000;
/// How often the server's own health is looked at.
const CASES_A_CHECKUP: u32 = 50;

const CONTENT_TYPES: [&str; 8] = [
    "application/json",
    "application/json; charset=UTF-8",
    "text/csv",
    "application/vnd.apache.parquet",
    "application/json; charset=utf-16",
    "application/octet-stream",
    "",
    ";;==;",
];

/// Pieces that decoders trip over.
const PIECES: [&[u8]; 24] = [
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-0.0",
    b"99999999999999999999999999",
    b"null",
    b"true",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[[[[",
    b"\"",
    b"\\ud800",
    b"\\",
    b",",
    b":",
    b"\"columns\": []",
    b"\"params\": {\"a\": 1}",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\0",
    b"\r\n",
    b"PAR1",
];

/// One change to a body; places are fractions of its length.
#[derive(Clone, Debug)]
enum Mutation {
    Truncate(Index),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Duplicate(Index, Index),
    Remove(Index, Index),
}

impl Mutation {
    fn apply(&self, body: &mut Vec<u8>) {
        let at = |index: &Index, body: &Vec<u8>| index.index(body.len() + 1);
        match self {
            Self::Truncate(end) => body.truncate(at(end, body)),
            Self::Flip(place, bits) => {
                let place = at(place, body);
                if let Some(byte) = body.get_mut(place) {
                    *byte ^= bits;
                }
            }
            Self::Insert(place, piece) => {
                let place = at(place, body);
                body.splice(place..place, piece.iter().copied());
            }
            Self::Duplicate(from, to) => {
                let (from, to) = ordered(at(from, body), at(to, body));
                let piece = body[from..to].to_vec();
                body.splice(to..to, piece);
            }
            Self::Remove(from, to) => {
                let (from, to) = ordered(at(from, body), at(to, body));
                body.drain(from..to);
            }
        }
    }
}

fn ordered(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = any::<Index>;
    prop_oneof![
        1 => place().prop_map(Mutation::Truncate),
        3 => (place(), 1_u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        3 => (place(), select(PIECES.to_vec()))
            .prop_map(|(at, piece)| Mutation::Insert(at, piece.to_vec())),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        1 => (place(), place()).prop_map(|(from, to)| Mutation::Duplicate(from, to)),
        1 => (place(), place()).prop_map(|(from, to)| Mutation::Remove(from, to)),
    ]
}

/// Runs a property against one server, which has to stay well.
fn hold<S: Strategy>(strategy: &S, send: impl Fn(&Target, &S::Value) -> Result<u16, String>) {
    let target = RefCell::new(Target::start());
    let count = RefCell::new(0_u32);
    let configured = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config::default();
    let config = Config {
        cases: if configured { default.cases } else { CASES },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/bad_input/regressions.txt",
        ))),
        ..default
    };
    let verdict = TestRunner::new(config).run(strategy, |input| {
        send(&target.borrow(), &input).map_err(TestCaseError::fail)?;
        *count.borrow_mut() += 1;
        if count.borrow().is_multiple_of(CASES_A_CHECKUP) {
            target.borrow_mut().is_well().map_err(TestCaseError::fail)?;
        }
        Ok(())
    });
    match verdict {
        Ok(()) => target.borrow_mut().is_well().unwrap_or_else(|what| panic!("{what}")),
        Err(TestError::Fail(why, input)) => panic!("{why}\nfor {input:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn random_bytes_never_get_a_server_error() {
    let bytes = prop::collection::vec(any::<u8>(), 0..600);
    let strategy = (select(MODELS.to_vec()), select(CONTENT_TYPES.to_vec()), bytes);
    hold(&strategy, |target, (model, content_type, body)| {
        target.post(model, &[("Content-Type", content_type)], body)
    });
}

#[test]
fn mutated_bodies_never_get_a_server_error() {
    let seeds = select(bodies::seeds(&MODELS));
    let strategy =
        (seeds, prop::collection::vec(mutation(), 1..6)).prop_map(|(mut seed, edits)| {
            for edit in &edits {
                edit.apply(&mut seed.body);
            }
            (seed, edits)
        });
    hold(&strategy, |target, (seed, _)| {
        target.post(&seed.model, &[("Content-Type", &seed.content_type)], &seed.body)
    });
}
