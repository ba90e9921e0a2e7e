//! What an upstream is asked for a run that was not accepted here, and what its answer
//! becomes, by the kind of the task. An answer counts only where it can be checked against
//! what was sent: a label of the task, values that the text says, sentences that stand in
//! the passages, a text with no other numbers.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use andon_task::answer::Index;
use andon_task::digest::Digest;
use andon_task::engine::{GenerateRequest, Grammar, Prompt};
use andon_task::label::LabelSet;
use andon_task::prompt;
use andon_task::run::{Answerer, Evidence, Passage, Run};
use andon_task::schema::Schema;
use andon_task::task::{Kind, Task};
use serde_json::{Value, json};

use super::passage::Ready;
use crate::extract::written_out;
use crate::node::Node;

#[cfg(test)]
mod tests;

/// The most tokens of a label, and of what some models think before it.
const LABEL_TOKENS: usize = 256;
/// The most tokens of any other answer.
const MOST_TOKENS: usize = 2_048;
/// The most characters of a section that is sent.
const SECTION_CHARACTERS: usize = 4_000;
/// The most places that one answer quotes.
const MOST_QUOTATIONS: usize = 4;
/// How much longer than the text its plain words may be, and so many bytes more.
const LONGER: usize = 4;
const MORE_BYTES: usize = 200;

/// A question about one text.
pub(super) struct Question<'a> {
    /// As it would be asked, before it is redacted.
    pub(super) request: GenerateRequest,
    text: &'a str,
    before: Option<String>,
    about: About<'a>,
}

/// What the answer is held to.
enum About<'a> {
    Decide(&'a LabelSet),
    Extract(&'a Schema),
    Answer {
        index: Arc<Index>,
        sections: Vec<usize>,
    },
    Normalise,
}

/// What an upstream's answer says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// The answer, and what it rests on.
    Answer(Value, Vec<Evidence>),
    /// That what was sent does not hold the answer.
    Nothing,
}

impl Node {
    /// What an upstream is asked for a run over a text, which may come after an earlier
    /// question; `None` where there is nothing to ask: what a
    /// summary or a table says was computed, and without passages nothing can be quoted.
    pub(super) fn question<'a>(
        &self,
        task: &'a Task,
        (before, text): (Option<&str>, &'a str),
        run: &Run,
    ) -> Option<Question<'a>> {
        let (prompt, about, schema, tokens) = match &task.kind {
            Kind::Decide(labels) => (
                asking_for_json(prompt::decide(task, text)),
                About::Decide(labels),
                object("label", json!({"type": "string", "enum": labels.names()})),
                LABEL_TOKENS,
            ),
            Kind::Extract(schema) => (
                prompt::extract(task, schema, text),
                About::Extract(schema),
                schema.value().clone(),
                MOST_TOKENS,
            ),
            Kind::Answer if run.answered_by == Answerer::Passages => {
                let index = Arc::clone(&self.rankers.serving(&task.name)?.index);
                let sections = sections(&index, run);
                let offered: Vec<(String, String)> = sections
                    .iter()
                    .map(|&number| offer(&index, number))
                    .collect();
                if offered.is_empty() {
                    return None;
                }
                let quotation = json!({
                    "type": "object",
                    "properties": {
                        "passage": {"type": "integer", "minimum": 1, "maximum": offered.len()},
                        "text": {"type": "string"},
                    },
                    "required": ["passage", "text"],
                    "additionalProperties": false,
                });
                let list =
                    json!({"type": "array", "items": quotation, "maxItems": MOST_QUOTATIONS});
                (
                    prompt::answer(task, &offered, before, text),
                    About::Answer { index, sections },
                    object("quotations", list),
                    MOST_TOKENS,
                )
            }
            Kind::Normalise => (
                prompt::normalise(task, text),
                About::Normalise,
                object("text", json!({"type": "string"})),
                MOST_TOKENS,
            ),
            Kind::Answer | Kind::Summarise => return None,
        };
        let request = GenerateRequest {
            max_tokens: Some(tokens),
            grammar: Some(Grammar::Json(schema)),
            ..GenerateRequest::new(prompt)
        };
        Some(Question {
            request,
            text,
            before: before.map(str::to_owned),
            about,
        })
    }
}

impl Question<'_> {
    /// About how many bytes leave.
    pub(super) fn bytes(&self) -> usize {
        let texts: usize = match &self.request.prompt {
            Prompt::Text(text) => text.len(),
            Prompt::Chat(chat) => chat.messages.iter().map(|turn| turn.content.len()).sum(),
        };
        texts + schema_of(&self.request).to_string().len()
    }

    /// What people wrote of it.
    pub(super) fn words(&self) -> Vec<&str> {
        self.before
            .as_deref()
            .into_iter()
            .chain([self.text])
            .collect()
    }

    /// The most tokens of its answer.
    pub(super) fn tokens(&self) -> usize {
        self.request.max_tokens.unwrap_or(MOST_TOKENS)
    }

    /// What the answer is held to by the plant, whatever the text: where that is another,
    /// it is another question.
    pub(super) fn held_to(&self) -> Digest {
        match &self.about {
            About::Decide(labels) => labels.digest(),
            About::Extract(schema) => schema.digest(),
            About::Answer { .. } => Digest::of(b"quotations"),
            About::Normalise => Digest::of(b"plain words"),
        }
    }

    /// What an answer says; `None` where it does not hold.
    pub(super) fn read(&self, answer: &Value, ready: &Ready) -> Option<Said> {
        // Labels may leave in another form: they are known by their places.
        if let About::Decide(labels) = &self.about {
            let sent = schema_of(&ready.request);
            let sent = sent["properties"]["label"]["enum"].as_array()?;
            let place = sent.iter().position(|label| *label == answer["label"])?;
            let label = &labels.labels().get(place)?.label;
            return Some(Said::Answer(label.as_str().into(), Vec::new()));
        }
        let answer = ready.restorer.restore_value(answer);
        match &self.about {
            About::Decide(_) => None,
            About::Extract(schema) => self.read_object(schema, answer),
            About::Answer { index, sections } => quotations(index, sections, &answer),
            About::Normalise => self.read_plain(answer["text"].as_str()?),
        }
    }

    /// An object each value of which stands in the text, or among the schema's own choices.
    fn read_object(&self, schema: &Schema, answer: Value) -> Option<Said> {
        let mut choices = HashSet::new();
        choices_of(schema.value(), &mut choices);
        let fields = written_out(self.text, &answer);
        let holds = fields.iter().all(|field| {
            let value = &field.value;
            let is_choice = value.as_str().is_some_and(|value| choices.contains(value));
            value.is_null() || value.is_boolean() || field.verbatim || is_choice
        });
        let evidence = fields.into_iter().map(Evidence::Field).collect();
        (answer.is_object() && holds).then_some(Said::Answer(answer, evidence))
    }

    /// Plain words with the numbers of the text and no others.
    fn read_plain(&self, plain: &str) -> Option<Said> {
        let plain = plain.trim();
        let is_short = plain.len() <= LONGER * self.text.len() + MORE_BYTES;
        let holds = !plain.is_empty() && is_short && numbers(plain) == numbers(self.text);
        holds.then(|| Said::Answer(plain.into(), Vec::new()))
    }
}

/// The schema that a request's answer is held to.
pub(super) fn schema_of(request: &GenerateRequest) -> &Value {
    match &request.grammar {
        Some(Grammar::Json(schema)) => schema,
        _ => &Value::Null,
    }
}

fn object(name: &str, of: Value) -> Value {
    json!({
        "type": "object",
        "properties": {name: of},
        "required": [name],
        "additionalProperties": false,
    })
}

fn asking_for_json(mut prompt: Prompt) -> Prompt {
    if let Prompt::Chat(chat) = &mut prompt {
        chat.messages[0]
            .content
            .push_str("\n\nAnswer with a JSON object that has the label under \"label\".");
    }
    prompt
}

/// The sections that a run found, each once.
fn sections(index: &Index, run: &Run) -> Vec<usize> {
    let mut sections = Vec::new();
    for evidence in &run.evidence {
        let Evidence::Passage(passage) = evidence else {
            continue;
        };
        let number =
            (0..index.len()).find(|&number| index.section(number).1.id == passage.citation.section);
        sections.extend(number.filter(|number| !sections.contains(number)));
    }
    sections
}

/// A section as it leaves: its headings and its words.
fn offer(index: &Index, number: usize) -> (String, String) {
    let (document, section) = index.section(number);
    let heading = format!("{}: {}", document.title, section.headings.join(" > "));
    let mut end = 0;
    let mut characters = 0;
    for sentence in &section.sentences {
        characters += document.text[sentence.place.clone()].chars().count();
        if end > 0 && characters > SECTION_CHARACTERS {
            break;
        }
        end += 1;
    }
    (heading, document.quote(&section.sentences[..end]))
}

/// The quoted places, as the documents have them.
fn quotations(index: &Index, sections: &[usize], answer: &Value) -> Option<Said> {
    let given = answer["quotations"].as_array()?;
    if given.is_empty() {
        return Some(Said::Nothing);
    }
    let mut texts: Vec<String> = Vec::new();
    let mut evidence = Vec::new();
    for quotation in given {
        let place = usize::try_from(quotation["passage"].as_u64()?).ok()?;
        let (document, section) = index.section(*sections.get(place.checked_sub(1)?)?);
        let sentence = |at: usize| document.quote(&section.sentences[at..=at]);
        let sentences: Vec<String> = (0..section.sentences.len()).map(sentence).collect();
        let found = find(&sentences, quotation["text"].as_str()?)?;
        let text = document.quote(&section.sentences[found.clone()]);
        if texts.contains(&text) {
            continue;
        }
        evidence.push(Evidence::Passage(Passage {
            text: text.clone(),
            citation: document.cite(section, found),
        }));
        texts.push(text);
    }
    Some(Said::Answer(texts.join("\n").into(), evidence))
}

/// The fewest sentences, one after another, that hold a text, letter for letter but for
/// blanks.
fn find(sentences: &[String], text: &str) -> Option<Range<usize>> {
    let squeeze = |text: &str| -> String { text.split_whitespace().collect() };
    let wanted = squeeze(text);
    if wanted.is_empty() {
        return None;
    }
    let mut whole = String::new();
    let mut ends = Vec::new();
    for sentence in sentences {
        whole.push_str(&squeeze(sentence));
        ends.push(whole.len());
    }
    let start = whole.find(&wanted)?;
    let first = ends.iter().position(|&end| end > start)?;
    let last = ends.iter().position(|&end| end >= start + wanted.len())?;
    Some(first..last + 1)
}

/// Words that a schema itself allows as values.
fn choices_of<'a>(schema: &'a Value, choices: &mut HashSet<&'a str>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("enum", Value::Array(values)) => {
                        choices.extend(values.iter().filter_map(Value::as_str));
                    }
                    ("const", Value::String(value)) => drop(choices.insert(value)),
                    (_, value) => choices_of(value, choices),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| choices_of(item, choices)),
        _ => {}
    }
}

/// The runs of digits of a text.
fn numbers(text: &str) -> BTreeSet<&str> {
    let digits = text.split(|c: char| !c.is_ascii_digit());
    digits.filter(|digits| !digits.is_empty()).collect()
}
