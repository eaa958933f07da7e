//! The command line through the real binary.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output};

/// A directory of its own, with an environment that holds nothing of the machine's.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidings-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(&self.0).args(arguments).envs(env.iter().copied()).output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn config_reads_the_file_in_the_working_directory_the_environment_and_flags() {
    let place = Place::new("layers");
    std::fs::write(place.0.join("tidings.toml"), "[heartbeat]\ninterval_ms = 2000\ntimeout_ms = 2000\n")
        .unwrap();
    let env = [("TIDINGS_LIMITS__ROOMS", "7")];
    let flags = ["config", "--heartbeat-timeout-ms", "3000", "--demo", "--host-publish=false"];
    let output = place.run(&flags, &env);
    assert!(output.status.success(), "{}", err(&output));
    let printed = out(&output).parse::<toml::Table>().unwrap();
    assert_eq!(printed["heartbeat"]["interval_ms"].as_integer(), Some(2000));
    assert_eq!(printed["heartbeat"]["timeout_ms"].as_integer(), Some(3000));
    assert_eq!(printed["limits"]["rooms"].as_integer(), Some(7));
    assert_eq!(printed["demo"].as_bool(), Some(true));
    assert_eq!(printed["host"]["publish"].as_bool(), Some(false));
}

#[test]
fn config_shows_whether_or_not_that_is_said_and_nothing_else() {
    let place = Place::new("show");
    let env = [("JWT_SECRET", "kP9-wq-mZ2-vB7-nR4-tX1-cL6-hJ3-dF5")];
    let said = place.run(&["config", "show", "--heartbeat-interval-ms", "4000"], &env);
    let unsaid = place.run(&["config", "--heartbeat-interval-ms", "4000"], &env);
    assert!(said.status.success() && out(&said).contains("interval_ms = 4000"), "{}", err(&said));
    assert_eq!(out(&said), out(&unsaid));
    assert!(!out(&said).contains("kP9-wq"));
    assert_eq!(place.run(&["config", "hide"], &[]).status.code(), Some(2));
}

#[test]
fn a_list_flag_may_be_repeated_or_separated_by_commas() {
    let place = Place::new("lists");
    let flags =
        ["config", "--allow-origin", "https://a.example,https://b.example", "--allow-origin", "http://c:1"];
    let printed = out(&place.run(&flags, &[])).parse::<toml::Table>().unwrap();
    assert_eq!(printed["allow_origin"].as_array().unwrap().len(), 3);
}

#[test]
fn a_negative_number_is_refused_with_what_is_expected() {
    let output = Place::new("negative").run(&["serve", "--shards", "-1"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("expected 0 to 1024, found -1"), "{}", err(&output));
}

#[test]
fn the_printed_file_can_be_read_back_by_name() {
    let place = Place::new("again");
    let first = out(&place.run(&["config", "--heartbeat-interval-ms", "4000"], &[]));
    std::fs::write(place.0.join("printed.toml"), &first).unwrap();
    let second = place.run(&["config", "--config", "printed.toml", "--format", "json"], &[]);
    let settings: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    let rows = settings["settings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["key"] == "heartbeat.interval_ms").unwrap();
    assert_eq!((&row["value"], &row["from"]), (&4000.into(), &"file".into()));
    let by_env = place.run(&["config"], &[("TIDINGS_CONFIG", "printed.toml")]);
    assert!(out(&by_env).contains("interval_ms = 4000"));
}

#[test]
fn what_the_operator_has_to_change_ends_with_code_2_and_a_reason() {
    let place = Place::new("refusals");
    let refused = |arguments: &[&str], env: &[(&str, &str)]| {
        let output = place.run(arguments, env);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        err(&output)
    };
    assert!(refused(&["serve", "--listen", "0.0.0.0:3000"], &[]).contains("--behind-proxy"));
    assert!(refused(&["serve", "--config", "missing.toml"], &[]).contains("missing.toml"));
    assert!(refused(&["serve"], &[("TIDINGS_LISTN", "x")]).contains("TIDINGS_LISTN"));
    assert!(refused(&["serve"], &[("JWT_SECRET", "changeme")]).contains("at least 32"));
    assert!(refused(&["serve", "--heartbeat-interval-ms", "soon"], &[]).contains("whole number"));
    assert!(refused(&["serve", "--auth-jwt-secret", "x"], &[]).contains("unexpected argument"));
    assert!(!place.0.join("data").exists(), "a refused start leaves nothing behind");
}

#[test]
fn without_a_command_it_is_serve_that_starts() {
    let output = Place::new("bare").run(&[], &[("JWT_SECRET", "changeme")]);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(out(&output).is_empty() && err(&output).contains("at least 32"), "{}", err(&output));
}

#[test]
fn a_data_directory_open_to_others_is_no_home_for_a_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new("open");
    let file = place.0.join("data/secrets.toml");
    std::fs::create_dir_all(place.0.join("data")).unwrap();
    std::fs::write(&file, "jwt_secret = \"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978\"\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = place.run(&["serve"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("chmod 600"), "{}", err(&output));
}

#[test]
fn help_names_every_flag_with_its_environment_variable() {
    let help = out(&Place::new("help").run(&["serve", "--help"], &[]));
    assert!(
        help.contains("--heartbeat-interval-ms <N>") && help.contains("TIDINGS_HEARTBEAT__INTERVAL_MS"),
        "{help}"
    );
    assert!(help.contains("--jwt-secret-file") && !help.contains("--auth-jwt-secret "), "{help}");
}

#[test]
fn what_reads_a_database_makes_none_where_there_is_none() {
    let place = Place::new("no-database");
    let ada = "ada@example.com";
    let commands: [&[&str]; 10] = [
        &["user", "list"],
        &["user", "disable", ada],
        &["user", "enable", ada],
        &["user", "role", ada, "admin"],
        &["user", "sessions", ada],
        &["user", "password", ada],
        &["key", "list"],
        &["key", "revoke", "abc"],
        &["audit"],
        &["verify", "audit"],
    ];
    let there = place.0.join("there");
    std::fs::create_dir(&there).unwrap();
    for command in commands {
        for directory in ["wrong", "there"] {
            let output = place.run(&[command, &["--data-dir", directory]].concat(), &[]);
            let said = err(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
            let expected = format!("tidings: there is no database at {directory}/tidings.db; --data-dir ");
            assert!(said.starts_with(&expected) && said.lines().count() == 1, "{command:?}: {said}");
        }
    }
    assert!(!place.0.join("wrong").exists(), "nothing is made");
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 0, "nothing is made");
    // A key may be made before the first start; whoever meant another directory is told.
    let made = place.run(&["key", "add", "ci", "--scope", "read", "--data-dir", "new"], &[]);
    let said = err(&made);
    assert!(made.status.success() && said.contains("one was made (new/tidings.db)"), "{said}");
    let second = place.run(&["key", "add", "cd", "--scope", "read", "--data-dir", "new"], &[]);
    assert!(second.status.success() && err(&second).is_empty(), "{}", err(&second));
    let listed = place.run(&["key", "list", "--data-dir", "new"], &[]);
    assert_eq!(out(&listed).lines().count(), 2);
}

#[test]
fn another_server_is_guessed_where_the_port_is_taken_and_nowhere_else() {
    let place = Place::new("ports");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let started = |flags: &[&str]| {
        let output = place.run(&[&["serve", "--host-publish=false"], flags].concat(), &[]);
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        err(&output).lines().last().unwrap().to_owned()
    };
    let said = started(&["--listen", &taken]);
    assert!(said.contains("is another server there? `--listen` names another port"), "{said}");
    let said = started(&["--listen", "127.0.0.1:0", "--ws-listen", &taken]);
    assert!(said.contains("is another server there? `--ws-listen` names another port"), "{said}");
    // TEST-NET-1 (RFC 5737): no machine has an address of it.
    let said = started(&["--listen", "192.0.2.1:3000", "--behind-proxy"]);
    assert!(said.contains("cannot listen on 192.0.2.1:3000") && !said.contains("another server"), "{said}");
}

#[test]
fn a_secret_that_is_there_and_cannot_be_had_is_told_of_with_its_file() {
    let place = Place::new("bad-secret");
    let clients: [&[&str]; 3] =
        [&["publish", "lobby:x", "said"], &["explain", "0"], &["watch", "lobby:x", "--rewind", "1"]];
    let refused = |directory: &str, expected: &str| {
        for client in clients {
            let flags = ["--url", "http://127.0.0.1:9", "--data-dir", directory];
            let output = place.run(&[client, &flags].concat(), &[]);
            let said = err(&output);
            assert_eq!(output.status.code(), Some(2), "{client:?}: {said}");
            assert!(said.contains(&format!("{directory}/secrets.toml")), "{client:?}: {said}");
            assert!(said.contains(expected) && !said.contains("no token"), "{client:?}: {said}");
        }
    };
    // Where a directory should be is a file: nobody can look into it, whoever he is.
    std::fs::write(place.0.join("file"), "").unwrap();
    refused("file", "Not a directory");
    std::fs::create_dir_all(place.0.join("folder/secrets.toml")).unwrap();
    refused("folder", "Is a directory");
    for (directory, text, expected) in [
        ("text", "jwt_secret = not so secret as it might be", "is not TOML"),
        ("empty", "# nothing", "holds no jwt_secret"),
    ] {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = std::fs::OpenOptions::new();
        std::fs::create_dir(place.0.join(directory)).unwrap();
        let file = place.0.join(directory).join("secrets.toml");
        let mut file = options.write(true).create_new(true).mode(0o600).open(file).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        refused(directory, expected);
    }
}

#[test]
fn a_word_the_audit_log_does_not_know_is_refused_with_those_it_does() {
    let place = Place::new("audit-words");
    let made = place.run(&["key", "add", "ci", "--scope", "read"], &[]);
    assert!(made.status.success(), "{}", err(&made));
    for (flag, word, known) in [("--result", "foo", "ok, refused, failed"), ("--action", "logn", "login")] {
        let output = place.run(&["audit", flag, word], &[]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word) && said.contains(known), "{said}");
    }
    let found = place.run(&["audit", "--result", "ok", "--action", "key.create"], &[]);
    assert_eq!(out(&found).lines().count(), 1, "{}", err(&found));
    assert!(place.run(&["audit", "--result", "failed"], &[]).stdout.is_empty());
}

#[test]
fn a_role_is_a_word_wherever_it_is_given() {
    let place = Place::new("roles");
    // Refused before anything is opened or asked for.
    let long = "r".repeat(65);
    for role in ["bad role", "", "a\nb", "a,b", &long] {
        let commands: [&[&str]; 3] = [
            &["user", "role", "ada@example.com", role],
            &["user", "add", "ada@example.com", "--role", role],
            &["token", "--user", "ada", "--role", role],
        ];
        for command in commands {
            let output = place.run(command, &[]);
            let said = err(&output);
            assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
            assert!(said.contains("is 1 to 64 letters, digits"), "{command:?}: {said}");
        }
    }
    assert!(!place.0.join("data").exists(), "nothing is made");
}

#[test]
fn a_server_that_is_not_there_is_one_sentence() {
    let place = Place::new("nobody-there");
    assert!(place.run(&["token", "--user", "ada"], &[]).status.success());
    let commands: [&[&str]; 3] =
        [&["publish", "lobby:x", "said"], &["explain", "0"], &["bench", "idle", "--conns", "1"]];
    // The discard port: nobody listens there.
    for command in commands {
        let output = place.run(&[command, &["--url", "http://127.0.0.1:9"]].concat(), &[]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("refused") && said.lines().count() == 1, "{command:?}: {said}");
        assert!(said.starts_with("tidings: "), "{command:?}: {said}");
    }
}

#[test]
fn what_is_wrong_with_an_argument_is_said_without_words_for_programs() {
    let place = Place::new("arguments");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["user", "list", "--org", ""], 1, "--org: is 1 to 100 bytes"),
        (&["user", "add", "nobody"], 1, "email: is not an e-mail address"),
        (&["key", "add", "", "--scope", "read"], 1, "NAME: is 1 to 100 bytes"),
        (&["key", "add", "ci", "--scope", "root"], 2, "publish, read, admin"),
        (&["audit", "-n", "-1"], 2, "-1 is not in 0..=100000"),
        (&["user", "sessions", "a", "-n", "0"], 2, "0 is not in 1..=1000"),
        (&["watch", "lobby:x", "--rewind", "-1"], 2, "invalid value '-1'"),
        (&["verify", "room", "nofile"], 1, "cannot read nofile: No such file"),
        (&["verify", "audit", "--head", "x"], 2, "a head is a number, a colon"),
    ];
    for (command, code, expected) in cases {
        let output = place.run(command, &[]);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
        assert!(said.contains(expected), "{command:?}: {said}");
        assert!(!said.contains("bad_request") && !said.contains("backtrace"), "{command:?}: {said}");
    }
    assert!(!place.0.join("data").exists(), "nothing is made");
    let made = place.run(&["key", "add", "ci", "--scope", "read"], &[]);
    assert!(made.status.success(), "{}", err(&made));
    let said = err(&place.run(&["key", "revoke", "ghost"], &[]));
    assert_eq!(said, "tidings: there is no key ghost in the organisation default\n");
}
