//! The floors: a module imports only from floors below its own. One package cannot ask the
//! compiler for one-way dependencies, so this does.

use crate::source::Source;

/// Each module's floor; a test holds the table in `ARCHITECTURE.md` to it. The numbers leave room
/// for floors to come.
const FLOORS: [(&str, u8); 20] = [
    ("number", 0),
    ("tensor", 0),
    ("model", 0),
    ("drift", 1),
    ("mlflow", 1),
    ("telemetry", 1),
    ("wire", 1),
    ("backend", 2),
    ("store", 2),
    ("source", 3),
    ("tune", 3),
    ("batch", 4),
    ("servable", 5),
    ("predict", 5),
    ("lifecycle", 6),
    ("server", 6),
    ("config", 7),
    ("app", 8),
    ("main", 9),
    ("lib", 9),
];

/// Imports between modules of one floor that are allowed: who may import whom.
const SIBLINGS: [(&str, &str); 2] = [("model", "tensor"), ("drift", "telemetry")];

pub(crate) fn faults(source: &Source) -> Vec<String> {
    let Some(own) = source.path.strip_prefix("src/") else { return Vec::new() };
    let module = own.split('/').next().unwrap_or(own).trim_end_matches(".rs");
    let Some(floor) = floor(module) else {
        return vec![format!("{}: module `{module}` has no floor in tests/tidy", source.path)];
    };
    source
        .product_lines()
        .flat_map(|(line, code)| imports(code).map(move |other| (line, other)))
        .filter(|(_, other)| *other != module && !SIBLINGS.contains(&(module, *other)))
        .filter(|(_, other)| self::floor(other).is_some_and(|other| other >= floor))
        .map(|(line, other)| {
            format!(
                "{}:{line}: `{module}` imports `{other}`, which is not below it: floors keep the \
                 parts replaceable; move the code, or change the table and ARCHITECTURE.md",
                source.path
            )
        })
        .collect()
}

/// Modules whose floor is another one in the architecture's table, or that it lacks.
pub(crate) fn undocumented(architecture: &str) -> Vec<String> {
    let rows: Vec<_> = architecture
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            Some((cells.next()?.parse::<u8>().ok()?, cells.next()?))
        })
        .collect();
    FLOORS
        .iter()
        .filter(|(module, floor)| {
            let name = format!("`{module}`");
            !rows.iter().any(|(row, cell)| row == floor && cell.split(", ").any(|c| c == name))
        })
        .map(|(module, floor)| {
            format!("ARCHITECTURE.md: the table of floors lacks `{module}` on floor {floor}")
        })
        .collect()
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The top-level modules that a line of code names: `crate::x`, `flowgate::x`, `crate::{x, y}`.
fn imports(code: &str) -> impl Iterator<Item = &str> {
    ["crate::", "flowgate::"].into_iter().flat_map(|root| code.split(root).skip(1)).flat_map(
        |rest| {
            let (list, group) = match rest.strip_prefix('{') {
                Some(inner) => (inner.split('}').next().unwrap_or(inner), true),
                None => (rest, false),
            };
            list.split(',').take(if group { usize::MAX } else { 1 }).map(|item| {
                let item = item.trim();
                let end = item.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                &item[..end.unwrap_or(item.len())]
            })
        },
    )
}

#[test]
fn an_upward_import_is_seen() {
    let bad = |path: &str, text: &str| !faults(&Source::new(path, text)).is_empty();
    assert!(bad("src/wire/json.rs", "use crate::server::Server;"));
    assert!(bad("src/wire/json.rs", "fn f() -> crate::backend::RunError {"));
    assert!(bad("src/wire/json.rs", "use crate::{model::Schema, servable::Job};"));
    assert!(bad("src/wire/json.rs", "use crate::mlflow::Flavor;"), "one floor, not named");
    assert!(bad("src/server/infer.rs", "use crate::config::Config;"));
    assert!(bad("src/novelty.rs", "use crate::tensor::Tensor;"), "a module without a floor");
    assert!(!bad("src/model/graph.rs", "use crate::tensor::Tensor;"), "a named sibling");
    assert!(!bad("src/wire/json.rs", "// crate::server"));
    assert!(!bad("src/server/infer.rs", "use crate::wire::coding::Coding;"));
    assert!(!bad("src/main.rs", "fn main() { flowgate::app::run() }"));
}

#[test]
fn a_module_that_the_architecture_lacks_is_seen() {
    let row = |(module, floor): &(&str, u8)| format!("| {floor} | `{module}` | what it is |\n");
    let whole: String = FLOORS.iter().map(row).collect();
    assert_eq!(undocumented(&whole), Vec::<String>::new());
    assert_eq!(undocumented(&whole.replace("| 2 | `store`", "| 3 | `store`")).len(), 1);
    assert_eq!(undocumented("").len(), FLOORS.len());
}
