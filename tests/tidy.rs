//! What the compiler does not check: the floors, where a concern lives, sizes, names, and that the
//! documents still point somewhere. Each rule is a function from a file to its faults, each fault
//! says why the rule exists, and each rule has a bad sample that it must catch.

#[path = "tidy/concerns.rs"]
mod concerns;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/image.rs"]
mod image;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use source::Source;

fn holds(rule: fn(&Source) -> Vec<String>) {
    let sources = source::all();
    assert!(sources.len() > 20, "the tree was not found");
    let faults: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_module_imports_from_its_own_floor_or_above() {
    holds(floors::faults);
}

#[test]
fn the_architecture_has_the_same_floors() {
    let texts = source::texts();
    let (_, map) = texts
        .iter()
        .find(|(path, _)| path == "ARCHITECTURE.md")
        .expect("ARCHITECTURE.md is the map");
    let faults = floors::undocumented(map);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_concern_lives_where_it_belongs() {
    holds(concerns::faults);
}

#[test]
fn nothing_is_left_unfinished() {
    holds(shape::unfinished);
}

#[test]
fn files_functions_and_lines_are_small() {
    holds(shape::too_large);
}

#[test]
fn every_file_says_what_it_is_for() {
    holds(shape::without_doc);
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    holds(shape::vague_name);
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let faults: Vec<String> =
        source::texts().iter().flat_map(|(path, text)| documents::places(path, text)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let faults: Vec<String> = source::texts()
        .iter()
        .filter(|(path, _)| source::is_a(path, "md"))
        .flat_map(|(path, text)| documents::broken_links(path, text))
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_image_agrees_with_toolchain_and_settings() {
    let texts = source::texts();
    let text = |name: &str| {
        let found = texts.iter().find(|(path, _)| path == name);
        &found.unwrap_or_else(|| panic!("{name} is there")).1
    };
    let faults = image::faults(text("Dockerfile"), text("rust-toolchain.toml"));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_item_of_the_parity_policy_has_a_test() {
    let texts = source::texts();
    let (_, parity) = texts
        .iter()
        .find(|(path, _)| path == "docs/parity.md")
        .expect("docs/parity.md lists where we differ from MLflow");
    let tests: String = source::all()
        .iter()
        .filter(|source| source.path.starts_with("tests/"))
        .map(|source| source.code.as_str())
        .collect();
    let faults = documents::untested_items(parity, &tests);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
