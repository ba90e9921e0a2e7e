//! The formats of strings that are enforced, as expressions.

/// A date of the Gregorian calendar, leap years as they are.
const DATE: &str = "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)";
/// A time with its offset. A leap second stands where it is one: at the end of a
/// day of UTC.
const TIME: &str = "(?:(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]+)?(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))|23:59:60(?:[.][0-9]+)?(?:[zZ]|[+-]00:00))";
/// Labels of at most 63 letters, digits and hyphens, without a hyphen at either end
/// and without two as third and fourth, which mark encoded names.
const LABEL: &str = "(?:[0-9A-Za-z]|[0-9A-Za-z]{2}|[0-9A-Za-z][0-9A-Za-z-][0-9A-Za-z]|[0-9A-Za-z][0-9A-Za-z-](?:[0-9A-Za-z]{2}|-[0-9A-Za-z])|[0-9A-Za-z][0-9A-Za-z-](?:[0-9A-Za-z][0-9A-Za-z-]|-[0-9A-Za-z])[0-9A-Za-z-]{0,58}[0-9A-Za-z])";
const POINTER: &str = "(?:/(?:[^~/]|~[01])*)*";

/// How a format is enforced.
#[derive(Debug, PartialEq)]
pub(super) enum Format {
    /// By this expression, and no more than so many characters.
    Expression(String, Option<u32>),
    /// By llguidance's own expression.
    Known,
}

/// The format of this name, if it is enforced.
pub(super) fn lookup(name: &str) -> Option<Format> {
    let whole = |expression: String| format!("^(?:{expression})$").replace('/', r"\x{2F}");
    let expression = |expression: String| Format::Expression(whole(expression), None);
    Some(match name {
        "date" => expression(DATE.to_owned()),
        "time" => expression(TIME.to_owned()),
        "date-time" => expression(format!("{DATE}[tT]{TIME}")),
        "hostname" => {
            let hostname = format!(r"{LABEL}(?:[.]{LABEL})*");
            Format::Expression(whole(hostname), Some(253))
        }
        "json-pointer" => expression(POINTER.to_owned()),
        "relative-json-pointer" => expression(format!("(?:0|[1-9][0-9]*)(?:#|{POINTER})")),
        "duration" | "email" | "ipv4" | "ipv6" | "uri" | "uuid" => Format::Known,
        _ => return None,
    })
}
