//! A task that panics is not missed in silence: the server says that it is not ready, which task, and since when.

use std::fs::{File, read_to_string};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_testkit::Serving;
use tidings_testkit::client::{PlainClient, http, publishing};

use crate::bed::{FLAGS, place, run};

const ROOM: &str = "notes:1";
/// How the log begins what it says of a task that is gone.
const TOLD: &str = "a task ";
/// Until it has to be known, on a busy machine.
const FOUND_WITHIN: Duration = Duration::from_secs(20);

/// A server that fails at `points`, and whose log is kept in the file `log`.
fn serve(place: &Path, points: &str) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().env("FAILPOINTS", points).current_dir(place).arg("serve").args(FLAGS);
    Serving::run(command.stderr(File::create(place.join("log")).unwrap()))
}

/// Publishes to a durable room; the answer.
async fn publish(server: &Serving) -> Value {
    let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
    client.ask(publishing(ROOM, json!(1), None)).await.unwrap()
}

async fn get(server: &Serving, request: &str) -> (u16, String) {
    http(server.addr(), request, "", "").await.unwrap()
}

#[test]
fn a_server_whose_log_is_written_by_nobody_is_not_ready_and_names_the_task() {
    run(async {
        let place = place("");
        let server = serve(place.path(), "after_commit:1:panic");
        assert_eq!(publish(&server).await["ok"], false);
        let begun = Instant::now();
        loop {
            let (status, body) = get(&server, "GET /readyz").await;
            if status == 503 {
                assert_eq!(body, "a task has died\ndegraded: yes\n");
                break;
            }
            assert!(begun.elapsed() < FOUND_WITHIN, "nobody has noticed: {body}");
        }
        let metrics = get(&server, "GET /metrics").await.1;
        for line in ["tidings_degraded 1", "tidings_task_deaths_total{task=\"log\"} 1"] {
            assert!(metrics.lines().any(|said| said == line), "{line} is not in {metrics}");
        }
        let log = read_to_string(place.path().join("log")).unwrap();
        let told: Vec<&str> = log.lines().filter(|line| line.contains(TOLD)).collect();
        let [told] = told[..] else { panic!("told so often: {told:?}") };
        assert!(
            told.contains("ERROR") && told.contains("a task panicked") && told.contains("\"log\""),
            "{told}"
        );
    });
}

/// The control: a server that leaves ends the same tasks, and none of them has died.
#[test]
fn a_server_that_leaves_says_of_no_task_that_it_died() {
    run(async {
        let place = place("");
        let mut server = serve(place.path(), "");
        assert_eq!(publish(&server).await["ok"], true);
        assert_eq!(get(&server, "GET /readyz").await, (200, "ready\ndegraded: no\n".to_owned()));
        let metrics = get(&server, "GET /metrics").await.1;
        let deaths: Vec<_> =
            metrics.lines().filter(|line| line.starts_with("tidings_task_deaths_total{")).collect();
        assert!(deaths.len() > 10 && deaths.iter().all(|line| line.ends_with("} 0")), "{deaths:?}");
        server.signal("TERM");
        assert!(server.wait().success());
        let log = read_to_string(place.path().join("log")).unwrap();
        assert!(log.contains("left") && !log.contains(TOLD), "{log}");
    });
}
