//! Where the examples' values stand in their texts.

use std::collections::BTreeMap;

use andon_task::extract::{Candidate, Gold, Look, Page, Search, Source, Type, distance};

/// How far apart a value and the place that stands for it may be.
const MOST_DISTANCE: f64 = 0.25;

/// The right candidates of one example.
#[derive(Clone, Debug, Default)]
pub(super) struct Aligned {
    /// For each field that a document has once: its candidates, or that there is no value.
    pub(super) values: Vec<Target>,
    /// The values of lists: candidate and field.
    pub(super) marks: BTreeMap<u32, usize>,
    /// For each list and item the lines of its values.
    pub(super) items: Vec<Vec<Vec<usize>>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Target {
    /// These candidates are right.
    Candidates(Vec<u32>),
    /// The text has no value.
    Absent,
    /// The text has a value that no candidate is: nothing can be learnt from it.
    #[default]
    Unknown,
}

/// Finds the values of an example among the candidates of its text.
pub(super) fn align(search: &Search, page: &Page<'_>, look: &Look, gold: &Gold) -> Aligned {
    let mut aligned = Aligned::default();
    for (number, field) in search.fields.all().iter().enumerate() {
        let target = match (&gold.values[number], field.list) {
            (_, Some(_)) => Target::Unknown,
            (None, None) => Target::Absent,
            (Some(value), None) => {
                let key = field.key(value);
                let own = look.own[number].iter().copied();
                let exact: Vec<u32> = own
                    .filter(|&candidate| Some(look.candidates[candidate as usize].key()) == key)
                    .collect();
                match (exact.is_empty(), value.as_str()) {
                    (false, _) => Target::Candidates(exact),
                    (true, Some(text)) if field.kind == Type::String => {
                        nearest(page, look, &look.own[number], text)
                    }
                    _ => Target::Unknown,
                }
            }
        };
        aligned.values.push(target);
    }
    for items in &gold.items {
        let plain = items.iter().all(|item| item.len() <= 1);
        let (marks, lines) = match plain {
            true => mark_values(search, look, page, items),
            false => mark_items(search, look, page, items),
        };
        aligned.marks.extend(marks);
        aligned.items.push(lines);
    }
    aligned
}

/// The candidates that are most like a text, if any is alike.
fn nearest(page: &Page<'_>, look: &Look, own: &[u32], text: &str) -> Target {
    let compact = |text: &str| -> Vec<char> {
        let upper = text.chars().filter(|c| c.is_alphanumeric());
        upper.flat_map(char::to_uppercase).collect()
    };
    let wanted = compact(text);
    let mut best = (MOST_DISTANCE, Vec::new());
    for &number in own {
        let candidate = &look.candidates[number as usize];
        if candidate.source == Source::Remembered {
            continue;
        }
        let written = &page.text[candidate.start..candidate.end];
        if written.len() > wanted.len() * 2 + 8 || written.len() * 2 + 2 < wanted.len() {
            continue;
        }
        let apart = distance(&wanted, &compact(written));
        if apart < best.0 {
            best = (apart, vec![number]);
        } else if apart <= best.0 && !best.1.is_empty() {
            best.1.push(number);
        }
    }
    match best.1.is_empty() {
        true => Target::Unknown,
        false => Target::Candidates(best.1),
    }
}

type Marked = (BTreeMap<u32, usize>, Vec<Vec<usize>>);

/// The candidates of one field with a key, as places in the order of the text; candidates
/// that overlap are one place.
fn places(look: &Look, field: usize, key: Option<u64>) -> Vec<Vec<u32>> {
    let mut same: Vec<u32> = look.own[field]
        .iter()
        .copied()
        .filter(|&number| Some(look.candidates[number as usize].key()) == key)
        .collect();
    let at = |number: u32| -> &Candidate { &look.candidates[number as usize] };
    same.sort_by_key(|&number| (at(number).start, at(number).end));
    let mut places: Vec<Vec<u32>> = Vec::new();
    let mut end = 0;
    for number in same {
        match places.last_mut() {
            Some(place) if at(number).start < end => place.push(number),
            _ => places.push(vec![number]),
        }
        end = end.max(at(number).end);
    }
    places
}

/// A list of values: each is wherever the text says it, as often as it is expected.
fn mark_values(
    search: &Search,
    look: &Look,
    page: &Page<'_>,
    items: &[Vec<(usize, serde_json::Value)>],
) -> Marked {
    let mut marks = BTreeMap::new();
    let mut used: BTreeMap<(usize, Option<u64>), usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for (field, value) in items.iter().flatten() {
        let key = search.field(*field).key(value);
        let before = used.entry((*field, key)).or_default();
        if let Some(place) = places(look, *field, key).get(*before) {
            let line = look.candidates[place[0] as usize].lines(page).0;
            lines.push(vec![line]);
            marks.extend(place.iter().map(|&candidate| (candidate, *field)));
        }
        *before += 1;
    }
    (marks, lines)
}

/// How many lines an item may have.
const ITEM_LINES: usize = 4;

/// A list of objects: each item is where most of its values stand together, the items in
/// the order of the text.
fn mark_items(
    search: &Search,
    look: &Look,
    page: &Page<'_>,
    items: &[Vec<(usize, serde_json::Value)>],
) -> Marked {
    let mut marks: BTreeMap<u32, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    let mut from = 0;
    for item in items {
        let places: Vec<(usize, Vec<Vec<u32>>)> = item
            .iter()
            .map(|(field, value)| {
                (
                    *field,
                    places(look, *field, search.field(*field).key(value)),
                )
            })
            .collect();
        let line_of = |place: &Vec<u32>| look.candidates[place[0] as usize].lines(page).0;
        let starts: std::collections::BTreeSet<usize> = places
            .iter()
            .flat_map(|(_, places)| places.iter().map(line_of))
            .filter(|&line| line >= from)
            .collect();
        let near = |line: usize| {
            places.iter().filter_map(move |(field, places)| {
                let within =
                    |place: &&Vec<u32>| (line..line + ITEM_LINES).contains(&line_of(place));
                places
                    .iter()
                    .filter(within)
                    .min_by_key(|place| line_of(place))
                    .map(|place| (*field, place))
            })
        };
        // Most values, then the fewest lines, then the first.
        let best = starts.into_iter().max_by_key(|&line| {
            let far: usize = near(line).map(|(_, place)| line_of(place) - line).sum();
            (
                near(line).count(),
                std::cmp::Reverse(far),
                std::cmp::Reverse(line),
            )
        });
        let Some(line) = best else {
            continue;
        };
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut own: Vec<usize> = Vec::new();
        for (field, candidates) in &places {
            // The same number may be quantity and price: each place counts once.
            let free = |place: &&Vec<u32>| {
                let candidate = &look.candidates[place[0] as usize];
                (line..line + ITEM_LINES).contains(&line_of(place))
                    && place.iter().all(|number| !marks.contains_key(number))
                    && taken
                        .iter()
                        .all(|&(start, end)| candidate.end <= start || candidate.start >= end)
            };
            let Some(place) = candidates
                .iter()
                .filter(free)
                .min_by_key(|place| line_of(place))
            else {
                continue;
            };
            let candidate = &look.candidates[place[0] as usize];
            taken.push((candidate.start, candidate.end));
            own.push(line_of(place));
            marks.extend(place.iter().map(|&number| (number, *field)));
        }
        if let Some(&last) = own.iter().max() {
            from = last;
            own.sort_unstable();
            lines.push(own);
        }
    }
    (marks, lines)
}
