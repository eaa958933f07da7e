//! Whether a server answers as the description of its HTTP API says.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The copy in this repository, which a test of the program compares with what that prints.
static OPENAPI: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../docs/api/openapi.json"))
        .unwrap_or_else(|error| panic!("docs/api/openapi.json: {error}"))
});

/// Whether a status is one that refuses nothing, which a description has to name.
fn is_success(status: u16) -> bool {
    (200..300).contains(&status) || status == 302
}

/// Checks, by the head of an answer that refuses nothing, that the description names its status and what it is made of;
/// what is not described may be answered in any way.
///
/// # Panics
/// If it names others.
pub fn check_answer(method: &str, path: &str, head: &str) {
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let Some(operation) = operation(method, path).filter(|_| is_success(status)) else { return };
    let named = responses(operation);
    let response = named.get(&status.to_string());
    let response = response.unwrap_or_else(|| panic!("{method} {path}: {status}, not {:?}", named.keys()));
    let Some(content) = response["content"].as_object() else { return };
    let media = media(head);
    assert!(content.contains_key(media), "{method} {path}: {media}, not {:?}", content.keys());
}

/// The media type of an answer, without its parameters.
fn media(head: &str) -> &str {
    let named = head.lines().filter_map(|line| line.split_once(':'));
    let mut media =
        named.filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, value)| value);
    media.next().and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}

/// What is described: method, path with parameters in braces, operation.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = OPENAPI["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let fits = |(known, template, _): &(&str, &str, &Value)| {
        known.eq_ignore_ascii_case(method) && is_of(path, template)
    };
    // What names more of a path in plain is meant rather than a parameter.
    operations()
        .filter(fits)
        .min_by_key(|(_, template, _)| template.matches('{').count())
        .map(|found| found.2)
}

fn is_of(path: &str, template: &str) -> bool {
    let (mut parts, mut wanted) = (path.split('/'), template.split('/'));
    loop {
        match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(part), Some(wanted)) if part == wanted || (wanted.starts_with('{') && !part.is_empty()) => {
            }
            _ => return false,
        }
    }
}

fn responses(operation: &'static Value) -> &'static Map<String, Value> {
    operation["responses"].as_object().unwrap_or_else(|| panic!("no responses: {operation}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_looked_up_by_its_path_and_the_plainer_one_is_meant() {
        let about = |method: &str, path: &str| operation(method, path).map(|found| found["summary"].clone());
        assert_eq!(about("POST", "/api/users/ada/disable").unwrap(), "Keeps somebody out.");
        assert_eq!(
            about("POST", "/api/dead-letters/redrive").unwrap(),
            "Sends the newest dead letters again."
        );
        assert!(about("GET", "/api/users/ada/disable").is_none());
        assert!(about("GET", "/api/arena/players/ada?limit=3").is_some());
        assert!(about("GET", "/api/arena/players/").is_none());
    }

    #[test]
    #[should_panic(expected = "POST /api/keys: 200")]
    fn a_status_that_is_not_described_is_found() {
        let json = "Content-Type: application/json";
        check_answer("POST", "/api/keys", &format!("HTTP/1.1 201 Created\r\n{json}"));
        check_answer("POST", "/api/keys", "HTTP/1.1 403 Forbidden");
        check_answer("POST", "/api/keys", &format!("HTTP/1.1 200 OK\r\n{json}"));
    }

    #[test]
    #[should_panic(expected = "GET /healthz: application/json")]
    fn an_answer_of_something_else_than_what_is_described_is_found() {
        let healthy = |media| format!("HTTP/1.1 200 OK\r\ncontent-type: {media}; charset=utf-8");
        check_answer("GET", "/healthz", &healthy("text/plain"));
        check_answer("GET", "/healthz", &healthy("application/json"));
    }
}
