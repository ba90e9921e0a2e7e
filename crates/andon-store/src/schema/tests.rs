use std::path::Path;

use rusqlite::Connection;

use super::{MIGRATIONS, migrate, open_with, open_writer, version};
use crate::error::Fault;

/// Everything that the schema holds.
fn schema_of(connection: &Connection) -> Vec<String> {
    let mut statement = connection
        .prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY type, name")
        .expect("a statement");
    let lines = statement.query_map([], |row| row.get(0)).expect("rows");
    lines.collect::<Result<_, _>>().expect("texts")
}

fn in_directory(test: impl FnOnce(&Path)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    test(&directory.path().join("andon.db"));
}

#[test]
fn every_earlier_version_is_brought_to_the_newest() {
    let mut newest = Connection::open_in_memory().expect("a database");
    migrate(&mut newest, MIGRATIONS).expect("the migrations");
    for earlier in 0..MIGRATIONS.len() {
        in_directory(|path| {
            drop(open_with(path, &MIGRATIONS[..earlier]).expect("an earlier version"));
            let connection = open_writer(path).expect("it is migrated");
            assert_eq!(schema_of(&connection), schema_of(&newest));
        });
    }
}

#[test]
fn what_people_answered_before_there_were_kinds_is_kept() {
    in_directory(|path| {
        let old = open_with(path, &MIGRATIONS[..2]).expect("an earlier version");
        old.execute_batch(
            "INSERT INTO record (received_at, text, meta) VALUES (1, 'leak', 'null');
             INSERT INTO answer (task, record, label, at) VALUES ('t', 1, 'a \"b\"', 1);
             INSERT INTO answer (task, record, label, at) VALUES ('t', 1, NULL, 2);",
        )
        .expect("rows");
        drop(old);
        let connection = open_writer(path).expect("it is migrated");
        let mut statement = connection
            .prepare("SELECT answer FROM answer ORDER BY id")
            .expect("a statement");
        let answers = statement.query_map([], |row| row.get(0)).expect("rows");
        let answers: Vec<Option<String>> = answers.collect::<Result<_, _>>().expect("texts");
        assert_eq!(answers, [Some(r#""a \"b\"""#.to_owned()), None]);
    });
}

#[test]
fn a_step_that_fails_leaves_the_version_before() {
    in_directory(|path| {
        let first = "CREATE TABLE one (id INTEGER) STRICT;";
        let bad = "CREATE TABLE two (id INTEGER) STRICT; INSERT INTO three VALUES (1);";
        let good = "CREATE TABLE two (id INTEGER) STRICT;";
        assert!(matches!(
            open_with(path, &[first, bad]),
            Err(Fault::Sqlite(_))
        ));
        let connection = open_with(path, &[first, good]).expect("the step is taken again");
        assert_eq!(version(&connection).expect("a version"), 2);
    });
}

#[test]
fn many_may_make_the_same_database_at_once() {
    in_directory(|path| {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| open_writer(path).expect("whoever is first"));
            }
        });
    });
}

#[test]
fn commits_are_synced() {
    in_directory(|path| {
        let connection = open_writer(path).expect("a new database");
        let pragma = |name: &str| -> String {
            connection
                .query_row(
                    &format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"),
                    [],
                    |row| row.get(0),
                )
                .expect("a pragma")
        };
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("synchronous"), "2");
        assert_eq!(pragma("foreign_keys"), "1");
    });
}
