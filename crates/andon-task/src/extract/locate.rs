//! Where a text says a value that somebody else read out of it.

use serde_json::Value;

use super::number::{self, Decimal};
use super::page::Page;
use super::{date, spelling};

/// The first place of a text that says a value, in bytes: texts but for case, blanks and
/// punctuation, numbers and dates however they are written. `None` where no place does.
pub fn locate(text: &str, value: &Value) -> Option<(usize, usize)> {
    match value {
        Value::Number(wanted) => {
            let wanted = wanted.as_f64()?;
            let says = |start: usize, end: usize| {
                [Decimal::Point, Decimal::Comma]
                    .into_iter()
                    .any(|decimal| number::read(&text[start..end], decimal) == Some(wanted))
            };
            let found = number::find(text)
                .into_iter()
                .find(|found| says(found.start, found.end));
            found.map(|found| (found.start, found.end))
        }
        Value::String(wanted) => words(text, wanted).or_else(|| {
            let says = |&(start, end): &(usize, usize)| {
                let orders = [date::Order::DayFirst, date::Order::MonthFirst];
                orders
                    .into_iter()
                    .any(|order| date::read(&text[start..end], order).as_ref() == Some(wanted))
            };
            date::find(text).into_iter().find(says)
        }),
        _ => None,
    }
}

/// A place that begins and ends with whole tokens and has the letters and digits of a text.
fn words(text: &str, wanted: &str) -> Option<(usize, usize)> {
    let wanted = spelling::compact(wanted);
    if wanted.is_empty() {
        return None;
    }
    let page = Page::new(text);
    let at = page
        .compact
        .windows(wanted.len())
        .enumerate()
        .find_map(|(at, window)| {
            let (start, end) = (page.origin[at], page.origin[at + wanted.len() - 1]);
            let before = text[..start].chars().next_back();
            let behind = text[end..].chars().nth(1);
            let is_whole = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
            (window == wanted && is_whole(before) && is_whole(behind)).then_some((start, end))
        });
    let (start, last) = at?;
    let end = last + text[last..].chars().next().map_or(1, char::len_utf8);
    Some((start, end))
}

#[cfg(test)]
mod tests;
