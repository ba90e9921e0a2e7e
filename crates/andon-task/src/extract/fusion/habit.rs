//! What the values of a field look like in the examples: which there are, and how they are
//! formed. A supplier that three notes had is more probable than one that none had; a number of
//! a note that has no digit is improbable where all have some.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::extract::folded;

/// In how many examples a value or a form is before it counts. One may be the very example that
/// is looked at.
const LEAST: usize = 2;

/// What the values of a field look like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Habit {
    /// Values that several examples have, folded.
    values: BTreeSet<String>,
    /// Forms that several examples have.
    forms: BTreeSet<String>,
    /// The share of the examples' values that have one of those forms.
    regular: f64,
}

impl Habit {
    /// The habit of texts, each from another example. What is no text has none.
    pub fn of<'v>(values: impl Iterator<Item = &'v Value>) -> Self {
        let mut by_value: BTreeMap<String, usize> = BTreeMap::new();
        let mut by_form: BTreeMap<String, usize> = BTreeMap::new();
        let mut count = 0;
        for text in values.filter_map(Value::as_str) {
            *by_value.entry(folded(text)).or_default() += 1;
            *by_form.entry(form(text)).or_default() += 1;
            count += 1;
        }
        let often = |counts: BTreeMap<String, usize>| -> Vec<(String, usize)> {
            let often = counts.into_iter().filter(|(_, times)| *times >= LEAST);
            often.collect()
        };
        let (values, forms) = (often(by_value), often(by_form));
        let regular: usize = forms.iter().map(|(_, times)| times).sum();
        Self {
            values: values.into_iter().map(|(value, _)| value).collect(),
            forms: forms.into_iter().map(|(form, _)| form).collect(),
            regular: regular as f64 / f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX)),
        }
    }

    /// How like the examples' a value is: 1 where it is one of them, less where its form is
    /// one of theirs, below 0 where they have forms and it has another.
    pub fn likeness(&self, value: &Value) -> f64 {
        let Some(text) = value.as_str() else {
            return 0.0;
        };
        if self.values.contains(&folded(text)) {
            1.0
        } else if self.forms.contains(&form(text)) {
            0.5 * self.regular
        } else {
            -self.regular
        }
    }
}

/// The form of a text: a letter for words by their case, a digit for numbers, signs as they
/// stand; what comes again is said once.
fn form(text: &str) -> String {
    let mut form = String::new();
    for c in text.chars() {
        let class = match c {
            c if c.is_numeric() => '9',
            c if c.is_uppercase() => 'A',
            c if c.is_alphabetic() => 'a',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if !form.ends_with(class) {
            form.push(class);
        }
    }
    form
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(examples: &[&str], value: Value, expected: f64) {
        let examples: Vec<Value> = examples.iter().map(|&text| text.into()).collect();
        assert_eq!(Habit::of(examples.iter()).likeness(&value), expected);
    }

    #[test]
    fn a_value_is_known_by_itself_or_by_its_form() {
        let numbers = ["PO-4512", "PO-88123", "PO-7", "P 5"];
        check(&numbers, json!("PO-4512"), 0.375);
        check(&numbers, json!("QX-1"), 0.375);
        check(&numbers, json!("Talleres Ebro"), -0.75);
        check(&numbers, json!(12), 0.0);
        let suppliers = ["Talleres Ebro", "talleres  EBRO.", "Atlas Belts"];
        check(&suppliers, json!("Talleres Ebro"), 1.0);
        // One example with it may be the very one that is looked at.
        check(&["Atlas Belts"], json!("Atlas Belts"), 0.0);
        check(&[], json!("Atlas Belts"), 0.0);
    }
}
