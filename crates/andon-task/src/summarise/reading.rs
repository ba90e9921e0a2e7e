//! Measured values of one name over a period.

use serde::Serialize;

use super::event::Event;

/// A gap is told of from this many times the usual step on, and from an hour on.
const GAP: f64 = 10.0;
const HOUR: f64 = 3600.0;

/// Measured values of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// What was measured.
    pub name: String,
    /// Its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How many values.
    pub count: usize,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The last.
    pub last: f64,
    /// The lower limit, the strictest that the records give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper limit, the strictest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The records whose value is below or above their own limits.
    pub outside: Vec<String>,
    /// All its records.
    #[serde(skip)]
    pub records: Vec<String>,
    /// Where the clock goes back or stands open, in words, with the records.
    #[serde(skip)]
    pub jumps: Vec<(String, Vec<String>)>,
}

/// The readings of these records by name, in the order in which they come first.
pub(super) fn readings(events: &[Event]) -> Vec<Reading> {
    let mut names: Vec<(&str, Option<&str>)> = Vec::new();
    for event in events {
        if let Some(measured) = &event.measured {
            let key = (measured.name.as_str(), event.asset.as_deref());
            if !names.contains(&key) {
                names.push(key);
            }
        }
    }
    let several_assets = |name: &str| names.iter().filter(|(own, _)| *own == name).count() > 1;
    names
        .iter()
        .filter_map(|&(name, asset)| {
            let shown = match asset {
                Some(asset) if several_assets(name) => format!("{name} of {asset}"),
                _ => name.to_owned(),
            };
            reading(events, (name, asset), shown)
        })
        .collect()
}

fn reading(events: &[Event], key: (&str, Option<&str>), name: String) -> Option<Reading> {
    let of_name: Vec<&Event> = events
        .iter()
        .filter(|event| {
            let measured = event.measured.as_ref();
            measured.is_some_and(|m| (m.name.as_str(), event.asset.as_deref()) == key)
        })
        .collect();
    let values: Vec<_> = of_name.iter().filter_map(|e| e.measured.as_ref()).collect();
    let first = values.first()?;
    let fold = |pick: fn(f64, f64) -> f64| values.iter().map(|m| m.value).reduce(pick);
    // The last by time, where all have one; otherwise the last that was given.
    let last = of_name
        .iter()
        .zip(&values)
        .filter_map(|(event, measured)| Some((event.seconds?, measured.value)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, value)| value);
    let outside = of_name.iter().zip(&values).filter(|(_, measured)| {
        measured.low.is_some_and(|low| measured.value < low)
            || measured.high.is_some_and(|high| measured.value > high)
    });
    Some(Reading {
        unit: first.unit.clone(),
        count: values.len(),
        min: fold(f64::min)?,
        max: fold(f64::max)?,
        last: last.unwrap_or(values.last()?.value),
        low: values.iter().filter_map(|m| m.low).reduce(f64::max),
        high: values.iter().filter_map(|m| m.high).reduce(f64::min),
        outside: outside.map(|(event, _)| event.id.clone()).collect(),
        records: of_name.iter().map(|event| event.id.clone()).collect(),
        jumps: jumps(&name, &of_name),
        name,
    })
}

/// Where the times of values that were given one after the other go back, or leave a gap.
fn jumps(name: &str, events: &[&Event]) -> Vec<(String, Vec<String>)> {
    let steps: Vec<(f64, &Event, &Event)> = events
        .windows(2)
        .filter_map(|pair| Some((pair[1].seconds? - pair[0].seconds?, pair[0], pair[1])))
        .collect();
    let mut ahead: Vec<f64> = steps
        .iter()
        .map(|(step, ..)| *step)
        .filter(|s| *s > 0.0)
        .collect();
    ahead.sort_by(f64::total_cmp);
    let usual = ahead.get(ahead.len() / 2).copied();
    steps
        .iter()
        .filter_map(|(step, from, to)| {
            let (from_time, to_time) = (from.time.as_deref()?, to.time.as_deref()?);
            let what = if *step < 0.0 {
                format!("The clock of {name} goes back from {from_time} to {to_time}.")
            } else if *step >= HOUR && usual.is_some_and(|usual| *step > GAP * usual) {
                format!("There is no {name} between {from_time} and {to_time}.")
            } else {
                return None;
            };
            Some((what, vec![from.id.clone(), to.id.clone()]))
        })
        .collect()
}
