//! The records of a period, from JSON, JSON lines or CSV.

use serde_json::{Map, Value};

use super::event::Event;
use super::field::{DESCRIPTION, Fields, ID, LISTS, TIME, VALUE, plain, text};

/// Records are read up to this many: a period is no archive.
const MOST: usize = 20_000;

/// The names of a list of older records that are still open.
const CARRIED: [&str; 4] = ["carriedover", "openbefore", "stillopen", "backlog"];

/// The records of a shift, a line or a week.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Period {
    /// What it is about: the fields beside the records, as `equipment_name`.
    pub about: Vec<(String, String)>,
    /// The records in the order in which they were given, each once.
    pub events: Vec<Event>,
    /// Those of the period before, where they are given.
    pub before: Option<Vec<Event>>,
    /// Older records that are still open, where they are given: they did not happen in the
    /// period, but whoever takes over has them.
    pub carried: Vec<Event>,
    /// What is odd about the records.
    pub oddities: Vec<String>,
}

/// Why a text is no period.
#[derive(Debug, thiserror::Error)]
pub enum PeriodError {
    /// Neither JSON nor CSV.
    #[error(
        "the text is neither a JSON object with 'events', nor a JSON array, JSON lines or CSV with a first line of names: {0}"
    )]
    Unreadable(String),
    /// JSON without records.
    #[error(
        "the object has no list of records: give 'events' (or records, alarms, readings, notes, work_orders, runs) as an array"
    )]
    NoList,
    /// A record that is no object.
    #[error("record {position} of '{list}' is no object: give its fields by name")]
    NoObject {
        /// The list.
        list: String,
        /// Its place, from 1.
        position: usize,
    },
    /// CSV without a column that is understood.
    #[error(
        "the first line names no column that is understood ({0}): name at least a time, a description or a value"
    )]
    NoColumns(String),
    /// Too many records.
    #[error("there are more than {MOST} records: give a shorter period")]
    TooMany,
}

impl Period {
    /// Reads the records of a text.
    pub fn read(text: &str) -> Result<Self, PeriodError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        let period = if text.starts_with('{') || text.starts_with('[') {
            match serde_json::from_str(text) {
                Ok(value) => Self::of(&value),
                Err(error) => lines(text)
                    .ok_or_else(|| PeriodError::Unreadable(error.to_string()))
                    .and_then(|records| Self::of(&Value::Array(records))),
            }
        } else {
            table(text).and_then(|records| Self::of(&Value::Array(records)))
        }?;
        Ok(period.once())
    }

    /// The records of a JSON value.
    pub fn of(value: &Value) -> Result<Self, PeriodError> {
        let mut period = Self::default();
        match value {
            Value::Array(records) => period.take("events", "EVENT", records)?,
            Value::Object(object) => {
                let mut has_list = false;
                for (name, value) in object {
                    let own = plain(name);
                    let list = LISTS.iter().find(|(list, _)| *list == own);
                    match (list, value) {
                        (Some((_, group)), Value::Array(records)) => {
                            has_list = true;
                            period.take(name, group, records)?;
                        }
                        (None, value) if own == "previous" || own == "before" => {
                            let before = Self::of(value)?;
                            period.before = Some(before.once().events);
                        }
                        (None, Value::Array(records)) if CARRIED.contains(&own.as_str()) => {
                            let mut older = Self::default();
                            older.take(name, "RECORD", records)?;
                            period.carried = older.once().events;
                        }
                        _ => {
                            let shown = text(value).map(|text| (name.clone(), text));
                            period.about.extend(shown);
                        }
                    }
                }
                if !has_list {
                    // One line of JSON lines is a record by itself.
                    let fields = Fields::of(object);
                    let is_record =
                        fields.has(TIME) && (fields.has(DESCRIPTION) || fields.has(VALUE));
                    if !is_record {
                        return Err(PeriodError::NoList);
                    }
                    period = Self::default();
                    period.events.push(Event::of(object, 1, "EVENT"));
                }
            }
            _ => return Err(PeriodError::NoList),
        }
        Ok(period)
    }

    /// Whether a line is a period by itself: a JSON array, or an object with a list of
    /// records. Other lines are records, or rows, of one period.
    pub fn is_whole(line: &str) -> bool {
        match serde_json::from_str(line) {
            Ok(Value::Array(_)) => true,
            Ok(Value::Object(object)) => object.iter().any(|(name, value)| {
                let own = plain(name);
                value.is_array() && LISTS.iter().any(|(list, _)| *list == own)
            }),
            _ => false,
        }
    }

    fn take(&mut self, list: &str, group: &str, records: &[Value]) -> Result<(), PeriodError> {
        for (index, record) in records.iter().enumerate() {
            let Value::Object(record) = record else {
                return Err(PeriodError::NoObject {
                    list: list.to_owned(),
                    position: index + 1,
                });
            };
            if self.events.len() == MOST {
                return Err(PeriodError::TooMany);
            }
            let position = self.events.len() + 1;
            self.events.push(Event::of(record, position, group));
        }
        Ok(())
    }

    /// The same with each record once; one that has another's identifier and says
    /// something else is kept, and told of.
    fn once(mut self) -> Self {
        let mut kept: Vec<Event> = Vec::with_capacity(self.events.len());
        let mut by_id: std::collections::HashMap<String, usize> = Default::default();
        let (mut again, mut shared) = (Vec::new(), Vec::new());
        for event in self.events {
            match by_id.get(&event.id) {
                Some(&at) if kept[at].all == event.all => again.push(event.id),
                Some(_) => {
                    shared.push(event.id.clone());
                    kept.push(event);
                }
                None => {
                    by_id.insert(event.id.clone(), kept.len());
                    kept.push(event);
                }
            }
        }
        for (ids, what) in [
            (again, "was given again and counts once"),
            (
                shared,
                "is the identifier of different records, and each counts",
            ),
        ] {
            let mut ids = ids;
            ids.dedup();
            self.oddities
                .extend(ids.iter().map(|id| format!("{id} {what}")));
        }
        self.events = kept;
        self
    }

    /// The name of what it is about, for people.
    pub fn subject(&self) -> Option<String> {
        let shown: Vec<&str> = self
            .about
            .iter()
            .filter(|(name, _)| !["id"].contains(&plain(name).as_str()))
            .map(|(_, value)| value.as_str())
            .filter(|value| value.chars().count() <= 60)
            .take(3)
            .collect();
        (!shown.is_empty()).then(|| shown.join(", "))
    }
}

/// JSON lines: an object a line.
fn lines(text: &str) -> Option<Vec<Value>> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            serde_json::from_str::<Value>(line)
                .ok()
                .filter(Value::is_object)
        })
        .collect()
}

/// CSV with a first line of names; commas, semicolons or tabs.
fn table(text: &str) -> Result<Vec<Value>, PeriodError> {
    let first = text.lines().next().unwrap_or_default();
    let count = |mark: char| first.matches(mark).count();
    let delimiter = [',', ';', '\t']
        .into_iter()
        .max_by_key(|&mark| (count(mark), mark == ','))
        .filter(|&mark| count(mark) > 0)
        .ok_or_else(|| PeriodError::Unreadable("the first line has no columns".to_owned()))?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter as u8)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let unreadable = |error: csv::Error| PeriodError::Unreadable(error.to_string());
    let names = reader.headers().map_err(unreadable)?.clone();
    let known = names.iter().any(|name| {
        let name = plain(name);
        [TIME, DESCRIPTION, VALUE, ID]
            .iter()
            .any(|names| names.contains(&name.as_str()))
    });
    if !known {
        return Err(PeriodError::NoColumns(
            names.iter().collect::<Vec<_>>().join(", "),
        ));
    }
    reader
        .records()
        .map(|row| {
            let row = row.map_err(unreadable)?;
            let fields = names.iter().zip(row.iter());
            let fields: Map<String, Value> = fields
                .map(|(name, cell)| {
                    let value = match cell {
                        "" => Value::Null,
                        cell => Value::from(cell),
                    };
                    (name.to_owned(), value)
                })
                .collect();
            Ok(Value::Object(fields))
        })
        .collect()
}
