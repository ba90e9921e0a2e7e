//! A GGUF file before it is written.

use crate::kind::Kind;
use crate::tensor::Tensor;

/// Tensors begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 32;

/// A value of the metadata.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is what it holds")]
pub enum Value {
    U32(u32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Integers(Vec<i32>),
    Floats(Vec<f32>),
}

/// A GGUF file in memory, which tests may change before it becomes bytes.
#[derive(Clone, Debug)]
pub struct File {
    /// Keys and values, in the order of the file.
    pub metadata: Vec<(String, Value)>,
    /// The tensors, in the order of the file.
    pub tensors: Vec<Tensor>,
}

impl File {
    /// Sets a value of the metadata.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.metadata.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
    }

    /// Whether there is such a key.
    pub fn has(&self, key: &str) -> bool {
        self.metadata.iter().any(|(name, _)| name == key)
    }

    /// The list of texts under a key.
    ///
    /// # Panics
    /// If there is none.
    pub fn texts(&mut self, key: &str) -> &mut Vec<String> {
        let entry = self.metadata.iter_mut().find(|(name, _)| name == key);
        match entry.map(|(_, value)| value) {
            Some(Value::Texts(texts)) => texts,
            other => panic!("'{key}' is {other:?}"),
        }
    }

    /// A tensor.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        let tensor = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        tensor.expect("the tensor is there")
    }

    /// The numbers of the weights of a part, where the model has them.
    pub fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        let name = format!("{name}.weight");
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name)?;
        let kind = Kind::ALL.into_iter().find(|&k| k as u32 == tensor.kind)?;
        Some(kind.decode(&tensor.bytes))
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let entries = self.tensors.iter().map(|tensor| Entry {
            name: &tensor.name,
            shape: &tensor.shape,
            kind: tensor.kind,
            size: tensor.bytes.len() as u64,
            claimed: tensor.claimed,
        });
        let mut out = header(&self.metadata, entries);
        for tensor in &self.tensors {
            out.extend(&tensor.bytes);
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        }
        out
    }
}

/// What the header says of a tensor.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: &'a [u64],
    pub(crate) kind: u32,
    pub(crate) size: u64,
    pub(crate) claimed: Option<u64>,
}

/// All that comes before the numbers of the tensors.
pub(crate) fn header<'a>(
    metadata: &[(String, Value)],
    entries: impl ExactSizeIterator<Item = Entry<'a>>,
) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend((entries.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_text(&mut out, key);
        put_value(&mut out, value);
    }
    let mut offset = 0u64;
    for entry in entries {
        put_text(&mut out, entry.name);
        out.extend((entry.shape.len() as u32).to_le_bytes());
        for length in entry.shape {
            out.extend(length.to_le_bytes());
        }
        out.extend(entry.kind.to_le_bytes());
        out.extend(entry.claimed.unwrap_or(offset).to_le_bytes());
        offset += entry.size.next_multiple_of(ALIGNMENT as u64);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    let kind = |out: &mut Vec<u8>, number: u32| out.extend(number.to_le_bytes());
    let list = |out: &mut Vec<u8>, element: u32, length: usize| {
        out.extend(9u32.to_le_bytes());
        out.extend(element.to_le_bytes());
        out.extend((length as u64).to_le_bytes());
    };
    match value {
        Value::U32(n) => {
            kind(out, 4);
            out.extend(n.to_le_bytes());
        }
        Value::U64(n) => {
            kind(out, 10);
            out.extend(n.to_le_bytes());
        }
        Value::F32(x) => {
            kind(out, 6);
            out.extend(x.to_le_bytes());
        }
        Value::Bool(flag) => {
            kind(out, 7);
            out.push(u8::from(*flag));
        }
        Value::Text(text) => {
            kind(out, 8);
            put_text(out, text);
        }
        Value::Texts(texts) => {
            list(out, 8, texts.len());
            texts.iter().for_each(|text| put_text(out, text));
        }
        Value::Integers(numbers) => {
            list(out, 5, numbers.len());
            numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
        }
        Value::Floats(numbers) => {
            list(out, 6, numbers.len());
            numbers.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }
    }
}
