//! What waits for an upstream's link, and what was paid to upstreams.

use andon_task::audit::Act;
use andon_task::run::{Run, StoredRun, Timestamp};
use andon_task::task::Class;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use crate::audit::{self, AuditId};
use crate::error::{Error, Fault};
use crate::listing::{Page, Selection};
use crate::record;
use crate::run;
use crate::store::Store;

const SELECT: &str = "SELECT id, key, task, record, class, request, queued_at, expires_at,
        changed_at, state, attempts, failures, not_before, reason, run FROM queue";

/// What is to wait.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPlace {
    /// The hash of what is asked.
    pub key: String,
    /// The task.
    pub task: String,
    /// The record that it is about.
    pub record: i64,
    /// Machines come before people, people before batches.
    pub class: Class,
    /// What is asked, redacted.
    pub request: String,
    /// Since when.
    pub queued_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// How a place stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceState {
    /// It waits.
    Queued,
    /// It is being sent, or was when the node ended.
    InFlight,
    /// Its answer is there.
    Settled,
    /// It will not be sent: a dead letter.
    Expired,
}

impl PlaceState {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InFlight => "in_flight",
            Self::Settled => "settled",
            Self::Expired => "expired",
        }
    }

    /// The state of this word.
    pub fn named(word: &str) -> Option<Self> {
        let all = [Self::Queued, Self::InFlight, Self::Settled, Self::Expired];
        all.into_iter().find(|state| state.name() == word)
    }
}

/// A place in the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Its number.
    pub id: i64,
    /// What was put there; the request is empty once the place is left.
    pub new: NewPlace,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// How it stands.
    pub state: PlaceState,
    /// How often it was sent.
    pub attempts: u32,
    /// How often an upstream failed in it, while it answered others.
    pub failures: u32,
    /// It is not sent before.
    pub not_before: Timestamp,
    /// Why it expired, or how it failed last.
    pub reason: Option<String>,
    /// The run that has its answer.
    pub run: Option<i64>,
}

/// Whether there was a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// At this number, new or from before.
    At(i64),
    /// As many bytes wait as may.
    Full,
}

/// How many places there are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Waiting.
    pub queued: u64,
    /// Being sent.
    pub in_flight: u64,
    /// Answered.
    pub settled: u64,
    /// Dead letters.
    pub expired: u64,
}

/// What a request to an upstream took.
#[derive(Clone, Debug, PartialEq)]
pub struct Paid {
    /// The upstream.
    pub upstream: String,
    /// When.
    pub at: Timestamp,
    /// Tokens of the request.
    pub prompt_tokens: usize,
    /// Tokens of the answer.
    pub completion_tokens: usize,
    /// In the plant's currency.
    pub cost: f64,
}

/// Which places to list. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// Only places in this state.
    pub state: Option<PlaceState>,
}

impl Store {
    /// Lets something wait, unless the same waits already or more than `most_bytes`
    /// would.
    pub fn enqueue(&self, new: NewPlace, most_bytes: u64) -> Result<Placed, Error> {
        self.write(move |connection| {
            record::expect(connection, new.record)?;
            let known: Option<i64> = connection
                .prepare_cached(
                    "SELECT id FROM queue WHERE key = ? AND state IN ('queued', 'in_flight')",
                )?
                .query_row([&new.key], |row| row.get(0))
                .optional()?;
            if let Some(id) = known {
                return Ok(Placed::At(id));
            }
            let bytes: i64 = connection
                .prepare_cached("SELECT bytes FROM queue_size WHERE id = 1")?
                .query_row([], |row| row.get(0))?;
            if bytes.unsigned_abs() + new.request.len() as u64 > most_bytes {
                return Ok(Placed::Full);
            }
            connection
                .prepare_cached(
                    "INSERT INTO queue (key, task, record, class, request, queued_at, expires_at,
                                        changed_at, state)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued')",
                )?
                .execute(params![
                    new.key,
                    new.task,
                    new.record,
                    rank(new.class),
                    new.request,
                    new.queued_at.0,
                    new.expires_at.0,
                    new.queued_at.0
                ])?;
            Ok(Placed::At(connection.last_insert_rowid()))
        })
    }

    /// Takes out what is to be sent next, `most` at most and in this order: the most
    /// urgent class first, in it what has waited longest. All of it is in flight when this
    /// returns.
    pub fn take_from_queue(&self, now: Timestamp, most: usize) -> Result<Vec<Place>, Error> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.write(move |connection| {
            let mut next = connection.prepare_cached(
                // A clock that was set back makes nothing wait longer than it was to.
                "SELECT id FROM queue WHERE state = 'queued' AND expires_at > ?1
                     AND (not_before <= ?1 OR changed_at > ?1)
                 ORDER BY class, id LIMIT ?2",
            )?;
            let ids = next.query_map([now.0, most], |row| row.get(0))?;
            let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
            let mut take = connection.prepare_cached(
                "UPDATE queue SET state = 'in_flight', attempts = attempts + 1, changed_at = ?
                 WHERE id = ?",
            )?;
            let taken = ids.into_iter().map(|id| {
                take.execute([now.0, id])?;
                one(connection, id)
            });
            taken.collect()
        })
    }

    /// Lets these wait again, each with its place in the order.
    pub fn return_to_queue(&self, places: Vec<i64>, now: Timestamp) -> Result<(), Error> {
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(
                "UPDATE queue SET state = 'queued', changed_at = ?
                 WHERE id = ? AND state = 'in_flight'",
            )?;
            for &place in &places {
                statement.execute([now.0, place])?;
            }
            Ok(())
        })
    }

    /// Lets one wait again that an upstream failed in, so often by now: not before a time,
    /// so that others overtake it.
    pub fn defer_queued(
        &self,
        id: i64,
        (now, not_before): (Timestamp, Timestamp),
        failures: u32,
        reason: &str,
    ) -> Result<(), Error> {
        let reason = reason.to_owned();
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE queue SET state = 'queued', failures = ?, not_before = ?,
                            reason = ?, changed_at = ?
                     WHERE id = ? AND state = 'in_flight'",
                )?
                .execute(params![failures, not_before.0, reason, now.0, id])?;
            Ok(())
        })
    }

    /// Moves the times of all that waits: the clock was set, and nothing is to wait for a
    /// longer or shorter time because of it.
    pub fn shift_queue(&self, by_ms: i64) -> Result<(), Error> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE queue SET queued_at = queued_at + ?1, expires_at = expires_at + ?1,
                            not_before = not_before + ?1, changed_at = changed_at + ?1
                     WHERE state IN ('queued', 'in_flight')",
                )?
                .execute([by_ms])?;
            Ok(())
        })
    }

    /// The place of this number.
    pub fn place(&self, id: i64) -> Result<Option<Place>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE id = ?"))?;
            Ok(statement.query_row([id], read).optional()?)
        })
    }

    /// What was in flight when the node ended waits again: it is sent once more, under
    /// the same key. How many these are. Only the process that sends may ask for it.
    pub fn recover_queue(&self, now: Timestamp) -> Result<usize, Error> {
        self.write(move |connection| {
            let recovered = connection
                .prepare_cached(
                    "UPDATE queue SET state = 'queued', changed_at = ? WHERE state = 'in_flight'",
                )?
                .execute([now.0])?;
            Ok(recovered)
        })
    }

    /// Keeps the run with the answer and leaves the place, together. `None` where the
    /// place was left before: then nothing is kept.
    pub fn settle_queued(
        &self,
        id: i64,
        now: Timestamp,
        run: &Run,
    ) -> Result<Option<StoredRun>, Error> {
        let (short, texts) = run::encode(run)?;
        let stored = self.write(move |connection| {
            let record: Option<i64> = connection
                .prepare_cached("SELECT record FROM queue WHERE id = ? AND state = 'in_flight'")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            let Some(record) = record else {
                return Ok(None);
            };
            let run = run::insert(connection, record, now, &short, &texts)?;
            connection
                .prepare_cached(
                    "UPDATE queue SET state = 'settled', request = '', reason = NULL, run = ?,
                            changed_at = ?
                     WHERE id = ?",
                )?
                .execute([run, now.0, id])?;
            Ok(Some(run))
        })?;
        match stored {
            Some(id) => self.run(id),
            None => Ok(None),
        }
    }

    /// It will not be sent, for this reason.
    pub fn expire_queued(&self, id: i64, now: Timestamp, reason: &str) -> Result<(), Error> {
        let reason = reason.to_owned();
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE queue SET state = 'expired', request = '', reason = ?, changed_at = ?
                     WHERE id = ? AND state IN ('queued', 'in_flight')",
                )?
                .execute(params![reason, now.0, id])?;
            Ok(())
        })
    }

    /// What has waited for as long as it may will not be sent. How many these are.
    pub fn expire_due(&self, now: Timestamp) -> Result<usize, Error> {
        self.write(move |connection| {
            let expired = connection
                .prepare_cached(
                    "UPDATE queue SET state = 'expired', request = '', reason = 'deadline',
                            changed_at = ?1
                     WHERE state = 'queued' AND expires_at <= ?1",
                )?
                .execute([now.0])?;
            Ok(expired)
        })
    }

    /// A page of the queue, newest first.
    pub fn queue(&self, filter: &QueueFilter, page: Page) -> Result<Vec<Place>, Error> {
        let state = filter.state.map(|state| state.name().to_owned());
        let selection = Selection::default().only_for("state = ?", state);
        let (sql, parameters) = selection.page(SELECT, page);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let places = statement.query_map(params_from_iter(parameters), read)?;
            Ok(places.collect::<Result<_, _>>()?)
        })
    }

    /// How many places there are in each state.
    pub fn queue_counts(&self) -> Result<QueueCounts, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT state, count(*) FROM queue GROUP BY state")?;
            let counts = statement.query_map([], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, i64>(1)?.unsigned_abs(),
                ))
            })?;
            let mut sum = QueueCounts::default();
            for row in counts {
                let (state, count) = row?;
                match PlaceState::named(&state) {
                    Some(PlaceState::Queued) => sum.queued = count,
                    Some(PlaceState::InFlight) => sum.in_flight = count,
                    Some(PlaceState::Settled) => sum.settled = count,
                    _ => sum.expired = count,
                }
            }
            Ok(sum)
        })
    }

    /// Notes what came of a request to an upstream: a row of the audit log, and what was
    /// paid. Both or neither.
    pub fn settle_egress(&self, paid: Paid, who: &str, detail: Value) -> Result<AuditId, Error> {
        let who = who.to_owned();
        self.write_audited(move |connection| {
            let row = audit::append(connection, Act::EgressSettled, Some(&who), paid.at, &detail)?;
            connection
                .prepare_cached(
                    "INSERT INTO spending (at, upstream, prompt_tokens, completion_tokens, cost)
                     VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    paid.at.0,
                    paid.upstream,
                    paid.prompt_tokens as i64,
                    paid.completion_tokens as i64,
                    paid.cost
                ])?;
            Ok((row, row))
        })
    }

    /// What was paid to an upstream since then.
    pub fn paid(&self, upstream: &str, since: Timestamp) -> Result<f64, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT coalesce(sum(cost), 0.0) FROM spending WHERE upstream = ? AND at >= ?",
            )?;
            Ok(statement.query_row(params![upstream, since.0], |row| row.get(0))?)
        })
    }
}

fn one(connection: &Connection, id: i64) -> Result<Place, Fault> {
    let place = connection
        .prepare_cached(&format!("{SELECT} WHERE id = ?"))?
        .query_row([id], read)?;
    Ok(place)
}

fn rank(class: Class) -> i64 {
    match class {
        Class::Machine => 0,
        Class::Person => 1,
        Class::Batch => 2,
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Place> {
    let class = match row.get::<_, i64>("class")? {
        0 => Class::Machine,
        1 => Class::Person,
        _ => Class::Batch,
    };
    let state: String = row.get("state")?;
    Ok(Place {
        id: row.get("id")?,
        new: NewPlace {
            key: row.get("key")?,
            task: row.get("task")?,
            record: row.get("record")?,
            class,
            request: row.get("request")?,
            queued_at: Timestamp(row.get("queued_at")?),
            expires_at: Timestamp(row.get("expires_at")?),
        },
        changed_at: Timestamp(row.get("changed_at")?),
        state: PlaceState::named(&state).unwrap_or(PlaceState::Expired),
        attempts: row.get("attempts")?,
        failures: row.get("failures")?,
        not_before: Timestamp(row.get("not_before")?),
        reason: row.get("reason")?,
        run: row.get("run")?,
    })
}
