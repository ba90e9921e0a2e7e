//! Where the values of each field are looked for, as the examples show it.

use std::collections::{BTreeMap, BTreeSet};

use andon_task::extract::{
    Demand, Field, Fields, Gold, OF_TEXTS, Page, Remembered, Search, Source, Spelling, Type,
    folded, remember,
};

use super::Register;

/// The largest values that are considered.
const MOST_TOKENS: usize = 16;
const MOST_LINES: usize = 10;

/// A further source has to have this share of the values that others have not.
const LEAST_SHARE: f64 = 0.02;

/// Where to look, and how values are written.
pub(super) struct Surveyed {
    pub(super) demands: Vec<Demand>,
    pub(super) spelling: Vec<Spelling>,
}

/// What of each field's values is where: looks at every text once for everything.
pub(super) fn survey(fields: &Fields, lessons: &[(&str, &Gold)]) -> Surveyed {
    let all: Vec<Demand> = fields
        .all()
        .iter()
        .map(|field| {
            let mut demand = Demand::all(field, MOST_TOKENS, MOST_LINES);
            demand
                .sources
                .retain(|&source| source != Source::Remembered);
            demand
        })
        .collect();
    let count = fields.all().len();
    let search = Search::new(fields.clone(), all, &vec![Vec::new(); count]);
    let mut spelling = vec![Spelling::default(); count];
    // For each field and value: the sources that have it, each with its least size.
    let mut found: Vec<Vec<BTreeMap<Source, (usize, usize)>>> = vec![Vec::new(); count];
    for (text, gold) in lessons {
        let page = Page::new(text);
        let candidates = search.find(&page);
        let mut by_key: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (number, candidate) in candidates.iter().enumerate() {
            by_key.entry(candidate.key()).or_default().push(number);
        }
        let listed = gold.items.iter().flatten().flatten();
        let single = gold.values.iter().enumerate();
        let single = single.filter_map(|(field, value)| Some((field, value.as_ref()?)));
        for (field, value) in single.chain(listed.map(|(field, value)| (*field, value))) {
            let definition = search.field(field);
            let mut sources = BTreeMap::new();
            let key = definition.key(value);
            let same = key.and_then(|key| by_key.get(&key)).into_iter().flatten();
            for &number in same {
                let candidate = &candidates[number];
                let (first, last) = candidate.lines(&page);
                let size = (candidate.tokens(), last - first + 1);
                let least = sources.entry(candidate.source).or_insert(size);
                *least = size.min(*least);
                if let Some(written) = value.as_str().filter(|_| definition.kind == Type::String) {
                    spelling[field].learn(&page.text[candidate.start..candidate.end], written);
                }
            }
            found[field].push(sources);
        }
    }
    let demands = (fields.all().iter().zip(&found))
        .map(|(field, found)| match field.kind {
            Type::String => demand_of(found, field.pattern().is_some()),
            _ => Demand::all(field, 0, 0),
        })
        .collect();
    Surveyed { demands, spelling }
}

fn demand_of(found: &[BTreeMap<Source, (usize, usize)>], has_pattern: bool) -> Demand {
    let mut demand = Demand {
        sources: Vec::new(),
        tokens: 1,
        lines: 1,
    };
    let total = found.iter().filter(|sources| !sources.is_empty()).count();
    let least = ((total as f64 * LEAST_SHARE).ceil() as usize).max(if total < 20 { 1 } else { 2 });
    let mut left: Vec<&BTreeMap<Source, (usize, usize)>> =
        found.iter().filter(|sources| !sources.is_empty()).collect();
    for source in OF_TEXTS {
        let has = left
            .iter()
            .filter(|sources| sources.contains_key(&source))
            .count();
        if has < least.min(left.len().max(1)) {
            continue;
        }
        // What is a number or a date in a text of examples that are something else, is so
        // by chance.
        let by_chance = matches!(
            source,
            Source::Number | Source::Money | Source::Date | Source::DayFirst | Source::MonthFirst
        ) && has * 10 < total;
        if by_chance {
            continue;
        }
        demand.sources.push(source);
        for sources in &left {
            if let Some(&(tokens, lines)) = sources.get(&source) {
                match source {
                    Source::Head | Source::Tail | Source::Words => {
                        demand.tokens = demand.tokens.max(tokens + 1)
                    }
                    Source::Lines => demand.lines = demand.lines.max(lines),
                    _ => {}
                }
            }
        }
        left.retain(|sources| !sources.contains_key(&source));
    }
    if demand.sources.is_empty() {
        demand.sources = match has_pattern {
            true => vec![Source::Pattern],
            false => vec![Source::Cell, Source::Head, Source::Tail, Source::Words],
        };
        demand.tokens = 6;
    }
    demand
}

/// From so many values on a register may be what a field is named from.
const LEAST_NAMED: usize = 5;

/// The share of a field's values that are then of the register.
const LEAST_OF_REGISTER: f64 = 0.9;

/// The names of the register that a field's values are of.
fn register_of<'r>(registers: &'r [Register], values: &[&str]) -> &'r [String] {
    if values.len() < LEAST_NAMED {
        return &[];
    }
    let holds = |register: &&Register| {
        let names: BTreeSet<String> = register.iter().map(|name| folded(name)).collect();
        let known = values.iter().filter(|value| names.contains(&folded(value)));
        known.count() as f64 >= LEAST_OF_REGISTER * values.len() as f64
    };
    let register = registers.iter().find(holds);
    register.map(Vec::as_slice).unwrap_or_default()
}

/// The values that are worth remembering: words that come again, and the names of the register
/// that a field's values are of.
pub(super) fn memories(
    fields: &Fields,
    demands: &mut [Demand],
    lessons: &[(&str, &Gold)],
    registers: &[Register],
) -> Vec<Vec<Remembered>> {
    let golds: Vec<&Gold> = lessons.iter().map(|&(_, gold)| gold).collect();
    (fields.all().iter().zip(demands).enumerate())
        .map(|(number, (field, demand))| {
            if matches!(field.kind, Type::Choice | Type::Boolean) && field.list.is_none() {
                return standing_for(number, field, lessons);
            }
            if field.kind != Type::String {
                return Vec::new();
            }
            let values = golds.iter().flat_map(|gold| {
                let single = gold.values[number].as_ref();
                let listed = gold.items.iter().flatten().flatten();
                let listed = listed
                    .filter(|(field, _)| *field == number)
                    .map(|(_, value)| value);
                single.into_iter().chain(listed)
            });
            let texts: Vec<&str> = values.filter_map(serde_json::Value::as_str).collect();
            let register = register_of(registers, &texts);
            let names = register.iter().map(String::as_str);
            let known = remember(texts.iter().copied().chain(names));
            let again: u32 = known
                .iter()
                .filter(|known| known.times > 1)
                .map(|known| known.times)
                .sum();
            let words = known
                .iter()
                .filter(|known| known.value.chars().any(char::is_alphabetic))
                .count();
            let is_words = words * 10 >= known.len() * 9;
            if !is_words {
                return Vec::new();
            }
            let comes_again = f64::from(again) >= 0.1 * texts.len() as f64;
            if field.list.is_none() && (comes_again || !register.is_empty()) {
                demand.sources.push(Source::Remembered);
            }
            known
        })
        .collect()
}

/// Words stand for a choice where so many examples have both.
const LEAST_TIMES: usize = 3;

/// The share of the texts with the words that have the choice as well.
const LEAST_PURITY: f64 = 0.75;

/// How much more often the choice is there with the words than in all examples.
const LEAST_LIFT: f64 = 0.3;

/// The most words that are kept for the choices of a field.
const MOST_STANDING: usize = 32;

/// Words, and pairs of words, that stand for choices of a field in the texts.
fn standing_for(number: usize, field: &Field, lessons: &[(&str, &Gold)]) -> Vec<Remembered> {
    let count = field.choices.len();
    // For each word the texts that have it, by choice; the last is that there is none.
    let mut texts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut all = vec![0; count + 1];
    for (text, gold) in lessons {
        let value = gold.values[number].as_ref();
        let which = value.and_then(|value| field.choices.iter().position(|c| c == value));
        let which = which.unwrap_or(count);
        all[which] += 1;
        for words in words_of(text) {
            texts.entry(words).or_insert_with(|| vec![0; count + 1])[which] += 1;
        }
    }
    let mut found: Vec<(f64, Remembered)> = Vec::new();
    for (words, by_choice) in texts {
        let total: usize = by_choice.iter().sum();
        for (which, &times) in by_choice[..count].iter().enumerate() {
            let purity = times as f64 / total as f64;
            let lift = purity - all[which] as f64 / lessons.len() as f64;
            if times >= LEAST_TIMES && purity >= LEAST_PURITY && lift >= LEAST_LIFT {
                found.push((
                    lift * (times as f64).sqrt(),
                    Remembered {
                        value: words.clone(),
                        times: times as u32,
                        stands_for: Some(which as u32),
                    },
                ));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.value.cmp(&b.1.value)));
    found.truncate(MOST_STANDING);
    found
        .into_iter()
        .map(|(_, remembered)| remembered)
        .collect()
}

/// The words of a text, and each with the next.
fn words_of(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let words = |line: &str| -> Vec<String> {
        let words = line.split(|c: char| !c.is_alphabetic());
        let words = words.filter(|word| word.chars().count() > 2);
        words.map(str::to_owned).collect()
    };
    let mut all = BTreeSet::new();
    for line in lower.lines() {
        all.extend(words(line));
        // Pairs only where nothing but a blank is between them, as a page has them.
        let blanks: Vec<&str> = line.split(' ').collect();
        for two in blanks.windows(2) {
            let plain =
                |word: &str| word.chars().count() > 2 && word.chars().all(char::is_alphabetic);
            if plain(two[0]) && plain(two[1]) {
                all.insert(two.join(" "));
            }
        }
    }
    all
}
