//! What of a JSON Schema is obeyed, and the refusal of all else.
//!
//! llguidance ignores some keywords, approximates others, and reads patterns and
//! formats in its own way. So a schema is read here first and written anew with
//! nothing but what is enforced to the letter; a keyword that would be half-obeyed
//! is refused, with the place where it stands. Annotations and unknown keywords are
//! left out. Formats are enforced, though the specification would let them be
//! remarks.

mod literal;
mod number;
mod string;

use std::collections::HashMap;
use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::pattern;
use number::Multiples;

/// The deepest nesting that is read, references included.
const DEEPEST: usize = 64;

/// The most properties that one object names.
const MOST_PROPERTIES: usize = 1000;
/// The most of a place that a message shows.
const MOST_SHOWN: usize = 120;

/// Keywords that constrain and are not enforced.
const REFUSED: [&str; 18] = [
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "disallow",
    "divisibleBy",
    "else",
    "extends",
    "if",
    "maxContains",
    "minContains",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// Where in a schema something stands, as a JSON pointer.
#[derive(Clone)]
struct Place(String);

impl Place {
    fn within(&self, part: impl Display) -> Self {
        let part = part.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{part}", self.0))
    }

    fn refuse<T>(&self, why: impl Display) -> Result<T, String> {
        match self.0.is_empty() {
            true => Err(format!("the schema: {why}")),
            false => Err(format!("'{}' of the schema: {why}", cut(&self.0))),
        }
    }
}

/// The schema with nothing in it but what is enforced.
///
/// # Errors
/// Where what stands that is not supported.
pub(super) fn restate(schema: &Value) -> Result<Map<String, Value>, String> {
    let top = Place(String::new());
    let mut reader = Reader {
        root: schema,
        ref_hides_siblings: hides_siblings(schema, &top)?,
        definitions: HashMap::new(),
        restated: Map::new(),
        multiples: Multiples::default(),
        depth: 0,
        has_own_id: false,
    };
    let root = reader.read(schema, &top)?;
    let mut root = match root {
        Value::Object(root) => root,
        Value::Bool(true) => Map::new(),
        _ => return top.refuse("no value satisfies it"),
    };
    root.insert("$defs".to_owned(), Value::Object(reader.restated));
    Ok(root)
}

/// Whether keywords beside a `$ref` count for nothing, as up to draft 7.
fn hides_siblings(schema: &Value, top: &Place) -> Result<bool, String> {
    let Some(dialect) = schema.get("$schema") else {
        return Ok(false);
    };
    let name = dialect.as_str().unwrap_or_default();
    let name = name.trim_end_matches('#').trim_end_matches('/');
    let name = name.split_once("://").map_or(name, |(_, name)| name);
    match name {
        "json-schema.org/draft/2020-12/schema"
        | "json-schema.org/draft/2019-09/schema"
        | "json-schema.org/schema" => Ok(false),
        "json-schema.org/draft-07/schema"
        | "json-schema.org/draft-06/schema"
        | "json-schema.org/draft-04/schema" => Ok(true),
        _ => top
            .within("$schema")
            .refuse(format!("the dialect {dialect} is not supported")),
    }
}

struct Reader<'a> {
    root: &'a Value,
    ref_hides_siblings: bool,
    /// The number of each place that a reference leads to.
    definitions: HashMap<String, usize>,
    restated: Map<String, Value>,
    multiples: Multiples,
    depth: usize,
    /// Whether what is read lies in a schema that is addressed by itself, so that
    /// references in it lead elsewhere than they seem to.
    has_own_id: bool,
}

impl Reader<'_> {
    fn read(&mut self, schema: &Value, place: &Place) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return place.refuse(format!("it is nested deeper than {DEEPEST} levels"));
        }
        let outside = self.has_own_id;
        self.has_own_id |= !place.0.is_empty() && names_itself(schema);
        let read = match schema {
            Value::Bool(_) => Ok(schema.clone()),
            Value::Object(keywords) => self.keywords(keywords, place),
            _ => place.refuse("a schema is an object, true or false"),
        }?;
        self.has_own_id = outside;
        self.depth -= 1;
        Ok(read)
    }

    fn keywords(&mut self, given: &Map<String, Value>, place: &Place) -> Result<Value, String> {
        if let Some(reference) = given.get("$ref")
            && self.ref_hides_siblings
        {
            return Ok(json!({ "$ref": self.reference(reference, &place.within("$ref"))? }));
        }
        for (keyword, value) in given {
            let says_nothing = matches!(value, Value::Bool(true))
                && ["propertyNames", "unevaluatedItems", "unevaluatedProperties"]
                    .contains(&keyword.as_str());
            if REFUSED.contains(&keyword.as_str()) && !says_nothing {
                return place
                    .within(keyword)
                    .refuse(format!("'{keyword}' is not supported"));
            }
        }
        if given
            .get("uniqueItems")
            .is_some_and(|unique| *unique != Value::Bool(false))
        {
            return place
                .within("uniqueItems")
                .refuse("'uniqueItems' is not supported");
        }
        // What follows in this order is what llguidance reads as one; the keywords
        // that combine schemas come last.
        let mut restated = Map::new();
        self.kind(given, place, &mut restated)?;
        self.numbers(given, place, &mut restated)?;
        let more = string::restate(given, place, &mut restated)?;
        self.arrays(given, place, &mut restated)?;
        self.objects(given, place, &mut restated)?;
        self.combine(given, place, more, &mut restated)?;
        Ok(Value::Object(restated))
    }

    fn kind(
        &self,
        given: &Map<String, Value>,
        place: &Place,
        to: &mut Map<String, Value>,
    ) -> Result<(), String> {
        let is_type = |kind: &Value| kind.as_str().is_some_and(|kind| TYPES.contains(&kind));
        let is_sound = |kinds: &Value| match kinds {
            Value::Array(kinds) => !kinds.is_empty() && kinds.iter().all(is_type),
            kind => is_type(kind),
        };
        match given.get("type") {
            None => {}
            Some(kinds) if is_sound(kinds) => drop(to.insert("type".to_owned(), kinds.clone())),
            Some(kinds) => {
                return place
                    .within("type")
                    .refuse(format!("{} is no type", shown(kinds)));
            }
        }
        Ok(())
    }

    fn numbers(
        &mut self,
        given: &Map<String, Value>,
        place: &Place,
        to: &mut Map<String, Value>,
    ) -> Result<(), String> {
        for (limit, exclusive) in [
            ("minimum", "exclusiveMinimum"),
            ("maximum", "exclusiveMaximum"),
        ] {
            let mut limits = [(limit, given.get(limit)), (exclusive, given.get(exclusive))];
            // Draft 4 says with a flag that the limit itself is excluded.
            match given.get(exclusive) {
                Some(Value::Bool(true)) => limits = [(exclusive, given.get(limit)), (limit, None)],
                Some(Value::Bool(false)) => limits[1].1 = None,
                _ => {}
            }
            for (name, value) in limits {
                if let Some(value) = value {
                    let bound =
                        number::bound(value).or_else(|why| place.within(name).refuse(why))?;
                    to.insert(name.to_owned(), bound);
                }
            }
        }
        if let Some(value) = given.get("multipleOf") {
            let added = self.multiples.add(value);
            added.or_else(|why| place.within("multipleOf").refuse(why))?;
            to.insert("multipleOf".to_owned(), value.clone());
        }
        Ok(())
    }

    fn arrays(
        &mut self,
        given: &Map<String, Value>,
        place: &Place,
        to: &mut Map<String, Value>,
    ) -> Result<(), String> {
        counts(given, place, ["minItems", "maxItems"], to)?;
        // Up to 2019-09, a list of schemas stood in `items`, and what follows it in
        // `additionalItems`.
        let (first, rest) = match given.get("items") {
            Some(Value::Array(_)) => ("items", "additionalItems"),
            _ => ("prefixItems", "items"),
        };
        if let Some(items) = given.get(first) {
            let restated = self.list(items, &place.within(first))?;
            to.insert("prefixItems".to_owned(), restated);
        }
        if let Some(item) = given.get(rest) {
            let restated = self.read(item, &place.within(rest))?;
            to.insert("items".to_owned(), restated);
        }
        Ok(())
    }

    fn objects(
        &mut self,
        given: &Map<String, Value>,
        place: &Place,
        to: &mut Map<String, Value>,
    ) -> Result<(), String> {
        if let Some(properties) = given.get("properties") {
            let place = place.within("properties");
            let properties = entries(properties, &place)?;
            if properties.len() > MOST_PROPERTIES {
                return place.refuse(format!("more than {MOST_PROPERTIES} properties"));
            }
            let mut restated = Map::new();
            for (name, schema) in properties {
                restated.insert(name.clone(), self.read(schema, &place.within(name))?);
            }
            to.insert("properties".to_owned(), Value::Object(restated));
        }
        if let Some(properties) = given.get("patternProperties") {
            let place = place.within("patternProperties");
            let mut restated = Map::new();
            for (name, schema) in entries(properties, &place)? {
                let place = place.within(name);
                let expression = pattern::translate(name)
                    .or_else(|why| place.refuse(format!("{why} in a pattern is not supported")))?;
                let schema = self.read(schema, &place)?;
                if restated.insert(expression, schema).is_some() {
                    return place.refuse("the same pattern stands twice");
                }
            }
            to.insert("patternProperties".to_owned(), Value::Object(restated));
        }
        if let Some(schema) = given.get("additionalProperties") {
            let restated = self.read(schema, &place.within("additionalProperties"))?;
            to.insert("additionalProperties".to_owned(), restated);
        }
        let mut required = 0;
        if let Some(names) = given.get("required") {
            let is_sound = names
                .as_array()
                .is_some_and(|names| names.iter().all(Value::is_string));
            if !is_sound {
                return place.within("required").refuse("it is no list of names");
            }
            required = names.as_array().map_or(0, Vec::len);
            to.insert("required".to_owned(), names.clone());
        }
        counts(given, place, ["minProperties", "maxProperties"], to)?;
        // A name may come twice in a text, and counts once when it is read.
        let least = to.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
        if least > required as u64 + 1 {
            return place
                .within("minProperties")
                .refuse("more than one property beyond those in 'required' cannot be enforced");
        }
        Ok(())
    }

    fn combine(
        &mut self,
        given: &Map<String, Value>,
        place: &Place,
        more: Option<Value>,
        to: &mut Map<String, Value>,
    ) -> Result<(), String> {
        if let Some(value) = given.get("const") {
            literal::check(value, &place.within("const"))?;
            to.insert("const".to_owned(), value.clone());
        }
        if let Some(values) = given.get("enum") {
            let place = place.within("enum");
            let Some(values) = values.as_array().filter(|values| !values.is_empty()) else {
                return place.refuse("it is no list of values");
            };
            for (at, value) in values.iter().enumerate() {
                literal::check(value, &place.within(at))?;
            }
            to.insert("enum".to_owned(), Value::Array(values.clone()));
        }
        if let Some(reference) = given.get("$ref") {
            let reference = self.reference(reference, &place.within("$ref"))?;
            to.insert("$ref".to_owned(), Value::String(reference));
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            if let Some(schemas) = given.get(keyword) {
                let restated = self.list(schemas, &place.within(keyword))?;
                to.insert(keyword.to_owned(), restated);
            }
        }
        if let Some(more) = more {
            match to.get_mut("allOf") {
                Some(Value::Array(schemas)) => schemas.push(more),
                _ => drop(to.insert("allOf".to_owned(), Value::Array(vec![more]))),
            }
        }
        Ok(())
    }

    fn list(&mut self, schemas: &Value, place: &Place) -> Result<Value, String> {
        let Some(schemas) = schemas.as_array().filter(|schemas| !schemas.is_empty()) else {
            return place.refuse("it is no list of schemas");
        };
        let restated: Result<_, _> = schemas
            .iter()
            .enumerate()
            .map(|(at, schema)| self.read(schema, &place.within(at)))
            .collect();
        Ok(Value::Array(restated?))
    }

    /// The reference to what `reference` leads to, restated.
    fn reference(&mut self, reference: &Value, place: &Place) -> Result<String, String> {
        let target = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let Some(target) = target.filter(|t| t.is_empty() || t.starts_with('/')) else {
            return place.refuse(format!(
                "{} is not a JSON pointer into this schema ('#/…'); no other reference is supported",
                shown(reference)
            ));
        };
        let Some(pointer) = unescape(target) else {
            return place.refuse(format!("{} is damaged", shown(reference)));
        };
        if self.has_own_id {
            return place.refuse("a reference within a schema with its own '$id' is not supported");
        }
        if pointer.is_empty() {
            return Ok("#".to_owned());
        }
        if let Some(number) = self.definitions.get(&pointer) {
            return Ok(format!("#/$defs/{number}"));
        }
        let Some(schema) = self.root.pointer(&pointer) else {
            return place.refuse(format!("{} leads nowhere", shown(reference)));
        };
        let mut parent = String::new();
        for part in pointer.split('/').skip(1) {
            let crossed = self.root.pointer(&parent);
            if !parent.is_empty() && crossed.is_some_and(names_itself) {
                return place.refuse(format!(
                    "{} leads into a schema with its own '$id'",
                    shown(reference)
                ));
            }
            parent = format!("{parent}/{part}");
        }
        let number = self.definitions.len();
        self.definitions.insert(pointer.clone(), number);
        let restated = self.read(schema, &Place(pointer))?;
        self.restated.insert(number.to_string(), restated);
        Ok(format!("#/$defs/{number}"))
    }
}

fn names_itself(schema: &Value) -> bool {
    ["$id", "id"]
        .iter()
        .any(|id| schema.get(*id).is_some_and(Value::is_string))
}

fn counts(
    given: &Map<String, Value>,
    place: &Place,
    names: [&str; 2],
    to: &mut Map<String, Value>,
) -> Result<(), String> {
    for name in names {
        if let Some(value) = given.get(name) {
            let Some(count) = number::count(value) else {
                return place
                    .within(name)
                    .refuse(format!("{} is no count", shown(value)));
            };
            to.insert(name.to_owned(), count.into());
        }
    }
    Ok(())
}

fn entries<'a>(value: &'a Value, place: &Place) -> Result<&'a Map<String, Value>, String> {
    match value {
        Value::Object(entries) => Ok(entries),
        _ => place.refuse("it is no object"),
    }
}

/// A fragment of an address without its percent signs.
fn unescape(fragment: &str) -> Option<String> {
    let mut bytes = fragment.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(plain).ok()
}

/// A value in a message, cut where it is long.
fn shown(value: &Value) -> String {
    format!("'{}'", cut(&value.to_string()))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
