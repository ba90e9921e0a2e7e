use std::error::Error as _;
use std::fs;
use std::path::Path;

use andon_store::{Error, Page, RecordFilter, Store};
use rusqlite::Connection;

use crate::Fixture;

/// A database with some thousand records, closed.
fn database(path: &Path) {
    let fixture = Fixture::new();
    for _ in 0..100 {
        fixture.note(&"a longish note ".repeat(100));
    }
    let Fixture { store, directory } = fixture;
    drop(store);
    fs::copy(directory.path().join("andon.db"), path).expect("a copy");
}

/// Opens what `make` left at the path: one message, with N for the newest version that
/// this program knows, and the file as it was.
fn check(make: impl FnOnce(&Path), expected: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("andon.db");
    make(&path);
    let before = fs::read(&path).ok();
    let error = Store::open(&path).expect_err("it is refused");
    let message = error
        .to_string()
        .replace(&path.display().to_string(), "FILE");
    let newest = newest_version();
    let message = message.replace(&format!("versions up to {newest}"), "versions up to N");
    assert_eq!(message, expected);
    assert_eq!(fs::read(&path).ok(), before);
}

fn newest_version() -> i64 {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("new.db");
    drop(Store::open(&path).expect("a new database"));
    let connection = Connection::open(&path).expect("a database");
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("a version")
}

#[test]
fn a_newer_version_is_refused() {
    check(
        |path| {
            database(path);
            let connection = Connection::open(path).expect("a database");
            connection
                .pragma_update(None, "user_version", 99)
                .expect("a pragma");
        },
        "the database 'FILE' has version 99, but this program knows versions up to N: install a newer Andon or name another state directory",
    );
}

#[test]
fn other_files_are_refused() {
    let expected =
        "'FILE' is not a database of Andon: move it away or name another state directory";
    check(
        |path| fs::write(path, "a text\n".repeat(999)).expect("a file"),
        expected,
    );
    check(|path| fs::write(path, [0; 4096]).expect("a file"), expected);
    check(
        |path| {
            let connection = Connection::open(path).expect("a database");
            connection
                .execute_batch("CREATE TABLE other (id INTEGER)")
                .expect("a table");
        },
        expected,
    );
}

#[test]
fn a_damaged_file_is_refused() {
    check(
        |path| {
            database(path);
            let file = fs::OpenOptions::new()
                .write(true)
                .open(path)
                .expect("a file");
            file.set_len(8192).expect("a shorter file");
        },
        "the database 'FILE' is damaged: restore it from a backup",
    );
}

#[test]
fn damage_within_the_file_is_an_error_where_it_is_met() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("andon.db");
    database(&path);
    let mut bytes = fs::read(&path).expect("a file");
    bytes[4096..].fill(0xa5);
    fs::write(&path, bytes).expect("a file");
    let listed = Store::open(&path)
        .and_then(|store| store.records(&RecordFilter::default(), Page::default()));
    let error = listed.expect_err("every page but the first is damaged");
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_refused() {
    let expected = "cannot open the database 'FILE' for writing: check that its directory exists and that both may be written";
    check(|path| fs::create_dir(path).expect("a directory"), expected);
    check(
        |path| {
            let directory = path.parent().expect("it lies in a directory");
            fs::remove_dir(directory).expect("it is empty");
        },
        expected,
    );
}

#[test]
fn a_database_that_another_process_holds_is_an_error() {
    let fixture = Fixture::new();
    let other = Connection::open(fixture.directory.path().join("andon.db")).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let error = fixture.store.ready().expect_err("the lock is held");
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    assert!(error.source().is_none());
    other.execute_batch("ROLLBACK").expect("the lock");
    fixture.store.ready().expect("the lock is free");
}
