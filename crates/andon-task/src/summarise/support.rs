//! Whether what a sentence says is supported: every number, identifier and time in it
//! stands in the records that it rests on, or was computed from them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::event::Event;

/// Numbers in words, which a sentence may use instead of digits.
const WORDS: [(&str, &str); 22] = [
    ("zero", "0"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("thirteen", "13"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("hundred", "100"),
    ("twice", "2"),
    ("thrice", "3"),
];

/// The numbers, identifiers and times of a text.
pub fn values(text: &str) -> BTreeSet<String> {
    let belongs = |c: char| c.is_alphanumeric() || "-_:./,#+".contains(c);
    let trimmed = |token: &str| {
        token
            .trim_matches(|c: char| "-_:./,+".contains(c))
            .trim_end_matches(',')
            .to_lowercase()
    };
    text.split(|c: char| !belongs(c))
        .map(trimmed)
        .filter_map(|token| {
            let word = WORDS.iter().find(|(word, _)| *word == token);
            match word {
                Some((_, digits)) => Some((*digits).to_owned()),
                None => token.chars().any(|c| c.is_ascii_digit()).then_some(token),
            }
        })
        .collect()
}

/// The values of `sentence` that neither its records nor the facts hold.
pub fn unsupported(sentence: &str, records: &[&Event], facts: &Value) -> Vec<String> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for event in records {
        known.extend(values(&event.all));
        known.extend(values(&event.id));
    }
    collect(facts, &mut known);
    let unknown = values(sentence)
        .into_iter()
        .filter(|value| !known.contains(value));
    unknown.collect()
}

/// The numbers and texts of the facts.
fn collect(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.extend(values(name));
                collect(value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Number(number) => {
            into.insert(number.to_string());
            // 61.0 is written 61 in a sentence.
            into.extend(number.as_f64().map(|number| format!("{number}")));
        }
        Value::String(text) => into.extend(values(text)),
        Value::Null | Value::Bool(_) => {}
    }
}
