//! What is computed of a period.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::event::{Event, Priority, Status};
use super::period::Period;
use super::reading::{Reading, readings};

/// The facts of a period. Identifiers and times stand as the records write them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// How many records.
    pub n_events: usize,
    /// How many of each group.
    pub by_group: BTreeMap<String, usize>,
    /// How often each description came, the most frequent first.
    pub by_description: Vec<Recurrence>,
    /// Work orders for what had failed, by identifier.
    pub corrective_work_orders: Vec<String>,
    /// The time of the first record.
    pub first_event: Option<String>,
    /// The time of the last record.
    pub last_event: Option<String>,
    /// Records of high priority.
    pub high_priority: Vec<String>,
    /// Records that say that they are open.
    pub open: Vec<String>,
    /// Older records that are still open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carried_over: Vec<String>,
    /// What lasted, by description.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub durations: Vec<Duration>,
    /// Measured values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// The period before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Before>,
    /// What is odd about the records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oddities: Vec<String>,
}

/// How often a description came.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recurrence {
    /// The group.
    pub group: String,
    /// The description.
    pub description: String,
    /// How often.
    pub count: usize,
    /// Its records.
    #[serde(skip)]
    pub records: Vec<String>,
    /// The times of the first and the last, where they have times.
    #[serde(skip)]
    pub times: Option<(String, String)>,
}

/// How long records of one description lasted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Duration {
    /// The group.
    pub group: String,
    /// The description.
    pub description: String,
    /// How many say how long they lasted.
    pub count: usize,
    /// Together, in minutes, rounded to a tenth.
    pub total_minutes: f64,
    /// The longest, likewise.
    pub longest_minutes: f64,
    /// Its records.
    #[serde(skip)]
    pub records: Vec<String>,
}

/// The period before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Before {
    /// How many records.
    pub n_events: usize,
    /// How many of each group.
    pub by_group: BTreeMap<String, usize>,
    /// How often the descriptions of this period came then.
    #[serde(skip)]
    pub by_description: BTreeMap<(String, String), usize>,
}

impl Facts {
    /// Computes the facts.
    pub fn of(period: &Period) -> Self {
        let events = &period.events;
        let ids = |keep: &dyn Fn(&Event) -> bool| {
            let kept = events.iter().filter(|event| keep(event));
            kept.map(|event| event.id.clone()).collect::<Vec<_>>()
        };
        let timed = || {
            events
                .iter()
                .filter_map(|event| Some((event.seconds?, event)))
        };
        let first = timed().reduce(|a, b| if b.0 < a.0 { b } else { a });
        let last = timed().reduce(|a, b| if b.0 >= a.0 { b } else { a });
        let time = |found: Option<(f64, &Event)>| found.and_then(|(_, event)| event.time.clone());
        Self {
            n_events: events.len(),
            by_group: by_group(events),
            by_description: recurrences(events),
            corrective_work_orders: ids(&Event::is_corrective),
            first_event: time(first),
            last_event: time(last),
            high_priority: ids(&|event| event.priority == Priority::High),
            open: ids(&|event| event.status == Status::Open),
            carried_over: (period.carried.iter())
                .map(|event| event.id.clone())
                .collect(),
            durations: durations(events),
            readings: readings(events),
            previous: period.before.as_deref().map(|before| Before {
                n_events: before.len(),
                by_group: {
                    // A group that is new had none.
                    let none = by_group(events).into_keys().map(|group| (group, 0));
                    none.chain(by_group(before)).collect()
                },
                by_description: recurrences(before)
                    .into_iter()
                    .map(|found| ((found.group, found.description), found.count))
                    .collect(),
            }),
            oddities: period.oddities.clone(),
        }
    }

    /// How many facts of `gold` are among these, and how many there are: the number of
    /// records, each group's, each description's, each corrective order, first and last,
    /// and whatever else stands there under the names of these facts.
    pub fn recalled(facts: &Value, gold: &Value) -> (usize, usize) {
        let mut counted = (0, 0);
        for (name, expected) in gold.as_object().into_iter().flatten() {
            compare(
                facts.get(name).unwrap_or(&Value::Null),
                expected,
                &mut counted,
            );
        }
        counted
    }
}

/// Leaf by leaf; lists as sets.
fn compare(own: &Value, expected: &Value, counted: &mut (usize, usize)) {
    match expected {
        Value::Object(fields) => {
            for (name, expected) in fields {
                compare(own.get(name).unwrap_or(&Value::Null), expected, counted);
            }
        }
        Value::Array(items) => {
            let own = own.as_array().map_or(&[][..], Vec::as_slice);
            let has = |expected: &Value| own.iter().any(|own| holds(own, expected));
            counted.0 += items.iter().filter(|expected| has(expected)).count();
            counted.1 += items.len();
            // What is listed and must not be is a fact that is wrong.
            if own.len() > items.len() {
                counted.1 += own.len() - items.len();
            }
        }
        expected => {
            counted.0 += usize::from(same(own, expected));
            counted.1 += 1;
        }
    }
}

fn holds(own: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, expected)| own.get(name).is_some_and(|own| same(own, expected))),
        expected => same(own, expected),
    }
}

fn same(own: &Value, expected: &Value) -> bool {
    match (own.as_f64(), expected.as_f64()) {
        (Some(own), Some(expected)) => (own - expected).abs() < 1e-9,
        _ => own == expected,
    }
}

fn by_group(events: &[Event]) -> BTreeMap<String, usize> {
    let mut groups = BTreeMap::new();
    for event in events {
        *groups.entry(event.group.clone()).or_default() += 1;
    }
    groups
}

/// By group and description; readings are told of by their values instead.
fn recurrences(events: &[Event]) -> Vec<Recurrence> {
    let mut place: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut found: Vec<(Recurrence, Vec<(f64, String)>)> = Vec::new();
    for event in events {
        let key = (event.group.as_str(), event.description.as_str());
        let at = *place.entry(key).or_insert_with(|| {
            let new = Recurrence {
                group: event.group.clone(),
                description: event.description.clone(),
                count: 0,
                records: Vec::new(),
                times: None,
            };
            found.push((new, Vec::new()));
            found.len() - 1
        });
        let (recurrence, times) = &mut found[at];
        recurrence.count += 1;
        recurrence.records.push(event.id.clone());
        times.extend(event.seconds.zip(event.time.clone()));
    }
    let mut all: Vec<Recurrence> = found
        .into_iter()
        .map(|(mut recurrence, mut times)| {
            times.sort_by(|a, b| a.0.total_cmp(&b.0));
            let ends = times.first().zip(times.last());
            recurrence.times = ends.map(|(first, last)| (first.1.clone(), last.1.clone()));
            recurrence
        })
        .collect();
    // Stable: of equals the one that came first.
    all.sort_by_key(|recurrence| std::cmp::Reverse(recurrence.count));
    all
}

fn durations(events: &[Event]) -> Vec<Duration> {
    let tenth = |minutes: f64| (minutes * 10.0).round() / 10.0;
    let mut found: Vec<Duration> = recurrences(events)
        .into_iter()
        .filter_map(|recurrence| {
            let of_it = events.iter().filter(|event| {
                event.group == recurrence.group && event.description == recurrence.description
            });
            let lasted: Vec<(f64, &Event)> = of_it
                .filter_map(|event| Some((event.minutes?, event)))
                .collect();
            (!lasted.is_empty()).then(|| Duration {
                count: lasted.len(),
                total_minutes: tenth(lasted.iter().map(|(minutes, _)| minutes).sum()),
                longest_minutes: tenth(
                    lasted
                        .iter()
                        .map(|(minutes, _)| *minutes)
                        .fold(0.0, f64::max),
                ),
                records: lasted.iter().map(|(_, event)| event.id.clone()).collect(),
                group: recurrence.group,
                description: recurrence.description,
            })
        })
        .collect();
    found.sort_by(|a, b| b.total_minutes.total_cmp(&a.total_minutes));
    found
}
