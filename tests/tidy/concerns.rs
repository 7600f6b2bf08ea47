//! Where a concern lives. Each rule names what it looks for, the places where that may stand, and
//! why it stands nowhere else.

use crate::source::Source;

struct Concern {
    /// Paths as they appear in code, matched at the start of a word.
    words: &'static [&'static str],
    /// Prefixes of the files that may hold them.
    homes: &'static [&'static str],
    reason: &'static str,
}

const CONCERNS: [Concern; 7] = [
    Concern {
        words: &["ort::"],
        homes: &["src/backend/ort", "src/backend/mod.rs"],
        reason: "one runtime's API stays behind the Backend trait, so that another can replace it",
    },
    Concern {
        words: &["tract_onnx::"],
        homes: &["src/backend/tract", "src/backend/mod.rs"],
        reason: "one runtime's API stays behind the Backend trait, so that another can replace it",
    },
    Concern {
        words: &["StatusCode", "HttpResponse"],
        homes: &["src/server/", "src/source/"],
        reason: "lower floors say what happened; only the server says it in HTTP, and only clients \
                 of registries read it there",
    },
    Concern {
        words: &["env::var", "env::var_os", "env::vars", "env::vars_os"],
        homes: &["src/config/env.rs"],
        reason: "the environment is read once, in one place, and becomes validated configuration",
    },
    Concern {
        words: &["fs::", "File::open", "File::create", "OpenOptions::"],
        homes: &["src/store/", "src/source/", "src/config/", "src/backend/", "src/predict/"],
        reason: "files are read while a model loads, by registries of files, while a configuration \
                 is read, and by a batch scoring, which is about files; never on a request",
    },
    Concern {
        words: &["thread::Builder", "thread::spawn", "Builder::new().name", "spawn_blocking"],
        homes: &[
            "src/batch/threads.rs",
            "src/lifecycle/loader_thread.rs",
            "src/lifecycle/readers.rs",
            "src/predict/pipeline.rs",
            "src/app/",
        ],
        reason: "every thread has a name, an owner, a stop signal and a join: few places start one",
    },
    Concern {
        words: &["unsafe {", "unsafe fn", "unsafe impl"],
        homes: &["src/backend/ort/run.rs", "src/backend/ort/value.rs"],
        reason: "what the compiler cannot check stays in two blocks that people can",
    },
];

pub(crate) fn faults(source: &Source) -> Vec<String> {
    CONCERNS
        .iter()
        .filter(|concern| !concern.homes.iter().any(|home| source.path.starts_with(home)))
        .flat_map(|concern| {
            source
                .product_lines()
                .filter(|(_, code)| concern.words.iter().any(|word| holds_word(code, word)))
                .map(|(line, _)| {
                    let [path, homes] = [&source.path, &concern.homes.join(", ")];
                    format!(
                        "{path}:{line}: `{}` belongs in {homes}: {}",
                        concern.words[0], concern.reason
                    )
                })
        })
        .collect()
}

/// Whether the code holds the word, not as the tail of a longer one.
fn holds_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
}

#[test]
fn a_concern_out_of_place_is_seen() {
    let bad = |path: &str, text: &str| !faults(&Source::new(path, text)).is_empty();
    assert!(bad("src/server/infer.rs", "use ort::session::Session;"));
    assert!(bad("src/wire/json.rs", "let x = tract_onnx::onnx();"));
    assert!(bad("src/servable/job.rs", "use actix_web::http::StatusCode;"));
    assert!(bad("src/server/listen.rs", "std::env::var(\"PORT\")"));
    assert!(bad("src/server/infer.rs", "std::fs::read(path)"));
    assert!(bad("src/wire/csv.rs", "File::open(path)"));
    assert!(bad("src/server/infer.rs", "std::thread::Builder::new()"));
    assert!(bad("src/wire/json.rs", "let text = unsafe { text_of(bytes) };"));
    assert!(!bad("src/backend/ort/load.rs", "use ort::session::Session;"));
    assert!(!bad("src/wire/json.rs", "let export::Kind = kind; // ort::"));
    assert!(!bad("src/wire/json.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use std::fs::read; }"));
}
