//! What schemas say of strings: lengths, patterns, formats.

use serde_json::{Map, Value, json};

use super::{Place, counts, shown};
use crate::grammar::{format, pattern};

/// Restates what a schema says of strings; what does not go beside the rest is returned.
pub(super) fn restate(
    given: &Map<String, Value>,
    place: &Place,
    to: &mut Map<String, Value>,
) -> Result<Option<Value>, String> {
    counts(given, place, ["minLength", "maxLength"], to)?;
    let mut expressions = Vec::new();
    if let Some(pattern) = given.get("pattern") {
        let place = place.within("pattern");
        let Some(pattern) = pattern.as_str() else {
            return place.refuse("it is no text");
        };
        let translated = pattern::translate(pattern);
        expressions
            .push(translated.or_else(|why| place.refuse(format!("{why} is not supported")))?);
    }
    let may_be_text = match to.get("type") {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        Some(kind) => kind == "string",
    };
    if let Some(name) = given.get("format").filter(|_| may_be_text) {
        match name.as_str().and_then(format::lookup) {
            None => {
                return place
                    .within("format")
                    .refuse(format!("the format {} is not supported", shown(name)));
            }
            Some(format::Format::Known) => drop(to.insert("format".to_owned(), name.clone())),
            Some(format::Format::Expression(expression, most)) => {
                expressions.push(expression);
                if let Some(most) = most {
                    let asked = to.get("maxLength").and_then(Value::as_u64);
                    let most = asked.map_or(u64::from(most), |asked| asked.min(u64::from(most)));
                    to.insert("maxLength".to_owned(), most.into());
                }
            }
        }
    }
    let mut expressions = expressions.into_iter();
    if let Some(expression) = expressions.next() {
        to.insert("pattern".to_owned(), expression.into());
    }
    Ok(expressions
        .next()
        .map(|expression| json!({ "pattern": expression })))
}
