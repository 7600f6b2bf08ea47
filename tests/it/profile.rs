//! `flowgate profile` as its users see it: training data in, a drift reference out, exit codes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flowgate::drift::{FILE_NAME, Feature, Part, Reference, Values};
use flowgate::store::{ModelDir, NamedBy, ReferenceFile};

use crate::predict::files::{
    CHURN, CUSTOMERS, Ended, FIXTURES, Place, WINE, WINE_COLUMNS, ended, wine_csv, wines,
};

fn command(model: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["profile", "--log-level", "warn", "--model"]).arg(model).stdin(Stdio::null());
    command
}

fn profile(model: &str, place: &Place, input: &str, more: &[&str]) -> Ended {
    ended(command(Path::new(model)).arg(place.path(input)).args(more).output().unwrap())
}

/// The reference that a run writes to standard output.
fn made(model: &str, place: &Place, input: &str, more: &[&str]) -> Reference {
    let ended = profile(model, place, input, &[&["-o", "-"], more].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let reference = Reference::parse(ended.stdout.as_bytes()).unwrap();
    assert_eq!(reference.to_json(), ended.stdout);
    reference
}

fn names(features: &[Feature]) -> Vec<&str> {
    features.iter().map(|feature| feature.name.as_str()).collect()
}

/// A copy of a sample model that may be written to.
fn own_model(place: &Place) -> PathBuf {
    let model = place.path("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(WINE)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    fs::remove_file(model.join(FILE_NAME)).unwrap();
    model
}

#[test]
fn every_form_of_the_data_makes_the_same_reference() {
    let place = wines(250);
    let want = made(WINE, &place, "in.csv", &[]);
    assert_eq!(want.rows, 250);
    assert_eq!(names(&want.inputs), WINE_COLUMNS);
    assert_eq!(names(&want.outputs), ["quality"]);
    assert!(want.inputs.iter().all(|feature| feature.tensor == "features" && feature.width == 11));
    assert_eq!(want.inputs[10].part, Part::Element(10));
    for input in ["in.json", "in.jsonl", "in.parquet"] {
        assert_eq!(made(WINE, &place, input, &[]), want, "{input}");
    }
    let small = made(WINE, &place, "in.csv", &["--rows-per-batch", "7"]);
    assert_eq!(small.inputs, want.inputs);
}

#[test]
fn a_reference_lies_in_the_model_unless_it_is_told_otherwise() {
    let place = wines(60);
    let model = own_model(&place);
    let opened = ModelDir::open(&model).unwrap();
    assert_eq!(opened.drift_reference, ReferenceFile::Absent);
    let run = ended(command(&model).arg(place.path("in.parquet")).output().unwrap());
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    let path = opened.path.join(FILE_NAME);
    let said = format!("features of inputs: 11, of outputs: 1, written to {}", path.display());
    assert!(run.stderr.contains("profiled 60 rows in ") && run.stderr.contains(&said));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    let opened = ModelDir::open(&model).unwrap();
    let ReferenceFile::Found { named_by: NamedBy::Convention, bytes, .. } = opened.drift_reference
    else {
        panic!("{:?}", opened.drift_reference)
    };
    let reference = Reference::parse(&bytes).unwrap();
    assert_eq!(reference.signature, opened.mlmodel.signature_digest);

    let run = profile(model.to_str().unwrap(), &place, "in.csv", &["-o", "no/such/place.json"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("cannot write no/such/place.json: "), "{}", run.stderr);
}

#[test]
fn columns_that_the_model_does_not_know_are_ignored_with_a_sentence() {
    let place = wines(30);
    let want = made(WINE, &place, "in.csv", &[]);
    let labelled: Vec<String> = wine_csv(30)
        .lines()
        .enumerate()
        .map(|(i, line)| match i {
            0 => format!("id,{line},the grade"),
            _ => format!("x,{line},5"),
        })
        .collect();
    place.write("more.csv", &labelled.join("\n"));
    let run = profile(WINE, &place, "more.csv", &["-o", "-"]);
    assert_eq!(run.stdout, want.to_json());
    let said = "ignored columns that the model's signature does not name: `id`, `the grade`\n";
    assert!(run.stderr.starts_with(said), "{}", run.stderr);
}

#[test]
fn texts_and_flags_are_categories() {
    let place = Place::new();
    place.write("in.csv", CUSTOMERS);
    let reference = made(CHURN, &place, "in.csv", &[]);
    let categories = |name: &str| {
        let features = reference.inputs.iter().chain(&reference.outputs);
        match &features.clone().find(|feature| feature.name == name).unwrap().values {
            Values::Categorical(found) => found.categories.clone(),
            Values::Numeric(_) => panic!("{name} is no number"),
        }
    };
    let count = |text: &str, count| (text.to_owned(), count);
    assert_eq!(
        categories("internet_service"),
        [count("fiber", 3), count("dsl", 1), count("none", 1)]
    );
    assert_eq!(categories("senior_citizen"), [count("false", 3), count("true", 2)]);
    assert_eq!(categories("churn").iter().map(|(_, count)| count).sum::<u64>(), 5);
}

#[test]
fn a_model_without_a_signature_has_features_by_their_places() {
    let place = Place::new();
    let header = "sepal_length,sepal_width,petal_length,petal_width\n";
    place.write("in.csv", &format!("{header}5.5,3,2.5,1\n6.5,3,1.5,0.5\n"));
    let reference = made(&format!("{FIXTURES}/iris_nosig"), &place, "in.csv", &[]);
    assert_eq!(reference.signature, None);
    let tensor = &reference.inputs[0].tensor;
    let want: Vec<String> = (0..4).map(|index| format!("{tensor}[{index}]")).collect();
    assert_eq!(names(&reference.inputs), want);
}

#[test]
fn standard_input_is_read_once() {
    let place = wines(30);
    let want = made(WINE, &place, "in.csv", &[]);
    let stdin = || File::open(place.path("in.csv")).unwrap();
    let mut command = command(Path::new(WINE));
    let run = ended(command.args(["-", "-t", "csv", "-o", "-"]).stdin(stdin()).output().unwrap());
    assert_eq!((run.code, run.stdout), (Some(0), want.to_json()));
    let parquet = ended(command.args(["-t", "parquet"]).output().unwrap());
    assert_eq!(parquet.code, Some(2), "{}", parquet.stderr);
}

#[test]
fn bad_data_make_no_reference() {
    let place = Place::new();
    let model = own_model(&place);
    let text = wine_csv(50);
    let mut bad_row: Vec<&str> = text.lines().collect();
    let row = bad_row[42].rsplit_once(',').unwrap().0.to_owned() + ",strong";
    bad_row[42] = &row;
    place.write("row.csv", &bad_row.join("\n"));
    place.write("column.csv", &text.replacen("alcohol", "alcool", 1));
    place.write("empty.csv", text.lines().next().unwrap());
    place.write("in.txt", &text);
    let before = fs::read_dir(&model).unwrap().count();
    for (input, code, said) in [
        ("row.csv", 1, "row.csv, row 42 (line 43): "),
        ("column.csv", 1, "column.csv: "),
        ("empty.csv", 1, "empty.csv makes no reference: there are no rows"),
        ("gone.csv", 1, "cannot read "),
        ("in.txt", 2, "says no type"),
    ] {
        let run = profile(model.to_str().unwrap(), &place, input, &[]);
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    assert_eq!(fs::read_dir(&model).unwrap().count(), before, "something was left");
}

#[test]
fn the_sample_models_have_references_of_their_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for (model, rows, inputs, outputs) in [
        ("wine-quality/1", 3000, 11, 1),
        ("wine-quality/2", 3000, 11, 1),
        ("customer-churn/1", 4500, 8, 2),
        ("customer-churn/2", 4500, 8, 2),
        ("digits/1", 1347, 64, 11),
    ] {
        let opened = ModelDir::open(&root.join(model)).unwrap();
        let ReferenceFile::Found { bytes, .. } = opened.drift_reference else { panic!("{model}") };
        assert!(bytes.len() < 100_000, "{model}: {} bytes", bytes.len());
        let reference = Reference::parse(&bytes).unwrap();
        assert_eq!(reference.signature, opened.mlmodel.signature_digest, "{model}");
        let found = (reference.rows, reference.inputs.len(), reference.outputs.len());
        assert_eq!(found, (rows, inputs, outputs), "{model}");
    }
}
