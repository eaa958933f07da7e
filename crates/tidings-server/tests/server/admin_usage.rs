//! How much the server is used, by whom, and who may see it (K15).

use serde_json::{Value, json};
use tidings_testkit::eventually_told;

use super::admin_api::{admin, code, everything, get, ok, someone, two_shards};
use crate::common::{http, with_server};
use crate::people::plain_in;

const USAGE: &str = "/api/admin/usage";

/// The sum over all slots of a field.
fn sum(told: &Value, which: &str, field: &str) -> u64 {
    let history = &told["history"][which];
    let at = history["fields"].as_array().unwrap().iter().position(|name| name == field).unwrap();
    history["points"].as_array().unwrap().iter().map(|point| point[at].as_u64().unwrap()).sum()
}

fn rows(told: &Value, list: &str) -> Vec<(String, u64, u64)> {
    let of = |row: &Value| {
        let number = |name: &str| row[name].as_u64().unwrap();
        (row["userId"].as_str().unwrap().to_owned(), number("connections"), number("said"))
    };
    told["users"][list].as_array().unwrap().iter().map(of).collect()
}

fn rooms(told: &Value) -> Vec<(String, u64, u64)> {
    let of = |row: &Value| {
        let number = |name: &str| row[name].as_u64().unwrap();
        (row["room"].as_str().unwrap().to_owned(), number("events"), number("members"))
    };
    told["rooms"]["rows"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn use_is_told_by_time_by_room_by_user_and_by_code() {
    with_server(&two_shards(), |addr, publisher| {
        let (ann, bob) = (someone("default", "ann"), someone("default", "bob"));
        let mut talks = plain_in(addr, &ann, "open:1");
        let _more = [plain_in(addr, &bob, "loose:1"), plain_in(addr, &bob, "open:1")];
        for id in 10..30 {
            assert_eq!(talks.ask(id, "\"type\":\"ping\"")["ok"], true);
        }
        assert_eq!(talks.ask(30, "\"type\":\"subscribe\",\"room\":\"nowhere:1\"")["ok"], false);
        for number in 0..7 {
            publisher.publish("loose:1", "e", number.to_string()).unwrap();
        }
        publisher.publish("open:1", "e", "1".to_owned()).unwrap();
        assert!(http(addr, "GET /api/admin/usage", "", "").0.contains(" 401 "));

        let all = everything();
        let counted = |told: &Value, which| {
            ["published", "came"].map(|field| sum(told, which, field)) == [8, 3]
                && sum(told, which, "delivered") >= 9
                && ["not_found", "unauthorized"].map(|code| sum(told, which, code)) == [1, 1]
        };
        let told = eventually_told(
            "as wanted",
            || ok(get(addr, &all, USAGE)),
            |told| counted(told, "minutes") && counted(told, "hours"),
        );
        assert_eq!(told["scope"], "server");
        let busiest = [("loose:1".to_owned(), 7, 1), ("open:1".to_owned(), 1, 2)];
        assert_eq!(rooms(&told), busiest);
        let connections = rows(&told, "byConnections");
        assert_eq!((connections[0].0.as_str(), connections[0].1), ("bob", 2));
        let events = rows(&told, "byEvents");
        assert_eq!(events[0].0, "ann");
        assert!(events[0].2 >= 22 && events[0].2 > events[1].2, "{events:?}");
        assert_eq!(
            (&told["users"]["connected"], &told["users"]["connectionsLeftOut"]),
            (&json!(2), &json!(0))
        );
    });
}

#[test]
fn an_organisation_is_told_of_its_own_rooms_and_users_alone() {
    with_server(&two_shards(), |addr, _| {
        let mut there = plain_in(addr, &someone("globex", "secret-ann"), "open:secret");
        let mut here = plain_in(addr, &someone("acme", "bob"), "open:here");
        for (client, room) in [(&mut there, "open:secret"), (&mut here, "open:here")] {
            let said = format!("\"type\":\"publish\",\"room\":\"{room}\",\"event\":\"e\",\"data\":1");
            assert_eq!(client.ask(5, &said)["ok"], true);
        }
        let acme = admin("acme");
        let told = ok(get(addr, &acme, USAGE));
        assert_eq!((&told["scope"], &told["history"]), (&json!("organisation"), &Value::Null));
        assert!(!told.to_string().contains("secret"), "{told}");
        assert_eq!(rooms(&told), [("open:here".to_owned(), 1, 1)]);
        assert_eq!(rows(&told, "byConnections").iter().map(|row| &*row.0).collect::<Vec<_>>(), ["bob"]);
        let foreign = get(addr, &acme, &format!("{USAGE}?org=globex"));
        assert_eq!(code(&foreign), (404, "not_found"));
        assert_eq!(foreign, get(addr, &acme, &format!("{USAGE}?org=nowhere")));
        // The control: who may see it does, and of one organisation no more than that.
        let all = everything();
        assert!(ok(get(addr, &all, USAGE)).to_string().contains("open:secret"));
        let one = ok(get(addr, &all, &format!("{USAGE}?org=globex")));
        assert_eq!((rooms(&one), &one["history"]), (vec![("open:secret".to_owned(), 1, 1)], &Value::Null));
        // By its role alone one sees the server's figures, and the rooms of the own organisation.
        let own = ok(get(addr, &admin("default"), USAGE));
        assert!(own["history"].is_object() && rooms(&own).is_empty(), "{own}");
    });
}
