//! What is seen of a field that two have read.

use serde_json::Value;

use super::habit::Habit;
use crate::extract::fields::{Field, Fields, Type};
use crate::extract::gold::Gold;
use crate::extract::reader::Reading;
use crate::extract::trust::log_odds;
use crate::extract::{Written, locate};

/// What speaks for a value: the log-odds of the reader, those of the tokens that the language
/// model wrote, whether the text says the value, whether it says the other one, and whether the
/// value looks like those of the examples; all the larger, the more they speak for it.
pub type Features = [f64; 5];

/// Log-odds beyond this are not worth more.
const MOST: f64 = 5.0;

/// What is seen of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The field.
    pub field: usize,
    /// What speaks for the value of the reader.
    pub read: Features,
    /// What speaks for that of the language model, where it is another.
    pub written: Option<Features>,
}

/// What is seen of each open field. `None` where what was written is no object of the schema.
pub fn view(
    fields: &Fields,
    text: &str,
    (reading, written): (&Reading, &Written),
    open: &[bool],
    habits: &[Habit],
) -> Option<Vec<View>> {
    let read = Gold::of(fields, &reading.value).ok()?;
    let second = Gold::of(fields, &written.value).ok()?;
    let agreed = second.grade(&read, fields);
    let one = |(number, field): (usize, &Field)| {
        let own = log_odds(confidence(fields, reading, number)).clamp(-MOST, MOST);
        let tokens = likelihood(written, &second, (number, field));
        let tokens = tokens.map_or(0.0, |log| log_odds(log.exp()).clamp(-MOST, MOST));
        let look = |gold: &Gold| {
            let values = column(gold, number, field);
            (
                placed(text, field, &values),
                likeness(&habits[number], &values),
            )
        };
        let (read_place, read_look) = look(&read);
        if agreed[number] {
            return View {
                field: number,
                read: [own, tokens, read_place, 0.0, read_look],
                written: None,
            };
        }
        let (place, look) = look(&second);
        let apart = read_look - look;
        View {
            field: number,
            read: [own, -tokens, read_place, -place, apart],
            written: Some([-own, tokens, place, -read_place, -apart]),
        }
    };
    let all = fields.all().iter().enumerate();
    Some(all.filter(|(number, _)| open[*number]).map(one).collect())
}

/// How sure a reader is of a field: of the least sure of its values, and that none is missing.
pub(super) fn confidence(fields: &Fields, reading: &Reading, field: usize) -> f64 {
    let own = reading.fields.iter().filter(|one| one.field == field);
    let least = own.map(|one| one.confidence).fold(1.0, f64::min);
    match fields.all()[field].list {
        Some(_) => least * reading.doubt.exp(),
        None => least,
    }
}

/// The values of a field.
fn column<'g>(gold: &'g Gold, number: usize, field: &Field) -> Vec<&'g Value> {
    match field.list {
        None => gold.values[number].iter().collect(),
        Some(list) => {
            let values = gold.items[list].iter().flatten();
            let own = values.filter(|(field, _)| *field == number);
            own.map(|(_, value)| value).collect()
        }
    }
}

/// The least logarithm of a probability among the written values of a field.
fn likelihood(written: &Written, gold: &Gold, (number, field): (usize, &Field)) -> Option<f64> {
    match field.list {
        None => {
            debug_assert!(number < gold.values.len());
            written.likelihood(&field.path)
        }
        Some(list) => {
            let own = (0..gold.items[list].len()).filter_map(|item| {
                written.likelihood(&field.path.replace("[]", &format!("[{item}]")))
            });
            own.reduce(f64::min)
        }
    }
}

/// Whether a text says the values: from −1, none of them, to 1, all; 0 where it need not.
fn placed(text: &str, field: &Field, values: &[&Value]) -> f64 {
    if values.is_empty() || matches!(field.kind, Type::Boolean | Type::Choice) {
        return 0.0;
    }
    let found = values.iter().filter(|value| locate(text, value).is_some());
    2.0 * found.count() as f64 / values.len() as f64 - 1.0
}

fn likeness(habit: &Habit, values: &[&Value]) -> f64 {
    let sum: f64 = values.iter().map(|value| habit.likeness(value)).sum();
    sum / (values.len().max(1)) as f64
}
