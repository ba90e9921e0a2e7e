//! Findings: what is to be told of a period, in plain sentences.

use serde::Serialize;

use super::event::{Event, Priority};
use super::facts::{Facts, Recurrence};
use super::period::Period;
use super::reading::Reading;

/// From how often on a description is worth watching.
const RECURS: usize = 3;
/// Notes are quoted up to this many; the facts have all.
const NOTES: usize = 20;
/// What came once is listed up to this many.
const SINGLE: usize = 12;
/// Findings of descriptions that came more than once, at most.
const RECURRING: usize = 15;

/// Where a finding stands in a handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// What happened.
    WhatHappened,
    /// What is open.
    WhatIsOpen,
    /// What to watch.
    WhatToWatch,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Where it stands.
    #[serde(skip)]
    pub section: Section,
    /// The plain sentence.
    pub text: String,
    /// The records that it rests on.
    pub records: Vec<String>,
    /// Whose words these are.
    pub by: Wrote,
    /// What a language model may put into its own words; nothing where the sentence
    /// quotes or must not be left out.
    #[serde(skip)]
    pub wording: Option<Wording>,
}

/// Whose words a sentence is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrote {
    /// The plain fact.
    Plain,
    /// A language model's, checked against the fact.
    Model,
}

/// A count that a language model may put into words.
#[derive(Clone, Debug, PartialEq)]
pub struct Wording {
    /// What must be said word for word.
    pub required: Vec<String>,
}

/// What is to be told of a period, in the order of a handover.
pub fn findings(period: &Period, facts: &Facts) -> Vec<Finding> {
    let mut told = Teller {
        period,
        facts,
        findings: Vec::new(),
    };
    told.happened();
    told.open();
    told.watch();
    told.findings
}

struct Teller<'a> {
    period: &'a Period,
    facts: &'a Facts,
    findings: Vec<Finding>,
}

impl Teller<'_> {
    fn tell(&mut self, section: Section, text: String, records: Vec<String>) {
        self.findings.push(Finding {
            section,
            text,
            records,
            by: Wrote::Plain,
            wording: None,
        });
    }

    fn happened(&mut self) {
        let facts = self.facts;
        let of = self.period.subject();
        let of = of.map_or_else(String::new, |subject| format!("{subject}: "));
        if facts.n_events == 0 {
            let text = format!("{of}nothing was recorded in this period.");
            return self.tell(Section::WhatHappened, text, Vec::new());
        }
        let groups: Vec<String> = facts
            .by_group
            .iter()
            .map(|(group, count)| format!("{count} {group}"))
            .collect();
        let span = match (&facts.first_event, &facts.last_event) {
            (Some(first), Some(last)) if first != last => format!(" from {first} to {last}"),
            (Some(first), _) => format!(" at {first}"),
            _ => String::new(),
        };
        let records = plural(facts.n_events, "record");
        let text = format!("{of}{records}{span}: {}.", groups.join(", "));
        let all = self.period.events.iter().map(|event| event.id.clone());
        self.tell(Section::WhatHappened, text, all.collect());

        for event in &self.period.events {
            if event.priority == Priority::High {
                let text = format!("High priority: {}.", said(event));
                self.tell(Section::WhatHappened, text, vec![event.id.clone()]);
            }
        }
        for event in self
            .period
            .events
            .iter()
            .filter(|event| event.is_corrective())
        {
            let text = format!("Corrective work order {}: {}.", event.id, said_of(event));
            self.tell(Section::WhatHappened, text, vec![event.id.clone()]);
        }
        self.recurring();
        for reading in &facts.readings {
            self.reading(reading);
        }
        for lasted in &facts.durations {
            let times = match lasted.count {
                1 => format!("{} min", number(lasted.total_minutes)),
                count => format!(
                    "{} min in all, {count} times, the longest {} min",
                    number(lasted.total_minutes),
                    number(lasted.longest_minutes)
                ),
            };
            let text = format!("{} '{}' lasted {times}.", lasted.group, lasted.description);
            self.tell(Section::WhatHappened, text, lasted.records.clone());
        }
        self.notes();
    }

    /// Whether a recurrence is told of elsewhere: readings by their values, notes word for
    /// word.
    fn is_counted(&self, recurrence: &Recurrence) -> bool {
        let id = recurrence.records.first();
        let event = self
            .period
            .events
            .iter()
            .find(|event| Some(&event.id) == id);
        event.is_some_and(|event| event.measured.is_none() && !event.is_note())
    }

    fn recurring(&mut self) {
        let (mut single, mut rest) = (Vec::new(), 0);
        for recurrence in &self.facts.by_description {
            if !self.is_counted(recurrence) {
                continue;
            }
            if recurrence.count == 1 {
                single.push(recurrence);
                continue;
            }
            rest += 1;
            if rest > RECURRING {
                continue;
            }
            let Recurrence {
                group,
                description,
                count,
                records,
                times,
            } = recurrence;
            let span = match times {
                Some((first, last)) if first != last => format!(", from {first} to {last}"),
                Some((first, _)) => format!(", at {first}"),
                None => String::new(),
            };
            let mut required = vec![count.to_string()];
            required.extend(
                times
                    .iter()
                    .flat_map(|(first, last)| [first.clone(), last.clone()]),
            );
            required.push(description.clone());
            required.dedup();
            self.findings.push(Finding {
                section: Section::WhatHappened,
                text: format!("{group} '{description}' came {count} times{span}."),
                records: records.clone(),
                by: Wrote::Plain,
                wording: Some(Wording { required }),
            });
        }
        let mut groups: Vec<&str> = single.iter().map(|found| found.group.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let of_group: Vec<_> = single.iter().filter(|found| found.group == group).collect();
            for some in of_group.chunks(SINGLE) {
                let listed: Vec<String> = some
                    .iter()
                    .map(|found| match &found.times {
                        Some((at, _)) => format!("'{}' at {at}", found.description),
                        None => format!("'{}'", found.description),
                    })
                    .collect();
                let records = some.iter().flat_map(|found| found.records.clone());
                let text = format!("{group}, once each: {}.", listed.join("; "));
                self.tell(Section::WhatHappened, text, records.collect());
            }
        }
    }

    fn reading(&mut self, reading: &Reading) {
        let unit = reading
            .unit
            .as_ref()
            .map_or_else(String::new, |unit| format!(" {unit}"));
        let values = plural(reading.count, "value");
        let text = match reading.count {
            1 => format!("{}: {}{unit}.", reading.name, number(reading.last)),
            _ => format!(
                "{}: {values} from {} to {}{unit}, the last {}{unit}.",
                reading.name,
                number(reading.min),
                number(reading.max),
                number(reading.last)
            ),
        };
        self.tell(Section::WhatHappened, text, reading.records.clone());
    }

    fn notes(&mut self) {
        let notes: Vec<&Event> = self
            .period
            .events
            .iter()
            .filter(|event| event.is_note())
            .collect();
        for note in notes.iter().take(NOTES) {
            if note.priority == Priority::High {
                continue;
            }
            let at = note
                .time
                .as_ref()
                .map_or_else(String::new, |time| format!(" at {time}"));
            let on = note
                .asset
                .as_ref()
                .map_or_else(String::new, |asset| format!(" on {asset}"));
            let text = format!(
                "{} {}{at}{on}: \"{}\"",
                note.group, note.id, note.description
            );
            self.tell(Section::WhatHappened, text, vec![note.id.clone()]);
        }
        if notes.len() > NOTES {
            let rest = &notes[NOTES..];
            let text = format!("{} more are not quoted here.", plural(rest.len(), "note"));
            let ids = rest.iter().map(|note| note.id.clone()).collect();
            self.tell(Section::WhatHappened, text, ids);
        }
    }

    fn open(&mut self) {
        for event in &self.period.carried {
            let urgent = match event.priority {
                Priority::High => ", high priority",
                Priority::Ordinary => "",
            };
            let text = format!("Open from before{urgent}: {}.", said(event));
            self.tell(Section::WhatIsOpen, text, vec![event.id.clone()]);
        }
        for id in &self.facts.open {
            let event = self.period.events.iter().find(|event| event.id == *id);
            if let Some(event) = event {
                let text = format!("Open: {}.", said(event));
                self.tell(Section::WhatIsOpen, text, vec![id.clone()]);
            }
        }
        if self.facts.open.is_empty() && self.period.carried.is_empty() {
            let known = self
                .period
                .events
                .iter()
                .any(|e| e.status == super::event::Status::Closed);
            let text = match known {
                true => "No record says that it is open.",
                false => "The records do not say what is open.",
            };
            self.tell(Section::WhatIsOpen, text.to_owned(), Vec::new());
        }
    }

    fn watch(&mut self) {
        let facts = self.facts;
        for reading in &facts.readings {
            if let Some(limits) = limits(reading) {
                let count = reading.outside.len();
                let verb = if count == 1 { "is" } else { "are" };
                let values = plural(count, "value");
                let text = format!(
                    "{}: {values} {verb} outside the limits ({limits}).",
                    reading.name
                );
                self.tell(Section::WhatToWatch, text, reading.outside.clone());
            }
            for (text, records) in &reading.jumps {
                self.tell(Section::WhatToWatch, text.clone(), records.clone());
            }
        }
        if let Some(before) = &facts.previous {
            for (group, &count) in &facts.by_group {
                let then = before.by_group.get(group).copied().unwrap_or(0);
                if count > then {
                    let of_group = self
                        .period
                        .events
                        .iter()
                        .filter(|event| event.group == *group);
                    let ids = of_group.map(|event| event.id.clone()).collect();
                    let text = format!("{group}: {count}, in the period before {then}.");
                    self.tell(Section::WhatToWatch, text, ids);
                }
            }
        }
        for recurrence in &facts.by_description {
            if recurrence.count < RECURS || !self.is_counted(recurrence) {
                continue;
            }
            let before = facts.previous.as_ref().map(|before| {
                let key = (recurrence.group.clone(), recurrence.description.clone());
                before.by_description.get(&key).copied().unwrap_or(0)
            });
            let before =
                before.map_or_else(String::new, |then| format!(", in the period before {then}"));
            let text = format!(
                "'{}' keeps coming back: {} times{before}.",
                recurrence.description, recurrence.count
            );
            self.tell(Section::WhatToWatch, text, recurrence.records.clone());
        }
        for oddity in &facts.oddities {
            let id = oddity.split(' ').next().unwrap_or_default().to_owned();
            self.tell(Section::WhatToWatch, format!("{oddity}."), vec![id]);
        }
    }
}

fn limits(reading: &Reading) -> Option<String> {
    if reading.outside.is_empty() {
        return None;
    }
    let unit = reading
        .unit
        .as_ref()
        .map_or_else(String::new, |unit| format!(" {unit}"));
    match (reading.low, reading.high) {
        (Some(low), Some(high)) => Some(format!("{} to {}{unit}", number(low), number(high))),
        (Some(low), None) => Some(format!("at least {}{unit}", number(low))),
        (None, Some(high)) => Some(format!("at most {}{unit}", number(high))),
        (None, None) => None,
    }
}

/// What a record says, with its group, identifier and time.
fn said(event: &Event) -> String {
    format!("{} {}, {}", event.group, event.id, said_of(event))
}

fn said_of(event: &Event) -> String {
    let on = event
        .asset
        .as_ref()
        .map_or_else(String::new, |asset| format!(" on {asset}"));
    match &event.time {
        Some(time) => format!("'{}'{on} at {time}", event.description),
        None => format!("'{}'{on}", event.description),
    }
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// A number without needless digits.
fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}
