//! Candidates: the places of a text that may be a field's value.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::date::{self, Order};
use super::fields::{Field, Type};
use super::memory::Memory;
use super::number::{self, Decimal};
use super::page::{Class, Page};
use super::spelling::Spelling;
use super::{hash, page};

/// Where a candidate comes from. The order of the variants is part of the format of readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A cell, or a whole line.
    Cell,
    /// Lines that follow each other.
    Lines,
    /// The beginning of a cell.
    Head,
    /// The end of a cell.
    Tail,
    /// Any words of a line.
    Words,
    /// A number, as it is written.
    Number,
    /// A number with its currency.
    Money,
    /// A date, as it is written.
    Date,
    /// A date read with the day first, written as `2026-01-31`.
    DayFirst,
    /// A date read with the month first.
    MonthFirst,
    /// A number whose decimals are behind a point.
    Point,
    /// A number whose decimals are behind a comma.
    Comma,
    /// What the field's pattern describes.
    Pattern,
    /// One of the field's choices; its place where the text says it.
    Choice,
    /// A value that examples had, where the text says about the same.
    Remembered,
}

/// Sources that a text may be read from, cheap and precise ones first.
pub const OF_TEXTS: [Source; 12] = [
    Source::Pattern,
    Source::Date,
    Source::Number,
    Source::Money,
    Source::DayFirst,
    Source::MonthFirst,
    Source::Cell,
    Source::Lines,
    Source::Head,
    Source::Tail,
    Source::Words,
    Source::Remembered,
];

/// What is looked for to find a field's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// The sources.
    pub sources: Vec<Source>,
    /// The most tokens of a value within a line.
    pub tokens: usize,
    /// The most lines of a value.
    pub lines: usize,
}

impl Demand {
    /// All that could be a value of a field, up to a size.
    pub fn all(field: &Field, tokens: usize, lines: usize) -> Self {
        let mut sources = match field.kind {
            Type::String => OF_TEXTS.to_vec(),
            Type::Date => vec![Source::DayFirst, Source::MonthFirst],
            Type::Number | Type::Integer => vec![Source::Point, Source::Comma],
            Type::Boolean | Type::Choice => vec![Source::Choice],
        };
        if field.pattern().is_none() {
            sources.retain(|&source| source != Source::Pattern);
        }
        Self {
            sources,
            tokens,
            lines,
        }
    }

    fn has(&self, source: Source) -> bool {
        self.sources.contains(&source)
    }
}

/// A place of a text that may be a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Where it comes from.
    pub source: Source,
    /// First byte. A choice that the text does not say has an empty range.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// First and last token.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Which number of the page, choice of the field, or remembered value it is.
    pub(super) which: usize,
    /// The only field that it is for.
    pub(super) field: Option<usize>,
    /// What its value is known by: the same for two places that say the same.
    pub(super) key: u64,
    /// How like a remembered value the place is, from 0 to 1.
    pub(super) likeness: f32,
}

/// Finds candidates for fields.
pub(super) struct Finder<'a> {
    pub(super) fields: &'a [Field],
    pub(super) demands: &'a [Demand],
    pub(super) memory: &'a Memory,
}

impl Finder<'_> {
    /// All candidates of a page, and for each field those that may be its own.
    pub(super) fn find(&self, page: &Page<'_>) -> (Vec<Candidate>, Vec<Vec<u32>>) {
        let wanted = |source| self.demands.iter().any(|demand| demand.has(source));
        let most = |of: fn(&Demand) -> usize| self.demands.iter().map(of).max().unwrap_or(0);
        let mut all = Vec::new();
        let prefix = Prefixes::of(page);
        cells(page, &prefix, &wanted, most(|d| d.tokens), &mut all);
        if wanted(Source::Lines) {
            lines(page, &prefix, most(|d| d.lines), &mut all);
        }
        numbers(page, &prefix, &wanted, &mut all);
        dates(page, &prefix, &wanted, &mut all);
        for (index, (field, demand)) in self.fields.iter().zip(self.demands).enumerate() {
            let from = all.len();
            if demand.has(Source::Pattern) {
                patterns(page, &prefix, field, &mut all);
            }
            if demand.has(Source::Choice) {
                let standing = self.memory.standing(index);
                let standing = standing.map(|(words, which)| (words.to_vec(), which));
                choices(page, field, standing, &mut all);
            }
            if demand.has(Source::Remembered) {
                self.memory.find(index, page, &mut all);
            }
            for candidate in &mut all[from..] {
                candidate.field = Some(index);
            }
        }
        // What has neither letters nor digits says nothing.
        all.retain(|candidate| candidate.key != 0);
        let own = (self.fields.iter().zip(self.demands))
            .enumerate()
            .map(|(index, (field, demand))| {
                let fits = |candidate: &Candidate| {
                    demand.has(candidate.source)
                        && candidate.field.is_none_or(|only| only == index)
                        && keeps(candidate, page, demand)
                        && within_limits(candidate, page, field)
                };
                let fitting = all
                    .iter()
                    .enumerate()
                    .filter(|(_, candidate)| fits(candidate));
                fitting.map(|(number, _)| number as u32).collect()
            })
            .collect();
        (all, own)
    }
}

/// Whether a candidate is of a size that is looked for.
fn keeps(candidate: &Candidate, page: &Page<'_>, demand: &Demand) -> bool {
    let tokens = candidate.last - candidate.first + 1;
    match candidate.source {
        Source::Head | Source::Tail | Source::Words => tokens <= demand.tokens,
        Source::Lines => {
            let line = |token: usize| page.tokens[token].line;
            line(candidate.last) - line(candidate.first) < demand.lines
        }
        _ => true,
    }
}

/// Whether the schema admits the value. Texts are tested only where the schema limits them,
/// as they stand; a remembered or written value is tested again when it is taken.
fn within_limits(candidate: &Candidate, page: &Page<'_>, field: &Field) -> bool {
    match candidate.source {
        Source::Point | Source::Comma => {
            read_number(candidate, page, field).is_some_and(|value| field.admits(&value))
        }
        Source::Remembered | Source::Choice => true,
        _ if field.kind == Type::String && field.pattern().is_some() => {
            field.admits(&Value::from(&page.text[candidate.start..candidate.end]))
        }
        _ => true,
    }
}

fn read_number(candidate: &Candidate, page: &Page<'_>, field: &Field) -> Option<Value> {
    let decimal = match candidate.source {
        Source::Point => Decimal::Point,
        _ => Decimal::Comma,
    };
    let number = number::read(&page.text[candidate.start..candidate.end], decimal)?;
    let value = number::json(number)?;
    (field.kind == Type::Number || number.fract() == 0.0).then_some(value)
}

impl Candidate {
    /// The value, as the schema has it; `None` where the schema does not admit it.
    pub(super) fn value(
        &self,
        page: &Page<'_>,
        field: &Field,
        memory: &Memory,
        spelling: &Spelling,
    ) -> Option<Value> {
        let text = &page.text[self.start..self.end];
        let value = match self.source {
            Source::Point | Source::Comma => read_number(self, page, field)?,
            Source::DayFirst => date::read(text, Order::DayFirst)?.into(),
            Source::MonthFirst => date::read(text, Order::MonthFirst)?.into(),
            Source::Choice => field.choices.get(self.which)?.clone(),
            Source::Remembered => memory.value(self.field?, self.which)?.into(),
            Source::Number | Source::Money | Source::Date | Source::Pattern => text.into(),
            _ => {
                let written = spelling.write(text);
                let trimmed = written.trim_end_matches([',', ';', ':']).trim_end();
                Value::from(unbracketed(trimmed))
            }
        };
        if field.admits(&value) {
            return Some(value);
        }
        // A limit on the text may hold for the place as it stands.
        Some(Value::from(text)).filter(|value| field.admits(value))
    }

    /// Whether the text says the value at all.
    pub(super) fn has_place(&self) -> bool {
        self.start < self.end
    }
}

/// A text without brackets that have no other half, and without a pair around all of it.
fn unbracketed(text: &str) -> &str {
    for (open, close) in [('(', ')'), ('[', ']'), ('<', '>')] {
        let opened = text.matches(open).count();
        let closed = text.matches(close).count();
        let inner = match (text.strip_prefix(open), text.strip_suffix(close)) {
            (Some(_), Some(_)) if opened == 1 && closed == 1 => &text[1..text.len() - 1],
            (_, Some(inner)) if opened < closed => inner,
            (Some(inner), _) if opened > closed => inner,
            _ => continue,
        };
        return inner.trim();
    }
    text
}

/// What a text value is known by.
pub(super) fn key_of_text(text: &str) -> u64 {
    let compact = super::spelling::compact(text);
    compact.iter().fold(0, |sum, &c| roll(sum, c))
}

/// What a number is known by.
pub(super) fn key_of_number(number: f64) -> u64 {
    hash::pair(99, (number + 0.0).to_bits())
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15 | 1;

fn roll(sum: u64, c: char) -> u64 {
    sum.wrapping_mul(BASE)
        .wrapping_add(hash::mix(u64::from(c) + 1))
}

/// Sums over the beginnings of a page's letters and digits, from which the key of any place
/// follows at once.
struct Prefixes {
    sums: Vec<u64>,
    powers: Vec<u64>,
}

impl Prefixes {
    fn of(page: &Page<'_>) -> Self {
        let mut sums = vec![0];
        let mut powers = vec![1u64];
        for &c in &page.compact {
            sums.push(roll(sums[sums.len() - 1], c));
            powers.push(powers[powers.len() - 1].wrapping_mul(BASE));
        }
        Self { sums, powers }
    }

    fn key(&self, page: &Page<'_>, start: usize, end: usize) -> u64 {
        let from = page.origin.partition_point(|&byte| byte < start);
        let to = page.origin.partition_point(|&byte| byte < end);
        let whole = self.sums[to];
        whole.wrapping_sub(self.sums[from].wrapping_mul(self.powers[to - from]))
    }
}

fn place(
    page: &Page<'_>,
    prefix: &Prefixes,
    source: Source,
    (first, last): (usize, usize),
) -> Candidate {
    let (start, end) = (page.tokens[first].start, page.tokens[last].end);
    Candidate {
        source,
        start,
        end,
        first,
        last,
        which: 0,
        field: None,
        key: prefix.key(page, start, end),
        likeness: 1.0,
    }
}

fn cells(
    page: &Page<'_>,
    prefix: &Prefixes,
    wanted: &impl Fn(Source) -> bool,
    most: usize,
    all: &mut Vec<Candidate>,
) {
    for line in &page.lines {
        if line.cells.len() > 1 && wanted(Source::Cell) {
            let ends = (line.tokens.start, line.tokens.end - 1);
            all.push(place(page, prefix, Source::Cell, ends));
        }
        for cell in &line.cells {
            if wanted(Source::Cell) {
                all.push(place(
                    page,
                    prefix,
                    Source::Cell,
                    (cell.start, cell.end - 1),
                ));
            }
            for first in cell.clone() {
                for last in first..cell.end.min(first + most) {
                    let source = match (first == cell.start, last + 1 == cell.end) {
                        (true, true) => continue,
                        (true, false) => Source::Head,
                        (false, true) => Source::Tail,
                        (false, false) => Source::Words,
                    };
                    if wanted(source) && can_end(page, first, last) {
                        all.push(place(page, prefix, source, (first, last)));
                    }
                }
            }
        }
    }
}

/// Values neither begin nor end with a sign, but for brackets and stops.
fn can_end(page: &Page<'_>, first: usize, last: usize) -> bool {
    let sign = |token: usize| match page.tokens[token].class {
        Class::Sign => page.text[page.tokens[token].start..].chars().next(),
        _ => None,
    };
    matches!(sign(first), None | Some('(' | '"' | '<' | '&' | '#'))
        && matches!(
            sign(last),
            None | Some(')' | '"' | '>' | '.' | '%' | '!' | '?' | '+')
        )
        && !(first == last && page.tokens[first].class == Class::Sign)
}

fn lines(page: &Page<'_>, prefix: &Prefixes, most: usize, all: &mut Vec<Candidate>) {
    let filled: Vec<&page::Line> = page
        .lines
        .iter()
        .filter(|line| !line.tokens.is_empty())
        .collect();
    for first in 0..filled.len() {
        for last in first + 1..filled.len().min(first + most) {
            let mut ends = vec![filled[last].tokens.end - 1];
            // What stands beside the last line in another cell may belong to something else.
            if filled[last].cells.len() > 1 {
                ends.push(filled[last].cells[0].end - 1);
            }
            for end in ends {
                all.push(place(
                    page,
                    prefix,
                    Source::Lines,
                    (filled[first].tokens.start, end),
                ));
            }
        }
    }
}

fn numbers(
    page: &Page<'_>,
    prefix: &Prefixes,
    wanted: &impl Fn(Source) -> bool,
    all: &mut Vec<Candidate>,
) {
    for (which, amount) in page.amounts.iter().enumerate() {
        let found = amount.found;
        let text = &page.text[found.start..found.end];
        let mut push = |source, start, key| {
            if wanted(source) {
                all.push(Candidate {
                    source,
                    start,
                    end: found.end,
                    first: amount.tokens.0,
                    last: amount.tokens.1,
                    which,
                    field: None,
                    key,
                    likeness: 1.0,
                });
            }
        };
        push(
            Source::Number,
            found.start,
            prefix.key(page, found.start, found.end),
        );
        if found.outer < found.start {
            push(
                Source::Money,
                found.outer,
                prefix.key(page, found.outer, found.end),
            );
        }
        let point = number::read(text, Decimal::Point);
        let comma = number::read(text, Decimal::Comma);
        if let Some(number) = point {
            push(Source::Point, found.start, key_of_number(number));
        }
        if let Some(number) = comma.filter(|_| comma != point) {
            push(Source::Comma, found.start, key_of_number(number));
        }
    }
}

fn dates(
    page: &Page<'_>,
    prefix: &Prefixes,
    wanted: &impl Fn(Source) -> bool,
    all: &mut Vec<Candidate>,
) {
    for (which, &((start, end), (first, last))) in page.dates.iter().enumerate() {
        let text = &page.text[start..end];
        let day = date::read(text, Order::DayFirst);
        let month = date::read(text, Order::MonthFirst);
        let key = |iso: &Option<String>| iso.as_deref().map(key_of_text);
        let readings = [
            (Source::Date, Some(prefix.key(page, start, end))),
            (Source::DayFirst, key(&day)),
            (Source::MonthFirst, key(&month).filter(|_| month != day)),
        ];
        for (source, key) in readings {
            if let Some(key) = key.filter(|_| wanted(source)) {
                all.push(Candidate {
                    source,
                    start,
                    end,
                    first,
                    last,
                    which,
                    field: None,
                    key,
                    likeness: 1.0,
                });
            }
        }
    }
}

fn patterns(page: &Page<'_>, prefix: &Prefixes, field: &Field, all: &mut Vec<Candidate>) {
    let Some(pattern) = field.pattern() else {
        return;
    };
    // Patterns with anchors describe a word or cell from end to end, others any place.
    let mut push = |start: usize, end: usize| {
        let known = all
            .last()
            .is_some_and(|c| c.source == Source::Pattern && c.start == start && c.end == end);
        if let Some((first, last)) = page.around(start, end).filter(|_| start < end && !known) {
            all.push(Candidate {
                source: Source::Pattern,
                start,
                end,
                first,
                last,
                which: 0,
                field: None,
                key: prefix.key(page, start, end),
                likeness: 1.0,
            });
        }
    };
    for line in &page.lines {
        let tokens = &page.tokens[line.tokens.clone()];
        for (index, from) in tokens.iter().enumerate() {
            for to in tokens[index..].iter().take(6) {
                if pattern.is_match(&page.text[from.start..to.end]) {
                    push(from.start, to.end);
                }
            }
        }
    }
}

fn choices(
    page: &Page<'_>,
    field: &Field,
    standing: impl Iterator<Item = (Vec<u64>, usize)>,
    all: &mut Vec<Candidate>,
) {
    if page.tokens.is_empty() {
        return;
    }
    let unsaid = |which: usize| Candidate {
        source: Source::Choice,
        start: 0,
        end: 0,
        first: 0,
        last: 0,
        which,
        field: None,
        key: hash::pair(77, which as u64),
        likeness: 0.0,
    };
    all.extend((0..field.choices.len()).map(unsaid));
    let written = field
        .choices
        .iter()
        .enumerate()
        .filter_map(|(which, choice)| {
            let page = Page::new(choice.as_str()?);
            let words: Vec<u64> = page.tokens.iter().map(|token| token.word).collect();
            Some((words, which))
        });
    let words: Vec<u64> = page.tokens.iter().map(|token| token.word).collect();
    for (wanted, which) in written
        .chain(standing)
        .filter(|(words, _)| !words.is_empty())
    {
        let windows = words.windows(wanted.len()).enumerate().take(1 << 16);
        for (first, _) in windows.filter(|(_, window)| *window == wanted) {
            let last = first + wanted.len() - 1;
            all.push(Candidate {
                first,
                last,
                start: page.tokens[first].start,
                end: page.tokens[last].end,
                likeness: 1.0,
                ..unsaid(which)
            });
        }
    }
}
