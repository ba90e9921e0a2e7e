//! Dates as people write them.

use std::sync::LazyLock;

use regex::Regex;

/// In which order a written date is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// 31/1/2026, and all that is read in one way only.
    DayFirst,
    /// 1/31/2026.
    MonthFirst,
}

/// Months by their first three or four letters, in English and Spanish and what is close to
/// them.
const MONTHS: [(&str, u32); 20] = [
    ("jan", 1),
    ("ene", 1),
    ("feb", 2),
    ("mar", 3),
    ("apr", 4),
    ("abr", 4),
    ("may", 5),
    ("mai", 5),
    ("jun", 6),
    ("jul", 7),
    ("aug", 8),
    ("ago", 8),
    ("sep", 9),
    ("set", 9),
    ("oct", 10),
    ("okt", 10),
    ("nov", 11),
    ("dec", 12),
    ("dic", 12),
    ("dez", 12),
];

static WRITTEN: LazyLock<Regex> = LazyLock::new(|| {
    let month = r"(?:jan|ene|feb|mar|apr|abr|may|mai|jun|jul|aug|ago|sep|set|oct|okt|nov|dec|dic|dez)[a-zé]*";
    let expression = format!(
        r"(?ix)
          \d{{4}}\s?[-/.]\s?\d{{1,2}}\s?[-/.]\s?\d{{1,2}}
        | \d{{1,2}}\s?[-/.]\s?\d{{1,2}}\s?[-/.]\s?(?:\d{{4}}|'?\d{{2}})
        | \d{{1,2}}(?:st|nd|rd|th|\.|º)?[\s./-]{{0,3}}(?:de\s+)?{month}[\s.,/'-]{{0,3}}(?:de[l]?\s+)?(?:\d{{4}}|\d{{2}})
        | {month}[\s.]{{0,2}}\d{{1,2}}(?:st|nd|rd|th)?[\s,]{{1,2}}\d{{4}}
        | (?:19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])
        "
    );
    Regex::new(&expression).expect("the expression is sound")
});

/// The places of a text that read like a date, as ranges of bytes.
pub(super) fn find(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(place) = WRITTEN.find_at(text, from) {
        let before = text[..place.start()].chars().next_back();
        let behind = text[place.end()..].chars().next();
        let is_inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let letter_before = text[place.start()..].starts_with(char::is_alphabetic)
            && before.is_some_and(char::is_alphabetic);
        // 19-10/03 is a part of something else.
        let written = place.as_str();
        let signs: Vec<char> = written
            .chars()
            .filter(|c| matches!(c, '-' | '/' | '.'))
            .collect();
        let one_sign = signs.windows(2).all(|pair| pair[0] == pair[1])
            || written.chars().any(char::is_alphabetic);
        let sound = !is_inside(before)
            && !is_inside(behind)
            && !letter_before
            && one_sign
            && !written.contains(['\t', '\n']);
        if sound
            && read(place.as_str(), Order::DayFirst)
                .or_else(|| read(place.as_str(), Order::MonthFirst))
                .is_some()
        {
            found.push((place.start(), place.end()));
            from = place.end();
        } else {
            // One character on: a date may begin inside of what was none.
            let step = text[place.start()..]
                .chars()
                .next()
                .map_or(1, char::len_utf8);
            from = place.start() + step;
        }
    }
    found
}

/// The date that a text says, as `2026-01-31`; `None` where it says none in this order.
pub(super) fn read(text: &str, order: Order) -> Option<String> {
    let lower = text.to_lowercase();
    let mut parts: Vec<&str> = Vec::new();
    let mut month = None;
    for part in lower.split(|c: char| !c.is_alphanumeric()) {
        // A run of digits and a month may touch each other: 14mar2018.
        let mut rest = part;
        while !rest.is_empty() {
            let digits = rest.chars().next().is_some_and(|c| c.is_ascii_digit());
            let end = rest
                .find(|c: char| c.is_ascii_digit() != digits)
                .unwrap_or(rest.len());
            let (piece, behind) = rest.split_at(end);
            if digits {
                parts.push(piece);
            } else if let Some((_, number)) =
                MONTHS.iter().find(|(name, _)| piece.starts_with(name))
            {
                month.get_or_insert((*number, parts.len()));
            }
            rest = behind;
        }
    }
    let number = |text: &str| text.parse::<u32>().ok();
    let (year, month, day) = match (month, parts.as_slice()) {
        (Some((month, _)), [day, year]) => (year_of(year)?, month, number(day)?),
        (None, [year, month, day]) if year.len() == 4 => {
            (number(year)?, number(month)?, number(day)?)
        }
        (None, [first, second, year]) => {
            let year = year_of(year)?;
            match order {
                Order::DayFirst => (year, number(second)?, number(first)?),
                Order::MonthFirst => (year, number(first)?, number(second)?),
            }
        }
        (None, [compact]) if compact.len() == 8 => (
            number(&compact[..4])?,
            number(&compact[4..6])?,
            number(&compact[6..])?,
        ),
        _ => return None,
    };
    is_date(year, month, day).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn year_of(text: &str) -> Option<u32> {
    let year: u32 = text.parse().ok()?;
    match text.len() {
        4 => Some(year),
        2 if year < 70 => Some(2000 + year),
        2 => Some(1900 + year),
        _ => None,
    }
}

fn is_date(year: u32, month: u32, day: u32) -> bool {
    (1900..=2199).contains(&year) && (1..=days(year, month)).contains(&day)
}

/// The days of a month; none of one that there is not.
fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Whether a text is a date as `2026-01-31`.
pub(super) fn is_iso(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    let number = |text: &str, length| {
        let sound = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        sound.then(|| text.parse::<u32>().ok()).flatten()
    };
    match (number(year, 4), number(month, 2), number(day, 2)) {
        (Some(year), Some(month), Some(day)) => (1..=days(year, month)).contains(&day),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
