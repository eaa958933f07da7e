//! Organisations never meet: random operations against a model in which they cannot.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tidings_core::Org;
use tidings_store::StoreError;
use tidings_store::identities::ExternalIdentity;
use tidings_store::sessions::NewSession;

use crate::bed::{Bed, NOW, both, digest, new_user};

both!(organisations_with_the_same_names_never_meet);

/// What is done in one organisation, to one of few users, so that names meet all the time.
#[derive(Debug, Clone, Copy)]
enum Step {
    Create,
    Delete,
    Rename(u8),
    Grant,
    Take,
    Link,
    Connect,
    Look,
}

#[derive(Default, Debug, Clone, PartialEq)]
struct Account {
    name: String,
    roles: BTreeSet<String>,
    linked: bool,
}

type Model = BTreeMap<(usize, usize), Account>;

const ORGS: usize = 3;
const USERS: usize = 3;
const STEPS: usize = 400;

fn steps() -> Vec<(usize, usize, Step)> {
    let step = prop_oneof![
        4 => Just(Step::Create),
        1 => Just(Step::Delete),
        2 => any::<u8>().prop_map(Step::Rename),
        2 => Just(Step::Grant),
        1 => Just(Step::Take),
        2 => Just(Step::Link),
        2 => Just(Step::Connect),
        4 => Just(Step::Look),
    ];
    let all = prop::collection::vec((0..ORGS, 0..USERS, step), STEPS);
    all.new_tree(&mut TestRunner::default()).unwrap().current()
}

async fn organisations_with_the_same_names_never_meet(bed: &Bed) {
    let mut orgs = Vec::new();
    for name in ["a", "b", "a "] {
        orgs.push(bed.org(name).await);
    }
    let mut model = Model::new();
    let mut sessions: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (number, (org, user, step)) in steps().into_iter().enumerate() {
        if let Step::Connect = step {
            connect(bed, &orgs[org], user, number).await;
            *sessions.entry((org, user)).or_default() += 1;
        } else {
            let expected = predict(&mut model, org, user, step);
            let done = act(bed, &orgs[org], user, step).await;
            assert_eq!(done.is_ok(), expected, "{number}: {step:?} for {user} of {org}: {done:?}");
        }
        compare(bed, &orgs, &model, user).await;
    }
    for ((org, user), count) in sessions {
        let found =
            bed.store.read().await.unwrap().sessions(&orgs[org], &name(user), None, 1_000).await.unwrap();
        assert_eq!(found.len(), count);
    }
}

fn name(user: usize) -> String {
    format!("user-{user}")
}

fn google(user: usize) -> ExternalIdentity {
    ExternalIdentity { issuer: "https://accounts.example".into(), subject: name(user) }
}

/// What has to happen, by plain maps.
fn predict(model: &mut Model, org: usize, user: usize, step: Step) -> bool {
    let account = model.get_mut(&(org, user));
    match (step, account) {
        (Step::Create, None) => {
            model.insert((org, user), Account { name: name(user), ..Account::default() });
            true
        }
        (Step::Delete, Some(_)) => model.remove(&(org, user)).is_some(),
        (Step::Rename(to), Some(account)) => {
            account.name = format!("renamed-{to}");
            true
        }
        (Step::Grant, Some(account)) => {
            account.roles.insert("admin".into());
            true
        }
        (Step::Take, Some(account)) => account.roles.remove("admin"),
        (Step::Link, Some(account)) => !std::mem::replace(&mut account.linked, true),
        (Step::Look, _) => true,
        _ => false,
    }
}

async fn act(bed: &Bed, org: &Org, user: usize, step: Step) -> Result<(), StoreError> {
    let id = name(user);
    let mut tx = bed.store.begin().await?;
    match step {
        Step::Create => tx.create_user(org, &new_user(&id, &format!("{id}@x")), NOW).await?,
        Step::Delete => tx.delete_user(org, &id).await?,
        Step::Rename(to) => tx.rename_user(org, &id, &format!("renamed-{to}")).await?,
        Step::Grant => tx.grant_role(org, &id, "admin").await?,
        Step::Take => tx.take_role(org, &id, "admin").await?,
        Step::Link => tx.link_identity(org, &google(user), &id, NOW).await?,
        Step::Connect | Step::Look => {}
    }
    tx.commit().await
}

async fn connect(bed: &Bed, org: &Org, user: usize, number: usize) {
    let (id, user) = (digest(&number.to_string()), name(user));
    let user = Some(user.as_str());
    let new = NewSession { org, digest: &id, user, node: "n", door: "plain", address: "a", at_ms: NOW };
    let mut tx = bed.store.begin().await.unwrap();
    tx.begin_sessions(&[new]).await.unwrap();
    tx.commit().await.unwrap();
}

/// In every organisation the user looks as the model says, not only in the one that changed.
async fn compare(bed: &Bed, orgs: &[Org], model: &Model, user: usize) {
    let mut reader = bed.store.read().await.unwrap();
    let id = name(user);
    for (number, org) in orgs.iter().enumerate() {
        let found = reader.user_by_email(org, &format!("{id}@x")).await.unwrap();
        let linked = reader.user_of_identity(org, &google(user)).await.unwrap().is_some();
        let roles = reader.roles(org, &id).await.unwrap().into_iter().collect();
        let found = found.map(|found| Account { name: found.name, roles, linked });
        assert_eq!(found.as_ref(), model.get(&(number, user)));
    }
}
