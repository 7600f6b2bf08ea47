//! The image's recipe says again what is said elsewhere: the toolchain, the ports, the names of
//! settings.

use flowgate::config::setting::{ADMIN_PORT, ALL, PORT, Setting};

/// Where the Dockerfile differs from the toolchain and the settings.
pub(crate) fn faults(dockerfile: &str, toolchain: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let channel = toolchain.split("channel = \"").nth(1).and_then(|rest| rest.split('"').next());
    let version = instructions(dockerfile, "ARG").find_map(|arg| arg.strip_prefix("RUST_VERSION="));
    if version.is_none() || version != channel {
        faults.push(format!("Dockerfile: Rust {version:?}, but rust-toolchain.toml {channel:?}"));
    }
    let ports = [PORT, ADMIN_PORT].map(|setting| setting.default.unwrap_or_default()).join(" ");
    if !instructions(dockerfile, "EXPOSE").eq([ports.as_str()]) {
        faults.push(format!("Dockerfile: EXPOSE is not {ports}, the ports by default"));
    }
    let variables = instructions(dockerfile, "ENV").flat_map(str::split_whitespace);
    let names = variables.filter_map(|variable| Some(variable.split_once('=')?.0));
    let known = |name: &str, setting: &Setting| {
        setting.env == name || setting.env_known.is_some_and(|known| known.name == name)
    };
    let is_known = |name: &str| name == "PATH" || ALL.iter().any(|one| known(name, one));
    faults.extend(
        names.filter(|name| !is_known(name)).map(|name| format!("Dockerfile: no setting {name}")),
    );
    faults
}

/// What follows this instruction, one for each time it stands there, with its continued lines.
fn instructions<'a>(dockerfile: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let mut starts = Vec::new();
    let (mut at, mut continued) = (0, false);
    for line in dockerfile.split_inclusive('\n') {
        if !continued && line.starts_with(name) && line[name.len()..].starts_with(' ') {
            starts.push(at + name.len() + 1);
        }
        continued = line.trim_end().ends_with('\\');
        at += line.len();
    }
    starts.into_iter().map(|start| {
        let rest = &dockerfile[start..];
        let end = rest
            .match_indices('\n')
            .find(|(end, _)| !rest[..*end].ends_with('\\'))
            .map_or(rest.len(), |(end, _)| end);
        rest[..end].trim_end()
    })
}

#[test]
fn an_image_that_differs_is_seen() {
    let toolchain = "[toolchain]\nchannel = \"1.2.3\"\n";
    let good = "ARG RUST_VERSION=1.2.3\nENV PATH=/bin \\\n    FLOWGATE_HOST=::\nEXPOSE 8080 8082\n";
    assert_eq!(faults(good, toolchain), Vec::<String>::new());
    for (from, to) in [("=1.2.3", "=1.2.4"), ("FLOWGATE_HOST", "FLOWGATE_HOTS"), ("8082", "8081")] {
        assert_eq!(faults(&good.replace(from, to), toolchain).len(), 1, "{to}");
    }
    assert_eq!(faults("", toolchain).len(), 2);
}
