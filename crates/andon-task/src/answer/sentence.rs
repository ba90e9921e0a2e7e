//! Where sentences end.

use std::ops::Range;

/// What ends with a full stop without ending a sentence, in English and Spanish.
const ABBREVIATIONS: &[&str] = &[
    "abs", "approx", "aprox", "art", "cap", "cf", "dr", "ej", "eq", "esp", "etc", "fig", "figs",
    "max", "min", "mr", "mrs", "máx", "mín", "no", "nos", "nr", "núm", "p", "pag", "pág", "pos",
    "ref", "rev", "sec", "sr", "sra", "st", "tel", "temp", "vol", "vs", "e.g", "i.e", "p.ej",
    "a.m", "p.m",
];

/// The sentences of a paragraph, as places in it.
pub(crate) fn split(text: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if !matches!(c, '.' | '!' | '?' | '…') {
            continue;
        }
        let mut end = at + c.len_utf8();
        // Quotation marks and brackets that close belong to the sentence.
        while let Some(&(next, closing)) = characters.peek() {
            if !matches!(
                closing,
                '.' | '!' | '?' | '"' | '”' | '’' | '\'' | ')' | '»'
            ) {
                break;
            }
            end = next + closing.len_utf8();
            characters.next();
        }
        if ends(&text[start..at], c, &text[end..]) {
            sentences.push(start..end);
            start = end;
        }
    }
    sentences.push(start..text.len());
    sentences
        .into_iter()
        .filter_map(|place| {
            let sentence = &text[place.clone()];
            let begin = place.start + (sentence.len() - sentence.trim_start().len());
            let end = place.start + sentence.trim_end().len();
            text.get(begin..end)
                .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
                .map(|_| begin..end)
        })
        .collect()
}

/// Whether a mark behind `before` ends a sentence, `rest` being what follows it.
fn ends(before: &str, mark: char, rest: &str) -> bool {
    let mut following = rest.chars();
    if !following.next().is_none_or(char::is_whitespace) {
        return false;
    }
    let next = rest.trim_start().chars().next();
    if next.is_some_and(char::is_lowercase) {
        return false;
    }
    if mark != '.' {
        return true;
    }
    let last = before.rsplit(char::is_whitespace).next().unwrap_or("");
    let last = last.trim_start_matches(|c: char| !c.is_alphanumeric());
    // The number of a step ('3.') or an initial.
    let is_number = !last.is_empty() && last.chars().all(|c| c.is_ascii_digit());
    let begins_line = before.trim().len() == last.len();
    let is_initial = last.chars().count() == 1 && last.chars().all(char::is_uppercase);
    let is_short = ABBREVIATIONS.contains(&last.to_lowercase().as_str());
    !(is_number && begins_line || is_initial || is_short && next.is_some())
}

#[cfg(test)]
mod tests {
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = super::split(text).into_iter().map(|p| &text[p]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn sentences_end_where_readers_end_them() {
        check("Close the valve. Wait.", &["Close the valve.", "Wait."]);
        check("Set 2.5 bar. Then go.", &["Set 2.5 bar.", "Then go."]);
        check("3. Lock Q122. Tag it.", &["3. Lock Q122.", "Tag it."]);
        check(
            "See Fig. 4 (max. 3 bar). Done!",
            &["See Fig. 4 (max. 3 bar).", "Done!"],
        );
        check("¿Qué par? 25 N·m.", &["¿Qué par?", "25 N·m."]);
        check(
            "A line\nthat goes on. Next",
            &["A line\nthat goes on.", "Next"],
        );
        check(" ... ", &[]);
    }
}
