//! Takes the console into the binary, if it was built: `web/apps/console/dist`, as its `pack.mjs` leaves it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Asked when it runs: worktrees may share a target directory, and with it this program as another one compiled it.
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let console = here.join("../../web/apps/console");
    let dist = console.join("dist");
    let list = fs::read_to_string(dist.join("pack.tsv")).ok();
    // What does not exist is always newer: then it is watched where it will come to be.
    let watched = [&dist, &console].into_iter().find(|path| path.exists());
    println!("cargo::rerun-if-changed={}", watched.map_or(Path::new("build.rs"), PathBuf::as_path).display());
    println!("cargo::rerun-if-changed=build.rs");
    let rows: Vec<String> =
        list.iter().flat_map(|list| list.lines()).filter_map(|line| row(&dist, line)).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("console.rs");
    fs::write(out, format!("&[{}]", rows.join(",")))
}

/// A file as an expression: its line names path, type, hash, and which compressed forms stand beside it.
fn row(dist: &Path, line: &str) -> Option<String> {
    let [path, kind, hash, forms] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
    let file = dist.join(path);
    let include = |file: PathBuf| format!("include_bytes!({:?})", file.display().to_string());
    let form = |ending: &str| match forms.split(' ').any(|form| form == ending) {
        true => format!("Some({})", include(dist.join(format!("{path}.{ending}")))),
        false => "None".to_owned(),
    };
    let (brotli, gzip, plain) = (form("br"), form("gz"), include(file));
    Some(format!(
        "Asset {{ path: {:?}, kind: {kind:?}, hash: {hash:?}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }}",
        format!("/{path}")
    ))
}
