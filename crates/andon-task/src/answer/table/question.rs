//! From a question to a query.

use std::collections::BTreeSet;

use super::Table;
use super::query::{Ask, Compared, Filter, Order, Query};
use super::token::{Token, alike, tokens};
use super::vocabulary::{
    BEFORE, BEHIND, CONTAINING, FILLING, INTENTS, Intent, JOINING, RANKS, TURNING, VERBS,
};

/// A value of the table that a question names: its tokens, and the columns that have it.
struct Named {
    tokens: std::ops::Range<usize>,
    columns: Vec<usize>,
    value: String,
}

struct Reading<'a> {
    table: &'a Table,
    tokens: Vec<Token>,
    used: Vec<bool>,
}

/// Whether a question asks for a number or a rank, understood or not.
pub(super) fn reckons(question: &str) -> bool {
    let tokens = tokens(question);
    let words: Vec<&str> = tokens.iter().map(|token| token.word.as_str()).collect();
    let stands = |phrase: &[&str]| words.windows(phrase.len()).any(|run| run == phrase);
    let counts = INTENTS.iter().filter(|(_, intent)| *intent != Intent::List);
    let mut ranks = RANKS.iter().map(|(phrase, _)| *phrase);
    let compares = tokens.iter().any(|token| token.number.is_some())
        && BEFORE
            .iter()
            .any(|(phrase, compared)| *compared != Compared::Equal && stands(phrase));
    counts.map(|(phrase, _)| *phrase).any(stands)
        || ranks.any(stands)
        || stands(&["the", "most"])
        || compares
}

impl Table {
    /// The query that a question asks; `None` where it is not understood to the last word.
    pub(super) fn understand(&self, question: &str) -> Option<Query> {
        let tokens = tokens(question);
        let mut reading = Reading {
            table: self,
            used: vec![false; tokens.len()],
            tokens,
        };
        let mut filters = reading.values(2)?;
        let comparisons = reading.comparisons()?;
        let rank = reading.phrase(RANKS);
        let most = rank.is_none() && reading.takes_most();
        let asked = reading.phrase(INTENTS);
        let count = reading.count(rank.is_some())?;
        filters.extend(reading.values_of_named_columns()?);
        let mut mentions = reading.mentions(&filters)?;
        filters.extend(reading.values(1)?);
        filters.extend(reading.contained()?);
        // A row has one value of a column: who names two means either, or both in turn.
        let twice = |at: usize| filters[..at].iter().any(|f| f.column == filters[at].column);
        if (0..filters.len()).any(twice) {
            return None;
        }
        // "Caused by wear": the column is named with its value.
        mentions.retain(|column| !filters.iter().any(|filter| filter.column == *column));
        filters.extend(comparisons);
        reading.is_accounted_for().then_some(())?;
        let ask = self.asked((asked, rank, most), count, &mentions, !filters.is_empty())?;
        Some(Query { ask, filters })
    }

    /// What is asked of the rows, from the columns that the question names.
    fn asked(
        &self,
        (intent, rank, most): (Option<Intent>, Option<Order>, bool),
        count: Option<usize>,
        mentions: &[usize],
        has_filters: bool,
    ) -> Option<Ask> {
        let (numbers, texts): (Vec<usize>, Vec<usize>) = mentions
            .iter()
            .partition(|&&column| self.columns[column].is_number);
        if let Some(order) = rank {
            let &[metric] = numbers.as_slice() else {
                return None;
            };
            if !matches!(intent, None | Some(Intent::List)) {
                return None;
            }
            return match *texts.as_slice() {
                [] if count.is_none() => Some(Ask::Extreme { metric, order }),
                [] => Some(Ask::Ranked {
                    subject: None,
                    metric,
                    order,
                    count,
                }),
                [subject] => Some(Ask::Ranked {
                    subject: Some(subject),
                    metric,
                    order,
                    count,
                }),
                _ => None,
            };
        }
        if count.is_some() && intent != Some(Intent::Commonest) {
            return None;
        }
        match (intent?, mentions) {
            (Intent::List, &[group]) if most => Some(Ask::Most { group, of: None }),
            (Intent::List, &[group, of]) if most => Some(Ask::Most {
                group,
                of: Some(of),
            }),
            _ if most => None,
            (Intent::Count, &[]) => Some(Ask::Count { subject: None }),
            (Intent::Count, &[subject]) => Some(Ask::Count {
                subject: Some(subject),
            }),
            (Intent::Commonest, &[subject]) => Some(Ask::Commonest { subject, count }),
            (Intent::Average, &[metric]) if self.columns[metric].is_number => {
                Some(Ask::Average { metric })
            }
            (Intent::Sum, &[metric]) if self.columns[metric].is_number => Some(Ask::Sum { metric }),
            (Intent::List, &[subject]) if has_filters => Some(Ask::List { subject }),
            _ => None,
        }
    }
}

impl Reading<'_> {
    fn word(&self, at: usize) -> &str {
        match self.used.get(at) {
            Some(false) => &self.tokens[at].word,
            _ => "",
        }
    }

    fn stands(&self, words: &[&str], at: usize) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(step, word)| self.word(at + step) == *word)
    }

    fn take(&mut self, place: std::ops::Range<usize>) {
        self.used[place].fill(true);
    }

    /// The first phrase of a list that stands in the question; its words are taken.
    fn phrase<T: Copy>(&mut self, phrases: &[(&[&str], T)]) -> Option<T> {
        for (words, meaning) in phrases {
            let found = (0..self.tokens.len()).find(|&at| self.stands(words, at));
            if let Some(at) = found {
                self.take(at..at + words.len());
                return Some(*meaning);
            }
        }
        None
    }

    /// Whether the question asks for what has most of something.
    fn takes_most(&mut self) -> bool {
        let phrases: [&[&str]; 4] = [
            &["the", "most"],
            &["has", "most"],
            &["have", "most"],
            &["tiene", "mas"],
        ];
        let frequent = [
            "frequent",
            "common",
            "often",
            "frecuente",
            "comun",
            "recent",
        ];
        for words in phrases {
            for at in 0..self.tokens.len() {
                let next = self.word(at + words.len());
                if self.stands(words, at) && !frequent.contains(&next) {
                    self.take(at..at + words.len());
                    return true;
                }
            }
        }
        false
    }

    /// The comparisons of the question; `None` where one has no column of numbers.
    fn comparisons(&mut self) -> Option<Vec<Filter>> {
        let mut filters = Vec::new();
        for at in 0..self.tokens.len() {
            let Some(number) = self.tokens[at].number.filter(|_| !self.used[at]) else {
                continue;
            };
            if let Some(filter) = self.range(at, number) {
                filters.push(filter?);
                continue;
            }
            let behind = (BEHIND.iter()).find(|(words, _)| self.stands(words, at + 1));
            let behind = behind.map(|(words, compared)| (words.len(), *compared));
            let before = BEFORE
                .iter()
                .find(|(words, _)| at >= words.len() && self.stands(words, at - words.len()));
            let (start, said) = match before {
                Some((words, compared)) => (at - words.len(), Some(*compared)),
                None => (at, None),
            };
            let is_said = said.is_some_and(|said| said != Compared::Equal) || behind.is_some();
            let Some((column, name)) = self.column_before(start) else {
                // Many of something: no comparison.
                match is_said {
                    true => {
                        let end = at + 1 + behind.map_or(0, |(length, _)| length);
                        let (column, place) = self.column_behind(end)?;
                        self.take(start..place);
                        let compared = behind.map_or(said?, |(_, compared)| compared);
                        filters.push(Filter::number(column, compared, number));
                        continue;
                    }
                    false => continue,
                }
            };
            if said.is_none() && behind.is_none() && name.end < start {
                continue;
            }
            let end = at + 1 + behind.map_or(0, |(length, _)| length);
            let compared = behind.map_or(said.unwrap_or(Compared::Equal), |(_, compared)| compared);
            self.take(name.start..end);
            filters.push(Filter::number(column, compared, number));
        }
        Some(filters)
    }

    /// `between 3 and 5`, beginning before the number at this place.
    fn range(&mut self, at: usize, low: f64) -> Option<Option<Filter>> {
        let opens = at > 0 && ["between", "entre"].contains(&self.word(at - 1));
        let high = self.tokens.get(at + 2).and_then(|token| token.number);
        let joins = ["and", "y", "to"].contains(&self.word(at + 1));
        let high = high.filter(|_| opens && joins)?;
        let Some((column, name)) = self.column_before(at - 1) else {
            return Some(None);
        };
        self.take(name.start..at + 3);
        Some(Some(Filter::number(column, Compared::Within(high), low)))
    }

    /// The column of numbers that is named before a place, with at most some joining words
    /// between, and where its name stands.
    fn column_before(&self, end: usize) -> Option<(usize, std::ops::Range<usize>)> {
        const BETWEEN: &[&str] = &[
            "of",
            "a",
            "an",
            "is",
            "are",
            "was",
            "has",
            "with",
            "the",
            "value",
            "score",
            "rating",
            "de",
            "es",
            "una",
            "un",
            "la",
            "el",
            "sea",
            "con",
            "que",
            "puntuacion",
            "valor",
        ];
        let mut at = end;
        while at > 0 && BETWEEN.contains(&self.word(at - 1)) && end - at < 3 {
            at -= 1;
        }
        // The longest run of words that names one.
        (0..at).find_map(|from| {
            let column = self.table.named(&self.keys(from..at)?)?;
            let is_number = self.table.columns[column].is_number;
            is_number.then_some((column, from..at))
        })
    }

    /// The same behind a place: `more than 8 in severity`.
    fn column_behind(&self, start: usize) -> Option<(usize, usize)> {
        let joins = |at: &usize| ["in", "for", "of", "de", "en"].contains(&self.word(*at));
        let from = start + usize::from(joins(&start));
        let ends = (from + 1..=self.tokens.len()).rev();
        ends.into_iter().find_map(|end| {
            let column = self.table.named(&self.keys(from..end)?)?;
            self.table.columns[column]
                .is_number
                .then_some((column, end))
        })
    }

    /// The terms of a run of words, none of which is taken; `None` where one is, or the run
    /// begins or ends with a word that says nothing.
    fn keys(&self, place: std::ops::Range<usize>) -> Option<Vec<&str>> {
        let is_free = place.clone().all(|at| !self.used[at]);
        let ends = self.tokens.get(place.start)?.key.is_some()
            && self.tokens.get(place.end.checked_sub(1)?)?.key.is_some();
        (is_free && ends && !place.is_empty()).then(|| {
            let keys = self.tokens[place].iter();
            keys.filter_map(|token| token.key.as_deref()).collect()
        })
    }

    /// How many are asked for, as in `the three with the highest`; `None` where there is
    /// another number.
    fn count(&mut self, is_ranked: bool) -> Option<Option<usize>> {
        let free = (0..self.tokens.len()).filter(|&at| !self.used[at]);
        let numbers: Vec<usize> = free
            .filter(|&at| self.tokens[at].number.is_some())
            .collect();
        match numbers[..] {
            [] => Some(None),
            [at] => {
                let number = self.tokens[at].number?;
                let is_count = number.fract() == 0.0 && (1.0..=100.0).contains(&number);
                // A number in the name of something is not how many.
                (is_count && (is_ranked || at <= 2)).then(|| {
                    self.take(at..at + 1);
                    Some(number as usize)
                })
            }
            _ => None,
        }
    }

    /// The columns that the words left over name, each once, in order; `None` where words name
    /// two alike.
    fn mentions(&mut self, filters: &[Filter]) -> Option<Vec<usize>> {
        let mut columns: Vec<usize> = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let longest = (at + 1..=self.tokens.len().min(at + 6))
                .rev()
                .find_map(|end| {
                    let keys = self.keys(at..end)?;
                    Some((self.table.named(&keys)?, end))
                });
            match longest {
                Some((column, end)) => {
                    let is_verb = VERBS.contains(&self.word(at));
                    if is_verb && !filters.iter().any(|filter| filter.column == column) {
                        return None;
                    }
                    self.take(at..end);
                    if !columns.contains(&column) {
                        columns.push(column);
                    }
                    at = end;
                }
                None => at += 1,
            }
        }
        Some(columns)
    }

    /// Values that stand behind the name of their column: `the failure mode leaking`.
    fn values_of_named_columns(&mut self) -> Option<Vec<Filter>> {
        let mut filters = Vec::new();
        for at in 0..self.tokens.len() {
            let ends = (at + 1..=self.tokens.len().min(at + 6)).rev();
            let named = ends.into_iter().find_map(|end| {
                let column = self.table.named(&self.keys(at..end)?)?;
                let mut next = end;
                while JOINING.contains(&self.word(next)) {
                    next += 1;
                }
                let value = self.value_at(next, Some(column))?;
                Some((column, value))
            });
            if let Some((column, value)) = named {
                self.take(at..value.tokens.end);
                filters.push(Filter::value(column, value.value));
            }
        }
        Some(filters)
    }

    /// Values of at least so many words, the longest first; `None` where one may be of
    /// several columns.
    fn values(&mut self, least: usize) -> Option<Vec<Filter>> {
        let mut filters = Vec::new();
        loop {
            let found = (0..self.tokens.len()).filter_map(|at| self.value_at(at, None));
            let found = found.filter(|named| {
                let keys = self.tokens[named.tokens.clone()].iter();
                keys.filter(|token| token.key.is_some()).count() >= least
            });
            // Of two that are as long the first.
            let longest = found.reduce(|best, next| match next.tokens.len() > best.tokens.len() {
                true => next,
                false => best,
            });
            let Some(named) = longest else {
                return Some(filters);
            };
            let [column] = named.columns[..] else {
                return None;
            };
            self.take(named.tokens);
            filters.push(Filter::value(column, named.value));
        }
    }

    /// The longest value that begins at a token, in one column or in any.
    fn value_at(&self, at: usize, of: Option<usize>) -> Option<Named> {
        let ends = (at + 1..=self.tokens.len().min(at + 12)).rev();
        ends.into_iter().find_map(|end| {
            let keys = self.keys(at..end)?;
            let mut columns = Vec::new();
            let mut value = None;
            for (number, column) in self.table.columns.iter().enumerate() {
                if of.is_some_and(|of| of != number) {
                    continue;
                }
                let own = |(own, _): &&(Vec<String>, String)| {
                    own.len() == keys.len()
                        && own
                            .iter()
                            .zip(&keys)
                            .all(|(a, b)| a == b || alike(a.clone()) == **b)
                };
                if let Some((_, written)) = column.values.iter().find(own) {
                    columns.push(number);
                    value.get_or_insert_with(|| written.clone());
                }
            }
            Some(Named {
                tokens: at..end,
                columns,
                value: value?,
            })
        })
    }

    /// The words left over, where they stand side by side in the values of one column alone.
    fn contained(&mut self) -> Option<Vec<Filter>> {
        let left: Vec<usize> = (0..self.tokens.len())
            .filter(|&at| self.is_left(at))
            .collect();
        let (Some(&first), Some(&last)) = (left.first(), left.last()) else {
            return Some(Vec::new());
        };
        // Only where the question says so: other words about a value may mean anything.
        let says = |at: &usize| CONTAINING.contains(&self.tokens[*at].word.as_str());
        let (said, left): (Vec<usize>, Vec<usize>) = left.into_iter().partition(says);
        if said.first() != Some(&first) {
            return None;
        }
        for at in said {
            self.take(at..at + 1);
        }
        let first = *left.first()?;
        let keys = self.keys(first..last + 1)?;
        let holds = |value: &(Vec<String>, String)| {
            value.0.windows(keys.len()).any(|run| {
                run.iter()
                    .zip(&keys)
                    .all(|(a, b)| a == b || alike(a.clone()) == **b)
            })
        };
        let columns = self.table.columns.iter().enumerate();
        let columns: Vec<usize> = columns
            .filter(|(_, column)| column.values.iter().any(holds))
            .map(|(number, _)| number)
            .collect();
        let [column] = columns[..] else { return None };
        let words: Vec<&str> = self.tokens[first..=last]
            .iter()
            .map(|t| t.word.as_str())
            .collect();
        let filter = Filter::containing(
            column,
            words.join(" "),
            keys.iter().map(|&key| key.to_owned()).collect(),
        );
        self.take(first..last + 1);
        Some(vec![filter])
    }

    fn is_left(&self, at: usize) -> bool {
        let token = &self.tokens[at];
        let is_name = |key: &String| self.table.name.contains(key);
        let fills = FILLING.contains(&token.word.as_str())
            || self.table.is_noun_of_rows(token.key.as_deref())
            || token.key.as_ref().is_some_and(is_name);
        !self.used[at] && token.key.is_some() && !fills
    }

    /// Whether each telling word was understood.
    fn is_accounted_for(&self) -> bool {
        let turns = |at: usize| TURNING.contains(&self.word(at));
        !(0..self.tokens.len()).any(|at| self.is_left(at) || turns(at))
    }
}

impl Table {
    /// The column that words name: of those that hold all of them the one whose name they say
    /// most of; `None` where that is none or several.
    fn named(&self, keys: &[&str]) -> Option<usize> {
        let keys: BTreeSet<&str> = keys.iter().copied().collect();
        let holds = |terms: &BTreeSet<String>| keys.iter().all(|key| terms.contains(*key));
        let holding = self.columns.iter().enumerate();
        let holding: Vec<(usize, usize)> = holding
            .filter(|(_, column)| holds(&column.terms))
            .map(|(number, column)| (column.terms.len(), number))
            .collect();
        let least = holding.iter().map(|(terms, _)| *terms).min()?;
        let best: Vec<usize> = holding
            .iter()
            .filter(|(terms, _)| *terms == least)
            .map(|(_, number)| *number)
            .collect();
        let [column] = best[..] else { return None };
        // A name of which others have a word too is said whole, or by the word that it has
        // alone.
        let telling = keys.iter().any(|key| {
            let having = self
                .columns
                .iter()
                .filter(|column| column.terms.contains(*key));
            having.count() == 1
        });
        (telling || keys.len() == least).then_some(column)
    }

    /// Whether a word is one that several columns' names have, as `failure` of an analysis of
    /// failures: it stands for the rows.
    fn is_noun_of_rows(&self, key: Option<&str>) -> bool {
        let having = |key: &str| {
            let columns = self.columns.iter();
            columns.filter(|column| column.terms.contains(key)).count()
        };
        key.is_some_and(|key| having(key) >= 2)
    }
}
