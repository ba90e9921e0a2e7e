//! What a JSON Schema asks for: its fields, each with its place in the object.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

/// The most fields that a schema may have.
pub const MOST_FIELDS: usize = 512;

/// How deep objects may lie in each other.
const MOST_DEPTH: usize = 16;

/// Why a schema cannot be read by pointers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A keyword that fields cannot be held to.
    #[error(
        "the schema has '{keyword}' at {place}, which extraction does not support: leave it out"
    )]
    Keyword {
        /// The keyword, with its value where that matters.
        keyword: String,
        /// Where, as a JSON pointer.
        place: String,
    },
    /// A keyword with a value that it cannot have.
    #[error("the schema is wrong at {place}: {reason}")]
    Wrong {
        /// Where, as a JSON pointer.
        place: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// More fields than are read.
    #[error("the schema has more than {MOST_FIELDS} fields: divide it into several tasks")]
    TooMany,
    /// No field at all.
    #[error("the schema has no fields: give its object properties")]
    None,
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A text.
    String,
    /// A date, written as `2026-01-31`.
    Date,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// One of the values of `enum` or `const`.
    Choice,
}

/// One value that is asked for.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its place, as `total`, `supplier.name`, `positions[].quantity` or `tags[]`.
    pub path: String,
    /// The type of its value.
    pub kind: Type,
    /// Whether an object without a value for it satisfies the schema.
    pub may_be_absent: bool,
    /// The list whose items have it; `None` where there is one value for a document.
    pub list: Option<usize>,
    /// The values of a choice.
    pub choices: Vec<Value>,
    pattern: Option<Regex>,
    length: (usize, usize),
    /// Least and greatest number, each with whether it is excluded.
    least: Option<(f64, bool)>,
    greatest: Option<(f64, bool)>,
    multiple_of: Option<f64>,
}

impl Field {
    /// Whether a value of the right type keeps to the field's limits.
    pub fn admits(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (Type::Choice, value) => self.choices.iter().any(|choice| same_json(choice, value)),
            (Type::Boolean, Value::Bool(_)) => true,
            (Type::String | Type::Date, Value::String(text)) => {
                let characters = text.chars().count();
                (self.length.0..=self.length.1).contains(&characters)
                    && self.pattern.as_ref().is_none_or(|p| p.is_match(text))
                    && (self.kind == Type::String || super::date::is_iso(text))
            }
            (Type::Number | Type::Integer, Value::Number(number)) => {
                let Some(number) = number.as_f64() else {
                    return false;
                };
                let above = self.least.is_none_or(|(least, excluded)| {
                    number > least || (!excluded && number == least)
                });
                let below = self.greatest.is_none_or(|(greatest, excluded)| {
                    number < greatest || (!excluded && number == greatest)
                });
                let whole = self.kind == Type::Number || number.fract() == 0.0;
                let multiple = self.multiple_of.is_none_or(|step| {
                    let times = number / step;
                    (times - times.round()).abs() < 1e-9
                });
                above && below && whole && multiple
            }
            _ => false,
        }
    }

    /// The expression that its text must match, if there is one.
    pub fn pattern(&self) -> Option<&Regex> {
        self.pattern.as_ref()
    }
}

fn same_json(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// The shape of the object around the fields.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) shape: Shape,
    pub(super) nullable: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Object(Vec<Property>),
    /// The list of this number.
    List(usize),
    /// The field of this number.
    Field(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) node: Node,
}

/// A list of values or of objects.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) item: Node,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) unique: bool,
}

/// The fields of a schema.
#[derive(Clone, Debug)]
pub struct Fields {
    pub(super) all: Vec<Field>,
    pub(super) lists: Vec<List>,
    pub(super) root: Node,
}

impl Fields {
    /// The fields of a JSON Schema of an object.
    ///
    /// # Errors
    /// If it has a keyword that the fields cannot be held to, or is not sound.
    pub fn of(schema: &Value) -> Result<Self, SchemaError> {
        let mut reader = Reader {
            schema,
            fields: Vec::new(),
            lists: Vec::new(),
        };
        let place = Place {
            pointer: "#".to_owned(),
            path: String::new(),
            list: None,
            may_be_absent: false,
            depth: 0,
        };
        let root = reader.node(schema, &place)?;
        if !matches!(root.shape, Shape::Object(_)) {
            return Err(place.wrong("it must be of type 'object'"));
        }
        if reader.fields.is_empty() {
            return Err(SchemaError::None);
        }
        Ok(Self {
            all: reader.fields,
            lists: reader.lists,
            root,
        })
    }

    /// Whether the items of a list are values, not objects.
    pub fn is_plain(&self, list: usize) -> bool {
        matches!(self.lists[list].item.shape, Shape::Field(_))
    }

    /// All fields, in the order of the schema.
    pub fn all(&self) -> &[Field] {
        &self.all
    }

    /// The field of this path.
    pub fn position(&self, path: &str) -> Option<usize> {
        self.all.iter().position(|field| field.path == path)
    }
}

struct Place {
    pointer: String,
    path: String,
    list: Option<usize>,
    may_be_absent: bool,
    depth: usize,
}

impl Place {
    fn wrong(&self, reason: &str) -> SchemaError {
        SchemaError::Wrong {
            place: self.pointer.clone(),
            reason: reason.to_owned(),
        }
    }

    fn unsupported(&self, keyword: impl Into<String>) -> SchemaError {
        SchemaError::Keyword {
            keyword: keyword.into(),
            place: self.pointer.clone(),
        }
    }
}

/// Keywords that say nothing about whether a value is right.
const ANNOTATIONS: [&str; 15] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "$anchor",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
    "contentEncoding",
];

struct Reader<'s> {
    schema: &'s Value,
    fields: Vec<Field>,
    lists: Vec<List>,
}

impl Reader<'_> {
    fn node(&mut self, schema: &Value, place: &Place) -> Result<Node, SchemaError> {
        if place.depth > MOST_DEPTH {
            return Err(place.wrong("it is too deep: flatten it"));
        }
        let schema = self.follow(schema, place)?;
        let schema = schema
            .as_object()
            .ok_or_else(|| place.wrong("it must be an object"))?;
        if let Some((inner, keyword)) = optional(schema, place)? {
            let merged = merge(schema, keyword, inner);
            let place = Place {
                pointer: format!("{}/{keyword}", place.pointer),
                may_be_absent: true,
                path: place.path.clone(),
                depth: place.depth + 1,
                list: place.list,
            };
            let mut node = self.node(&Value::Object(merged), &place)?;
            node.nullable = true;
            return Ok(node);
        }
        let (kind, nullable) = kind(schema, place)?;
        let place = &Place {
            may_be_absent: place.may_be_absent || nullable,
            pointer: place.pointer.clone(),
            path: place.path.clone(),
            ..*place
        };
        let shape = match kind {
            "object" => self.object(schema, place)?,
            "array" => self.array(schema, place)?,
            kind => self.leaf(schema, kind, place)?,
        };
        Ok(Node { shape, nullable })
    }

    /// The schema that a `$ref` names, within the document.
    fn follow(&self, schema: &Value, place: &Place) -> Result<Value, SchemaError> {
        let mut schema = schema.clone();
        for _ in 0..MOST_DEPTH {
            let Some(reference) = schema.get("$ref") else {
                return Ok(schema);
            };
            let target = reference
                .as_str()
                .and_then(|text| text.strip_prefix('#'))
                .and_then(|pointer| self.schema.pointer(pointer))
                .ok_or_else(|| place.unsupported(format!("$ref: {reference}")))?;
            let siblings = schema.as_object().cloned().unwrap_or_default();
            let mut target = target.as_object().cloned().unwrap_or_default();
            target.extend(siblings.into_iter().filter(|(key, _)| key != "$ref"));
            schema = Value::Object(target);
        }
        Err(place.unsupported("$ref"))
    }

    fn object(&mut self, schema: &Map<String, Value>, place: &Place) -> Result<Shape, SchemaError> {
        for (keyword, value) in schema {
            match keyword.as_str() {
                "type" | "properties" | "required" => {}
                "additionalProperties" | "unevaluatedProperties" if value.is_boolean() => {}
                other if ANNOTATIONS.contains(&other) => {}
                other => return Err(place.unsupported(other)),
            }
        }
        let required: BTreeSet<&str> = match schema.get("required") {
            None => BTreeSet::new(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(place.wrong("'required' must be a list of names")),
        };
        let none = Map::new();
        let properties = match schema.get("properties") {
            None => &none,
            Some(Value::Object(properties)) => properties,
            Some(_) => return Err(place.wrong("'properties' must be an object")),
        };
        if let Some(name) = required
            .iter()
            .find(|name| !properties.contains_key(**name))
        {
            return Err(place.wrong(&format!("'{name}' is required but is no property")));
        }
        let mut children = Vec::new();
        for (name, child) in properties {
            let path = match place.path.is_empty() {
                true => name.clone(),
                false => format!("{}.{name}", place.path),
            };
            let is_required = required.contains(name.as_str());
            let place = Place {
                pointer: format!("{}/properties/{name}", place.pointer),
                path,
                list: place.list,
                may_be_absent: place.may_be_absent || !is_required,
                depth: place.depth + 1,
            };
            children.push(Property {
                name: name.clone(),
                required: is_required,
                node: self.node(child, &place)?,
            });
        }
        Ok(Shape::Object(children))
    }

    fn array(&mut self, schema: &Map<String, Value>, place: &Place) -> Result<Shape, SchemaError> {
        for keyword in schema.keys() {
            match keyword.as_str() {
                "type" | "items" | "minItems" | "maxItems" | "uniqueItems" => {}
                other if ANNOTATIONS.contains(&other) => {}
                other => return Err(place.unsupported(other)),
            }
        }
        if place.list.is_some() {
            return Err(place.unsupported("array within an array"));
        }
        let item = schema
            .get("items")
            .ok_or_else(|| place.wrong("an array needs 'items'"))?;
        let number = self.lists.len();
        self.lists.push(List {
            item: Node {
                shape: Shape::List(number),
                nullable: false,
            },
            least: count(schema, "minItems", place)?.unwrap_or(0),
            most: count(schema, "maxItems", place)?.unwrap_or(usize::MAX),
            unique: schema.get("uniqueItems") == Some(&Value::Bool(true)),
        });
        let place = Place {
            pointer: format!("{}/items", place.pointer),
            path: format!("{}[]", place.path),
            list: Some(number),
            may_be_absent: false,
            depth: place.depth + 1,
        };
        let item = self.node(item, &place)?;
        if item.nullable {
            return Err(place.unsupported("null as an item"));
        }
        self.lists[number].item = item;
        Ok(Shape::List(number))
    }

    fn leaf(
        &mut self,
        schema: &Map<String, Value>,
        kind: &str,
        place: &Place,
    ) -> Result<Shape, SchemaError> {
        let mut field = Field {
            path: place.path.clone(),
            kind: match kind {
                "number" => Type::Number,
                "integer" => Type::Integer,
                "boolean" => Type::Boolean,
                "choice" => Type::Choice,
                _ => Type::String,
            },
            may_be_absent: place.may_be_absent,
            list: place.list,
            choices: Vec::new(),
            pattern: None,
            length: (0, usize::MAX),
            least: None,
            greatest: None,
            multiple_of: None,
        };
        let number = |value: &Value| {
            value
                .as_f64()
                .ok_or_else(|| place.wrong("a limit must be a number"))
        };
        let text = kind == "string" || kind == "choice";
        let numeric = kind == "number" || kind == "integer" || kind == "choice";
        for (keyword, value) in schema {
            match keyword.as_str() {
                "type" => {}
                "enum" => {
                    let values = value
                        .as_array()
                        .ok_or_else(|| place.wrong("'enum' must be a list"))?;
                    let values = values.iter().filter(|value| !value.is_null());
                    field.choices.extend(values.cloned());
                }
                "const" => field.choices.push(value.clone()),
                "pattern" if text => {
                    let pattern = value.as_str().unwrap_or_default();
                    let compiled = Regex::new(pattern)
                        .map_err(|_| place.unsupported(format!("pattern: {pattern}")))?;
                    field.pattern = Some(compiled);
                }
                "format" if text && value == "date" => field.kind = Type::Date,
                "format" if text => return Err(place.unsupported(format!("format: {value}"))),
                "minLength" if text => {
                    field.length.0 = count(schema, "minLength", place)?.unwrap_or(0);
                }
                "maxLength" if text => {
                    field.length.1 = count(schema, "maxLength", place)?.unwrap_or(usize::MAX);
                }
                "minimum" if numeric => field.least = Some((number(value)?, false)),
                "exclusiveMinimum" if numeric => field.least = Some((number(value)?, true)),
                "maximum" if numeric => field.greatest = Some((number(value)?, false)),
                "exclusiveMaximum" if numeric => field.greatest = Some((number(value)?, true)),
                "multipleOf" if numeric => {
                    let step = number(value)?;
                    if step <= 0.0 {
                        return Err(place.wrong("'multipleOf' must be above 0"));
                    }
                    field.multiple_of = Some(step);
                }
                other if ANNOTATIONS.contains(&other) => {}
                other => return Err(place.unsupported(other)),
            }
        }
        if kind == "boolean" {
            field.choices = vec![Value::Bool(true), Value::Bool(false)];
        }
        if self.fields.len() == MOST_FIELDS {
            return Err(SchemaError::TooMany);
        }
        self.fields.push(field);
        Ok(Shape::Field(self.fields.len() - 1))
    }
}

/// One side of a choice of schemas, and the keyword of the choice.
type Side<'s> = (&'s Map<String, Value>, &'static str);

/// The other side of `anyOf` or `oneOf` with null.
fn optional<'s>(
    schema: &'s Map<String, Value>,
    place: &Place,
) -> Result<Option<Side<'s>>, SchemaError> {
    for keyword in ["anyOf", "oneOf"] {
        let Some(sides) = schema.get(keyword) else {
            continue;
        };
        let sides = sides.as_array().map(Vec::as_slice).unwrap_or_default();
        let is_null = |side: &Value| side.get("type").is_some_and(|kind| kind == "null");
        let inner = match sides {
            [null, inner] | [inner, null] if is_null(null) => inner.as_object(),
            _ => None,
        };
        return match inner {
            Some(inner) => Ok(Some((inner, keyword))),
            None => Err(place.unsupported(keyword)),
        };
    }
    Ok(None)
}

fn merge(
    schema: &Map<String, Value>,
    keyword: &str,
    inner: &Map<String, Value>,
) -> Map<String, Value> {
    let mut merged = inner.clone();
    for (key, value) in schema {
        if key != keyword {
            merged.insert(key.clone(), value.clone());
        }
    }
    merged
}

/// The type that a schema names, and whether it may be null.
fn kind<'s>(schema: &'s Map<String, Value>, place: &Place) -> Result<(&'s str, bool), SchemaError> {
    let has_null = |key| {
        let values = schema.get(key).and_then(Value::as_array);
        values.is_some_and(|values| values.contains(&Value::Null))
    };
    let (kind, nullable) = match schema.get("type") {
        Some(Value::String(kind)) => (Some(kind.as_str()), false),
        Some(Value::Array(kinds)) => {
            let names: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            let mut others = names.iter().filter(|name| **name != "null");
            let kind = others.next().copied();
            if others.next().is_some() {
                return Err(place.unsupported(format!("type: {}", Value::Array(kinds.clone()))));
            }
            (kind, names.contains(&"null"))
        }
        Some(_) => return Err(place.wrong("'type' must be a name or a list of names")),
        None if schema.contains_key("properties") => (Some("object"), false),
        None => (None, has_null("enum")),
    };
    let is_choice = schema.contains_key("enum") || schema.contains_key("const");
    match kind {
        Some("boolean") => Ok(("boolean", nullable)),
        Some("string" | "number" | "integer") | None if is_choice => Ok(("choice", nullable)),
        Some(kind @ ("object" | "array" | "string" | "number" | "integer")) => Ok((kind, nullable)),
        Some(other) => Err(place.unsupported(format!("type: {other}"))),
        None => Err(place.wrong("a type is missing: give 'type'")),
    }
}

fn count(
    schema: &Map<String, Value>,
    keyword: &str,
    place: &Place,
) -> Result<Option<usize>, SchemaError> {
    let Some(value) = schema.get(keyword) else {
        return Ok(None);
    };
    let count = value
        .as_u64()
        .or_else(|| {
            value
                .as_f64()
                .filter(|n| n.fract() == 0.0 && *n >= 0.0)
                .map(|n| n as u64)
        })
        .ok_or_else(|| place.wrong(&format!("'{keyword}' must be a whole number")))?;
    Ok(Some(usize::try_from(count).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests;
