//! What an example expects, by field; and whether a reading says the same.

use serde_json::{Map, Value};

use super::candidate::{key_of_number, key_of_text};
use super::fields::{Field, Fields, Node, Shape, Type};
use super::hash;
use super::spelling::same;

/// The expected object, by field.
#[derive(Clone, Debug, PartialEq)]
pub struct Gold {
    /// For each field that a document has once its value; `None` where there is none.
    pub values: Vec<Option<Value>>,
    /// For each list its items, each with the fields that it has.
    pub items: Vec<Vec<Vec<(usize, Value)>>>,
}

/// How many values were wanted, were read, and are both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// Values that are right.
    pub right: usize,
    /// Values that the example has.
    pub wanted: usize,
    /// Values that were read.
    pub read: usize,
}

impl Gold {
    /// The fields of an expected object.
    ///
    /// # Errors
    /// Where and why it does not satisfy the schema.
    pub fn of(fields: &Fields, expected: &Value) -> Result<Self, String> {
        let mut gold = Self {
            values: vec![None; fields.all.len()],
            items: vec![Vec::new(); fields.lists.len()],
        };
        let mut found = Vec::new();
        gold.node(fields, &fields.root, expected, "", &mut found)?;
        for (field, value) in found {
            gold.values[field] = Some(value);
        }
        Ok(gold)
    }

    fn node(
        &mut self,
        fields: &Fields,
        node: &Node,
        value: &Value,
        path: &str,
        found: &mut Vec<(usize, Value)>,
    ) -> Result<(), String> {
        let at = || match path {
            "" => "expected".to_owned(),
            path => format!("expected.{path}"),
        };
        let says_nothing = |text: &str| !text.chars().any(char::is_alphanumeric);
        if node.nullable && (value.is_null() || value.as_str().is_some_and(says_nothing)) {
            return Ok(());
        }
        match &node.shape {
            Shape::Field(number) => {
                let field = &fields.all[*number];
                if !field.admits(value) {
                    return Err(format!(
                        "{} is {value}, which the schema does not admit",
                        at()
                    ));
                }
                found.push((*number, value.clone()));
                Ok(())
            }
            Shape::Object(properties) => {
                let object = value.as_object().ok_or_else(|| {
                    format!("{} is {value}, but the schema has an object there", at())
                })?;
                let known = |name: &&String| properties.iter().all(|p| p.name != **name);
                if let Some(name) = object.keys().find(known) {
                    return Err(format!(
                        "{} has '{name}', which the schema does not know",
                        at()
                    ));
                }
                for property in properties {
                    let inner = match path {
                        "" => property.name.clone(),
                        path => format!("{path}.{}", property.name),
                    };
                    match object.get(&property.name) {
                        Some(value) => self.node(fields, &property.node, value, &inner, found)?,
                        None if property.required => {
                            return Err(format!(
                                "{} has no '{}', which the schema requires",
                                at(),
                                property.name
                            ));
                        }
                        None => {}
                    }
                }
                Ok(())
            }
            Shape::List(number) => {
                let list = &fields.lists[*number];
                let items = value.as_array().ok_or_else(|| {
                    format!("{} is {value}, but the schema has a list there", at())
                })?;
                if items.len() < list.least || items.len() > list.most {
                    return Err(format!(
                        "{} has {} items, which the schema does not admit",
                        at(),
                        items.len()
                    ));
                }
                for (index, item) in items.iter().enumerate() {
                    let mut inner = Vec::new();
                    let path = format!("{path}[{index}]");
                    self.node(fields, &list.item, item, &path, &mut inner)?;
                    self.items[*number].push(inner);
                }
                Ok(())
            }
        }
    }

    /// How many values of a reading are right: a value of a list where the list has it as
    /// often, wherever it stands there.
    pub fn matches(&self, read: &Self) -> Matches {
        let all = |gold: &Self| {
            let single = gold.values.iter().enumerate();
            let single = single.filter_map(|(field, value)| Some((field, value.clone()?)));
            let listed = gold.items.iter().flatten().flatten().cloned();
            single.chain(listed).collect::<Vec<_>>()
        };
        let (mut wanted, read) = (all(self), all(read));
        let counts = (wanted.len(), read.len());
        for (field, value) in &read {
            let found = wanted
                .iter()
                .position(|(other, wanted)| other == field && same(Some(wanted), Some(value)));
            if let Some(found) = found {
                wanted.swap_remove(found);
            }
        }
        Matches {
            right: counts.0 - wanted.len(),
            wanted: counts.0,
            read: counts.1,
        }
    }

    /// Which fields of a reading are right: one for each field that a document has once, and
    /// for each field of a list all its values together, in the order of their items.
    pub fn grade(&self, other: &Self, fields: &Fields) -> Vec<bool> {
        fields
            .all
            .iter()
            .enumerate()
            .map(|(number, field)| match field.list {
                None => same(self.values[number].as_ref(), other.values[number].as_ref()),
                Some(list) => {
                    let of = |gold: &Self| -> Vec<Option<Value>> {
                        let own = |item: &Vec<(usize, Value)>| {
                            let value = item.iter().find(|(field, _)| *field == number);
                            value.map(|(_, value)| value.clone())
                        };
                        gold.items[list].iter().map(own).collect()
                    };
                    let (mut own, mut others) = (of(self), of(other));
                    // A list of plain values has no order that a text would have to keep.
                    if fields.is_plain(list) {
                        let key = |value: &Option<Value>| {
                            value.as_ref().map(|value| match value {
                                Value::String(text) => super::folded(text),
                                other => other.to_string(),
                            })
                        };
                        own.sort_by_key(key);
                        others.sort_by_key(key);
                    }
                    own.len() == others.len()
                        && own
                            .iter()
                            .zip(&others)
                            .all(|(a, b)| same(a.as_ref(), b.as_ref()))
                }
            })
            .collect()
    }
}

impl Field {
    /// What a value of this field is known by among candidates.
    pub fn key(&self, value: &Value) -> Option<u64> {
        match (self.kind, value) {
            (Type::Boolean | Type::Choice, value) => {
                let which = self
                    .choices
                    .iter()
                    .position(|choice| same(Some(choice), Some(value)))?;
                Some(hash::pair(77, which as u64))
            }
            (Type::Number | Type::Integer, value) => value.as_f64().map(key_of_number),
            (Type::String | Type::Date, Value::String(text)) => Some(key_of_text(text)),
            _ => None,
        }
    }
}

/// An empty object of the schema has nothing but what it must have.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => Map::values(object).all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
