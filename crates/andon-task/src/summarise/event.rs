//! One record of a period.

use serde_json::{Map, Value};

use super::field::{
    ASSET, CATEGORY, DESCRIPTION, END, Fields, GROUP, HIGH, ID, LOW, MINUTES, NAME, PRIORITY,
    SECONDS, SEVERITY, STATUS, TIME, UNIT, VALUE, text,
};
use super::moment;

/// One record of a period: an alarm, a note, a work order, a reading, a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its identifier; `#3` for the third where it names none.
    pub id: String,
    /// Its time as it is written.
    pub time: Option<String>,
    /// The same in seconds, where it can be read.
    pub seconds: Option<f64>,
    /// What kind of record it is, as `ALARM`.
    pub group: String,
    /// Its category, as `CM` for corrective maintenance.
    pub category: Option<String>,
    /// What it says.
    pub description: String,
    /// Whether it must not be left out.
    pub priority: Priority,
    /// Whether somebody still has to deal with it.
    pub status: Status,
    /// How long it lasted, in minutes.
    pub minutes: Option<f64>,
    /// The asset that it is about.
    pub asset: Option<String>,
    /// What was measured.
    pub measured: Option<Measured>,
    /// Everything that it says, for checking what is said of it.
    pub all: String,
}

/// A measured value with its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What was measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The value as it is written.
    pub written: String,
    /// Its unit.
    pub unit: Option<String>,
    /// The lower limit.
    pub low: Option<f64>,
    /// The upper limit.
    pub high: Option<f64>,
}

/// How urgent a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// It must be told.
    High,
    /// Anything else.
    Ordinary,
}

/// Whether a record is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It says that it is not.
    Open,
    /// It says that it is.
    Closed,
    /// It does not say.
    Unknown,
}

const CORRECTIVE: [&str; 16] = [
    "cm",
    "corrective",
    "correctivemaintenance",
    "correctivo",
    "breakdown",
    "bm",
    "em",
    "emergency",
    "repair",
    "reactive",
    "unplanned",
    "averia",
    "pm02",
    "zpm2",
    "fault",
    "failure",
];
const HIGH_WORDS: [&str; 19] = [
    "high",
    "highest",
    "critical",
    "urgent",
    "emergency",
    "veryhigh",
    "hh",
    "p1",
    "h",
    "alta",
    "critica",
    "crítica",
    "critico",
    "crítico",
    "muyalta",
    "severe",
    "fatal",
    "urgente",
    "true",
];
const OPEN_WORDS: [&str; 22] = [
    "open",
    "inprogress",
    "pending",
    "active",
    "unacknowledged",
    "unack",
    "new",
    "waiting",
    "onhold",
    "waitingforparts",
    "assigned",
    "planned",
    "released",
    "started",
    "notstarted",
    "raised",
    "todo",
    "abierto",
    "abierta",
    "pendiente",
    "activo",
    "encurso",
];
const CLOSED_WORDS: [&str; 18] = [
    "closed",
    "done",
    "complete",
    "completed",
    "finished",
    "cleared",
    "resolved",
    "acknowledged",
    "ack",
    "returned",
    "normal",
    "cancelled",
    "canceled",
    "rejected",
    "cerrado",
    "cerrada",
    "hecho",
    "resuelto",
];

impl Event {
    /// The record of an object; `position` counts from 1, and `group` is that of the list
    /// in which it stands.
    pub(super) fn of(object: &Map<String, Value>, position: usize, group: &str) -> Self {
        let fields = Fields::of(object);
        let name = fields.text(NAME);
        let measured = fields.number(VALUE).map(|value| Measured {
            name: name.clone().unwrap_or_else(|| "value".to_owned()),
            value,
            written: fields.text(VALUE).unwrap_or_default(),
            unit: fields.text(UNIT),
            low: fields.number(LOW),
            high: fields.number(HIGH),
        });
        let time = fields.text(TIME);
        let seconds = time.as_deref().and_then(moment::seconds);
        let end = fields.text(END);
        let between = end
            .as_deref()
            .and_then(moment::seconds)
            .zip(seconds)
            .map(|(end, start)| (end - start) / 60.0)
            .filter(|minutes| *minutes >= 0.0);
        let minutes = fields
            .number(MINUTES)
            .or_else(|| fields.number(SECONDS).map(|seconds| seconds / 60.0))
            .or(between);
        let group = match (fields.text(GROUP), &measured) {
            (Some(group), _) => group,
            (None, Some(_)) if group == "EVENT" || group == "RECORD" => "READING".to_owned(),
            (None, _) => group.to_owned(),
        };
        let scalars = object.values().filter_map(text);
        Self {
            id: fields.text(ID).unwrap_or_else(|| format!("#{position}")),
            time,
            seconds,
            category: fields.text(CATEGORY),
            description: fields
                .text(DESCRIPTION)
                .unwrap_or_else(|| "without description".to_owned()),
            priority: priority(&fields),
            status: status(&fields, end.is_some()),
            minutes,
            asset: fields.text(ASSET),
            measured,
            group,
            all: scalars.collect::<Vec<_>>().join("\n"),
        }
    }

    /// Whether it is a work order for something that had failed.
    pub fn is_corrective(&self) -> bool {
        let category = self.category.as_deref().map(super::field::plain);
        self.is_order() && category.is_some_and(|c| CORRECTIVE.contains(&c.as_str()))
    }

    /// Whether it is a work order.
    pub fn is_order(&self) -> bool {
        let group = super::field::plain(&self.group);
        group.contains("order") || group == "wo" || group == "maintenance" || group == "orden"
    }

    /// Whether it is what a person wrote.
    pub fn is_note(&self) -> bool {
        let group = super::field::plain(&self.group);
        [
            "note", "notes", "record", "comment", "log", "nota", "handover",
        ]
        .contains(&group.as_str())
    }
}

/// High by a word, by 1 on a scale of priorities, or from 700 on of OPC UA's severities.
fn priority(fields: &Fields<'_>) -> Priority {
    let word = |value: String| {
        let plain = super::field::plain(&value);
        HIGH_WORDS.contains(&plain.as_str()) || plain == "1"
    };
    let by_priority = fields.text(PRIORITY).is_some_and(word);
    let by_number = fields.number(SEVERITY).is_some_and(|n| n >= 700.0);
    let by_severity = fields
        .text(SEVERITY)
        .is_some_and(|severity| severity.parse::<f64>().is_err() && word(severity));
    match by_priority || by_number || by_severity {
        true => Priority::High,
        false => Priority::Ordinary,
    }
}

/// By its word; else an end that is null says that it goes on.
fn status(fields: &Fields<'_>, has_end: bool) -> Status {
    let word = fields.text(STATUS).map(|word| super::field::plain(&word));
    match word.as_deref() {
        Some(word) if OPEN_WORDS.contains(&word) => Status::Open,
        Some(word) if CLOSED_WORDS.contains(&word) => Status::Closed,
        _ if has_end => Status::Closed,
        _ if fields.has(END) => Status::Open,
        _ => Status::Unknown,
    }
}
