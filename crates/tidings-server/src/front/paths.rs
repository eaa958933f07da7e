//! The server's own paths, as they are described; a test compares them with the routes.

use serde_json::{Map, Value, json};
use tidings_app::describe::Path;
use tidings_app::describe::SignIn::{self, Needed, Never, Optional};

/// A row of the table: method, path, group, what it does, whether it wants to know who asks, the query's parameters and
/// the body's fields.
type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    SignIn,
    &'static [(&'static str, &'static str)],
    &'static [Field],
);

/// A field of a body: its name, its JSON type, whether it has to be there.
type Field = (&'static str, &'static str, bool);

const PAGE: &[(&str, &str)] = &[("limit", "How many at most."), ("before", "Only what is older than this.")];
const PEOPLE: &[(&str, &str)] = &[("limit", "How many at most."), ("after", "Those after this id.")];
const KEYS: &[(&str, &str)] = &[("after", "Those after this prefix.")];
const AUDIT: &[(&str, &str)] = &[
    ("limit", "How many at most."),
    ("before", "Only what was written before the entry of this id."),
    ("since", "Not before this time, in milliseconds since 1970."),
    ("until", "Only before this time, in milliseconds since 1970."),
    ("actor", "Done by this one alone."),
    ("action", "Of this name alone."),
    ("result", "ok, refused or failed."),
];
const CALLBACK: &[(&str, &str)] = &[
    ("state", "What the provider was sent with the browser."),
    ("code", "What the provider gives tokens for."),
    ("error", "Why it does not."),
];
const LISTED: &[(&str, &str)] =
    &[("limit", "How many, 1 to 1000."), ("after", "What the page before said is next.")];
const SINCE: &[(&str, &str)] =
    &[("since", "EPOCH:OFFSET or EPOCH:OFFSET:TAG."), ("limit", "How many at most.")];
const EXPLAIN: &[(&str, &str)] = &[("messageId", "Which message."), ("userId", "For which user.")];
const ROOMS: &[(&str, &str)] = &[
    ("limit", "How many, 1 to 100."),
    ("after", "What the page before said is next."),
    ("q", "A part of the name."),
    ("kind", "Rooms of this kind alone."),
    ("org", "Of this organisation alone."),
];
const SOCKETS: &[(&str, &str)] = &[
    ("limit", "How many, 1 to 100; a page ends with a whole connection."),
    ("after", "What the page before said is next."),
    ("user", "Of this user."),
    ("room", "In this room."),
    ("namespace", "In this namespace."),
    ("org", "Of this organisation alone."),
];
const ONLINE: &[(&str, &str)] = &[
    ("limit", "How many, 1 to 100."),
    ("after", "What the page before said is next."),
    ("q", "A part of the id or the name."),
    ("org", "Of this organisation alone."),
];
const ORGS: &[(&str, &str)] = &[("org", "Of this organisation alone.")];
const ORG: &[Field] = &[("org", "string", false)];
const PUBLISH: &[Field] = &[
    ("room", "string", false),
    ("rooms", "array", false),
    ("userId", "string", false),
    ("org", "string", false),
    ("event", "string", true),
    ("data", "any", true),
    ("key", "string", false),
    ("lane", "string", false),
    ("volatile", "boolean", false),
    ("slot", "string", false),
    ("receipt", "any", false),
];
const REDRIVE: &[Field] = &[("timeoutMs", "integer", false), ("tries", "integer", false)];
const REGISTER: &[Field] = &[
    ("email", "string", false),
    ("password", "string", true),
    ("name", "string", false),
    ("org", "string", false),
    ("token", "string", false),
];
const PASSWORD: &[Field] = &[
    ("oldPassword", "string", false),
    ("newPassword", "string", false),
    ("token", "string", false),
    ("email", "string", false),
    ("org", "string", false),
];
const PROOF: &[Field] = &[("password", "string", true), ("code", "string", false)];
const REVOKE: &[Field] = &[
    ("jti", "string", false),
    ("userId", "string", false),
    ("org", "string", false),
    ("before", "integer", false),
    ("reason", "string", false),
];
const KEY: &[Field] =
    &[("name", "string", true), ("scopes", "array", true), ("expiresInDays", "integer", false)];

#[rustfmt::skip]
const LINES: &[Line] = &[
    ("get", "/healthz", "server", "Whether the process answers.", Never, &[], &[]),
    ("get", "/readyz", "server", "Whether it takes clients in.", Never, &[], &[]),
    ("get", "/metrics", "server", "Its figures, for Prometheus; for operators where others could ask.", Optional, &[], &[]),
    ("get", "/api/apps", "server", "The manifest of every app.", Never, &[], &[]),
    ("get", "/api/openapi.json", "server", "This document.", Never, &[], &[]),
    ("get", "/api/asyncapi.json", "server", "What is said on sockets.", Never, &[], &[]),
    ("post", "/api/publish", "rooms", "Says something in rooms, to a user or to everybody of the organisation.", Needed, &[], PUBLISH),
    ("post", "/api/publish/batch", "rooms", "Says several things in their order, under one key.", Needed, &[], &[("messages", "array", true), ("key", "string", false)]),
    ("get", "/api/rooms", "rooms", "Rooms that are in memory, for servers and keys that read.", Needed, LISTED, &[]),
    ("get", "/api/rooms/{room}/history", "rooms", "What was said, by the room's rule.", Needed, SINCE, &[]),
    ("get", "/api/rooms/{room}/presence", "rooms", "Who is there, by the room's rule.", Needed, &[("page", "Which page, from 0.")], &[]),
    ("get", "/api/rooms/{room}/stats", "rooms", "How many are there, and where the history stands.", Needed, &[], &[]),
    ("get", "/api/explain", "rooms", "What became of a message for a user, hop by hop, for servers and administrators.", Needed, EXPLAIN, &[]),
    ("post", "/api/auth/register", "accounts", "Makes an account.", Never, &[], REGISTER),
    ("post", "/api/auth/setup", "accounts", "Makes the first administrator, by the link that the server printed at its first start; from the server's own machine alone.", Never, &[], &[("token", "string", true), ("email", "string", true), ("password", "string", true), ("name", "string", false)]),
    ("post", "/api/auth/verify", "accounts", "Confirms an address by the token of a mail.", Never, &[], &[("token", "string", true)]),
    ("post", "/api/auth/login", "accounts", "Signs in by password.", Never, &[], &[("email", "string", true), ("password", "string", true), ("code", "string", false), ("org", "string", false)]),
    ("post", "/api/auth/refresh", "accounts", "Gives fresh tokens for a refresh token.", Never, &[], &[("refreshToken", "string", true)]),
    ("post", "/api/auth/logout", "accounts", "Ends a sign-in: that of a refresh token, the asker's, or both.", Optional, &[], &[("refreshToken", "string", false)]),
    ("post", "/api/auth/password", "accounts", "Changes a password, or asks for a mail to do so.", Optional, &[], PASSWORD),
    ("post", "/api/auth/second-factor", "accounts", "Shows a secret for a second factor, which is asked for once a code has proved that it is there.", Needed, &[], &[("password", "string", true)]),
    ("post", "/api/auth/second-factor/on", "accounts", "Turns the second factor on, and shows recovery codes.", Needed, &[], &[("code", "string", true)]),
    ("post", "/api/auth/second-factor/off", "accounts", "Turns the second factor off.", Needed, &[], PROOF),
    ("post", "/api/auth/second-factor/codes", "accounts", "Makes recovery codes anew, which are shown once.", Needed, &[], PROOF),
    ("post", "/api/auth/confirm", "accounts", "Gives the password again, and the code of the second factor: before exports.", Needed, &[], PROOF),
    ("get", "/api/auth/me", "accounts", "Who asks.", Needed, &[], &[]),
    ("get", "/api/auth/sessions", "accounts", "From where the asker is and was connected.", Needed, PAGE, &[]),
    ("get", "/api/auth/providers", "accounts", "At whom people may sign in: the names of providers, and what people know them by.", Never, &[], &[]),
    ("get", "/api/auth/oidc/{name}/start", "accounts", "Begins to sign in at a provider.", Never, &[("returnTo", "The page to come back to, with a code; a path, or a page of an origin that is allowed.")], &[]),
    ("get", "/api/auth/oidc/{name}/callback", "accounts", "Where the provider sends the browser back.", Never, CALLBACK, &[]),
    ("post", "/api/auth/oidc/exchange", "accounts", "Gives tokens for the code of a finished sign-in.", Never, &[], &[("code", "string", true), ("secondCode", "string", false)]),
    ("get", "/api/users", "administration", "The organisation's people, by their ids.", Needed, PEOPLE, &[]),
    ("post", "/api/users", "administration", "Invites somebody.", Needed, &[], &[("email", "string", true), ("name", "string", false), ("roles", "array", false)]),
    ("post", "/api/users/{id}/roles", "administration", "Sets somebody's roles.", Needed, &[], &[("roles", "array", true), ("had", "array", false)]),
    ("post", "/api/users/{id}/disable", "administration", "Keeps somebody out.", Needed, &[], &[]),
    ("post", "/api/users/{id}/enable", "administration", "Lets somebody in again.", Needed, &[], &[]),
    ("post", "/api/users/{id}/second-factor/remove", "administration", "Removes somebody's second factor, as when the device is lost; every sign-in of theirs ends.", Needed, &[], &[]),
    ("post", "/api/users/{id}/disconnect", "administration", "Closes somebody's connections.", Needed, &[], &[]),
    ("get", "/api/users/{id}/presence", "rooms", "Whether a user is there, and when it last was.", Needed, &[], &[]),
    ("get", "/api/users/{id}/sessions", "administration", "From where somebody is and was connected.", Needed, PAGE, &[]),
    ("get", "/api/keys", "administration", "The organisation's API keys.", Needed, KEYS, &[]),
    ("post", "/api/keys", "administration", "Makes an API key, which is shown once.", Needed, &[], KEY),
    ("delete", "/api/keys/{prefix}", "administration", "Revokes an API key.", Needed, &[], &[]),
    ("post", "/api/revocations", "administration", "Calls tokens back.", Needed, &[], REVOKE),
    ("get", "/api/deliveries/{id}", "rooms", "What became of a message that asked for a receipt, for servers.", Needed, &[], &[]),
    ("get", "/api/users/{id}/deliveries", "rooms", "How deliveries to a user went, for servers.", Needed, &[], &[]),
    ("get", "/api/dead-letters", "administration", "Messages to users that nobody acknowledged.", Needed, PAGE, &[]),
    ("delete", "/api/dead-letters", "administration", "Throws dead letters away.", Needed, &[("before", "Those given up before this time, in milliseconds since 1970.")], &[]),
    ("post", "/api/dead-letters/redrive", "administration", "Sends the newest dead letters again.", Needed, &[], REDRIVE),
    ("get", "/api/dead-letters/{id}", "administration", "A dead letter, with its data.", Needed, &[], &[]),
    ("delete", "/api/dead-letters/{id}", "administration", "Throws a dead letter away.", Needed, &[], &[]),
    ("post", "/api/dead-letters/{id}/redrive", "administration", "Sends a dead letter again, under its id.", Needed, &[], REDRIVE),
    ("get", "/api/admin/overview", "administration", "The server's figures now and in the last minutes; of other organisations than the default one their own.", Needed, &[], &[]),
    ("get", "/api/admin/usage", "administration", "How much the server was used by minute and by hour, what was refused, the busiest rooms and users; of other organisations than the default one rooms and users alone.", Needed, ORGS, &[]),
    ("get", "/api/admin/rooms", "administration", "Rooms with their members and what they keep.", Needed, ROOMS, &[]),
    ("post", "/api/admin/rooms/{room}/kick", "administration", "Sends a user or a socket out of a room.", Needed, &[], &[("userId", "string", false), ("socketId", "string", false), ("org", "string", false)]),
    ("get", "/api/admin/sockets", "administration", "Clients that are connected.", Needed, SOCKETS, &[]),
    ("post", "/api/admin/sockets/{id}/disconnect", "administration", "Closes a client's connection.", Needed, &[], ORG),
    ("get", "/api/admin/users", "administration", "Users that are connected, with their devices.", Needed, ONLINE, &[]),
    ("post", "/api/admin/users/{id}/disconnect", "administration", "Closes a user's connections.", Needed, &[], ORG),
    ("get", "/api/audit", "administration", "The audit log, the newest first.", Needed, AUDIT, &[]),
];

/// The server's own paths.
pub fn paths() -> Vec<Path> {
    let path = |(method, path, tag, about, sign_in, query, fields): &Line| Path {
        method,
        path,
        tag,
        about,
        sign_in: *sign_in,
        query,
        needs: &[],
        body: (!fields.is_empty()).then(|| object(fields)),
        keyed: path.starts_with("/api/publish"),
        statuses: statuses(method, path),
        text: text(path),
    };
    LINES.iter().map(path).collect()
}

/// What is answered in place of JSON.
fn text(path: &str) -> Option<&'static str> {
    match path {
        "/healthz" | "/readyz" => Some("text/plain"),
        "/metrics" => Some("application/openmetrics-text"),
        _ => None,
    }
}

/// What is answered where nothing is refused.
fn statuses(method: &str, path: &str) -> &'static [u16] {
    let other = OTHERS.iter().find(|(known, at, _)| (*known, *at) == (method, path));
    other.map_or(&[200], |(.., statuses)| statuses)
}

/// The paths that answer something else than 200, too.
const OTHERS: &[(&str, &str, &[u16])] = &[
    ("post", "/api/auth/register", &[202]),
    ("post", "/api/auth/setup", &[201]),
    ("post", "/api/auth/password", &[200, 202]),
    ("get", "/api/auth/oidc/{name}/start", &[302]),
    ("get", "/api/auth/oidc/{name}/callback", &[200, 302]),
    ("post", "/api/users", &[201]),
    ("post", "/api/keys", &[201]),
];

fn object(fields: &[Field]) -> Value {
    let property = |(name, kind, _): &Field| {
        let schema = match *kind {
            "any" => json!({}),
            "array" => json!({ "type": "array", "items": {} }),
            kind => json!({ "type": kind }),
        };
        ((*name).to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.2).map(|field| field.0).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path as File;

    use super::*;

    /// The paths for which routes are made in the sources of this folder.
    fn routed() -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![File::new(env!("CARGO_MANIFEST_DIR")).join("src/front")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let routes =
                    text.split(".route(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                let routes = routes.filter_map(|rest| rest.split_once('"'));
                found.extend(routes.map(|(path, _)| path.to_owned()));
            }
        }
        found
    }

    #[test]
    fn every_route_is_described_and_everything_described_is_a_route() {
        let mut described: BTreeSet<String> = LINES.iter().map(|line| line.1.to_owned()).collect();
        // Each command has its own path in the document, and documents are routed in a loop.
        described.insert("/api/commands/{namespace}/{name}".into());
        for document in ["/api/openapi.json", "/api/asyncapi.json"] {
            assert!(described.remove(document));
        }
        let routed = routed()
            .into_iter()
            .filter(|path| path.starts_with("/api") || path.ends_with('z') || path == "/metrics");
        assert_eq!(routed.collect::<BTreeSet<_>>(), described);
    }
}
