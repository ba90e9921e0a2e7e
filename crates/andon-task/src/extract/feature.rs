//! What a reader sees of a candidate: numbers that stand for its words, its looks, its
//! neighbours and its place. Part of the format of readers.

use super::candidate::{Candidate, Source};
use super::hash;
use super::page::{Class, Page, Token};

/// The most words of a value that are seen one by one.
const MOST_WORDS: usize = 40;

/// What a feature says. The order is part of the format.
#[derive(Clone, Copy)]
enum See {
    Bias,
    Source,
    Size,
    Lines,
    Shape,
    Whole,
    First,
    Last,
    FirstTwo,
    LastTwo,
    Word,
    Prefix,
    Suffix,
    LastSuffix,
    Left,
    LeftTwo,
    LeftWords,
    Label,
    Right,
    RightTwo,
    Edges,
    EdgeShapes,
    Into,
    OutOf,
    Above,
    AboveWords,
    Below,
    BelowShape,
    BelowWord,
    AboveWord,
    Column,
    Columns,
    Header,
    FromTop,
    FromBottom,
    Part,
    LineLeft,
    LineRight,
    LineShape,
    Digits,
    Length,
    Rank,
    Times,
    LabelRank,
    LabelTimes,
    Decimals,
    Difference,
    Order,
    RankTimes,
    DateOrder,
    Likeness,
    Known,
    KnownTimes,
    LineStart,
    Turn,
    PairWords,
    Choice,
    ChoiceWord,
    Inner,
    Absent,
    AbsentWord,
    Previous,
    Near,
    Form,
}

/// Collects the features of one candidate.
pub(super) struct Sink<'s>(pub(super) &'s mut Vec<u32>);

impl Sink<'_> {
    fn see(&mut self, what: See, value: u64) {
        self.0
            .push((hash::pair(1000 + what as u64, value) >> 32) as u32);
    }
}

fn bucket(count: usize) -> u64 {
    match count {
        0..=8 => count as u64,
        9..=11 => 9,
        12..=15 => 10,
        16..=23 => 11,
        24..=39 => 12,
        40..=79 => 13,
        _ => 14,
    }
}

/// The features of a candidate that do not depend on the field.
pub(super) fn of_candidate(page: &Page<'_>, candidate: &Candidate, sink: &mut Sink<'_>) {
    let source = candidate.source as u64;
    sink.see(See::Bias, 0);
    sink.see(See::Source, source);
    if candidate.source == Source::Choice {
        of_choice(page, candidate, sink);
        if !candidate.has_place() {
            return;
        }
    }
    let tokens = &page.tokens[candidate.first..=candidate.last];
    inside(page, candidate, tokens, sink);
    beside(page, candidate, sink);
    around(page, candidate, sink);
    of_number(page, candidate, sink);
}

fn of_choice(page: &Page<'_>, candidate: &Candidate, sink: &mut Sink<'_>) {
    let which = candidate.which as u64;
    let said = u64::from(candidate.has_place());
    sink.see(See::Choice, which * 2 + said);
    if !candidate.has_place() {
        for &word in page.vocabulary.iter().take(2000) {
            sink.see(See::ChoiceWord, hash::pair(which, word));
        }
    }
}

fn inside(page: &Page<'_>, candidate: &Candidate, tokens: &[Token], sink: &mut Sink<'_>) {
    let [first, .., last] = tokens else {
        let only = &tokens[0];
        one(page, candidate, only, only, tokens, sink);
        return;
    };
    one(page, candidate, first, last, tokens, sink);
    sink.see(See::FirstTwo, hash::pair(first.word, tokens[1].word));
    sink.see(
        See::LastTwo,
        hash::pair(tokens[tokens.len() - 2].word, last.word),
    );
}

fn one(
    page: &Page<'_>,
    candidate: &Candidate,
    first: &Token,
    last: &Token,
    tokens: &[Token],
    sink: &mut Sink<'_>,
) {
    let source = candidate.source as u64;
    sink.see(See::Size, hash::pair(source, bucket(tokens.len())));
    sink.see(See::Lines, (last.line - first.line) as u64);
    let shape = tokens
        .iter()
        .take(12)
        .fold(5, |sum, t| hash::pair(sum, t.shape));
    sink.see(See::Shape, shape);
    let whole = tokens.iter().fold(6, |sum, t| hash::pair(sum, t.word));
    sink.see(See::Whole, whole);
    sink.see(See::First, first.word);
    sink.see(See::Last, last.word);
    for token in tokens.iter().take(MOST_WORDS) {
        if token.class != Class::Sign {
            sink.see(See::Word, token.word);
            if tokens.len() <= 6 {
                sink.see(See::Suffix, token.suffix);
                sink.see(See::Prefix, token.prefix);
            }
        }
    }
    sink.see(See::LastSuffix, last.suffix);
    let digits = tokens.iter().filter(|t| t.class == Class::Digits).count();
    let mixed = tokens.iter().filter(|t| t.class == Class::Mixed).count();
    sink.see(See::Digits, hash::pair(bucket(digits), bucket(mixed)));
    sink.see(
        See::Digits,
        hash::pair(100, (digits * 5 / tokens.len()) as u64),
    );
    let length = candidate.end - candidate.start;
    sink.see(See::Length, hash::pair(source, bucket(length / 4)));
    if first.line < last.line {
        for line in first.line + 1..=last.line {
            let line = &page.lines[line];
            if let Some(token) = page
                .tokens
                .get(line.tokens.start)
                .filter(|_| !line.tokens.is_empty())
            {
                let before = &page.tokens[line.tokens.start - 1];
                sink.see(See::Inner, token.word);
                sink.see(See::Inner, hash::pair(1, line.words));
                sink.see(See::Turn, hash::pair(before.shape, token.shape));
            }
        }
    }
}

fn beside(page: &Page<'_>, candidate: &Candidate, sink: &mut Sink<'_>) {
    let line = page.tokens[candidate.first].line;
    let last_line = page.tokens[candidate.last].line;
    let tokens = &page.tokens;
    let left = |steps: usize| {
        let index = candidate.first.checked_sub(steps)?;
        (tokens[index].line == line).then(|| &tokens[index])
    };
    let right = |steps: usize| {
        let token = tokens.get(candidate.last + steps)?;
        (token.line == last_line).then_some(token)
    };
    let word = |token: Option<&Token>| token.map_or(1, |token| token.word);
    let shape = |token: Option<&Token>| token.map_or(1, |token| token.shape);
    let (l1, l2) = (left(1), left(2));
    let (r1, r2) = (right(1), right(2));
    sink.see(See::Left, word(l1));
    sink.see(See::LeftTwo, hash::pair(word(l2), word(l1)));
    sink.see(See::Right, word(r1));
    sink.see(See::RightTwo, hash::pair(word(r1), word(r2)));
    let first = &tokens[candidate.first];
    let last = &tokens[candidate.last];
    sink.see(
        See::EdgeShapes,
        hash::pair(hash::pair(1, shape(l1)), first.shape),
    );
    sink.see(
        See::EdgeShapes,
        hash::pair(hash::pair(2, last.shape), shape(r1)),
    );
    sink.see(See::Into, hash::pair(word(l1), first.word));
    sink.see(See::OutOf, hash::pair(last.word, word(r1)));
    sink.see(See::PairWords, hash::pair(word(l1), word(r1)));
    // The last two words before it on its line, or in the cell before.
    let mut words = (candidate.first.saturating_sub(8)..candidate.first)
        .rev()
        .filter(|&index| tokens[index].line == line && tokens[index].class != Class::Sign)
        .map(|index| tokens[index].word);
    let near = words.next().unwrap_or(1);
    let far = words.next().unwrap_or(1);
    sink.see(See::LeftWords, near);
    sink.see(See::LeftWords, hash::pair(far, near));
    let cell = page.cell(candidate.first);
    let starts_cell = cell.start == candidate.first;
    let ends_cell = page.cell(candidate.last).end == candidate.last + 1;
    let starts_line = page.lines[line].tokens.start == candidate.first;
    let ends_line = page.lines[last_line].tokens.end == candidate.last + 1;
    let edges = [starts_cell, ends_cell, starts_line, ends_line];
    let edges = edges.iter().fold(0, |sum, &edge| sum * 2 + u64::from(edge));
    sink.see(See::Edges, edges);
    sink.see(See::Edges, hash::pair(candidate.source as u64, edges));
}

/// The words on the line before a candidate, as one number; those of the line above where
/// there are none.
fn label(page: &Page<'_>, candidate: &Candidate) -> u64 {
    let line = page.tokens[candidate.first].line;
    let range = page.lines[line].tokens.start..candidate.first;
    let letters = |range: std::ops::Range<usize>| {
        page.tokens[range]
            .iter()
            .filter(|token| token.class == Class::Letters)
            .fold((13, 0), |(sum, count), token| {
                (hash::pair(sum, token.word), count + 1)
            })
    };
    match letters(range) {
        (sum, 1..) => sum,
        _ => match line.checked_sub(1) {
            Some(above) => hash::pair(2, letters(page.lines[above].tokens.clone()).0),
            None => 3,
        },
    }
}

fn around(page: &Page<'_>, candidate: &Candidate, sink: &mut Sink<'_>) {
    let first = page.tokens[candidate.first];
    let last = page.tokens[candidate.last];
    let label = label(page, candidate);
    sink.see(See::Label, label);
    let line = &page.lines[first.line];
    let last_line = &page.lines[last.line];
    sink.see(
        See::Column,
        hash::pair(first.cell as u64, line.cells.len() as u64),
    );
    sink.see(See::Columns, line.cells.len() as u64);
    sink.see(See::LineShape, line.shape);
    // Documents of one sender begin alike and are laid out alike.
    let filled = page.lines.iter().filter(|line| !line.tokens.is_empty());
    for (number, beginning) in filled.take(2).enumerate() {
        let form = hash::pair(number as u64, beginning.words);
        sink.see(See::Form, hash::pair(form, candidate.source as u64));
        sink.see(
            See::Form,
            hash::pair(form, hash::pair(label, candidate.source as u64)),
        );
    }
    let mut near = 0;
    for index in line.tokens.start..candidate.first {
        if page.tokens[index].class != Class::Sign && near < 12 {
            sink.see(See::LineLeft, page.tokens[index].word);
            near += 1;
        }
    }
    near = 0;
    for index in candidate.last + 1..last_line.tokens.end {
        if page.tokens[index].class != Class::Sign && near < 12 {
            sink.see(See::LineRight, page.tokens[index].word);
            near += 1;
        }
    }
    let above = (0..first.line)
        .rev()
        .find(|&l| !page.lines[l].tokens.is_empty());
    let below = (last.line + 1..page.lines.len()).find(|&l| !page.lines[l].tokens.is_empty());
    match above {
        None => sink.see(See::Above, 1),
        Some(above) => {
            let above = &page.lines[above];
            sink.see(See::Above, above.words);
            sink.see(See::Above, hash::pair(1, above.shape));
            for token in page.tokens[above.tokens.clone()].iter().take(8) {
                sink.see(See::AboveWord, token.word);
            }
            let same_column = above.cells.get(first.cell);
            for token in same_column
                .into_iter()
                .flat_map(|cell| &page.tokens[cell.clone()])
                .take(6)
            {
                sink.see(See::AboveWords, token.word);
            }
        }
    }
    match below {
        None => sink.see(See::Below, 1),
        Some(below) => {
            let below = &page.lines[below];
            sink.see(See::Below, below.words);
            sink.see(See::BelowShape, below.shape);
            for token in page.tokens[below.tokens.clone()].iter().take(8) {
                sink.see(See::BelowWord, token.word);
            }
        }
    }
    if let Some(header) = line.header {
        let header = &page.lines[header];
        if let Some(cell) = header.cells.get(first.cell) {
            let same = u64::from(header.cells.len() == line.cells.len());
            for token in page.tokens[cell.clone()].iter().take(5) {
                sink.see(See::Header, hash::pair(same, token.word));
            }
        }
    }
    let source = candidate.source as u64;
    let from_bottom = page.lines.len() - 1 - last.line;
    sink.see(See::FromTop, bucket(first.line));
    sink.see(See::FromTop, hash::pair(1 + source, bucket(first.line)));
    sink.see(See::FromBottom, bucket(from_bottom));
    sink.see(See::Part, (first.line * 10 / page.lines.len()) as u64);
    let starts = u64::from(line.tokens.start == candidate.first);
    sink.see(
        See::LineStart,
        hash::pair(starts, page.tokens[line.tokens.start].word),
    );
    let previous = above.map_or(1, |above| page.lines[above].words);
    sink.see(
        See::Previous,
        hash::pair(previous, hash::pair(first.shape, label)),
    );
}

fn of_number(page: &Page<'_>, candidate: &Candidate, sink: &mut Sink<'_>) {
    let label = label(page, candidate);
    match candidate.source {
        Source::Number | Source::Money | Source::Point | Source::Comma => {
            let amount = page.amounts.iter().find(|amount| {
                amount.found.start >= candidate.start && amount.found.end == candidate.end
            });
            let Some(amount) = amount else {
                return;
            };
            let rank = amount.rank.min(6) as u64;
            let times = amount.times.min(5) as u64;
            let decimals = amount.decimals.min(4) as u64;
            let later = amount.times.saturating_sub(1 + amount.before);
            sink.see(See::Rank, hash::pair(decimals, rank));
            sink.see(See::Times, hash::pair(decimals, times));
            sink.see(See::RankTimes, hash::pair(rank, times));
            sink.see(See::LabelRank, hash::pair(label, rank));
            sink.see(See::LabelTimes, hash::pair(label, times));
            sink.see(See::Decimals, decimals);
            sink.see(
                See::Order,
                hash::pair(amount.before.min(4) as u64, later.min(4) as u64),
            );
            let difference = u64::from(amount.difference);
            sink.see(See::Difference, difference);
            sink.see(
                See::Difference,
                hash::pair(hash::pair(rank, times), difference),
            );
            let near = candidate
                .first
                .checked_sub(1)
                .map_or(1, |index| page.tokens[index].word);
            sink.see(
                See::LabelRank,
                hash::pair(hash::pair(near, rank), difference),
            );
            let zero = u64::from(amount.value == 0.0);
            let negative = u64::from(amount.value < 0.0);
            sink.see(See::Decimals, hash::pair(zero, negative));
        }
        Source::Date | Source::DayFirst | Source::MonthFirst => {
            let count = page.dates.len();
            let order = hash::pair(candidate.which.min(4) as u64, count.min(5) as u64);
            sink.see(See::DateOrder, order);
        }
        _ => {}
    }
}

/// The features of a candidate by what a field's values have been.
///
/// `near` is how like the place is to the most likely remembered value there.
pub(super) fn of_memory(candidate: &Candidate, times: u32, near: f32, sink: &mut Sink<'_>) {
    let often = bucket(times as usize);
    let known = u64::from(times > 0);
    sink.see(See::Known, hash::pair(candidate.source as u64, known));
    sink.see(See::KnownTimes, often);
    let is_remembered = u64::from(candidate.source == Source::Remembered);
    let alike = match near {
        near if near >= 1.0 => 6,
        near if near >= 0.97 => 5,
        near if near >= 0.94 => 4,
        near if near >= 0.9 => 3,
        near if near >= 0.84 => 2,
        near if near > 0.0 => 1,
        _ => 0,
    };
    sink.see(See::Likeness, hash::pair(is_remembered * 2 + known, alike));
    sink.see(
        See::Near,
        hash::pair(is_remembered, hash::pair(often, alike)),
    );
}

/// The features of a field that has no value.
pub(super) fn of_absence(page: &Page<'_>, candidates: usize, sink: &mut Sink<'_>) {
    sink.see(See::Absent, 0);
    sink.see(See::Absent, 1 + bucket(candidates));
    for &word in page.vocabulary.iter().take(2000) {
        sink.see(See::AbsentWord, word);
    }
}
