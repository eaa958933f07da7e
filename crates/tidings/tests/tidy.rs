//! The rules of the house that a machine can check: who may depend on whom, sizes, names, links.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Folders that hold what others wrote, what was built, or what fuzzing found.
const FOREIGN: [&str; 10] = [
    ".git",
    ".tools",
    ".venv",
    ".artifacts",
    "target",
    "node_modules",
    "dist",
    "data",
    "corpus",
    "bench-results",
];

/// Every file of the repository with one of these endings, and its text.
fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !FOREIGN.contains(&name) {
                folders.push(path);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no file ends with {endings:?}");
    found.sort();
    found
}

/// The path as it is named in a message.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn nothing(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything a crate of ours is built from, itself left out.
fn dependencies(package: &str) -> Vec<String> {
    let format = ["--prefix", "none", "--format", "{p}"];
    let which = ["tree", "--locked", "--offline", "--edges", "normal,build", "--package", package];
    let tree = cargo(&[which.as_slice(), format.as_slice()].concat());
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != package).map(str::to_owned).collect()
}

/// The crates of the workspace, by name and manifest.
fn members() -> Vec<(String, PathBuf)> {
    let json = cargo(&["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&json).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |package: &Value, key: &str| package[key].as_str().unwrap().to_owned();
    packages.iter().map(|package| (text(package, "name"), text(package, "manifest_path").into())).collect()
}

/// Drivers of databases, by the beginning of their names.
const STORES: [&str; 6] = ["redis", "sqlx", "rusqlite", "libsqlite3", "tokio-postgres", "diesel"];
/// The same without the one the store is built on.
const OTHER_STORES: [&str; 4] = ["redis", "rusqlite", "tokio-postgres", "diesel"];
/// The front: whoever has one of these knows HTTP.
const HTTP: [&str; 4] = ["hyper", "axum", "http-body", "tower"];

#[test]
fn dependencies_go_one_way() {
    let ours = [
        "tidings",
        "tidings-server",
        "tidings-core",
        "tidings-store",
        "tidings-app",
        "tidings-testkit",
        "tidings-fixture",
        "tidings-sys",
    ];
    let io = ["tokio", "mio", "socket2", "polling"];
    let chance = ["rand", "rand_core", "getrandom"];
    // `tidings-sys` is above nobody, and for the server alone: what calls the system is no part of these.
    let above_core =
        ["tidings", "tidings-server", "tidings-store", "tidings-app", "tidings-testkit", "tidings-sys"];
    let above_store =
        ["tidings", "tidings-server", "tidings-app", "tidings-testkit", "tidings-fixture", "tidings-sys"];
    let above_app = [
        "tidings",
        "tidings-server",
        "tidings-testkit",
        "tidings-fixture",
        "tidings-example-todo",
        "tidings-arena",
        "tidings-trading",
        "tidings-routes",
        "tidings-sys",
    ];
    let table: [(&str, Vec<&[&str]>); 11] = [
        ("tidings-sys", vec![&ours, &["tidings-wire"], &io, &HTTP, &STORES, &chance]),
        ("tidings-wire", vec![&ours, &io, &HTTP, &STORES, &chance]),
        ("tidings-core", vec![&above_core, &io, &HTTP, &STORES]),
        ("tidings-store", vec![&above_store, &HTTP, &OTHER_STORES]),
        // An app's routes are a type parameter: the seam knows no HTTP.
        ("tidings-app", vec![&above_app, &HTTP, &OTHER_STORES]),
        // What routes are made of knows no app.
        (
            "tidings-routes",
            vec![
                &["tidings", "tidings-server", "tidings-testkit", "tidings-arena", "tidings-trading"],
                &OTHER_STORES,
            ],
        ),
        // An app knows neither the server nor another app; of HTTP it has routes, in `api.rs` and below it.
        (
            "tidings-arena",
            vec![&["tidings", "tidings-server", "tidings-testkit", "tidings-trading"], &OTHER_STORES],
        ),
        (
            "tidings-trading",
            vec![&["tidings", "tidings-server", "tidings-testkit", "tidings-arena"], &OTHER_STORES],
        ),
        (
            "tidings-server",
            vec![
                &["tidings", "tidings-testkit", "tidings-example-todo", "tidings-arena", "tidings-trading"],
                &OTHER_STORES,
            ],
        ),
        ("tidings-testkit", vec![&["tidings"]]),
        ("tidings", vec![&["tidings-testkit"], &OTHER_STORES]),
    ];
    let mut complaints = Vec::new();
    for (package, forbidden) in table {
        let found = dependencies(package);
        assert!(!found.is_empty(), "the dependencies of {package} were not read");
        for name in forbidden.concat() {
            let exactly = name.starts_with("tidings") || !STORES.contains(&name) && !HTTP.contains(&name);
            let hit = found.iter().find(|dep| if exactly { *dep == name } else { dep.starts_with(name) });
            complaints.extend(hit.map(|dep| format!("{package} depends on {dep}")));
        }
    }
    nothing(complaints);
}

/// The path of a file below an app's `src`, if that is where it is.
fn source_of_an_app(path: &Path) -> Option<&Path> {
    let apps = root().join("apps");
    let mut parts = path.strip_prefix(apps).ok()?.components();
    let (_app, folder) = (parts.next()?, parts.next()?);
    (folder.as_os_str() == "src").then_some(parts.as_path())
}

/// Where an app may name axum: in its `api`, and where that is handed to whoever mounts it.
fn may_name_axum(inside: &Path) -> bool {
    inside.starts_with("api") || [Path::new("api.rs"), Path::new("lib.rs")].contains(&inside)
}

#[test]
fn of_an_app_only_its_routes_know_http() {
    assert!(may_name_axum(Path::new("api/rooms.rs")) && !may_name_axum(Path::new("apidoc.rs")));
    let (mut complaints, mut routes) = (Vec::new(), 0);
    for (path, text) in files(&[".rs"]) {
        let Some(inside) = source_of_an_app(&path) else { continue };
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let named = code.filter(|line| line.contains("axum")).count();
        match may_name_axum(inside) {
            true => routes += named,
            false if named > 0 => complaints.push(format!("{} names axum", shown(&path))),
            false => {}
        }
    }
    assert!(routes > 10, "the apps were not read");
    nothing(complaints);
}

#[test]
fn what_is_shipped_cannot_fail_on_purpose() {
    let which = ["tree", "--locked", "--offline", "--package", "tidings", "--edges"];
    let features = |edges: &str| cargo(&[which.as_slice(), &[edges]].concat());
    assert!(features("normal,build,dev,features").contains("\"failpoints\""), "the feature has another name");
    assert!(!features("normal,build,features").contains("\"failpoints\""));
}

/// The crate in which unsafe code is allowed where a reason stands beside it (decision 0102).
const SYSTEM: &str = "tidings-sys";

#[test]
fn every_crate_is_under_the_lints_of_the_workspace() {
    let members = members();
    assert!(members.len() > 3, "the members were not read");
    let unlinted = members.into_iter().filter(|(name, manifest)| {
        name != SYSTEM && !fs::read_to_string(manifest).unwrap().contains("[lints]\nworkspace = true\n")
    });
    nothing(unlinted.map(|(name, _)| format!("{name}: [lints] workspace = true is missing")).collect());
}

#[test]
fn the_crate_with_unsafe_code_has_all_other_lints_and_one_block_of_it() {
    let members = members();
    let (_, manifest) = members.iter().find(|(name, _)| name == SYSTEM).expect("it is not there");
    let own = fs::read_to_string(manifest).unwrap();
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints = workspace.split_once("[workspace.lints.rust]").unwrap().1;
    let lints =
        lints.lines().take_while(|line| !line.starts_with('[') || line.starts_with("[workspace.lints"));
    let wanted = lints.filter(|line| line.contains(" = ")).map(|line| line.replace("forbid", "deny"));
    let missing: Vec<String> = wanted.filter(|line| !own.contains(line)).collect();
    assert!(missing.is_empty(), "lints that {SYSTEM} has not: {missing:?}");
    let sources =
        files(&[".rs"]).into_iter().filter(|(path, _)| path.starts_with(manifest.parent().unwrap()));
    let blocks: usize = sources.map(|(_, text)| text.matches("unsafe {").count()).sum();
    assert_eq!(blocks, 1, "more of it needs a decision of its own");
}

/// Endings of what people write and read here.
const SOURCE: [&str; 9] = [".rs", ".ts", ".tsx", ".mjs", ".js", ".py", ".sh", ".css", ".html"];
/// Lines no file may exceed, and lines half of the files stay below.
const LONGEST: usize = 600;
/// How a file begins that nobody writes.
const PRINTED: &str = "// Made by `tidings types`";
const MEDIAN: usize = 300;

#[test]
fn files_are_short_enough_to_be_read() {
    let mut lengths: Vec<(usize, PathBuf)> = files(&SOURCE)
        .into_iter()
        .filter(|(_, text)| !text.starts_with(PRINTED))
        .map(|(path, text)| (text.lines().count(), path))
        .collect();
    lengths.sort();
    let median = lengths[lengths.len() / 2].0;
    println!("{} files, median {median} lines", lengths.len());
    assert!(median <= MEDIAN, "half of the files have more than {median} lines");
    let long = lengths.iter().filter(|(length, _)| *length > LONGEST);
    nothing(long.map(|(length, path)| format!("{}: {length} lines", shown(path))).collect());
}

/// Words that name a role in somebody's head and not a thing.
const BANNED: [&str; 9] =
    ["Manager", "Helper", "Helpers", "Util", "Utils", "Processor", "Factory", "Impl", "Service"];

/// The words that come before the name of a type where it is made.
const MAKES_A_TYPE: [&str; 7] = ["struct", "enum", "trait", "type", "union", "class", "interface"];

/// The types a text makes.
fn types_made(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    code.flat_map(|line| {
        let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let made = words.windows(2).filter(|pair| MAKES_A_TYPE.contains(&pair[0])).map(|pair| pair[1]);
        made.filter(|name| name.starts_with(char::is_uppercase)).collect::<Vec<_>>()
    })
}

/// The words a name in camel case is made of.
fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for letter in name.chars() {
        if letter.is_uppercase() || words.is_empty() {
            words.push(String::new());
        }
        words.last_mut().unwrap().push(letter);
    }
    words
}

#[test]
fn types_and_files_are_named_after_things() {
    assert_eq!(types_made(concat!("pub str", "uct HttpUtil<T> {")).collect::<Vec<_>>(), ["HttpUtil"]);
    assert_eq!(words_of("HttpUtil"), ["Http", "Util"]);
    let mut complaints = Vec::new();
    for (path, text) in files(&[".rs", ".ts", ".tsx", ".js", ".mjs"]) {
        for name in types_made(&text) {
            if words_of(name).iter().any(|word| BANNED.contains(&word.as_str())) {
                complaints.push(format!("{}: {name}", shown(&path)));
            }
        }
        let stem = path.file_stem().unwrap().to_str().unwrap().to_lowercase();
        if BANNED.iter().any(|word| word.to_lowercase() == stem) {
            complaints.push(shown(&path));
        }
    }
    nothing(complaints);
}

/// The part of a source file that is test code; all of it under `tests/`.
fn test_code<'a>(path: &Path, text: &'a str) -> &'a str {
    if path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs") {
        return text;
    }
    text.find("#[cfg(test)]").map_or("", |at| &text[at..])
}

/// Tests in which something sleeps, and why that is no waiting for what will be so by then.
const SLEEPERS: [(&str, &str); 4] = [
    (
        "crates/tidings-server/src/shard/mailbox.rs",
        "a mailbox is told that its thread sleeps; no time passes",
    ),
    (
        "crates/tidings/tests/proofs/rounds/plain.rs",
        "a client whose server is away waits before it comes again",
    ),
    (
        "crates/tidings/tests/proofs/rounds/publishers.rs",
        "a publisher that is refused waits before it says it again",
    ),
    (
        "crates/tidings/tests/trading/fleet/bot.rs",
        "a bot trades by a schedule, and waits before it comes again",
    ),
];

/// Whether a text calls a function of this name, however it is imported.
fn calls(text: &str, name: &str) -> bool {
    let call = format!("{name}(");
    let mut before = text.match_indices(&call).map(|(at, _)| text[..at].chars().next_back());
    before.any(|before| !before.is_some_and(|before| before.is_alphanumeric() || before == '_'))
}

#[test]
fn no_test_sleeps_and_none_is_switched_off() {
    // Written in two halves, or this file would be the first to be found.
    let (sleeping, ignored) = (["sle", "ep"].concat(), ["#[", "ignore"].concat());
    let asleep = |text: &str| calls(text, &sleeping) || calls(text, &format!("{sleeping}_until"));
    assert!(
        ["thread::X(D)", "time::X(D).await", " X(D)"]
            .iter()
            .all(|text| asleep(&text.replace('X', &sleeping)))
    );
    assert!(!asleep(&"SELECT pg_X(1)".replace('X', &sleeping)));
    let mut complaints = Vec::new();
    for (path, text) in files(&[".rs"]) {
        let test = test_code(&path, &text);
        let may = SLEEPERS.iter().any(|(sleeper, _)| *sleeper == shown(&path));
        if may && !asleep(test) {
            complaints.push(format!("{}: no test sleeps there any more", shown(&path)));
        }
        // Where the clock stands still nothing takes its time: sleeping moves the clock.
        if !may && asleep(test) && !test.contains("start_paused") {
            complaints.push(format!("{}: a test sleeps", shown(&path)));
        }
        if text.contains(&ignored) {
            complaints.push(format!("{}: a test is switched off", shown(&path)));
        }
    }
    nothing(complaints);
}

/// What stands between `open` and `close`, wherever both are on one line outside of code blocks.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> Vec<&'a str> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        if in_block {
            continue;
        }
        let mut rest = line;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inner, left)) = after.split_once(close) else { break };
            found.push(inner);
            rest = left;
        }
    }
    found
}

/// Folders whose files are named in documents by their path from the root.
const NAMED: [&str; 9] =
    ["apps/", "crates/", "conformance/", "docs/", "examples/", "fuzz/", "scripts/", "web/", ".ci/"];

#[test]
fn documents_name_only_files_that_exist() {
    let mut complaints = Vec::new();
    for (path, text) in files(&[".md"]) {
        let folder = path.parent().unwrap();
        for link in between(&text, "](", ')') {
            let target = link.split('#').next().unwrap();
            let elsewhere = link.contains("://") || link.starts_with("mailto:");
            if !elsewhere && !target.is_empty() && !folder.join(target).exists() {
                complaints.push(format!("{}: the link {link}", shown(&path)));
            }
        }
        for code in between(&text, "`", '`') {
            let is_path =
                NAMED.iter().any(|named| code.starts_with(named)) && !code.contains(['*', ' ', '{']);
            if is_path && !root().join(code).exists() {
                complaints.push(format!("{}: the path {code}", shown(&path)));
            }
        }
    }
    nothing(complaints);
}

/// The anchors a document offers: its headings, as GitHub writes them, a repeated one with its number behind it.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut seen, mut in_block) = (BTreeMap::new(), false);
    let mut found = BTreeSet::new();
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if in_block || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        // Of a link in a heading its text counts.
        let shown: String =
            heading.trim().split("](").enumerate().fold(String::new(), |shown, (at, part)| {
                shown + if at == 0 { part } else { part.split_once(')').map_or(part, |(_, rest)| rest) }
            });
        let kept = shown.to_lowercase().replace(|c: char| !(c.is_alphanumeric() || " -_".contains(c)), "");
        let anchor = kept.replace(' ', "-");
        let times: &mut usize = seen.entry(anchor.clone()).or_default();
        found.insert(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
        *times += 1;
    }
    found
}

/// The links of a document, but for what stands in code.
fn links(text: &str) -> Vec<String> {
    let prose: Vec<String> = text
        .lines()
        .map(|line| {
            line.split('`').enumerate().map(|(at, part)| if at % 2 == 0 { part } else { "" }).collect()
        })
        .collect();
    let fences = text.lines().zip(prose).map(|(line, prose)| match line.trim_start().starts_with("```") {
        true => "```".to_owned(),
        false => prose,
    });
    let prose = fences.collect::<Vec<_>>().join("\n");
    let defined = prose.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).map(|it| it.1);
    between(&prose, "](", ')').into_iter().chain(defined).map(|link| link.trim().to_owned()).collect()
}

#[test]
fn links_lead_to_headings_that_exist() {
    let text = "# A `b` c?\n```\n# no\n[x](#no)\n```\n## [D](e.md) f_g\n# A b c\n[x](#y) `[x](#z)`";
    let expected = ["a-b-c", "a-b-c-1", "d-f_g"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
    assert_eq!(links(text), ["e.md", "#y"]);
    let documents = files(&[".md"]);
    let known: BTreeMap<&Path, BTreeSet<String>> =
        documents.iter().map(|(path, text)| (path.as_path(), anchors(text))).collect();
    let (mut complaints, mut checked) = (Vec::new(), 0);
    for (path, text) in &documents {
        for link in links(text).iter().filter(|link| !link.contains("://")) {
            let Some((target, anchor)) = link.split_once('#') else { continue };
            let target = if target.is_empty() { path.clone() } else { path.parent().unwrap().join(target) };
            // A file that is not there is complained of above.
            let Ok(target) = target.canonicalize() else { continue };
            checked += 1;
            if !known.get(target.as_path()).is_some_and(|anchors| anchors.contains(anchor)) {
                complaints.push(format!("{}: the anchor {link}", shown(path)));
            }
        }
    }
    assert!(checked > 20, "the links were not read");
    nothing(complaints);
}

#[test]
fn the_list_of_decisions_has_all_of_them() {
    let folder = root().join("docs/decisions");
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let listed = links(&list);
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let missing = entries.filter(|name| name != "README.md" && !listed.contains(name));
    nothing(missing.map(|name| format!("docs/decisions/README.md does not list {name}")).collect());
}

#[test]
fn the_table_of_attacks_names_only_tests_that_exist() {
    let table = fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let rust: String = files(&[".rs"]).into_iter().map(|(_, text)| text).collect();
    let foreign: String = files(&[".ts"]).into_iter().map(|(_, text)| text).collect();
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2);
    let cells: Vec<&str> =
        rows.filter_map(|row| row.rsplit(" | ").next()).filter(|cell| *cell != "shown by |").collect();
    assert!(cells.len() > 50, "the rows were not read");
    let mut complaints = Vec::new();
    for cell in cells {
        for name in between(cell, "`", '`').into_iter().filter(|name| !name.starts_with([',', ' '])) {
            // A test that runs on every database is named in a macro.
            let known = [format!("fn {name}("), format!("    {name}\n"), format!("    {name},")];
            if !known.iter().any(|known| rust.contains(known)) {
                complaints.push(format!("no test is called {name}"));
            }
        }
        for name in between(cell, "\"", '"').into_iter().filter(|name| !name.starts_with(',')) {
            if !foreign.contains(&format!("\"{name}\"")) {
                complaints.push(format!("no test of conformance is called {name}"));
            }
        }
    }
    nothing(complaints);
}

#[test]
fn documents_name_only_targets_of_the_makefile() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: Vec<&str> =
        makefile.lines().filter_map(|line| line.split_once(": ##")).map(|it| it.0).collect();
    assert!(targets.contains(&"test"), "the targets were not read: {targets:?}");
    let mut complaints = Vec::new();
    for (path, text) in files(&[".md"]) {
        for code in between(&text, "`make ", '`') {
            let target = code.split(' ').next().unwrap();
            if !targets.contains(&target) {
                complaints.push(format!("{}: make {target}", shown(&path)));
            }
        }
    }
    nothing(complaints);
}
