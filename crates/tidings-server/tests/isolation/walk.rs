//! Five organisations in which everything has the same name, and nothing of one reaches another.

use std::sync::{Arc, Mutex};

use tidings_core::Room;
use tidings_server::client::Answer;
use tidings_server::{Call, Client, ConnectRefused, Extras, Handler, Hello};

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
        "{operations} operations, {} texts searched, {} events, {} sessions taken up",
        world.searched, world.events, world.resumed
    );
    assert!(world.logged > 0, "the log was not read");
    assert!(world.searched as u64 > operations && world.events > 100 && world.resumed > 0);
}

/// A handler that forgets the border: what a client whispers it says to everybody it knows.
#[derive(Default)]
struct Indiscreet(Mutex<Vec<Client>>);

impl Handler for Indiscreet {
    fn connect<'a>(
        &'a self,
        _: &'a str,
        _: &'a Hello,
        _: Option<&'a str>,
    ) -> Answer<'a, Result<Vec<Room>, ConnectRefused>> {
        Box::pin(async { Ok(Vec::new()) })
    }

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

    fn disconnected(&self, _: Client) -> Answer<'_, ()> {
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
