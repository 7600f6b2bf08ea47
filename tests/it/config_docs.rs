//! `docs/config.md` says what the table of settings says.

use std::fmt::Write as _;

use flowgate::config::setting::{ALL, MODEL};

#[test]
fn the_documented_settings_are_those_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
    let page = std::fs::read_to_string(path).unwrap();
    for (name, table) in [("settings", settings()), ("models", models())] {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let from = page.find(&begin).expect("the page has the mark") + begin.len();
        let to = page.find(&end).expect("the page has the mark");
        assert_eq!(&page[from..to], table, "docs/config.md, table of {name}: expected\n{table}");
    }
}

fn settings() -> String {
    let mut table = String::from(
        "| Key | Flag | Environment | Default | Value | Meaning |\n|---|---|---|---|---|---|\n",
    );
    for setting in ALL {
        let short = setting.short.map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let known = setting
            .env_known
            .map(|known| {
                format!(", `{}`{}", known.name, if known.inverted { " (inverted)" } else { "" })
            })
            .unwrap_or_default();
        let default = setting.default.map_or("not set".to_owned(), |text| format!("`{text}`"));
        writeln!(
            table,
            "| `{}` | {short}`--{}` | `{}`{known} | {default} | {} | {} |",
            setting.key, setting.flag, setting.env, setting.expected, setting.meaning
        )
        .unwrap();
    }
    table
}

fn models() -> String {
    let mut table = String::from("| Key | Default | Value | Meaning |\n|---|---|---|---|\n");
    for setting in MODEL {
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            setting.key, setting.default, setting.expected, setting.meaning
        )
        .unwrap();
    }
    table
}
