//! `docs/config.md` says what the table of settings says.

use std::fmt::Write as _;

use flowgate::config::setting::{ALL, MODEL};

use crate::support::assert_holds;

#[test]
fn the_documented_settings_are_those_of_the_code() {
    assert_holds("config.md", "settings", &settings());
    assert_holds("config.md", "models", &models());
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
