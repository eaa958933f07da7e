//! Five organisations in which everything has the same name, and nothing of one reaches another.

use std::sync::{Arc, Mutex};

use tidings_server::client::Answer;
use tidings_server::{Call, Client, Extras, Handler, Hello};
use tidings_store::{Store, StoreOptions};

use crate::bed::{told, two_shards};
use crate::common::with_extras;
use crate::logs;
use crate::walker::{Step, World};

/// Operations where nobody asks for more; `WALK_OPERATIONS` does, `WALK_SEED` repeats a walk.
const OPERATIONS: u64 = 10_000;

/// Walks until something is wrong; what was, and the world as it is then.
fn walk(extras: Extras, operations: u64) -> (Step, World) {
    let seed = told("WALK_SEED", std::process::id().into());
    logs::keep();
    // Sessions and the audit log of all organisations are in one store, in memory as long as the runtime is.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(Store::open("sqlite::memory:", &StoreOptions::default())).unwrap();
    let extras = Extras { store: Some(store), ..extras };
    with_extras(&two_shards(), extras, move |addr, _| {
        let mut world = World::new(addr, seed);
        let walked = (0..operations)
            .try_for_each(|at| world.step().map_err(|wrong| format!("seed {seed}, operation {at}: {wrong}")));
        let done = walked.and_then(|()| world.finish());
        (done, world)
    })
}

#[test]
fn nothing_of_one_organisation_reaches_another_by_any_door() {
    let operations = told("WALK_OPERATIONS", OPERATIONS);
    let (done, world) = walk(Extras::default(), operations);
    done.unwrap();
    println!(
        "{operations} operations, {} texts searched, {} events, {} sessions taken up, {} listed",
        world.searched,
        world.events,
        world.resumed,
        world.sessions.len()
    );
    assert!(world.logged > 0, "the log was not read");
    assert!(world.searched as u64 > operations && world.events > 100 && world.resumed > 0);
    assert!(world.sessions.len() > 10, "no sessions were listed");
}

/// A handler that forgets the border: what a client whispers it says to everybody it knows.
#[derive(Default)]
struct Indiscreet(Mutex<Vec<Client>>);

impl Handler for Indiscreet {
    fn connected(&self, client: Client, _: Option<String>, _: Hello) -> Answer<'_, ()> {
        self.0.lock().unwrap().push(client);
        Box::pin(async {})
    }

    fn handle(&self, call: Call) -> Answer<'_, ()> {
        for client in self.0.lock().unwrap().iter() {
            client.emit("overheard", call.args.clone(), Vec::new());
        }
        call.ack(vec!["{\"ok\":true}".into()], Vec::new());
        Box::pin(async {})
    }
}

#[test]
fn a_server_that_lets_one_organisation_overhear_another_is_caught() {
    let extras = Extras { handler: Some(Arc::new(Indiscreet::default())), ..Extras::default() };
    let (done, _) = walk(extras, OPERATIONS);
    let wrong = done.unwrap_err();
    assert!(wrong.contains("foreign canary") && wrong.contains("overheard"), "{wrong}");
}
