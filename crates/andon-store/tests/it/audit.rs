//! The audit log in a real database file, whole and tampered with.

use std::path::Path;

use andon_store::{AuditFilter, Error, Inspected, Page, Store};
use andon_task::audit::{Act, BEGINNING, Entry, Finding};
use andon_task::digest::Digest;
use andon_task::run::Timestamp;
use rusqlite::{Connection, params};
use serde_json::json;

use crate::Fixture;

fn fill(store: &Store, rows: i64) {
    for n in 0..rows {
        let act = match n % 3 {
            0 => Act::Egress,
            1 => Act::EgressSettled,
            _ => Act::PolicyChanged,
        };
        let detail = json!({ "upstream": "big", "n": n, "payload_sha256": Digest::of(b"x") });
        let who = ["ana", "node", "panel-3"][usize::try_from(n % 3).expect("small")];
        store
            .append_audit(act, who, Timestamp(1000 + n), detail)
            .expect("a row");
    }
}

fn inspect(database: &Path, kept: Option<&str>) -> Inspected {
    let store = Store::open(database).expect("it opens");
    store.inspect_audit(kept).expect("an inspection")
}

fn lines_beside(fixture: &Fixture) -> String {
    let path = fixture.directory.path().join("audit.checkpoints");
    std::fs::read_to_string(path).expect("checkpoints")
}

#[test]
fn acts_leave_rows_in_their_transaction() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
    store
        .promote("t", first, Timestamp(1), json!({}))
        .expect("a promotion");
    store
        .promote("t", second, Timestamp(2), json!({}))
        .expect("a promotion");
    store
        .rollback("t", Timestamp(3), Some("ana"))
        .expect("a rollback");
    // What fails leaves nothing.
    assert!(matches!(
        store.rollback("u", Timestamp(4), None),
        Err(Error::NothingToRollBack(_))
    ));
    let rows = store
        .audit(&AuditFilter::default(), Page::default())
        .expect("rows");
    let shown: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {} {}", row.id, row.at.0, row.who, row.act))
        .collect();
    assert_eq!(
        shown,
        [
            "3 3 ana rollback",
            "2 2 unnamed promotion",
            "1 1 unnamed promotion"
        ]
    );
    let filter = AuditFilter {
        act: Some(Act::Promotion),
        since: Some(Timestamp(2)),
    };
    let rows = store.audit(&filter, Page::default()).expect("rows");
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [2]);
    assert_eq!(store.newest_audit(Act::Egress).expect("none"), None);
}

#[test]
fn rows_are_signed_every_so_often_and_at_the_end() {
    let fixture = Fixture::new();
    fill(&fixture.store, 20);
    let during = fixture.store.inspect_audit(None).expect("an inspection");
    assert_eq!((during.rows, during.sealed), (20, 20));
    let fixture = fixture.reopen();
    let after = fixture.store.inspect_audit(None).expect("an inspection");
    let found = (after.rows, after.sealed, after.checkpoints, after.findings);
    // Two lines and the head.
    assert_eq!(found, (20, 20, 3, Vec::new()));
    // Who only reads signs nothing.
    let before = lines_beside(&fixture);
    let fixture = fixture.reopen();
    assert_eq!(lines_beside(&fixture), before);
}

#[cfg(unix)]
#[test]
fn the_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    fill(&fixture.store, 1);
    fixture.store.checkpoint_audit().expect("a checkpoint");
    let key = fixture.directory.path().join("audit.key");
    let mode = || std::fs::metadata(&key).expect("a key").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("changed");
    let refused = fixture
        .store
        .checkpoint_audit()
        .expect_err("others read it");
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
    // The rows go on, and the health of the store says what is wrong.
    fill(&fixture.store, 40);
    assert!(fixture.store.ready().is_err());
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("changed");
    fill(&fixture.store, 1);
    fixture.store.ready().expect("signed again");
}

#[test]
fn what_was_kept_elsewhere_finds_a_new_key_and_a_new_database() {
    let fixture = Fixture::new();
    fill(&fixture.store, 3);
    let kept = fixture
        .store
        .checkpoint_audit()
        .expect("signed")
        .expect("rows");
    let kept = serde_json::to_string(&kept).expect("JSON");
    let path = fixture.directory.path().join("andon.db");
    let Fixture { store, directory } = fixture;
    drop(store);
    assert!(inspect(&path, Some(&kept)).findings.is_empty());
    for name in ["andon.db", "audit.key", "audit.checkpoints", "audit.head"] {
        std::fs::remove_file(directory.path().join(name)).expect("removed");
    }
    let store = Store::open(&path).expect("a new one");
    fill(&store, 2);
    drop(store);
    assert!(inspect(&path, None).findings.is_empty());
    let findings = inspect(&path, Some(&kept)).findings;
    assert!(!findings.is_empty());
    // A forged one, and what is none.
    let forged = kept.replace("\"rows\":3", "\"rows\":2");
    assert_ne!(forged, kept);
    for wrong in [forged.as_str(), "{}", "rubbish"] {
        let findings = inspect(&path, Some(wrong)).findings;
        let found = findings
            .iter()
            .any(|one| matches!(one, Finding::Checkpoint { .. }));
        assert!(found, "{wrong}: {findings:?}");
    }
}

#[test]
fn a_line_cut_by_a_lost_power_supply_does_not_count() {
    let fixture = Fixture::new();
    fill(&fixture.store, 16);
    let path = fixture.directory.path().join("audit.checkpoints");
    let whole = lines_beside(&fixture);
    std::fs::write(&path, format!("{whole}{{\"rows\":17,\"ha")).expect("written");
    let fixture = fixture.reopen();
    assert!(
        fixture
            .store
            .inspect_audit(None)
            .expect("inspected")
            .findings
            .is_empty()
    );
    fill(&fixture.store, 1);
    let fixture = fixture.reopen();
    let found = fixture.store.inspect_audit(None).expect("inspected");
    assert_eq!((found.sealed, found.findings), (17, Vec::new()));
}

/// Numbers for the tampering, the same in every run.
struct Dice(u64);

impl Dice {
    /// From 0 to `below`.
    fn roll(&mut self, below: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % u64::try_from(below).expect("positive")).expect("small")
    }
}

fn rows(connection: &Connection) -> Vec<Entry> {
    connection
        .prepare("SELECT id, at, who, act, detail FROM audit ORDER BY id")
        .expect("a statement")
        .query_map([], |row| {
            Ok(Entry {
                id: row.get(0)?,
                at: Timestamp(row.get(1)?),
                who: row.get(2)?,
                act: row.get(3)?,
                detail: row.get(4)?,
            })
        })
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("rows")
}

/// Numbers and hashes of all rows anew, as one would who hides what he did.
fn chain_anew(connection: &Connection) {
    let rows = rows(connection);
    connection
        .execute("DELETE FROM audit", [])
        .expect("deleted");
    let mut previous = BEGINNING;
    for (mut entry, id) in rows.into_iter().zip(1..) {
        entry.id = id;
        previous = entry.hash(previous);
        let Entry {
            at,
            who,
            act,
            detail,
            ..
        } = entry;
        connection
            .execute(
                "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)",
                params![id, at.0, who, act, detail, previous.to_string()],
            )
            .expect("inserted");
    }
}

/// Does something to the log that changes what it says, and says what.
fn tamper(connection: &Connection, dice: &mut Dice, last: i64) -> String {
    let row = 1 + dice.roll(last);
    let run = |sql: &str, row: i64| {
        let changed = connection.execute(sql, [row]).expect("tampered");
        assert!(changed > 0, "{sql} changed nothing");
    };
    let what = match dice.roll(9) {
        0 => {
            run("UPDATE audit SET who = who || 'x' WHERE id = ?", row);
            format!("who of {row}")
        }
        1 => {
            run("UPDATE audit SET at = at - 1 WHERE id = ?", row);
            format!("time of {row}")
        }
        2 => {
            run("UPDATE audit SET act = 'promotion' WHERE id = ?", row);
            format!("act of {row}")
        }
        3 => {
            run(
                "UPDATE audit SET detail = replace(detail, 'big', 'two') WHERE id = ?",
                row,
            );
            format!("detail of {row}")
        }
        4 => {
            run(
                "UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE id = ?",
                row,
            );
            format!("hash of {row}")
        }
        5 => {
            run("DELETE FROM audit WHERE id = ?", row);
            format!("dropped {row}")
        }
        6 => {
            run("DELETE FROM audit WHERE id >= ?", row);
            format!("truncated from {row}")
        }
        7 => {
            // Dropped, and those after it moved up; SQLite moves them one by one.
            run("DELETE FROM audit WHERE id = ?", row);
            for id in row + 1..=last {
                run("UPDATE audit SET id = id - 1 WHERE id = ?", id);
            }
            format!("dropped {row}, the rest moved up")
        }
        _ => {
            let other = 1 + (row + dice.roll(last - 1)) % last;
            assert_ne!(row, other);
            run("UPDATE audit SET id = -1 WHERE id = ?", row);
            connection
                .execute("UPDATE audit SET id = ? WHERE id = ?", [row, other])
                .expect("moved");
            connection
                .execute("UPDATE audit SET id = ? WHERE id = -1", [other])
                .expect("moved");
            format!("swapped {row} and {other}")
        }
    };
    // Half of those who do so know how the hashes are made.
    match dice.roll(2) {
        0 => what,
        _ if what.starts_with("hash") => what,
        _ => {
            chain_anew(connection);
            format!("{what}, hashed anew")
        }
    }
}

/// Copies the files of a log, and what the journal of the database still holds.
fn copy(from: &Path, to: &Path) {
    for name in [
        "andon.db",
        "andon.db-wal",
        "audit.key",
        "audit.checkpoints",
        "audit.head",
    ] {
        match std::fs::copy(from.join(name), to.join(name)) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// A killed process signs nothing at its end: what its files are at any moment is looked
/// at here, between two checkpoints.
#[test]
fn rows_that_a_killed_process_added_cannot_be_cut_off_unseen() {
    let fixture = Fixture::new();
    for rows in 1..=20 {
        fill(&fixture.store, 1);
        let killed = tempfile::tempdir().expect("a directory");
        copy(fixture.directory.path(), killed.path());
        let database = killed.path().join("andon.db");
        let sound = inspect(&database, None);
        assert_eq!(
            (sound.rows, sound.sealed, sound.findings),
            (rows, rows, Vec::new())
        );
        let connection = Connection::open(&database).expect("it opens");
        connection
            .execute("DELETE FROM audit WHERE id = ?", [rows])
            .expect("cut");
        drop(connection);
        let found = inspect(&database, None).findings;
        let missing = Finding::Missing {
            first: rows,
            last: rows,
        };
        assert_eq!(found, [missing], "the last of {rows}");
    }
    // Nor by taking the head away, or writing another.
    let killed = tempfile::tempdir().expect("a directory");
    copy(fixture.directory.path(), killed.path());
    let database = killed.path().join("andon.db");
    let head = killed.path().join("audit.head");
    let whole = std::fs::read_to_string(&head).expect("a head");
    std::fs::remove_file(&head).expect("removed");
    assert!(!inspect(&database, None).findings.is_empty());
    for other in ["", "rubbish", &whole.replace("\"rows\":20", "\"rows\":19")] {
        std::fs::write(&head, other).expect("written");
        assert!(!inspect(&database, None).findings.is_empty(), "{other}");
    }
    std::fs::write(&head, &whole).expect("written");
    assert!(inspect(&database, None).findings.is_empty());
}

/// What a version before this one left has no head, and is sound.
#[test]
fn a_log_from_before_there_were_heads_is_sound() {
    let fixture = Fixture::new();
    fill(&fixture.store, 5);
    let Fixture { store, directory } = fixture;
    drop(store);
    for name in ["audit.checkpoints", "audit.head"] {
        std::fs::remove_file(directory.path().join(name)).expect("removed");
    }
    let database = directory.path().join("andon.db");
    assert!(inspect(&database, None).findings.is_empty());
    let store = Store::open(&database).expect("it opens");
    fill(&store, 1);
    assert_eq!(store.inspect_audit(None).expect("inspected").sealed, 6);
}

/// What a row costs with its signature, for those who ask with `--nocapture`.
#[test]
#[allow(clippy::print_stdout, reason = "a test says what it measured")]
fn signing_each_row_costs_little() {
    let fixture = Fixture::new();
    let began = std::time::Instant::now();
    fill(&fixture.store, 200);
    let each = began.elapsed() / 200;
    println!("{{\"audit_row_us\": {}}}", each.as_micros());
    // Mostly the sync of the database.
    assert!(each < std::time::Duration::from_millis(200), "{each:?}");
}

#[test]
#[allow(clippy::print_stdout, reason = "a test says what it measured")]
fn a_thousand_tamperings_are_found() {
    const ROWS: i64 = 90;
    let fixture = Fixture::new();
    fill(&fixture.store, ROWS);
    let sound = fixture.store.inspect_audit(None).expect("an inspection");
    assert_eq!((sound.rows, sound.findings), (ROWS, Vec::new()));
    // As a killed process leaves them: 90 is no row that has a checkpoint.
    let killed = tempfile::tempdir().expect("a directory");
    copy(fixture.directory.path(), killed.path());
    drop(Store::open(killed.path().join("andon.db")).expect("the journal is folded in"));
    let directory = killed;
    let tampered = tempfile::tempdir().expect("a directory");
    let database = tampered.path().join("andon.db");
    copy(directory.path(), tampered.path());
    let mut dice = Dice(20);
    let mut seen = 0;
    for round in 0..1000 {
        std::fs::copy(directory.path().join("andon.db"), &database).expect("copied");
        let mut connection = Connection::open(&database).expect("it opens");
        connection
            .execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF")
            .expect("quick");
        let transaction = connection.transaction().expect("a transaction");
        let what = tamper(&transaction, &mut dice, ROWS);
        transaction.commit().expect("tampered");
        drop(connection);
        let found = inspect(&database, None);
        assert!(!found.findings.is_empty(), "round {round}, unseen: {what}");
        seen += 1;
    }
    println!("{{\"audit_tamperings_found\": {seen}}}");
}
