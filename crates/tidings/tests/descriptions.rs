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

#[test]
fn what_http_refuses_is_not_described_and_keys_are_where_they_are_taken() {
    let openapi: Value = serde_json::from_str(&printed("openapi")).unwrap();
    let commands: BTreeSet<&str> = openapi["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let named = |name: &str| commands.iter().filter(|path| path.ends_with(&format!("/{name}"))).count();
    assert_eq!((named("subscribe"), named("unsubscribe"), named("auth")), (0, 0, 0), "{commands:?}");
    let takes_key = |path: &str| {
        let operation = &openapi["paths"][path]["post"];
        assert!(operation.is_object(), "{path} is not described");
        operation["parameters"].to_string().contains("Idempotency-Key")
    };
    let keyed = ["/api/publish", "/api/publish/batch", "/api/commands/root/publish", "/api/arena/players"];
    assert_eq!(keyed.map(takes_key), [true; 4]);
    assert_eq!(["/api/commands/root/ping", "/api/auth/login"].map(takes_key), [false; 2]);
}
