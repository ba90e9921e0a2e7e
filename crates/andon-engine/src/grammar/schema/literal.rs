//! Values that schemas name: only those that can be written as they are.

use serde_json::Value;

use super::{Place, number};

/// Whether exactly this value can be written, whatever else is asked of it.
pub(super) fn check(value: &Value, place: &Place) -> Result<(), String> {
    match value {
        Value::Number(_) => number::exact(value)
            .map(drop)
            .or_else(|why| place.refuse(why)),
        Value::String(text) => match text.chars().find(|&c| !is_written(c)) {
            Some(control) => place.refuse(format!(
                "the control character {control:?} in a value is not supported"
            )),
            None => Ok(()),
        },
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(at, value)| check(value, &place.within(at))),
        Value::Object(values) => values
            .iter()
            .try_for_each(|(name, value)| check(value, &place.within(name))),
        _ => Ok(()),
    }
}

/// Whether a character stands in a JSON text as itself or with a short escape; no
/// other escapes are written, so that no name can be spelled in two ways.
fn is_written(character: char) -> bool {
    let has_short_escape = matches!(character, '\n' | '\r' | '\t' | '\u{8}' | '\u{c}');
    has_short_escape || !(character < ' ' || character == '\u{7f}')
}
