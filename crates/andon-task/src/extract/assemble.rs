//! From values to the object that the schema asks for.

use serde_json::{Map, Value};

use super::ReaderError;
use super::fields::{Fields, Node, Shape};
use super::reader::Pointed;

/// The values of one item of a list.
pub(super) type Item = Vec<Pointed>;

/// What was read, by field and by list.
pub(super) struct Filled {
    pub(super) values: Vec<Option<Pointed>>,
    pub(super) items: Vec<Vec<Item>>,
    /// The logarithm of how sure it is that no value of a list is missing.
    pub(super) doubt: f64,
}

impl Filled {
    pub(super) fn new(fields: &Fields) -> Self {
        Self {
            values: vec![None; fields.all.len()],
            items: vec![Vec::new(); fields.lists.len()],
            doubt: 0.0,
        }
    }
}

/// The object, and its values in order.
pub(super) fn object(
    fields: &Fields,
    filled: Filled,
) -> Result<(Value, Vec<Pointed>), ReaderError> {
    let mut builder = Builder {
        fields,
        filled: &filled,
        pointed: Vec::new(),
    };
    let value = builder.node(&fields.root, None, "")?.unwrap_or(Value::Null);
    Ok((value, builder.pointed))
}

struct Builder<'a> {
    fields: &'a Fields,
    filled: &'a Filled,
    pointed: Vec<Pointed>,
}

impl Builder<'_> {
    /// The value of a node; `None` where there is none, so that it is null or left out.
    fn node(
        &mut self,
        node: &Node,
        item: Option<&Item>,
        path: &str,
    ) -> Result<Option<Value>, ReaderError> {
        match &node.shape {
            Shape::Field(number) => {
                let found = match item {
                    Some(item) => item.iter().find(|pointed| pointed.field == *number),
                    None => self.filled.values[*number].as_ref(),
                };
                let Some(found) = found else {
                    return Ok(None);
                };
                self.pointed.push(Pointed {
                    path: path.to_owned(),
                    ..found.clone()
                });
                Ok(found.value.clone())
            }
            Shape::List(number) => self.list(*number, path).map(Some),
            Shape::Object(properties) => {
                let mut object = Map::new();
                let mut is_empty = true;
                for property in properties {
                    let path = match path.is_empty() {
                        true => property.name.clone(),
                        false => format!("{path}.{}", property.name),
                    };
                    let value = self.node(&property.node, item, &path)?;
                    is_empty &= match &value {
                        None => true,
                        Some(Value::Array(items)) => items.is_empty(),
                        Some(value) => value.is_null(),
                    };
                    match value {
                        Some(value) => drop(object.insert(property.name.clone(), value)),
                        None if property.node.nullable => {
                            object.insert(property.name.clone(), Value::Null);
                        }
                        None if property.required => return Err(ReaderError::NothingFound(path)),
                        None => {}
                    }
                }
                match is_empty && node.nullable {
                    true => Ok(None),
                    false => Ok(Some(Value::Object(object))),
                }
            }
        }
    }

    fn list(&mut self, number: usize, path: &str) -> Result<Value, ReaderError> {
        let list = &self.fields.lists[number];
        let filled = self.filled;
        let mut values: Vec<Value> = Vec::new();
        for item in &filled.items[number] {
            let path = format!("{path}[{}]", values.len());
            let before = self.pointed.len();
            let value = match self.node(&list.item, Some(item), &path) {
                Ok(Some(value)) => value,
                // An item without what it must have is none.
                Ok(None) | Err(ReaderError::NothingFound(_)) => {
                    self.pointed.truncate(before);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if values.len() == list.most || (list.unique && values.contains(&value)) {
                self.pointed.truncate(before);
                continue;
            }
            values.push(value);
        }
        if values.len() < list.least {
            return Err(ReaderError::NothingFound(path.to_owned()));
        }
        Ok(Value::Array(values))
    }
}
