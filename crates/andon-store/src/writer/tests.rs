use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{QUEUE, Writer};
use crate::error::{Error, Fault};
use crate::schema;

type Answer = Receiver<Result<i64, Fault>>;

/// A writer over a table of texts, held still until [`Bench::release`].
struct Bench {
    writer: Writer,
    gate: Sender<()>,
    path: PathBuf,
    _directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("andon.db");
        let connection = schema::open_writer(&path).expect("a new database");
        connection
            .execute_batch("CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")
            .expect("a table");
        let writer = Writer::start(connection).expect("a thread");
        let (gate, opened) = channel();
        let (entered, inside) = channel();
        writer
            .queue(move |_| {
                entered.send(()).expect("the test waits");
                opened.recv().expect("the test opens the gate");
                Ok(())
            })
            .expect("an empty queue");
        inside.recv().expect("the writer reaches the gate");
        Self {
            writer,
            gate,
            path,
            _directory: directory,
        }
    }

    fn insert(&self, text: &str) -> Answer {
        let text = text.to_owned();
        let work = move |connection: &Connection| insert(connection, &text);
        self.writer.queue(work).expect("room in the queue")
    }

    fn release(&self) {
        self.gate.send(()).expect("the writer waits at the gate");
    }

    /// The texts that another connection sees.
    fn lines(&self) -> Vec<String> {
        let reader = schema::open_reader(&self.path).expect("a reader");
        let mut statement = reader
            .prepare("SELECT text FROM line ORDER BY id")
            .expect("a statement");
        let lines = statement.query_map([], |row| row.get(0)).expect("rows");
        lines.collect::<Result<_, _>>().expect("texts")
    }
}

fn insert(connection: &Connection, text: &str) -> Result<i64, Fault> {
    connection.execute("INSERT INTO line (text) VALUES (?)", [text])?;
    Ok(connection.last_insert_rowid())
}

fn outcome(answer: &Answer) -> Result<i64, Error> {
    let answered = answer.recv().expect("every caller is answered");
    answered.map_err(|fault| fault.at("andon.db".as_ref()))
}

/// Queues `middle` between two good commands, all in one batch: the two succeed
/// whatever it does, and what it wrote is undone.
fn check(
    middle: impl Fn(&Connection) -> Result<i64, Fault> + Send + 'static,
    expected: impl Fn(&Error) -> bool,
) {
    let bench = Bench::new();
    let first = bench.insert("first");
    let failed = bench.writer.queue(middle).expect("room in the queue");
    let last = bench.insert("last");
    bench.release();
    outcome(&first).expect("the first");
    let error = outcome(&failed).expect_err("the one between");
    assert!(expected(&error), "{error}");
    outcome(&last).expect("the last");
    assert_eq!(bench.lines(), ["first", "last"]);
}

#[test]
fn a_refused_command_undoes_itself_alone() {
    check(
        |connection| {
            insert(connection, "half")?;
            Err(Error::NoRecord(7).into())
        },
        |error| matches!(error, Error::NoRecord(7)),
    );
}

#[test]
fn a_failed_statement_undoes_its_command_alone() {
    check(
        |connection| {
            insert(connection, "half")?;
            connection.execute("INSERT INTO line (text) VALUES (NULL)", [])?;
            Ok(0)
        },
        |error| matches!(error, Error::Database { .. }),
    );
}

#[test]
fn a_panic_is_reported_and_the_writer_lives() {
    check(
        |connection| {
            insert(connection, "half")?;
            panic!("a fault of the program");
        },
        |error| matches!(error, Error::Failed(reason) if reason.contains("a fault of the program")),
    );
}

#[test]
fn a_lost_transaction_is_made_up_for() {
    check(
        |connection| {
            insert(connection, "half")?;
            connection.execute_batch("ROLLBACK")?;
            Err(Error::NoRecord(7).into())
        },
        |error| matches!(error, Error::NoRecord(7)),
    );
}

#[test]
fn a_command_that_does_not_fit_the_disk_fails_alone() {
    check(
        |connection| {
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            limit_pages(connection, pages + 2)?;
            insert(connection, &"x".repeat(100_000))
        },
        |error| matches!(error, Error::NoSpace { .. }),
    );
}

#[test]
fn a_full_disk_loses_nothing_and_passes() {
    let bench = Bench::new();
    bench.release();
    let writer = &bench.writer;
    writer
        .write(|connection| limit_pages(connection, 70))
        .expect("a limit");
    let mut acknowledged = Vec::new();
    let error = loop {
        let text = format!("{} {}", acknowledged.len(), "x".repeat(10_000));
        match outcome(&bench.insert(&text)) {
            Ok(_) => acknowledged.push(text),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert!(acknowledged.len() > 5);
    assert_eq!(bench.lines(), acknowledged);
    writer
        .write(|connection| limit_pages(connection, 1_000_000))
        .expect("no limit");
    outcome(&bench.insert("after")).expect("there is room again");
    assert_eq!(bench.lines().len(), acknowledged.len() + 1);
}

fn limit_pages(connection: &Connection, pages: i64) -> Result<(), Fault> {
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    Ok(())
}

#[test]
fn what_waits_is_committed_together() {
    let bench = Bench::new();
    let first = bench.insert("first");
    let path = bench.path.clone();
    let second = bench
        .writer
        .queue(move |connection| {
            let count = "SELECT count(*) FROM line";
            let inside: i64 = connection.query_row(count, [], |row| row.get(0))?;
            let outside: i64 =
                schema::open_reader(&path)?.query_row(count, [], |row| row.get(0))?;
            Ok(inside * 10 + outside)
        })
        .expect("room in the queue");
    bench.release();
    outcome(&first).expect("the first");
    // The second sees the first, and nobody else does yet.
    assert_eq!(outcome(&second).expect("the second"), 10);
}

#[test]
fn dropping_writes_what_was_queued() {
    let bench = Bench::new();
    let answers: Vec<_> = (0..100).map(|n| bench.insert(&n.to_string())).collect();
    let Bench {
        writer,
        gate,
        path,
        _directory,
    } = bench;
    gate.send(()).expect("the writer waits at the gate");
    drop(writer);
    for answer in &answers {
        outcome(answer).expect("it was queued before the end");
    }
    let count: i64 = schema::open_writer(&path)
        .expect("the same database")
        .query_row("SELECT count(*) FROM line", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(count, 100);
}

#[test]
fn a_full_queue_refuses() {
    let bench = Bench::new();
    let answers: Vec<_> = (0..QUEUE).map(|n| bench.insert(&n.to_string())).collect();
    let refused = bench.writer.queue(|_| Ok(())).expect_err("one too many");
    assert!(matches!(
        refused,
        Fault::Known(Error::Overloaded { waiting: QUEUE })
    ));
    bench.release();
    for answer in &answers {
        outcome(answer).expect("it was accepted");
    }
}
