//! Findings in a language model's own words, believed only where nothing is added.

use super::finding::Finding;
use super::support::values;
use crate::engine::{Message, Prompt, Role};

/// Words that say nothing of what happened.
const PLAIN: [&str; 76] = [
    "a",
    "an",
    "the",
    "of",
    "in",
    "on",
    "at",
    "to",
    "from",
    "and",
    "or",
    "with",
    "for",
    "by",
    "as",
    "it",
    "its",
    "this",
    "that",
    "these",
    "there",
    "was",
    "were",
    "is",
    "are",
    "has",
    "have",
    "had",
    "been",
    "be",
    "came",
    "come",
    "comes",
    "coming",
    "occurred",
    "occurs",
    "occur",
    "happened",
    "recorded",
    "raised",
    "reported",
    "registered",
    "triggered",
    "appeared",
    "seen",
    "time",
    "times",
    "record",
    "records",
    "event",
    "events",
    "period",
    "shift",
    "during",
    "between",
    "until",
    "over",
    "first",
    "last",
    "starting",
    "ending",
    "beginning",
    "through",
    "total",
    "all",
    "each",
    "every",
    "once",
    "again",
    "repeated",
    "repeatedly",
    "which",
    "while",
    "both",
    "also",
    "when",
];

/// The most tokens of a sentence.
pub const MOST_TOKENS: usize = 64;

/// What a language model is asked for a fact.
pub fn prompt(fact: &str) -> Prompt {
    let system = "You write shift handovers. Rewrite the fact as one short, plain sentence. Keep every number, time and name exactly. Add nothing.";
    let shown = [
        (
            "ALARM 'Filler - Low Level' came 4 times, from 2024-03-02 06:10:00 to 2024-03-02 11:45:00.",
            "The ALARM 'Filler - Low Level' was raised 4 times between 2024-03-02 06:10:00 and 2024-03-02 11:45:00.",
        ),
        (
            "STOP 'jam at infeed' came 2 times, at 2024-05-11 09:30:00.",
            "The STOP 'jam at infeed' occurred 2 times at 2024-05-11 09:30:00.",
        ),
    ];
    let mut messages = vec![Message::new(Role::System, system)];
    for (fact, sentence) in shown {
        messages.push(Message::new(Role::User, fact));
        messages.push(Message::new(Role::Assistant, sentence));
    }
    messages.push(Message::new(Role::User, fact));
    Prompt::chat(messages)
}

/// The model's sentence, where it says what the finding says and nothing else: all that is
/// required stands in it word for word, and every value and every word of substance stands
/// in the finding.
pub fn accept(finding: &Finding, said: &str) -> Option<String> {
    let wording = finding.wording.as_ref()?;
    let said = said.trim();
    if said.is_empty() || said.contains('\n') || !said.ends_with('.') {
        return None;
    }
    let lower = said.to_lowercase();
    let has_all = wording.required.iter().all(|required| {
        let required = required.to_lowercase();
        match required.chars().all(|c| c.is_ascii_digit()) {
            true => values(said).contains(&required),
            false => lower.contains(&required),
        }
    });
    let own = values(&finding.text);
    let adds_no_value = values(said).iter().all(|value| own.contains(value));
    let known: Vec<String> = words(&finding.text).collect();
    let adds_no_word =
        words(said).all(|word| PLAIN.contains(&word.as_str()) || known.contains(&word));
    (has_all && adds_no_value && adds_no_word).then(|| said.to_owned())
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
