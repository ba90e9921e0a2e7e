//! JSON as chat templates write it: like Python, with a blank after commas and
//! colons, and nothing escaped that need not be. Models were trained on that.

use std::io;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{Formatter, PrettyFormatter};

/// Spaces that `tojson` indents by, at most: a template must not fill the memory.
const WIDEST_INDENT: usize = 16;

/// The filter `tojson`.
pub(super) fn filter(value: &Value, indent: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let width = match &indent {
        Some(indent) => usize::try_from(indent.clone()).ok(),
        None => named.get::<Option<usize>>("indent")?,
    };
    // Python's own options, which change nothing here.
    named.get::<Option<bool>>("ensure_ascii")?;
    named.assert_all_used()?;
    let text = match width {
        Some(width) if width > WIDEST_INDENT => {
            let message = format!("tojson indents by {WIDEST_INDENT} spaces at most");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        Some(width) => {
            let blanks = [b' '; WIDEST_INDENT];
            write(value, PrettyFormatter::with_indent(&blanks[..width]))
        }
        None => write(value, OneLine),
    };
    Ok(Value::from_safe_string(text))
}

/// A value on one line.
pub(super) fn one_line(value: &serde_json::Value) -> String {
    write(value, OneLine)
}

fn write(value: &impl Serialize, formatter: impl Formatter) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, formatter);
    // What JSON has no form for, as keys that are no texts, is left out.
    if value.serialize(&mut serializer).is_err() {
        return "null".to_owned();
    }
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

fn separate<W: ?Sized + io::Write>(writer: &mut W, first: bool) -> io::Result<()> {
    if first {
        return Ok(());
    }
    writer.write_all(b", ")
}

/// The value with each of its texts, keys too, put through `cut`.
pub(super) fn with_texts(
    value: &serde_json::Value,
    cut: &impl Fn(&str) -> String,
) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::String(text) => Json::String(cut(text)),
        Json::Array(items) => items.iter().map(|item| with_texts(item, cut)).collect(),
        Json::Object(fields) => fields
            .iter()
            .map(|(name, value)| (cut(name), with_texts(value, cut)))
            .collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
    }
}
