//! The audit log.

use tidings_core::Org;
use tidings_store::audit::{AuditEntry, AuditFilter, BATCH_MOST, Broken, Checked, Fault, Head};
use tidings_store::{Digest, StoreError};

use crate::bed::{Bed, NOW, both};

both!(
    an_empty_log_and_one_of_several_pages_hold,
    every_field_that_is_altered_is_found,
    a_log_nobody_touched_holds_where_the_altered_one_did_not,
    an_entry_that_is_removed_is_found,
    entries_that_change_places_are_found,
    an_entry_that_is_put_in_with_a_hash_of_its_own_is_found,
    a_tail_that_is_cut_off_is_found,
    a_chain_that_was_made_anew_is_found_by_a_head_that_was_written_down,
    nodes_that_append_at_once_make_one_chain,
    retention_deletes_a_prefix_and_the_rest_still_holds,
    the_tables_refuse_what_retention_does_not_do,
    a_list_is_filtered_paged_and_of_one_organisation,
    an_entry_in_a_transaction_lasts_if_the_transaction_does,
    odd_entries_are_stored_and_still_verify,
);

fn entry(number: u64) -> AuditEntry {
    let text = |what: &str| Some(format!("{what}-{number}"));
    AuditEntry {
        at_ms: NOW + number,
        node: "n1".into(),
        version: "0.1.0".into(),
        request: text("request"),
        actor_kind: "user".into(),
        actor: text("actor"),
        org: Some(if number.is_multiple_of(2) { "acme" } else { "other" }.into()),
        address: Some("192.0.2.1".into()),
        action: if number.is_multiple_of(3) { "logout" } else { "login" }.into(),
        object: text("object"),
        result: "ok".into(),
        reason: text("reason"),
        before: text("before"),
        after: text("after"),
    }
}

async fn fill(bed: &Bed, count: u64) -> Head {
    let entries: Vec<AuditEntry> = (1..=count).map(entry).collect();
    let mut head = None;
    for (batch, at) in entries.chunks(BATCH_MOST).zip(0..) {
        head = Some(bed.store.append_audit(batch, NOW + 1_000 * at).await.unwrap());
    }
    head.unwrap()
}

async fn checked(bed: &Bed, known: Option<Head>) -> Result<Checked, Broken> {
    bed.store.verify_audit(known).await.unwrap()
}

/// Changes the table as somebody would who owns the database.
async fn tamper(bed: &Bed, sql: &str) {
    let off = if bed.store.is_postgres() {
        "ALTER TABLE audit DISABLE TRIGGER USER"
    } else {
        "DROP TRIGGER IF EXISTS audit_is_never_changed; \
         DROP TRIGGER IF EXISTS audit_is_deleted_by_retention_alone"
    };
    bed.behind(&format!("{off}; {sql}")).await.unwrap();
}

fn broken(seq: u64, fault: Fault) -> Result<Checked, Broken> {
    Err(Broken { seq, fault })
}

async fn an_empty_log_and_one_of_several_pages_hold(bed: &Bed) {
    let empty = checked(bed, None).await.unwrap();
    assert_eq!((empty.count, empty.head.seq), (0, 0));
    let head = fill(bed, 600).await;
    let whole = checked(bed, Some(head)).await.unwrap();
    assert_eq!((whole.count, whole.head, whole.anchor.seq), (600, head, 0));
    let too_many = vec![entry(1); BATCH_MOST + 1];
    assert!(matches!(bed.store.append_audit(&too_many, NOW).await, Err(StoreError::Invalid(_))));
}

/// The columns of an entry, and another value for each.
const COLUMNS: [(&str, &str); 17] = [
    ("at_ms", "at_ms + 1"),
    ("written_ms", "written_ms - 1"),
    ("node", "'n2'"),
    ("version", "'0.1.1'"),
    ("request", "NULL"),
    ("actor_kind", "'key'"),
    ("actor", "'somebody'"),
    ("org", "'third'"),
    ("address", "'192.0.2.2'"),
    ("action", "'other'"),
    ("object", "''"),
    ("result", "'refused'"),
    ("reason", "NULL"),
    ("old_value", "'x'"),
    ("new_value", "NULL"),
    ("previous", "hash"),
    ("hash", "previous"),
];

async fn every_field_that_is_altered_is_found(bed: &Bed) {
    fill(bed, 5).await;
    for (column, other) in COLUMNS {
        tamper(bed, "CREATE TABLE kept AS SELECT * FROM audit WHERE seq = 3").await;
        tamper(bed, &format!("UPDATE audit SET {column} = {other} WHERE seq = 3")).await;
        assert_eq!(checked(bed, None).await, broken(3, Fault::Altered), "{column}");
        tamper(bed, "DELETE FROM audit WHERE seq = 3; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept")
            .await;
        assert_eq!(checked(bed, None).await.unwrap().count, 5, "{column}");
    }
    let short = if bed.store.is_postgres() { "'\\x00'" } else { "x'00'" };
    tamper(bed, &format!("UPDATE audit SET hash = {short} WHERE seq = 3")).await;
    assert_eq!(checked(bed, None).await, broken(3, Fault::Altered), "a hash of another length");
}

/// The control: the same steps without the alteration leave a log that holds.
async fn a_log_nobody_touched_holds_where_the_altered_one_did_not(bed: &Bed) {
    fill(bed, 5).await;
    for (column, _) in COLUMNS {
        tamper(bed, &format!("UPDATE audit SET {column} = {column} WHERE seq = 3")).await;
        assert_eq!(checked(bed, None).await.unwrap().count, 5, "{column}");
    }
}

async fn an_entry_that_is_removed_is_found(bed: &Bed) {
    fill(bed, 300).await;
    tamper(bed, "DELETE FROM audit WHERE seq = 257").await;
    assert_eq!(checked(bed, None).await, broken(257, Fault::Removed));
    tamper(bed, "DELETE FROM audit WHERE seq < 10").await;
    assert_eq!(checked(bed, None).await, broken(1, Fault::Removed));
}

async fn entries_that_change_places_are_found(bed: &Bed) {
    fill(bed, 5).await;
    tamper(
        bed,
        "UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; \
         UPDATE audit SET seq = 3 WHERE seq = 99",
    )
    .await;
    assert_eq!(checked(bed, None).await, broken(2, Fault::Altered), "the number is part of what is hashed");
}

async fn an_entry_that_is_put_in_with_a_hash_of_its_own_is_found(bed: &Bed) {
    fill(bed, 5).await;
    // Another store's third entry: whole in itself, and of another chain.
    let other = if bed.store.is_postgres() { Bed::postgres().await } else { Bed::sqlite().await };
    fill(&other, 2).await;
    other.store.append_audit(&[entry(9)], NOW).await.unwrap();
    let third = other.store.read().await.unwrap().audit_of_all(&AuditFilter::default(), 1).await.unwrap();
    let third = &third[0];
    assert_eq!(third.seq, 3);
    let (e, quoted) = (&third.entry, |text: &Option<String>| format!("'{}'", text.as_deref().unwrap()));
    let bytes = |digest: Digest| {
        if bed.store.is_postgres() { format!("'\\x{digest}'") } else { format!("x'{digest}'") }
    };
    let sql = format!(
        "UPDATE audit SET at_ms = {}, written_ms = {}, request = {}, actor = {}, org = {}, action = '{}', \
         object = {}, reason = {}, old_value = {}, new_value = {}, previous = {}, hash = {} WHERE seq = 3",
        e.at_ms,
        third.written_ms,
        quoted(&e.request),
        quoted(&e.actor),
        quoted(&e.org),
        e.action,
        quoted(&e.object),
        quoted(&e.reason),
        quoted(&e.before),
        quoted(&e.after),
        bytes(third.previous),
        bytes(third.hash)
    );
    tamper(bed, &sql).await;
    // The first two entries are the same in both stores, so it follows on them; the fourth does not follow on it.
    assert_eq!(checked(bed, None).await, broken(4, Fault::Reordered));
}

async fn a_tail_that_is_cut_off_is_found(bed: &Bed) {
    let head = fill(bed, 5).await;
    tamper(bed, "DELETE FROM audit WHERE seq > 3").await;
    assert_eq!(checked(bed, None).await, broken(4, Fault::Truncated));
    // Whoever changes the stored head as well is found by one that was written down.
    tamper(bed, "UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3) WHERE id = 1")
        .await;
    assert_eq!(checked(bed, None).await.unwrap().count, 3);
    assert_eq!(checked(bed, Some(head)).await, broken(4, Fault::Truncated));
}

async fn a_chain_that_was_made_anew_is_found_by_a_head_that_was_written_down(bed: &Bed) {
    let head = fill(bed, 5).await;
    let zero = "0".repeat(64);
    let zero = if bed.store.is_postgres() { format!("'\\x{zero}'") } else { format!("x'{zero}'") };
    tamper(bed, &format!("DELETE FROM audit; UPDATE audit_head SET seq = 0, hash = {zero}")).await;
    let entries: Vec<AuditEntry> = (11..=15).map(entry).collect();
    bed.store.append_audit(&entries, NOW).await.unwrap();
    assert_eq!(checked(bed, None).await.unwrap().count, 5);
    assert_eq!(checked(bed, Some(head)).await, broken(5, Fault::Replaced));
}

async fn nodes_that_append_at_once_make_one_chain(bed: &Bed) {
    let second = bed.second().await;
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = if task % 2 == 0 { bed.store.clone() } else { second.clone() };
            tokio::spawn(async move {
                for number in 0..10 {
                    store.append_audit(&[entry(number), entry(number + 1)], NOW).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(checked(bed, None).await.unwrap().count, 320);
}

async fn retention_deletes_a_prefix_and_the_rest_still_holds(bed: &Bed) {
    let head = fill(bed, 600).await;
    let old = checked(bed, None).await.unwrap();
    assert_eq!(bed.store.trim_audit(NOW).await.unwrap(), 0);
    assert_eq!(bed.store.trim_audit(NOW + 1_000).await.unwrap(), 256);
    let left = checked(bed, Some(head)).await.unwrap();
    assert_eq!((left.count, left.head, left.anchor.seq), (344, old.head, 256));
    let forgotten = Head { seq: 7, hash: head.hash };
    assert_eq!(checked(bed, Some(forgotten)).await, broken(7, Fault::Forgotten));
    tamper(bed, "DELETE FROM audit WHERE seq = 257").await;
    assert_eq!(checked(bed, None).await, broken(257, Fault::Removed));
}

async fn the_tables_refuse_what_retention_does_not_do(bed: &Bed) {
    fill(bed, 3).await;
    assert!(bed.behind("UPDATE audit SET node = 'x' WHERE seq = 2").await.is_err());
    assert!(bed.behind("DELETE FROM audit WHERE seq = 3").await.is_err());
    if bed.store.is_postgres() {
        assert!(bed.behind("TRUNCATE audit").await.is_err());
    }
    assert_eq!(checked(bed, None).await.unwrap().count, 3);
    assert_eq!(bed.store.trim_audit(u64::MAX).await.unwrap(), 3);
    let empty = checked(bed, None).await.unwrap();
    assert_eq!((empty.count, empty.head.seq, empty.anchor.seq), (0, 3, 3));
    assert_eq!(bed.store.append_audit(&[entry(4)], NOW).await.unwrap().seq, 4);
    assert_eq!(checked(bed, None).await.unwrap().count, 1);
}

async fn a_list_is_filtered_paged_and_of_one_organisation(bed: &Bed) {
    fill(bed, 30).await;
    let mut reader = bed.store.read().await.unwrap();
    let acme = Org::new("acme");
    let first = reader.audit(&acme, &AuditFilter::default(), 10).await.unwrap();
    assert!(first.iter().all(|found| found.entry.org.as_deref() == Some("acme")));
    assert_eq!((first.first().unwrap().seq, first.last().unwrap().seq), (30, 12));
    let rest = AuditFilter { before_seq: Some(12), ..AuditFilter::default() };
    assert_eq!(reader.audit(&acme, &rest, 10).await.unwrap().len(), 5);
    let logouts = AuditFilter { action: Some("logout".into()), ..AuditFilter::default() };
    assert_eq!(reader.audit(&acme, &logouts, 100).await.unwrap().len(), 5);
    assert_eq!(reader.audit_of_all(&logouts, 100).await.unwrap().len(), 10);
    let one = AuditFilter {
        actor: Some("actor-7".into()),
        result: Some("ok".into()),
        from_ms: Some(NOW + 7),
        until_ms: Some(NOW + 8),
        ..AuditFilter::default()
    };
    assert_eq!(reader.audit_of_all(&one, 100).await.unwrap()[0].entry, entry(7));
    let before = AuditFilter { until_ms: Some(NOW + 7), ..one };
    assert!(reader.audit_of_all(&before, 100).await.unwrap().is_empty());
}

async fn an_entry_in_a_transaction_lasts_if_the_transaction_does(bed: &Bed) {
    let mut tx = bed.store.begin().await.unwrap();
    tx.append_audit(&[entry(1)], NOW).await.unwrap();
    drop(tx);
    assert_eq!(checked(bed, None).await.unwrap().count, 0);
    let mut tx = bed.store.begin().await.unwrap();
    tx.append_audit(&[entry(1)], NOW).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(checked(bed, None).await.unwrap().head.seq, 1);
}

async fn odd_entries_are_stored_and_still_verify(bed: &Bed) {
    let odd = AuditEntry {
        at_ms: u64::MAX,
        node: "\0".into(),
        reason: Some("ä".repeat(10_000)),
        before: Some("\0".repeat(20_000)),
        after: Some(String::new()),
        ..AuditEntry::default()
    };
    bed.store.append_audit(&[odd], u64::MAX).await.unwrap();
    assert_eq!(checked(bed, None).await.unwrap().count, 1);
    let found = bed.store.read().await.unwrap().audit_of_all(&AuditFilter::default(), 1).await.unwrap();
    assert!(found.is_empty() || found[0].entry.reason.as_ref().unwrap().len() < 1_100);
}
