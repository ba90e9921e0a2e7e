//! Two readers of one text: what a reader is not sure of is asked of a language model as well,
//! and both are fused into one value and one probability for each field.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::assemble::{self, Filled, Item};
use super::fields::Fields;
use super::gold::{Gold, is_empty};
use super::reader::{Pointed, Reading};
use super::trust::{logistic, of_record};
use super::written::Written;
use crate::digest::Digest;

mod habit;
mod view;

pub use habit::Habit;
pub use view::{Features, View, view};

/// Who gives the second opinion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// The language model.
    pub model: Digest,
    /// What it is asked, without the text.
    pub prompt: Digest,
    /// The adapter that it is asked with.
    pub adapter: Option<Digest>,
}

/// A text with its object, as the language model is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The text.
    pub input: String,
    /// The object, as JSON without blanks.
    pub expected: String,
}

/// What makes a value right, for each case: an offset, then what each of the [`Features`] is
/// multiplied by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// Of a value on which both agree.
    pub agreed: Vec<f64>,
    /// Of the reader's value, where the language model wrote another.
    pub read: Vec<f64>,
    /// Of the language model's value, where the reader has another.
    pub written: Vec<f64>,
    /// Of a record: the two numbers of [`of_record`], and how many fields differ.
    pub record: Vec<f64>,
}

/// When a language model is asked beside a reader, and what its answer then counts for. Learnt
/// from texts that were held out from the reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fusion {
    /// Who was asked.
    pub opinion: Opinion,
    /// The examples that it is shown.
    pub shown: Vec<Shown>,
    /// It is asked where the record's probability is below this.
    pub ask_below: f64,
    /// Fields of which the reader is as sure as this are not asked, but given.
    pub given_from: f64,
    /// The most tokens that it may write.
    pub most_tokens: usize,
    /// How long it took on average, in milliseconds.
    pub mean_ms: f64,
    /// For each field what its values look like.
    pub habits: Vec<Habit>,
    /// What its answers count for.
    pub balance: Balance,
}

impl Fusion {
    /// Whether it is for a schema of so many fields, and holds nothing but numbers.
    pub(super) fn is_sound(&self, fields: usize) -> bool {
        let balance = &self.balance;
        let weights = [
            &balance.agreed,
            &balance.read,
            &balance.written,
            &balance.record,
        ];
        let numbers = [self.ask_below, self.given_from, self.mean_ms];
        let mut all = weights.into_iter().flatten().chain(&numbers);
        self.habits.len() == fields && all.all(|number| number.is_finite())
    }

    /// Whether a second opinion is asked for after a reading. A text that is of another kind
    /// than the examples is for a person.
    pub fn asks(&self, reading: &Reading) -> bool {
        let is_known = reading.confidence > 0.0 && !is_empty(&reading.value);
        is_known && reading.confidence < self.ask_below
    }

    /// For each field whether it is asked: those of which the reader is not sure, with what
    /// lies in the same property of the object; the least sure one in any case.
    pub fn open(&self, fields: &Fields, reading: &Reading) -> Vec<bool> {
        let sure: Vec<f64> = (0..fields.all().len())
            .map(|field| view::confidence(fields, reading, field))
            .collect();
        let least = sure.iter().copied().fold(f64::INFINITY, f64::min);
        let asked: Vec<&str> = (fields.all().iter().zip(&sure))
            .filter(|(_, sure)| **sure < self.given_from || **sure <= least)
            .map(|(field, _)| property(&field.path))
            .collect();
        let all = fields.all().iter();
        all.map(|field| asked.contains(&property(&field.path)))
            .collect()
    }

    /// The schema that the language model's answer is held to: the values of fields that are
    /// not asked are given.
    pub fn question(schema: &Value, fields: &Fields, reading: &Reading, open: &[bool]) -> Value {
        let mut schema = schema.clone();
        if let Some(properties) = schema["properties"].as_object_mut() {
            let is_open = |name: &str| {
                let all = fields.all().iter().zip(open);
                all.filter(|(_, open)| **open)
                    .any(|(field, _)| property(&field.path) == name)
            };
            properties.retain(|name, asked| {
                if is_open(name) {
                    return true;
                }
                let given = reading.value.get(name);
                if let Some(value) = given {
                    *asked = json!({"const": value});
                }
                given.is_some()
            });
        }
        schema
    }

    /// What both say of a text together. `None` where the second opinion cannot be compared
    /// with the reading.
    pub fn fuse(
        &self,
        fields: &Fields,
        text: &str,
        reading: &Reading,
        written: &Written,
    ) -> Option<Fused> {
        let open = self.open(fields, reading);
        let views = view(fields, text, (reading, written), &open, &self.habits)?;
        let mut verdicts: Vec<Option<Verdict>> = vec![None; fields.all().len()];
        for view in &views {
            verdicts[view.field] = Some(self.verdict(view));
        }
        let second = Gold::of(fields, &written.value).ok()?;
        let takes_list: Vec<bool> = (0..fields.lists.len())
            .map(|list| {
                let own = fields.all().iter().zip(&verdicts);
                let own = own.filter(|(field, _)| field.list == Some(list));
                let gain = own.filter_map(|(_, verdict)| verdict.as_ref()?.gain());
                gain.sum::<f64>() > 0.0
            })
            .collect();
        let mut filled = Filled::new(fields);
        let mut sure = Vec::new();
        let mut taken = vec![false; fields.all().len()];
        for (number, field) in fields.all().iter().enumerate() {
            let Some(verdict) = &verdicts[number] else {
                let own = reading.fields.iter().filter(|one| one.field == number);
                sure.extend(own.map(|pointed| pointed.confidence));
                continue;
            };
            taken[number] = match field.list {
                Some(list) => takes_list[list],
                None => verdict.gain().is_some_and(|gain| gain > 0.0),
            };
            sure.push(verdict.confidence(taken[number]));
        }
        for (number, field) in fields.all().iter().enumerate() {
            if field.list.is_some() {
                continue;
            }
            let read = reading.fields.iter().find(|one| one.field == number);
            filled.values[number] = match (&verdicts[number], taken[number]) {
                (None, _) => read.cloned(),
                (Some(verdict), true) => {
                    let value = second.values[number].clone();
                    Some(verdict.pointed(fields, number, place(text, value)))
                }
                (Some(verdict), false) => read.map(|read| Pointed {
                    confidence: verdict.confidence(false),
                    agreed: Some(verdict.written.is_none()),
                    ..read.clone()
                }),
            };
        }
        for (list, takes) in takes_list.iter().enumerate() {
            filled.items[list] = match takes {
                true => self.items_written(fields, text, &second.items[list], &verdicts),
                false => self.items_read(fields, list, (reading, &second), &verdicts),
            };
        }
        // Whether a list is whole was asked, where it was.
        let lists = fields.all().iter().zip(&verdicts);
        let is_settled = lists
            .filter(|(field, _)| field.list.is_some())
            .all(|(_, verdict)| verdict.is_some());
        let doubt = if is_settled { 0.0 } else { reading.doubt };
        let (value, pointed) = assemble::object(fields, filled).ok()?;
        let differing = views.iter().filter(|view| view.written.is_some()).count();
        let seen = of_fused(&sure, doubt, differing);
        let reading = Reading {
            confidence: weigh(&self.balance.record, &seen).unwrap_or(logistic(seen[0])),
            value,
            fields: pointed,
            doubt,
        };
        Some(Fused { reading, seen })
    }

    fn verdict(&self, view: &View) -> Verdict {
        let of = |weights: &[f64], features: &Features| weigh(weights, features).unwrap_or(0.5);
        match &view.written {
            None => Verdict {
                read: of(&self.balance.agreed, &view.read),
                written: None,
            },
            Some(written) => {
                let read = of(&self.balance.read, &view.read);
                let written = of(&self.balance.written, written);
                // One of them is right at most.
                let sum = (read + written).max(1.0);
                Verdict {
                    read: read / sum,
                    written: Some(written / sum),
                }
            }
        }
    }

    /// The items of a list as the language model has them.
    fn items_written(
        &self,
        fields: &Fields,
        text: &str,
        items: &[Vec<(usize, Value)>],
        verdicts: &[Option<Verdict>],
    ) -> Vec<Item> {
        let pointed = |(field, value): &(usize, Value)| {
            let verdict = verdicts[*field].as_ref()?;
            Some(verdict.pointed(fields, *field, place(text, Some(value.clone()))))
        };
        let item = |item: &Vec<(usize, Value)>| item.iter().filter_map(pointed).collect();
        items.iter().map(item).collect()
    }

    /// The items of a list as the reader has them. A value that the language model has as well
    /// is surer than its field.
    fn items_read(
        &self,
        fields: &Fields,
        list: usize,
        (reading, second): (&Reading, &Gold),
        verdicts: &[Option<Verdict>],
    ) -> Vec<Item> {
        let mut items: Vec<(&str, Item)> = Vec::new();
        let own = |one: &&Pointed| fields.all()[one.field].list == Some(list);
        for read in reading.fields.iter().filter(own) {
            let pointed = match &verdicts[read.field] {
                None => read.clone(),
                Some(verdict) => {
                    let also = second.items[list].iter().flatten().any(|(field, value)| {
                        *field == read.field && super::same(Some(value), read.value.as_ref())
                    });
                    let agrees = verdict.written.is_none() || also;
                    let confidence = match agrees {
                        true => verdict.confidence(false).max(read.confidence),
                        false => verdict.confidence(false).min(read.confidence),
                    };
                    Pointed {
                        confidence,
                        agreed: Some(agrees),
                        ..read.clone()
                    }
                }
            };
            let end = read.path.rfind(']').map_or(0, |at| at + 1);
            let key = &read.path[..end];
            match items.last_mut().filter(|(last, _)| *last == key) {
                Some((_, item)) => item.push(pointed),
                None => items.push((key, vec![pointed])),
            }
        }
        items.into_iter().map(|(_, item)| item).collect()
    }
}

/// What two say of a text together.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// The object with its probabilities.
    pub reading: Reading,
    /// What the record's probability was made of: the two numbers of [`of_record`], and how
    /// many fields differ.
    pub seen: [f64; 3],
}

/// How probable the values of a field are.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    /// That of the reader.
    read: f64,
    /// That of the language model; `None` where it is the same.
    written: Option<f64>,
}

impl Verdict {
    /// How much more probable the written value is; `None` where it is the same.
    fn gain(&self) -> Option<f64> {
        self.written
            .map(|written| (written.max(1e-9) / self.read.max(1e-9)).ln())
    }

    fn confidence(&self, takes_written: bool) -> f64 {
        match (takes_written, self.written) {
            (true, Some(written)) => written,
            _ => self.read,
        }
    }

    fn pointed(&self, fields: &Fields, field: usize, (value, span): Placed) -> Pointed {
        Pointed {
            path: fields.all()[field].path.clone(),
            field,
            value,
            span,
            verbatim: span.is_some(),
            confidence: self.confidence(true),
            agreed: Some(self.written.is_none()),
        }
    }
}

/// A value with its place in the text.
type Placed = (Option<Value>, Option<(usize, usize)>);

fn place(text: &str, value: Option<Value>) -> Placed {
    let span = value.as_ref().and_then(|value| super::locate(text, value));
    (value, span)
}

fn of_fused(confidences: &[f64], doubt: f64, differing: usize) -> [f64; 3] {
    let [all, least] = of_record(confidences.iter().copied(), doubt);
    [all, least, differing as f64]
}

/// The probability that weights give; `None` where there are none.
fn weigh(weights: &[f64], features: &[f64]) -> Option<f64> {
    let (offset, slopes) = weights.split_first()?;
    let sum: f64 = slopes.iter().zip(features).map(|(w, x)| w * x).sum();
    Some(logistic(offset + sum))
}

/// The property of the object that a path begins with.
fn property(path: &str) -> &str {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    &path[..end]
}

#[cfg(test)]
mod tests;
