//! What the binary says of itself, and the copies of that in the repository.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn printed(command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings")).arg(command).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_descriptions_in_the_repository_are_what_the_binary_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let copies = [
        ("openapi", "docs/api/openapi.json"),
        ("asyncapi", "docs/api/asyncapi.json"),
        ("types", "web/packages/client/src/wire.ts"),
    ];
    for (command, file) in copies {
        let kept = std::fs::read_to_string(root.join(file)).unwrap();
        // Not compared by assert_eq: thousands of lines help nobody.
        assert!(kept == printed(command), "{file} is stale; `tidings {command} > {file}`");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let openapi: Value = serde_json::from_str(&printed("openapi")).unwrap();
    let paths = openapi["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    let names: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert!(names.len() > 30);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
}
