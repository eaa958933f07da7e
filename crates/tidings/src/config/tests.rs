#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tidings_server::config::RecoveryMode;

use super::settings::{SETTINGS, Setting};
use super::*;

/// Resolves a file's text, environment and flags; the file is removed afterwards.
fn resolved(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> anyhow::Result<Resolved> {
    let file = TempFile::with(file);
    resolve(&Inputs {
        file: Some(file.0.clone()),
        env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        flags: flags.iter().map(|(key, text)| flag(key, text)).collect(),
    })
}

fn flag(key: &str, text: &str) -> (KeyPath, Sourced) {
    let path: KeyPath = key.split('.').map(str::to_owned).collect();
    let setting = Setting::find(&path).unwrap();
    let origin = Origin::Flag(format!("--{}", setting.flag_name().unwrap()));
    (path, Sourced { value: setting.kind.read(text).unwrap(), origin })
}

fn refusal(file: &str, env: &[(&str, &str)]) -> String {
    let error = resolved(file, env, &[]).unwrap_err();
    assert!(error.is::<Misconfigured>(), "{error:#}");
    error.to_string()
}

struct TempFile(PathBuf);

impl TempFile {
    fn with(text: &str) -> Self {
        let name = format!("tidings-config-{}.toml", secret::random_hex::<8>().unwrap());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn every_key_has_a_documentation_row_and_every_row_a_key() {
    let keys: BTreeSet<String> = layers::defaults().unwrap().keys().map(|path| path.join(".")).collect();
    let rows = SETTINGS.iter().filter(|row| !row.secret && !row.is_optional());
    assert_eq!(keys, rows.map(|row| row.key.to_owned()).collect());
}

#[test]
fn every_field_of_a_named_table_has_a_row() {
    use tidings_server::config::{AppConfig, NamespaceConfig, RoomKindConfig};
    let room = RoomKindConfig {
        subscribe: Some("anyone".into()),
        publish: Some("anyone".into()),
        history: Some("anyone".into()),
        presence: Some("anyone".into()),
        roster: Some("members".into()),
        roster_full: Some(1),
        roster_deltas: Some(1),
        keep: Some("recent".into()),
        size: Some(1),
        ttl_seconds: Some(1),
        bytes: Some(1),
        lane: Some("low".into()),
        members: Some(1),
        message_bytes: Some(1),
        pace_ms: Some(1),
        pace_per: Some("slot".into()),
        batch_ms: Some(1),
        batch_events: Some(1),
        diff: Some(1),
        publish_per_minute: Some(1),
    };
    let room = toml::Table::try_from(room).unwrap();
    let namespace = toml::Table::try_from(NamespaceConfig::default()).unwrap();
    let app = toml::Table::try_from(AppConfig::default()).unwrap();
    let tables = [("rooms", &room), ("namespaces", &namespace), ("apps", &app)];
    let fields = tables.into_iter().flat_map(|(section, table)| table.iter().map(move |f| (section, f)));
    let mut fields_found = BTreeSet::new();
    for (section, (name, value)) in fields {
        let row = Setting::find(&[section.into(), "chat".into(), name.clone()]).unwrap();
        row.kind.check(value).unwrap();
        fields_found.insert(row.key);
    }
    assert_eq!(fields_found.len(), SETTINGS.iter().filter(|row| row.is_pattern()).count());
}

#[test]
fn documentation_is_a_sentence_and_names_are_unique() {
    let mut names = BTreeSet::new();
    for row in SETTINGS.iter() {
        assert!(row.about.ends_with('.') && row.about.len() > 20, "{}", row.key);
        assert!(names.insert(row.env_name()), "{}", row.key);
        assert!(row.flag_name().is_none_or(|flag| names.insert(flag)), "{}", row.key);
    }
}

#[test]
fn defaults_pass_their_own_checks() {
    let resolved = resolved("", &[], &[]).unwrap();
    assert_eq!(resolved.config, Config::default());
    refuse_unsafe(&resolved.config).unwrap();
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let file = "[heartbeat]\ninterval_ms = 2000\ntimeout_ms = 2000\n[limits]\nrooms = 2\n";
    let env = [("TIDINGS_HEARTBEAT__INTERVAL_MS", "3000"), ("TIDINGS_HEARTBEAT__TIMEOUT_MS", "3000")];
    let config = resolved(file, &env, &[("heartbeat.interval_ms", "4000")]).unwrap().config;
    assert_eq!((config.heartbeat.interval_ms, config.heartbeat.timeout_ms), (4000, 3000));
    assert_eq!((config.limits.rooms, config.limits.namespaces), (2, 10));
}

#[test]
fn recovery_may_be_one_word_in_every_layer() {
    let mode = |file: &str, env: &[(&str, &str)]| resolved(file, env, &[]).unwrap().config.recovery.mode;
    assert_eq!(mode("recovery = \"always\"\n", &[]), RecoveryMode::Always);
    assert_eq!(mode("recovery = \"always\"\n", &[("TIDINGS_RECOVERY", "never")]), RecoveryMode::Never);
    assert_eq!(mode("[recovery]\nmode = \"always\"\n", &[]), RecoveryMode::Always);
    let refused = refusal("recovery = \"sometimes\"\n", &[]);
    assert!(refused.contains("`recovery.mode`") && refused.ends_with("found \"sometimes\""), "{refused}");
}

#[test]
fn a_missing_default_file_is_fine_and_a_missing_named_one_is_refused() {
    let missing = PathBuf::from("/nonexistent/tidings.toml");
    let inputs = Inputs { file: Some(missing), ..Inputs::default() };
    assert!(resolve(&inputs).unwrap_err().is::<Misconfigured>());
    assert_eq!(resolve(&Inputs::default()).unwrap().config, Config::default());
}

#[test]
fn an_unknown_key_is_refused_with_its_name_and_origin() {
    let refused = refusal("listen = \"127.0.0.1:1\"\n[heartbeat]\ninterval = 5\n", &[]);
    assert!(refused.contains("`heartbeat.interval`") && refused.ends_with(".toml:3)"), "{refused}");
    let refused = refusal("\n[nonsense]\n", &[]);
    assert!(refused.contains("`nonsense`") && refused.ends_with(".toml:2)"), "{refused}");
    let refused = refusal("[rooms.chat]\nsubscribers = 5\n", &[]);
    assert!(refused.contains("`rooms.chat.subscribers`"), "{refused}");
    let refused = refusal("", &[("TIDINGS_HEARTBEAT_INTERVAL_MS", "5")]);
    assert!(refused.contains("(env TIDINGS_HEARTBEAT_INTERVAL_MS)"), "{refused}");
}

#[test]
fn a_wrong_value_is_refused_with_key_origin_and_what_was_expected() {
    let refused = refusal("[limits]\nrooms = \"many\"\n", &[]);
    assert!(refused.contains("`limits.rooms`") && refused.contains(".toml:2"), "{refused}");
    let refused = refusal("", &[("TIDINGS_HEARTBEAT__INTERVAL_MS", "0")]);
    assert!(refused.contains("`heartbeat.interval_ms`") && refused.contains("1000 to"), "{refused}");
    let refused = refusal("[auth]\nanonymous = \"sometimes\"\n", &[]);
    assert!(refused.contains("loopback or never or always"), "{refused}");
    assert!(refusal("listen = [\n", &[]).contains(".toml:"));
    assert!(refusal("limits = 5\n", &[]).contains("`limits`"));
}

#[test]
fn a_wrong_secret_is_not_quoted_in_the_refusal() {
    let refused = refusal("[auth]\njwt_secret = 123456789\n", &[]);
    assert!(!refused.contains("123456789"), "{refused}");
}

#[test]
fn port_names_a_loopback_port_unless_listen_is_a_flag() {
    let listen = |file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]| {
        resolved(file, env, flags).unwrap().config.listen
    };
    assert_eq!(listen("", &[("PORT", "4000")], &[]), "127.0.0.1:4000");
    assert_eq!(listen("", &[("PORT", "4000")], &[("listen", "0.0.0.0:3000")]), "0.0.0.0:3000");
    assert_eq!(listen("", &[("PORT", "4000")], &[("listen", "0.0.0.0")]), "0.0.0.0:4000");
    assert_eq!(listen("", &[], &[("listen", "::1")]), "[::1]:3000");
    assert_eq!(listen("", &[("PORT", "4000"), ("TIDINGS_LISTEN", "127.0.0.1:5000")], &[]), "127.0.0.1:5000");
    assert_eq!(listen("listen = \"0.0.0.0:80\"", &[("PORT", "4000")], &[]), "0.0.0.0:4000");
    assert_eq!(listen("", &[("PORT", "")], &[]), "127.0.0.1:3000");
    assert!(refusal("", &[("PORT", "http")]).contains("PORT"));
}

#[test]
fn ws_port_listens_on_the_address_of_the_main_listener() {
    let ws_listen =
        |env: &[(&str, &str)], flags: &[(&str, &str)]| resolved("", env, flags).unwrap().config.ws_listen;
    assert_eq!(ws_listen(&[("PORT", "4000"), ("WS_PORT", "4001")], &[]), "127.0.0.1:4001");
    assert_eq!(ws_listen(&[("WS_PORT", "4001")], &[("listen", "0.0.0.0:3000")]), "0.0.0.0:4001");
    assert_eq!(ws_listen(&[("WS_PORT", "4001")], &[("ws_listen", "127.0.0.1:9")]), "127.0.0.1:9");
    assert_eq!(ws_listen(&[("WS_PORT", "4001"), ("TIDINGS_WS_LISTEN", "127.0.0.1:9")], &[]), "127.0.0.1:9");
}

#[test]
fn names_that_belong_to_others_are_no_settings() {
    let env = [
        ("TIDINGS_TOKEN", "x"),
        ("TIDINGS_SERVICE_HOST", "10.0.0.1"),
        ("TIDINGS_SERVICE_PORT_HTTP", "3000"),
        ("TIDINGS_PORT", "tcp://10.0.0.1:3000"),
        ("TIDINGS_PORT_3000_TCP_ADDR", "10.0.0.1"),
        ("HOME", "/"),
    ];
    assert_eq!(resolved("", &env, &[]).unwrap().config, Config::default());
}

#[test]
fn what_this_version_does_not_use_is_named_in_a_warning() {
    let env = [("REDIS_URL", "redis://user:hidden@r")];
    let warnings = resolved("", &env, &[]).unwrap().warnings.join("\n");
    assert!(warnings.contains("REDIS_URL"), "{warnings}");
    assert!(!warnings.contains("hidden"), "{warnings}");
}

#[test]
fn room_kinds_come_from_the_file_and_single_fields_from_the_environment() {
    let file = "[rooms.chat]\nsubscribe = \"signed-in\"\n[rooms.empty]\n[namespaces.\"/chat\"]\nauth = \"optional\"\n";
    let env = [("TIDINGS_ROOMS__CHAT__PUBLISH", "role:writer"), ("TIDINGS_ROOMS__CHAT__SIZE", "7")];
    let config = resolved(file, &env, &[]).unwrap().config;
    let chat = &config.rooms["chat"];
    assert_eq!(chat.subscribe.as_deref(), Some("signed-in"));
    assert_eq!(chat.publish.as_deref(), Some("role:writer"));
    assert_eq!(chat.size, Some(7));
    assert_eq!(config.rooms["empty"], Default::default());
    assert!(config.namespaces.contains_key("/chat"));
}

#[test]
fn what_is_printed_can_be_loaded_again_and_means_the_same() {
    let file = "allow_origin = [\"https://a.example\", \"http://localhost:5173\"]\ndata_dir = \"with \\\"quotes\\\"\"\n\
                [rooms.chat]\nsubscribe = \"anyone\"\nsize = 3\n[rooms.empty]\n[rooms.\"a.b c\"]\nlane = \"low\"\n\
                [namespaces.\"/chat\"]\nauth = \"optional\"\n\
                [apps.trading]\nenabled = true\nkeep_ended_seconds = 60\n\
                [[auth.issuers]]\nissuer = \"https://a.example/\"\naudience = [\"x\"]\njwks_file = \"a \\\"b\\\".json\"\n\
                [[auth.issuers]]\nissuer = \"b\"\n";
    let before = resolved(file, &[("TIDINGS_DEMO", "true")], &[("heartbeat.interval_ms", "4000")]).unwrap();
    let printed = to_toml(&before);
    assert_eq!(resolved(&printed, &[], &[]).unwrap().config, before.config, "{printed}");
    assert!(printed.contains("# TIDINGS_DEMO, --demo; from env TIDINGS_DEMO"), "{printed}");
    assert!(
        printed.contains("TIDINGS_HEARTBEAT__INTERVAL_MS, --heartbeat-interval-ms; from flag --heart"),
        "{printed}"
    );
    assert!(printed.contains("; from default") && printed.contains(".toml:1"), "{printed}");
}

#[test]
fn no_print_shows_a_secret() {
    let secret = "correct-horse-battery-staple-0123";
    let password = "pw-of-the-database-8271";
    let url = format!("postgres://u:{password}@db/x");
    let resolved = resolved("", &[("JWT_SECRET", secret), ("DATABASE_URL", &url)], &[]).unwrap();
    assert_eq!((resolved.config.auth.jwt_secret.as_str(), &resolved.config.database.url), (secret, &url));
    let printed = [to_toml(&resolved), to_json(&resolved).to_string()];
    for text in printed {
        assert!(!text.contains(secret) && !text.contains(password), "{text}");
        assert!(text.contains("JWT_SECRET"), "{text}");
    }
}

#[test]
fn the_higher_layer_decides_between_a_secret_and_its_file() {
    let file = TempFile::with("the-secret-in-the-file-zyxwvu-987\n");
    let path = file.0.to_str().unwrap();
    let inline = "the-secret-in-the-environment-467";
    let secret = |resolved: Resolved| resolve_secret(&resolved).map(|secret| secret.text);

    let by_flag = resolved("", &[("JWT_SECRET", inline)], &[("auth.jwt_secret_file", path)]).unwrap();
    assert_eq!(secret(by_flag).unwrap(), "the-secret-in-the-file-zyxwvu-987");
    let by_env =
        resolved(&format!("[auth]\njwt_secret_file = {path:?}"), &[("JWT_SECRET", inline)], &[]).unwrap();
    assert_eq!(secret(by_env).unwrap(), inline);
    let both = resolved("", &[("JWT_SECRET", inline), ("JWT_SECRET_FILE", path)], &[]).unwrap();
    assert!(secret(both).unwrap_err().is::<Misconfigured>());
    let empty = resolved("", &[("JWT_SECRET", "")], &[]).unwrap();
    assert!(secret(empty).unwrap_err().to_string().contains("0 bytes"));
    let missing = resolved("", &[("JWT_SECRET_FILE", "/nonexistent/secret")], &[]).unwrap();
    assert!(secret(missing).unwrap_err().is::<Misconfigured>());
    assert!(Path::new(path).exists());
}

#[test]
fn the_database_is_a_file_of_the_data_directory_unless_a_url_or_a_file_with_one_is_set() {
    let url = |file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]| {
        database_url(&resolved(file, env, flags).unwrap()).map(|found| found.text)
    };
    assert_eq!(url("data_dir = \"d\"", &[], &[]).unwrap(), "sqlite:d/tidings.db");
    let inline = ("DATABASE_URL", "postgres://u:hidden@db/x");
    assert_eq!(url("", &[inline], &[]).unwrap(), inline.1);
    let named = TempFile::with("postgres://u:fromfile@db/x\n");
    let path = named.0.to_str().unwrap();
    assert_eq!(url("", &[inline], &[("database.url_file", path)]).unwrap(), "postgres://u:fromfile@db/x");
    let both = url("", &[inline, ("DATABASE_URL_FILE", path)], &[]).unwrap_err();
    assert!(both.is::<Misconfigured>() && both.to_string().contains("set one"), "{both}");
    assert!(!both.to_string().contains("hidden"), "{both}");
}

#[test]
fn an_address_others_can_reach_needs_a_proxy_and_limits() {
    let checked = |flags: &[(&str, &str)]| {
        refuse_unsafe(&resolved("", &[], flags).unwrap().config).map_err(|error| error.to_string())
    };
    let open = ("listen", "0.0.0.0:3000");
    assert!(checked(&[open]).unwrap_err().contains("--behind-proxy"));
    checked(&[open, ("behind_proxy", "true")]).unwrap();
    assert!(
        checked(&[open, ("behind_proxy", "true"), ("no_limits", "true")]).unwrap_err().contains("loopback")
    );
    checked(&[("no_limits", "true")]).unwrap();
    checked(&[("listen", "[::1]:0"), ("no_limits", "true")]).unwrap();
    assert!(checked(&[("ws_listen", "192.0.2.1:1")]).unwrap_err().contains("`ws_listen`"));
    assert!(checked(&[("admin_listen", "[::]:1")]).unwrap_err().contains("`admin_listen`"));
    assert!(checked(&[("admin_listen", "here")]).unwrap_err().contains("`admin_listen`"));
    assert!(checked(&[("admin_listen", "localhost:3000")]).unwrap_err().contains("both"));
    checked(&[("admin_listen", "127.0.0.1:9090"), ("no_limits", "true")]).unwrap();
    assert!(checked(&[("ws_listen", "127.0.0.1:3000")]).unwrap_err().contains("both"));
    assert!(checked(&[("data_dir", "")]).unwrap_err().contains("`data_dir`"));
    assert!(checked(&[("listen", "example.com:80")]).unwrap_err().contains("not an address"));
}

#[test]
fn an_administrators_listener_that_others_can_reach_is_allowed_with_a_warning() {
    let doubted = |address: &str| {
        let flags = [("behind_proxy", "true"), ("trusted_proxies", "10.0.0.5"), ("admin_listen", address)];
        let config = resolved("", &[], &flags).unwrap().config;
        refuse_unsafe(&config).unwrap();
        doubts(&config).concat()
    };
    assert!(doubted("192.0.2.1:9090").contains("`admin_listen` is 192.0.2.1:9090"));
    assert_eq!(doubted("127.0.0.1:9090"), "");
}

#[test]
fn a_server_without_limits_behind_a_proxy_is_allowed_with_a_warning() {
    let doubted = |flags: &[(&str, &str)]| {
        let flags = [&[("no_limits", "true")], flags].concat();
        let config = resolved("", &[], &flags).unwrap().config;
        refuse_unsafe(&config).unwrap();
        doubts(&config).concat()
    };
    assert!(doubted(&[("trusted_proxies", "127.0.0.1")]).contains("`no_limits` behind a proxy"));
    assert!(doubted(&[("behind_proxy", "true")]).contains("`no_limits` behind a proxy"));
    assert_eq!(doubted(&[]), "");
}

#[test]
fn pages_of_every_origin_are_allowed_with_a_warning() {
    let doubted = |origin: &str| {
        let config = resolved("", &[], &[("allow_origin", origin)]).unwrap().config;
        refuse_unsafe(&config).unwrap();
        doubts(&config).concat()
    };
    assert!(doubted("https://a.example,*").contains("`allow_origin` is `*`"));
    assert_eq!(doubted("https://a.example"), "");
}

#[test]
fn an_origin_has_scheme_and_host_and_nothing_else() {
    let checked =
        |origin: &str| refuse_unsafe(&resolved("", &[], &[("allow_origin", origin)]).unwrap().config).is_ok();
    assert!(checked("https://a.example,http://localhost:5173") && checked("*"));
    assert!(!checked("a.example") && !checked("https://a.example/") && !checked("https://*.example"));
}
