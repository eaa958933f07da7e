//! The figures of `/metrics`, and what documents say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tidings_server::Extras;
use tidings_store::{Store, StoreOptions};

use crate::backend::{Backend, Reply};
use crate::common::{http, with_extras};
use crate::hooks::asking;

/// How the name of a figure begins.
const OURS: &str = "tidings_";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of all figures of a server that has everything a figure is about, as they are asked for, each with
/// its type.
fn exported() -> BTreeMap<String, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(Store::open("sqlite::memory:", &StoreOptions::default())).unwrap();
    let backend = Backend::start(|_| Reply::Close);
    let extras = Extras { store: Some(store), ..Extras::default() };
    let text = with_extras(&asking(&backend), extras, |addr, _| http(addr, "GET /metrics", "", "").1);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let asked =
        |name: &str, kind: &str| if kind == "counter" { format!("{name}_total") } else { name.into() };
    types.map(|(name, kind)| (asked(name, kind), kind.to_owned())).collect()
}

/// The words of a text that begin as figures do, but for crates of ours.
fn figures(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let named = words.filter(|word| word.starts_with(OURS));
    named
        .filter(|word| !root().join("crates").join(word.replace('_', "-")).exists())
        .map(str::to_owned)
        .collect()
}

#[test]
fn documents_name_only_figures_that_exist_and_the_table_has_all_of_them() {
    let exported = exported();
    assert!(
        exported.len() > 50 && exported.contains_key("tidings_rooms"),
        "they were not read: {exported:?}"
    );
    let rooms = BTreeSet::from(["tidings_rooms".to_owned()]);
    assert_eq!(figures("`tidings_rooms{a=\"b\"}`, tidings_core::Room"), rooms);
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            let named = figures(&fs::read_to_string(&path).unwrap());
            let unknown: Vec<_> = named.iter().filter(|name| !exported.contains_key(*name)).collect();
            assert!(unknown.is_empty(), "{} names {unknown:?}", path.display());
        }
    }
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let described: BTreeMap<_, _> = operations.lines().filter_map(row).collect();
    let missing: Vec<_> = exported.iter().filter(|(name, kind)| described.get(*name) != Some(kind)).collect();
    assert!(missing.is_empty(), "the table of docs/operations.md has no such rows: {missing:?}");
}

/// The figure and its type of a row of the table.
fn row(line: &str) -> Option<(String, String)> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let (name, kind) = (cells.next()?, cells.next()?);
    matches!(kind, "counter" | "gauge").then(|| Some((figures(name).pop_first()?, kind.to_owned())))?
}
