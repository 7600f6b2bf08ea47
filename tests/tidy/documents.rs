//! The documents: their links lead somewhere, what they promise is tested, and no file names a
//! place that exists on one machine only.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Absolute places that belong to one machine or one person.
pub(crate) fn places(path: &str, text: &str) -> Vec<String> {
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("C:", "\\Users"),
    ];
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let place = places.iter().find(|place| line.contains(**place))?;
            Some(format!("{path}:{}: `{place}` exists on one machine only", index + 1))
        })
        .collect()
}

/// Relative links of a Markdown file that lead nowhere, files and headings.
pub(crate) fn broken_links(path: &str, text: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let base = Path::new(path).parent().unwrap_or(Path::new(""));
    links(text)
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .filter_map(|link| {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.into() } else { plain(&base.join(file)) };
            let whole = root.join(&target);
            if !whole.exists() {
                return Some(format!("{path}: `{link}` leads nowhere"));
            }
            let known = heading.is_empty()
                || std::fs::read_to_string(&whole)
                    .is_ok_and(|text| headings(&text).contains(heading));
            (!known).then(|| format!("{path}: `{link}`: there is no such heading"))
        })
        .collect()
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The targets of `[text](target)`, outside of code blocks and code spans.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines()
        .filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
        .flat_map(|line| line.split('`').step_by(2))
        .flat_map(|piece| piece.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
}

/// The anchors of a file's headings, as GitHub makes them.
fn headings(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// Items `P3.N` of the parity policy without a test named `p3_N_...`.
pub(crate) fn untested_items(parity: &str, tests: &str) -> Vec<String> {
    let items: BTreeSet<u32> = parity
        .split("P3.")
        .skip(1)
        .filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
        .collect();
    if items.is_empty() {
        return vec!["docs/parity.md lists no item P3.N".to_owned()];
    }
    items
        .into_iter()
        .filter(|item| !tests.contains(&format!("fn p3_{item}_")))
        .map(|item| format!("docs/parity.md: P3.{item} has no test `p3_{item}_...`"))
        .collect()
}

#[test]
fn a_place_on_one_machine_is_seen() {
    assert_eq!(places("a.md", concat!("see /ho", "me/me/x")).len(), 1);
    assert_eq!(places("a.md", "see docs/parity.md and https://example.org/x").len(), 0);
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    assert_eq!(broken_links("docs/a.md", "[x](../Cargo.toml) [y](../nothing.md)").len(), 1);
    assert_eq!(broken_links("docs/a.md", "`[x](nothing.md)`\n```\n[y](nothing)\n```\n").len(), 0);
    assert_eq!(broken_links("a.md", "[web](https://example.org)").len(), 0);
    assert!(headings("## What it is, in one look\n").contains("what-it-is-in-one-look"));
}

#[test]
fn an_item_without_a_test_is_seen() {
    assert_eq!(untested_items("P3.1 and P3.12", "fn p3_1_serves() {}").len(), 1);
    assert_eq!(untested_items("P3.1, then P3.1 again", "fn p3_1_serves() {}").len(), 0);
    assert_eq!(untested_items("nothing", "").len(), 1);
}
