//! The merged configuration, from what was given to what is in force.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use url::Url;

use super::*;
use crate::backend::Choice;
use crate::model::ModelName;
use crate::source::Credentials;
use crate::wire::invocations::RecordShape;

fn merge<const N: usize, const M: usize>(
    flags: [(&'static str, &str); N],
    environment: [(&str, &str); M],
    file: &str,
) -> Sources {
    let flags = flags.map(|(flag, value)| (flag, value.to_owned()));
    let environment = Environment::from(environment);
    Sources::merge(&HashMap::from(flags), Vec::new(), &environment, Some(file))
}

fn arguments<const N: usize>(arguments: [&str; N]) -> Sources {
    let arguments = arguments.map(str::to_owned).to_vec();
    Sources::merge(&HashMap::new(), arguments, &Environment::default(), None)
}

fn faults(sources: &Sources) -> Vec<String> {
    let Err(Faults(faults)) = Config::check(sources) else { return Vec::new() };
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_all_valid() {
    let config = Config::check(&merge([], [], "")).unwrap();
    assert_eq!(config.server.host, "127.0.0.1");
    assert_eq!(config.server.port, 8080);
    assert_eq!(config.server.request_timeout, Duration::from_mins(1));
    assert_eq!(config.server.body_bytes_max, 64 << 20);
    assert_eq!(config.pool.queue.requests_max, 1024);
    assert!(config.pool.threads >= 1 && config.server.workers >= 1);
}

#[test]
fn the_admin_port_is_on_the_same_host_unless_it_has_its_own_or_is_off() {
    let admin = |sources: &Sources| {
        Config::check(sources).unwrap().admin.map(|admin| (admin.host, admin.port))
    };
    let at = |host: &str, port| Some((host.to_owned(), port));
    assert_eq!(admin(&merge([], [], "")), at("127.0.0.1", 8082));
    assert_eq!(admin(&merge([("host", "::"), ("admin-port", "0")], [], "")), at("::", 0));
    let file = "server: {host: 0.0.0.0, admin_host: localhost, admin_port: 9}";
    assert_eq!(admin(&merge([], [], file)), at("localhost", 9));
    assert_eq!(admin(&merge([("admin-port", "off")], [], file)), None);
    let place = "server.admin_port (flag --admin-port): expected `off` or a port";
    assert!(faults(&merge([("admin-port", "on")], [], "")).concat().starts_with(place));
}

#[test]
fn webhooks_are_taken_on_the_admin_port_or_not_at_all() {
    let file = |sources: &Sources| Config::check(sources).unwrap().registry.webhook_secret_file;
    assert_eq!(file(&merge([], [], "")), None);
    let mounted = merge([], [("FLOWGATE_WEBHOOK_SECRET_FILE", "/run/secrets/hook")], "");
    assert_eq!(file(&mounted).as_deref(), Some(Path::new("/run/secrets/hook")));
    let nowhere = merge([("webhook-secret-file", "hook"), ("admin-port", "off")], [], "");
    let place = "registry.webhook_secret_file (flag --webhook-secret-file)";
    let problem = "expected the path of a file, and an admin port for it to be used on, got `hook`";
    assert_eq!(faults(&nowhere), [format!("{place}: {problem}")]);
}

#[test]
fn measurements_are_kept_in_the_cache_of_the_user_unless_told_otherwise() {
    let dir = |sources: &Sources| Config::check(sources).unwrap().cache_dir;
    let is = |path: &str| Some(Path::new(path).to_owned());
    let home = ("HOME", "/users/ada");
    assert_eq!(dir(&merge([], [home], "")), is("/users/ada/.cache/flowgate"));
    assert_eq!(dir(&merge([], [home, ("XDG_CACHE_HOME", "/var/c")], "")), is("/var/c/flowgate"));
    let relative = ("XDG_CACHE_HOME", "relative");
    assert_eq!(dir(&merge([], [home, relative], "")), is("/users/ada/.cache/flowgate"));
    assert_eq!(dir(&merge([], [], "")), None, "a user without a home");
    assert_eq!(dir(&merge([], [home], "cache: {dir: /tmp/f}")), is("/tmp/f"));
    assert_eq!(dir(&merge([("cache-dir", "off")], [home], "cache: {dir: /tmp/f}")), None);
}

#[test]
fn flag_goes_before_environment_before_file_before_default() {
    let port = |sources: &Sources| Config::check(sources).unwrap().server.port;
    let file = "server:\n  port: 3\n";
    assert_eq!(port(&merge([("port", "1")], [("FLOWGATE_PORT", "2")], file)), 1);
    assert_eq!(port(&merge([], [("FLOWGATE_PORT", "2")], file)), 2);
    assert_eq!(port(&merge([], [("FLOWGATE_PORT", "")], file)), 3);
    assert_eq!(port(&merge([], [], "server: null")), 8080);
}

#[test]
fn variables_of_mlflow_and_onnxruntime_are_honoured() {
    let sources = merge(
        [],
        [
            ("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "7"),
            ("MLFLOW_DISABLE_SCHEMA_DETAILS", "True"),
            ("ORT_DYLIB_PATH", "/lib/ort.so"),
        ],
        "",
    );
    let config = Config::check(&sources).unwrap();
    assert_eq!(config.server.request_timeout, Duration::from_secs(7));
    assert!(!config.server.schema_details);
    assert_eq!(
        config.onnxruntime.library.ort_dylib_path.as_deref(),
        Some(Path::new("/lib/ort.so"))
    );
}

#[test]
fn credentials_come_from_the_environment_and_below_it_from_the_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".mlflow")).unwrap();
    let file = home.path().join(".mlflow/credentials");
    let login = "[mlflow]\nmlflow_tracking_username = ada\nmlflow_tracking_password = file\n";
    std::fs::write(&file, login).unwrap();
    let at_home = ("HOME", home.path().to_str().unwrap());
    let server = Url::parse("http://localhost").unwrap();
    let credentials = |variables: &[(&str, &str)]| {
        let unset = ("", "");
        let one = |at: usize| variables.get(at).copied().unwrap_or(unset);
        let environment = Environment::from([at_home, one(0), one(1)]);
        let options = environment.mlflow_client(server.clone(), server.clone());
        options.map(|options| options.credentials).map_err(|error| error.to_string())
    };
    let basic = |username: &str, password: &str| {
        let [username, password] = [username, password].map(str::to_owned);
        Ok(Some(Credentials::Basic { username, password }))
    };
    let (name, password) = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD");
    assert_eq!(credentials(&[]), basic("ada", "file"));
    assert_eq!(credentials(&[(name, "bob")]), basic("bob", "file"));
    assert_eq!(credentials(&[(password, "own"), (name, "")]), basic("ada", "own"));
    assert_eq!(credentials(&[("MLFLOW_TRACKING_TOKEN", "t")]), basic("ada", "file"));

    std::fs::write(&file, "[mlflow").unwrap();
    assert!(credentials(&[]).unwrap_err().contains("is no ini file"));
    assert_eq!(credentials(&[(name, "bob"), (password, "own")]), basic("bob", "own"));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(credentials(&[]), Ok(None));
    let token = Credentials::Bearer("t".to_owned());
    assert_eq!(credentials(&[("MLFLOW_TRACKING_TOKEN", "t"), (name, "bob")]), Ok(Some(token)));
}

#[test]
fn ours_goes_before_a_variable_of_others() {
    let variables = [("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "7"), ("FLOWGATE_TIMEOUT", "8")];
    let config = Config::check(&merge([], variables, "")).unwrap();
    assert_eq!(config.server.request_timeout, Duration::from_secs(8));
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_named_flowgate_are_ignored() {
    let config = Config::check(&merge([], [("FLOWGATE_PORT", "tcp://10.0.0.1:80")], "")).unwrap();
    assert_eq!(config.server.port, 8080);
}

#[test]
fn the_lame_duck_is_on_its_own_where_senders_hear_late() {
    let pod = [("KUBERNETES_SERVICE_HOST", "10.96.0.1")];
    let lame_duck = |sources: &Sources| Config::check(sources).unwrap().server.lame_duck;
    assert_eq!(lame_duck(&merge([], [], "")), Duration::ZERO);
    assert_eq!(lame_duck(&merge([], pod, "")), Duration::from_secs(10));
    assert_eq!(lame_duck(&merge([], pod, "server: {lame_duck: 0}")), Duration::ZERO);
    assert_eq!(lame_duck(&merge([("lame-duck", "1m")], [], "")), Duration::from_mins(1));
    let place = "server.lame_duck (flag --lame-duck): expected `auto` or a time";
    assert!(faults(&merge([("lame-duck", "long")], [], "")).concat().starts_with(place));
}

#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    let file = "
server:
  prot: 80
  body_bytes_max: much
  workers: {a: 1}
inferense:
  threads: 1
models:
  - name: a/b
    backend: tensorflow
    pth: x
log: loud
";
    let sources = merge([("timeout", "never")], [("FLOWGATE_LOG_LEVEL", "loud")], file);
    let faults = faults(&sources);
    let expected = [
        "server.prot: unknown key, did you mean `server.port`?",
        "server.workers: expected `auto` or a number from 1 to 1024, got a mapping",
        "inferense: unknown key, did you mean `inference`?",
        "models[0].pth: unknown key, did you mean `path`?",
        "log: expected a mapping of settings, got `loud`",
        "server.body_bytes_max: expected a size from 1KiB to 16GiB, in bytes or with a unit \
         (`67108864`, `64MiB`), got `much`",
        "server.request_timeout (flag --timeout): expected a time above zero, in seconds or \
         with a unit (`60`, `1m30s`, `500ms`), got `never`",
        "log.level (environment variable FLOWGATE_LOG_LEVEL): expected `error`, `warn`, `info`, \
         `debug` or `trace`, got `loud`",
        "models[0].name: a model name must not hold '/', ':' or control characters, got `a/b`",
        "models[0].backend: expected `auto`, `ort` or `tract`, got `tensorflow`",
        "models[0].path: a model needs a path",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn files_that_are_not_yaml_or_no_mapping_are_one_fault() {
    assert!(faults(&merge([], [], "server: [")).concat().contains("is not valid YAML"));
    let list = faults(&merge([], [], "- a\n- b"));
    assert_eq!(list, ["the file: expected a mapping of sections, got a list"]);
}

#[test]
fn models_come_from_the_command_line_else_from_the_file() {
    let config = Config::check(&arguments(["wine=models/wine", "models/a=b", "x"])).unwrap();
    let models: Vec<_> = config
        .models
        .iter()
        .map(|model| (model.name.as_ref().map(ModelName::as_str), model.path.to_str().unwrap()))
        .collect();
    assert_eq!(models, [(Some("wine"), "models/wine"), (None, "models/a=b"), (None, "x")]);

    let file = "models:\n- models/wine\n- {path: b, backend: tract, dataframe_outputs: rows}\n";
    let config = Config::check(&merge([("backend", "ort")], [], file)).unwrap();
    let [first, second] = config.models.as_slice() else { panic!("two models") };
    assert_eq!((first.backend, second.backend), (Choice::Ort, Choice::Tract));
    assert_eq!(second.record_shape, RecordShape::Rows);
}

#[test]
fn the_memory_for_requests_holds_one_body_at_least() {
    let config = Config::check(&merge([("body-bytes-max", "4GiB")], [], "")).unwrap();
    assert!(config.server.requests_bytes_max >= 4 << 30);
    let given = [("body-bytes-max", "1MiB"), ("requests-bytes-max", "3MiB")];
    let config = Config::check(&merge(given, [], "")).unwrap();
    assert_eq!(config.server.requests_bytes_max, 3 << 20);
    let faults = faults(&merge([("requests-bytes-max", "1MiB")], [], ""));
    assert!(faults.concat().starts_with("server.requests_bytes_max (flag --requests-bytes-max)"));
}

#[test]
fn what_is_printed_reads_back_as_the_same_configuration() {
    let file = "
models:
- {name: 'yes', path: 'a b: c'}
- {path: '007', backend: ort}
server: {host: '::1', request_timeout: 1m30s, keep_alive: 0.5}
onnxruntime: {providers: [CUDAExecutionProvider, CPUExecutionProvider], library: ' # x'}
";
    let sources = merge([("port", "0"), ("log-level", "debug")], [], file);
    let config = Config::check(&sources).unwrap();
    let yaml = to_yaml(&sources, &config);
    assert_eq!(Config::check(&merge([], [], &yaml)).unwrap(), config, "{yaml}");
    assert!(yaml.contains("  port: 0  # flag --port\n"), "{yaml}");
    assert!(yaml.contains("  workers: auto  # default\n"), "{yaml}");
}

#[test]
fn defaults_print_and_read_back() {
    let sources = merge([], [], "");
    let config = Config::check(&sources).unwrap();
    let yaml = to_yaml(&sources, &config);
    assert_eq!(Config::check(&merge([], [], &yaml)).unwrap(), config, "{yaml}");
}

#[test]
fn misspelt_variables_are_named_and_foreign_ones_left_alone() {
    let environment = Environment::from([
        ("FLOWGATE_PROT", "8080"),
        ("FLOWGATE_PORT", "8080"),
        ("FLOWGATE_SERVICE_HOST", "10.0.0.1"),
        ("FLOWGATE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("OTHER_PORT", "1"),
    ]);
    assert_eq!(
        misspelt_variables(&environment),
        ["the environment variable FLOWGATE_PROT sets nothing, did you mean `FLOWGATE_PORT`?"]
    );
}

#[test]
fn waits_beyond_the_time_that_a_request_has_are_mistakes() {
    let given = [("timeout", "1s"), ("queue-wait-max", "1s"), ("queue-delay-max", "2s")];
    assert_eq!(
        faults(&merge(given, [], "")),
        ["inference.queue_wait_max", "inference.queue_delay_max"]
            .map(|key| format!("{key}: expected less than server.request_timeout"))
    );
    assert_eq!(faults(&merge([("timeout", "100ms")], [], "")), Vec::<String>::new());
}
