//! Where the ONNX Runtime library is: which files to try, in which order, and what to say when
//! there is none. Opening the library is `ort`'s business.
//!
//! A library that the user named (configuration or `ORT_DYLIB_PATH`) is the only one tried: if it
//! does not work, another one would hide the mistake. Otherwise the first that works is taken.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The ONNX Runtime that `scripts/onnxruntime.txt` pins.
pub const PINNED_VERSION: &str = "1.31.1";

/// How many directories above the executable may hold the pinned copy: enough for
/// `target/debug/deps/` and for `target/<triple>/release/`.
const ANCESTORS_MAX: usize = 5;

/// What to do about a missing library, as the end of a sentence. The wheels of Python hold the
/// library as a file of its own since 1.20.
const REMEDY: &str = "`make run` sets up the right one; or run `pip install 'onnxruntime>=1.20'` \
                      in the active Python environment, or set ORT_DYLIB_PATH to a libonnxruntime";

/// Everything that decides where the library is looked for. Empty paths count as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibrarySearch {
    /// The configured library: a file, or a directory that holds one.
    pub explicit: Option<PathBuf>,
    /// The value of `ORT_DYLIB_PATH`: as `explicit`, which wins over it.
    pub ort_dylib_path: Option<PathBuf>,
    /// The value of `VIRTUAL_ENV`.
    pub virtual_env: Option<PathBuf>,
    /// The value of `CONDA_PREFIX`.
    pub conda_prefix: Option<PathBuf>,
    /// The running executable.
    pub executable: Option<PathBuf>,
    /// The current directory.
    pub current_dir: Option<PathBuf>,
}

impl LibrarySearch {
    /// The library that the user asked for, with the name of the setting that says so.
    pub fn named(&self) -> Option<(&'static str, &Path)> {
        let explicit = self.explicit.as_deref().map(|path| ("the configured library", path));
        let variable = self.ort_dylib_path.as_deref().map(|path| ("ORT_DYLIB_PATH", path));
        [explicit, variable].into_iter().flatten().find(|(_, path)| !path.as_os_str().is_empty())
    }

    /// Existing files that may be the library, the best first.
    ///
    /// # Errors
    /// When there is none: a sentence that lists the places and says what to do.
    pub fn candidates(&self) -> Result<Vec<PathBuf>, String> {
        if let Some((setting, path)) = self.named() {
            let path = self.current_dir.as_deref().map_or(path.to_owned(), |dir| dir.join(path));
            let found = if path.is_dir() { libraries_in(&path) } else { vec![path.clone()] };
            return if found.first().is_some_and(|file| file.exists()) {
                Ok(found)
            } else {
                let path = path.display();
                Err(format!("{setting} names {path}, but no ONNX Runtime library is there"))
            };
        }
        let places = self.places();
        let found: Vec<_> = places.iter().flat_map(|place| libraries_in(place)).collect();
        if found.is_empty() { Err(self.missing(&places)) } else { Ok(found) }
    }

    /// The directories to look into, in order, each once.
    fn places(&self) -> Vec<PathBuf> {
        let mut places = Vec::new();
        if let Some(directory) = self.executable.as_deref().and_then(Path::parent) {
            places.push(directory.to_owned());
            places.extend(directory.parent().map(|above| above.join("lib")));
            for above in directory.ancestors().take(ANCESTORS_MAX) {
                places.push(above.join("onnxruntime").join(PINNED_VERSION));
                places.push(pinned_under(above));
            }
        }
        places.extend(self.current_dir.as_deref().map(pinned_under));
        for environment in [&self.virtual_env, &self.conda_prefix].into_iter().flatten() {
            places.extend(python_packages(environment));
        }
        let mut seen = HashSet::new();
        places.retain(|place| seen.insert(place.clone()));
        places
    }

    fn missing(&self, places: &[PathBuf]) -> String {
        // The many ancestors would drown the sentence: they are "above the executable" for people.
        let beside = self.executable.as_deref().and_then(Path::parent);
        let mut looked = Vec::new();
        if let Some(directory) = beside {
            looked.push(format!("beside the executable and in ../lib ({})", directory.display()));
        }
        let pinned = format!("target/onnxruntime/{PINNED_VERSION}");
        looked.push(format!("in {pinned} above the executable and in the current directory"));
        let python = places.iter().filter(|place| place.ends_with("onnxruntime/capi"));
        looked.extend(python.map(|place| format!("in {}", place.display())));
        if self.virtual_env.is_none() && self.conda_prefix.is_none() {
            looked.push("no Python environment is active".to_owned());
        }
        format!("no ONNX Runtime library found; looked {}; {REMEDY}", looked.join(", "))
    }
}

/// The sentence for a library that exists but does not work.
#[cfg(feature = "ort")]
pub(super) fn unusable(path: &Path, reason: &str) -> String {
    format!("{} is not a usable ONNX Runtime library: {reason}; {REMEDY}", path.display())
}

fn pinned_under(directory: &Path) -> PathBuf {
    directory.join("target").join("onnxruntime").join(PINNED_VERSION)
}

/// `onnxruntime/capi` of every Python that the environment holds.
fn python_packages(environment: &Path) -> Vec<PathBuf> {
    let mut packages: Vec<_> = children(&environment.join("lib"))
        .into_iter()
        .filter(|path| file_name(path).starts_with("python3"))
        .map(|python| python.join("site-packages/onnxruntime/capi"))
        .filter(|path| path.is_dir())
        .collect();
    packages.sort();
    packages
}

/// The files in `directory` that bear the library's name, the longest name (the one with the
/// version in it) first.
fn libraries_in(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = children(directory)
        .into_iter()
        .filter(|path| is_library_name(&file_name(path)) && path.is_file())
        .collect();
    files.sort_by_key(|path| std::cmp::Reverse(file_name(path).len()));
    files
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib`; not
/// `libonnxruntime_providers_shared.so`.
fn is_library_name(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.next() == Some("libonnxruntime") && parts.any(|part| matches!(part, "so" | "dylib"))
}

/// The entries of a directory; none when it cannot be read.
fn children(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }

    #[test]
    fn the_pin_is_the_one_the_script_fetches() {
        let pin = include_str!("../../scripts/onnxruntime.txt");
        assert!(pin.contains(&format!("onnxruntime=={PINNED_VERSION} ")));
    }

    #[test]
    fn a_named_library_is_the_only_candidate() {
        let dir = tempfile::tempdir().unwrap();
        let beside = dir.path().join("bin/libonnxruntime.so");
        touch(&beside);
        touch(&dir.path().join("mine.so"));
        let search = LibrarySearch {
            explicit: Some("mine.so".into()),
            ort_dylib_path: Some(beside.clone()),
            executable: Some(dir.path().join("bin/flowgate")),
            current_dir: Some(dir.path().to_owned()),
            ..LibrarySearch::default()
        };
        assert_eq!(search.candidates().unwrap(), [dir.path().join("mine.so")]);
        let search = LibrarySearch { explicit: Some(PathBuf::new()), ..search };
        assert_eq!(search.candidates().unwrap(), [beside]);
    }

    #[test]
    fn a_named_library_that_is_missing_is_an_error_even_if_another_one_exists() {
        let dir = tempfile::tempdir().unwrap();
        touch(&dir.path().join("libonnxruntime.so"));
        let search = LibrarySearch {
            ort_dylib_path: Some(dir.path().join("gone.so")),
            executable: Some(dir.path().join("flowgate")),
            ..LibrarySearch::default()
        };
        let error = search.candidates().unwrap_err();
        assert!(error.starts_with("ORT_DYLIB_PATH names "), "{error}");
    }

    #[test]
    fn places_are_tried_from_the_executable_outwards() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let pinned = format!("target/onnxruntime/{PINNED_VERSION}/libonnxruntime.so.1.31.1");
        let expected = [
            at("target/debug/libonnxruntime.so"),
            at("target/lib/libonnxruntime.so.1.30"),
            at(&pinned),
            at("venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.29.0"),
        ];
        for path in &expected {
            touch(path);
        }
        touch(&at("target/debug/libonnxruntime_providers_shared.so"));
        let search = LibrarySearch {
            virtual_env: Some(at("venv")),
            executable: Some(at("target/debug/flowgate")),
            current_dir: Some(at("")),
            ..LibrarySearch::default()
        };
        assert_eq!(search.candidates().unwrap(), expected);
    }

    #[test]
    fn nothing_found_says_where_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let search = LibrarySearch {
            executable: Some(dir.path().join("flowgate")),
            current_dir: Some(dir.path().to_owned()),
            ..LibrarySearch::default()
        };
        let error = search.candidates().unwrap_err();
        for part in ["beside the executable", "ORT_DYLIB_PATH", "make run", "no Python"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
