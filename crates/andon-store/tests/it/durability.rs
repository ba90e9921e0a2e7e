use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use andon_store::{Page, RecordFilter, Store};
use andon_task::run::{NewRecord, Timestamp};

use crate::Fixture;

/// Names the directory to the process that is to be killed.
const VICTIM: &str = "ANDON_STORE_TEST_VICTIM";

const THREADS: usize = 16;

fn ids(store: &Store) -> BTreeSet<i64> {
    let page = Page {
        before: None,
        limit: usize::MAX,
    };
    let records = store.records(&RecordFilter::default(), page);
    records
        .expect("a listing")
        .iter()
        .map(|record| record.id)
        .collect()
}

fn insert(store: &Store, text: String) -> i64 {
    let new = NewRecord {
        text,
        ..NewRecord::default()
    };
    let record = store.insert_record(new, Timestamp(1), None, None);
    record.expect("a record").id
}

#[test]
fn many_threads_write_and_nothing_is_lost() {
    let fixture = Fixture::new();
    let acknowledged: BTreeSet<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let store = fixture.store.clone();
                scope.spawn(move || -> Vec<i64> {
                    (0..50)
                        .map(|note| {
                            let id = insert(&store, format!("{thread}: {note}"));
                            // What was acknowledged can be read at once.
                            assert!(store.record(id).expect("a read").is_some());
                            id
                        })
                        .collect()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert_eq!(acknowledged.len(), THREADS * 50);
    let fixture = fixture.reopen();
    assert_eq!(ids(&fixture.store), acknowledged);
    fixture.store.ready().expect("it works");
}

#[test]
fn closing_leaves_one_file() {
    let fixture = Fixture::new();
    fixture.note("a note");
    let Fixture { store, directory } = fixture;
    drop(store);
    let files: Vec<_> = std::fs::read_dir(directory.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(files, ["andon.db"]);
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut acknowledged = BTreeSet::new();
    for round in 1..=3 {
        acknowledged.extend(kill_after(directory.path(), round * 100));
        let store = Store::open(directory.path().join("andon.db")).expect("it recovers");
        let kept = ids(&store);
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "round {round} lost {lost:?}");
    }
}

/// Starts a process that inserts for ever, kills it once it has acknowledged
/// `count` records, and gives all that it acknowledged.
fn kill_after(directory: &Path, count: usize) -> Vec<i64> {
    let mut victim = Command::new(std::env::current_exe().expect("this test"))
        .args(["durability::victim", "--exact", "--nocapture"])
        .env(VICTIM, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let output = BufReader::new(victim.stdout.take().expect("a pipe"));
    let mut acknowledged = Vec::new();
    for line in output.lines() {
        // A last line may be cut by the kill: only whole ones end in a full stop.
        let line = line.expect("text");
        let id = line
            .strip_prefix("stored ")
            .and_then(|rest| rest.strip_suffix('.'));
        acknowledged.extend(id.and_then(|id| id.parse::<i64>().ok()));
        if acknowledged.len() == count {
            victim.kill().expect("it runs");
        }
    }
    victim.wait().expect("it was killed");
    assert!(acknowledged.len() >= count, "it ended on its own");
    acknowledged
}

/// Not a test of its own: the process that is killed.
#[test]
fn victim() {
    let Some(directory) = std::env::var_os(VICTIM) else {
        return;
    };
    let store = Store::open(Path::new(&directory).join("andon.db")).expect("a database");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for note in 0.. {
                    let id = insert(store, format!("{thread}: {note} {}", "x".repeat(500)));
                    // One write a line, past the test harness's capture.
                    let line = format!("stored {id}.\n");
                    std::io::stdout()
                        .write_all(line.as_bytes())
                        .expect("the parent reads");
                }
            });
        }
    });
}
