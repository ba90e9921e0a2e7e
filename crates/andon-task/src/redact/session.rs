//! One request's redaction: what is found, what stands for it, and what that means.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde_json::{Map, Value};

use super::RedactError;
use super::encoded;
use super::gazetteer::{Finder, Gazetteer, Letters};
use super::pattern::Patterns;
use super::placeholder::{DIGITS, Reading, SiteKey, read};
use super::restore::{Original, Restorer};
use super::view::{BARRIER, View};
use crate::glossary::Glossary;
use crate::normalise::Normaliser;

/// The longest text that is looked through at once.
const LONGEST: usize = 1 << 20;
/// Encodings within encodings are read so deep.
const DEEPEST: usize = 3;
/// Escapes within escapes are read so often.
const LAYERS: usize = 3;
/// A text is looked through again so often.
const ROUNDS: usize = 6;
/// The fewest letters and digits of a value that is looked for everywhere once it
/// was found somewhere.
const SHORTEST_LEARNT: usize = 4;

/// How many placeholders of each kind stand in what leaves.
pub type Counts = BTreeMap<String, usize>;

/// What a site looks for, and the key of its placeholders.
pub struct Redactor {
    key: SiteKey,
    names: Finder,
    patterns: Patterns,
}

/// Something found: the bytes of the text, what it is and how it is known.
struct Finding {
    range: Range<usize>,
    tag: String,
    value: String,
}

impl Redactor {
    /// A redactor for the names of a plant.
    ///
    /// # Errors
    /// If the patterns cannot be used, which is a fault of the program.
    pub fn new(key: SiteKey, gazetteer: &Gazetteer) -> Result<Self, RedactError> {
        Ok(Self {
            key,
            names: Finder::new(gazetteer.names())?,
            patterns: Patterns::new()?,
        })
    }

    /// Redaction of one request.
    pub fn session(&self) -> Session<'_> {
        Session {
            redactor: self,
            learnt: None,
            values: BTreeMap::new(),
            codes: HashMap::new(),
            surfaces: HashMap::new(),
            restorer: Restorer::default(),
            counts: Counts::new(),
        }
    }

    /// All that is found in a text, without what overlaps.
    fn find(&self, plain: &View, learnt: Option<&Finder>) -> Vec<Finding> {
        let mut found = Vec::new();
        self.find_in(plain.folded(), learnt, 0, &mut found);
        merge(found)
    }

    fn find_in(
        &self,
        first: View,
        learnt: Option<&Finder>,
        depth: usize,
        found: &mut Vec<Finding>,
    ) {
        let mut view = first;
        for layer in 0..=LAYERS {
            self.find_once(&view, learnt, depth, found);
            if layer == LAYERS {
                break;
            }
            match view.unescaped() {
                Some(unescaped) => view = unescaped.folded(),
                None => break,
            }
        }
    }

    fn find_once(
        &self,
        view: &View,
        learnt: Option<&Finder>,
        depth: usize,
        found: &mut Vec<Finding>,
    ) {
        let mut keep = |tag: &str, range: Range<usize>| {
            let part = &view.text[range.clone()];
            if part.contains(BARRIER) {
                return;
            }
            found.push(Finding {
                tag: tag.to_owned(),
                value: letters(part),
                range: view.origin(range),
            });
        };
        for pattern in self.patterns.find(&view.text) {
            keep(pattern.tag, pattern.range);
        }
        for finder in [Some(&self.names), learnt].into_iter().flatten() {
            for named in finder.find(view) {
                keep(&named.tag, named.range);
            }
        }
        if depth == DEEPEST {
            return;
        }
        for (range, readings) in encoded::runs(&view.text) {
            let says = |reading: &String| {
                let mut within = Vec::new();
                let reading = View::plain(reading).folded();
                self.find_in(reading, learnt, depth + 1, &mut within);
                !within.is_empty()
            };
            if readings.iter().any(says) {
                found.push(Finding {
                    tag: "ENCODED".to_owned(),
                    value: view.text[range.clone()].to_owned(),
                    range: view.origin(range),
                });
            }
        }
    }
}

/// The kind of what is masked, where a normalised word has a mask: a word in angle
/// brackets.
fn mask(target: &str) -> Option<String> {
    let (_, rest) = target.split_once('<')?;
    let (word, _) = rest.split_once('>')?;
    let letters = word.chars().filter(char::is_ascii_alphabetic);
    let tag: String = letters.map(|c| c.to_ascii_uppercase()).take(20).collect();
    Some(match tag.is_empty() {
        true => "MASKED".to_owned(),
        false => tag,
    })
}

/// The letters and digits of a folded text, by which a value is known.
fn letters(folded: &str) -> String {
    Letters::of(&View::plain(folded)).text.replace('\0', "")
}

/// Findings in order, none overlapping: where some do, all of it goes, as what the
/// longest of them is.
fn merge(mut found: Vec<Finding>) -> Vec<Finding> {
    found.retain(|finding| !finding.range.is_empty());
    found.sort_by_key(|finding| (finding.range.start, std::cmp::Reverse(finding.range.end)));
    let mut merged: Vec<Finding> = Vec::new();
    for finding in found {
        match merged.last_mut() {
            Some(last) if finding.range.start < last.range.end => {
                if finding.range.end > last.range.end {
                    if finding.range.len() > last.range.len() {
                        last.tag = finding.tag;
                    }
                    last.value.push_str(&finding.value);
                    last.range.end = finding.range.end;
                }
            }
            _ => merged.push(finding),
        }
    }
    merged
}

/// Redaction of one request. All its fields share placeholders, and what was found in
/// one of them is looked for in all.
pub struct Session<'a> {
    redactor: &'a Redactor,
    learnt: Option<Finder>,
    /// Values found by their form, with what they are.
    values: BTreeMap<String, String>,
    /// Digits in use: of which kind and value.
    codes: HashMap<String, (String, String)>,
    /// Placeholders by kind and by how the value is written.
    surfaces: HashMap<(String, String), String>,
    restorer: Restorer,
    counts: Counts,
}

impl Session<'_> {
    /// How many placeholders of each kind stand in what was redacted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What the placeholders stand for.
    pub fn into_restorer(self) -> Restorer {
        self.restorer
    }

    /// Looks a text through, so that what it holds is found in other fields too.
    ///
    /// # Errors
    /// If it is too long.
    pub fn learn(&mut self, text: &str) -> Result<(), RedactError> {
        check_length(text)?;
        for finding in self.redactor.find(&View::plain(text), None) {
            let fixed = finding.tag == "ENCODED";
            if !fixed && finding.value.chars().count() >= SHORTEST_LEARNT {
                self.values.entry(finding.value).or_insert(finding.tag);
            }
        }
        Ok(())
    }

    /// Learns the words of a text that a normaliser masks: identifiers, names and whatever
    /// else the plant's examples mask. Bare numbers of fewer than four digits stay.
    ///
    /// # Errors
    /// If it is too long.
    pub fn learn_masked(&mut self, text: &str, by: &Normaliser) -> Result<(), RedactError> {
        check_length(text)?;
        // Words that only the glossary knows are spelt out, not masked.
        let tokens = by.normalise(text, &Glossary::default()).tokens;
        for (at, token) in tokens.iter().enumerate() {
            let Some(tag) = mask(&token.target) else {
                continue;
            };
            // What was merged into it belongs to it.
            let merged = tokens[at + 1..]
                .iter()
                .take_while(|next| next.target.is_empty());
            let end = merged.last().map_or(token.place.end, |last| last.place.end);
            let value = letters(&View::plain(&text[token.place.start..end]).folded().text);
            let means_something =
                value.chars().any(char::is_alphabetic) || value.chars().count() >= SHORTEST_LEARNT;
            if means_something {
                self.values.entry(value).or_insert(tag);
            }
        }
        Ok(())
    }

    /// From here on what was learnt is looked for.
    ///
    /// # Errors
    /// If it cannot be, which is a fault of the program.
    pub fn heed(&mut self) -> Result<(), RedactError> {
        let names = self.values.iter();
        let names = names.map(|(value, tag)| (value.as_str(), tag.as_str()));
        self.learnt = Some(Finder::new(names)?);
        Ok(())
    }

    /// One text alone.
    ///
    /// # Errors
    /// If it may not leave.
    pub fn redact_alone(&mut self, text: &str) -> Result<String, RedactError> {
        self.learn(text)?;
        self.heed()?;
        self.redact(text)
    }

    /// The text with placeholders for what is found in it.
    ///
    /// # Errors
    /// If it may not leave.
    pub fn redact(&mut self, text: &str) -> Result<String, RedactError> {
        check_length(text)?;
        let mut redacted = self.hide_foreign(text);
        for _ in 0..ROUNDS {
            let plain = self.behind_barriers(&redacted);
            let found = self.redactor.find(&plain, self.learnt.as_ref());
            if found.is_empty() {
                return Ok(redacted);
            }
            redacted = self.replace(&redacted, &found);
        }
        Err(RedactError::Unsettled)
    }

    /// What is found in `text`, placeholders of this session apart.
    pub(super) fn left(&self, text: &str) -> Option<String> {
        let plain = self.behind_barriers(text);
        let found = self.redactor.find(&plain, self.learnt.as_ref());
        found.into_iter().next().map(|finding| finding.tag)
    }

    /// Whether a name was put in the place of another.
    pub(super) fn is_name(&self, name: &str) -> bool {
        self.restorer.names.contains_key(name)
    }

    /// A name of a function or the key of an object: replaced as a whole, by what may
    /// be such a name.
    ///
    /// # Errors
    /// If it may not leave.
    pub fn redact_name(&mut self, name: &str) -> Result<String, RedactError> {
        if self.restorer.names.contains_key(name) {
            return Ok(name.to_owned());
        }
        check_length(name)?;
        let found = self.redactor.find(&View::plain(name), self.learnt.as_ref());
        if found.is_empty() {
            return Ok(name.to_owned());
        }
        let placeholder = self.placeholder("NAME", name, name);
        let bare = placeholder.trim_matches(['[', ']']).to_owned();
        self.restorer.names.insert(bare.clone(), name.to_owned());
        Ok(bare)
    }

    /// A JSON value: texts, keys, and numbers that mean something.
    ///
    /// # Errors
    /// If it may not leave.
    pub fn redact_value(&mut self, value: &Value) -> Result<Value, RedactError> {
        Ok(match value {
            Value::String(text) => Value::String(self.redact(text)?),
            Value::Number(number) => {
                let text = number.to_string();
                match self
                    .redactor
                    .find(&View::plain(&text), self.learnt.as_ref())
                    .is_empty()
                {
                    true => value.clone(),
                    false => self.number(number.clone()),
                }
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.redact_value(item));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(map) => {
                let mut redacted = Map::new();
                for (key, value) in map {
                    let told = self.redact_told(key, value)?;
                    redacted.insert(self.redact_name(key)?, told);
                }
                Value::Object(redacted)
            }
            other => other.clone(),
        })
    }

    /// A value under a key, which may be what tells that it means something.
    fn redact_told(&mut self, key: &str, value: &Value) -> Result<Value, RedactError> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            other => return self.redact_value(other),
        };
        check_length(&text)?;
        let before = format!("{key}: ");
        let told = format!("{before}{text}");
        let found = self
            .redactor
            .find(&View::plain(&told), self.learnt.as_ref());
        let within = found
            .into_iter()
            .find(|finding| finding.range.start >= before.len());
        match (within, value) {
            (Some(_), Value::Number(number)) => Ok(self.number(number.clone())),
            (Some(finding), _) => {
                let start = finding.range.start - before.len();
                let (first, rest) = text.split_at(start);
                let (middle, last) = rest.split_at(finding.range.len());
                let placeholder = self.placeholder(&finding.tag, &finding.value, middle);
                let (first, last) = (self.redact(first)?, self.redact(last)?);
                Ok(Value::String(format!("{first}{placeholder}{last}")))
            }
            (None, other) => self.redact_value(other),
        }
    }

    /// Learns from a JSON value what [`Session::redact_value`] would find in it.
    pub(super) fn learn_value(&mut self, value: &Value) -> Result<(), RedactError> {
        match value {
            Value::String(text) => self.learn(text),
            Value::Number(number) => self.learn(&number.to_string()),
            Value::Array(items) => items.iter().try_for_each(|item| self.learn_value(item)),
            Value::Object(map) => map.iter().try_for_each(|(key, value)| match value {
                Value::String(text) => self.learn(&format!("{key}: {text}")),
                Value::Number(number) => self.learn(&format!("{key}: {number}")),
                other => {
                    self.learn(key)?;
                    self.learn_value(other)
                }
            }),
            _ => Ok(()),
        }
    }

    fn number(&mut self, number: serde_json::Number) -> Value {
        let text = number.to_string();
        let placeholder = self.placeholder("NUMBER", &text, &text);
        let known = self.restorer.placeholders.get_mut(&placeholder);
        if let Some(known) = known {
            *known = Original::Number(number);
        }
        Value::String(placeholder)
    }

    /// What looks like a placeholder and came from outside is a text like others.
    fn hide_foreign(&mut self, text: &str) -> String {
        let mut hidden = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('[') {
            let (before, from) = rest.split_at(at);
            hidden.push_str(before);
            match read(from) {
                Reading::Whole(bytes) => {
                    let foreign = &from[..bytes];
                    hidden.push_str(&self.placeholder("QUOTED", foreign, foreign));
                    rest = &from[bytes..];
                }
                _ => {
                    hidden.push('[');
                    rest = &from[1..];
                }
            }
        }
        hidden + rest
    }

    /// The text with a barrier for each placeholder of this session.
    fn behind_barriers(&self, text: &str) -> View {
        let mut view = View::with_room(text.len());
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            if c == '['
                && let Reading::Whole(bytes) = read(&text[at..])
                && self
                    .restorer
                    .placeholders
                    .contains_key(&text[at..at + bytes])
            {
                view.push(BARRIER, at..at + bytes);
                at += bytes;
                continue;
            }
            view.push(c, at..at + c.len_utf8());
            at += c.len_utf8();
        }
        view
    }

    fn replace(&mut self, text: &str, found: &[Finding]) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut at = 0;
        for finding in found {
            redacted.push_str(&text[at..finding.range.start]);
            // A placeholder within it stands for what it stood for.
            let written = self.restorer.restore(&text[finding.range.clone()]);
            redacted.push_str(&self.placeholder(&finding.tag, &finding.value, &written));
            at = finding.range.end;
        }
        redacted + &text[at..]
    }

    /// What stands for a value of a kind that is written in this way.
    fn placeholder(&mut self, tag: &str, value: &str, written: &str) -> String {
        let surface = (tag.to_owned(), written.to_owned());
        *self.counts.entry(tag.to_owned()).or_default() += 1;
        if let Some(known) = self.surfaces.get(&surface) {
            return known.clone();
        }
        let digits = self.redactor.key.digits(tag, value);
        let meant = (tag.to_owned(), value.to_owned());
        // Longer where two values begin alike.
        let length = (DIGITS..digits.len()).step_by(2);
        let code = length.map(|length| format!("{tag}_{}", &digits[..length]));
        let mut code = code.filter(|code| self.codes.get(code).is_none_or(|known| *known == meant));
        let code = code.next().unwrap_or_else(|| format!("{tag}_{digits}"));
        self.codes.insert(code.clone(), meant);
        let mut placeholder = format!("[{code}]");
        let mut form = 2;
        while self.restorer.placeholders.contains_key(&placeholder) {
            placeholder = format!("[{code}_{form}]");
            form += 1;
        }
        let original = Original::Text(written.to_owned());
        self.restorer
            .placeholders
            .insert(placeholder.clone(), original);
        self.surfaces.insert(surface, placeholder.clone());
        placeholder
    }
}

fn check_length(text: &str) -> Result<(), RedactError> {
    match text.len() > LONGEST {
        true => Err(RedactError::TooLong(text.len())),
        false => Ok(()),
    }
}
