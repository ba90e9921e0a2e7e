//! GGUF files: metadata and tensors, checked before anything is used.
//!
//! The format is described at
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::collections::HashMap;

use crate::error::{LoadError, damaged, unsupported};

mod reader;

use reader::Reader;

/// Dimensions of a tensor, at most.
const MOST_DIMENSIONS: u32 = 4;

/// A GGUF file whose header was read and found sound.
#[derive(Debug)]
pub struct Gguf<'a> {
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, Tensor<'a>>,
}

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any integer that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// Either float.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// A list of any of these.
    List(Vec<Value>),
}

/// A tensor within the file.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// How its numbers are kept.
    pub kind: TensorKind,
    /// Numbers in a row: the first dimension of the file.
    pub columns: usize,
    /// Rows: all other dimensions together.
    pub rows: usize,
    /// Its bytes, as many as kind and shape ask for.
    pub bytes: &'a [u8],
}

/// How the numbers of a tensor are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the format's own")]
pub enum TensorKind {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
}

impl TensorKind {
    fn parse(number: u32) -> Result<Self, LoadError> {
        Ok(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            20 => Self::Iq4Nl,
            30 => Self::Bf16,
            other => {
                return Err(unsupported!(
                    "tensor type {other}; this version reads F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K and IQ4_NL"
                ));
            }
        })
    }

    /// Numbers in a block.
    pub fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
            _ => 32,
        }
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 | Self::Iq4Nl => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }
}

impl Tensor<'_> {
    /// The bytes of one row.
    pub fn row(&self, row: usize) -> &[u8] {
        let size = self.bytes.len() / self.rows;
        &self.bytes[row * size..][..size]
    }
}

impl<'a> Gguf<'a> {
    /// Reads the header of a whole file.
    ///
    /// # Errors
    /// If anything in it is cut short, out of bounds, double, overlapping or of
    /// an unknown version or type.
    pub fn parse(file: &'a [u8]) -> Result<Self, LoadError> {
        let mut reader = Reader::new(file);
        if reader.bytes(4)? != b"GGUF" {
            return Err(damaged!("it does not begin with 'GGUF'"));
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(unsupported!(
                "GGUF version {version}; this version reads 2 and 3"
            ));
        }
        let tensor_count = reader.count(24)?;
        let value_count = reader.count(13)?;

        let mut metadata = HashMap::with_capacity(value_count);
        for _ in 0..value_count {
            let key = reader.text()?;
            let value = reader.value()?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(damaged!("the key '{key}' stands twice"));
            }
        }
        let mut entries = Vec::with_capacity(tensor_count);
        for _ in 0..tensor_count {
            entries.push(Entry::read(&mut reader)?);
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Unsigned(n)) if n.is_power_of_two() && *n <= 1 << 20 => *n as usize,
            Some(other) => return Err(damaged!("the alignment is {other:?}")),
        };
        let start = reader.position().next_multiple_of(alignment);
        let tensors = place(entries, file, start, alignment)?;
        Ok(Self { metadata, tensors })
    }

    /// A value of the metadata.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// A text that must be there.
    pub fn text(&self, key: &str) -> Result<&str, LoadError> {
        match self.get(key) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(wrong(key, "a text", other)),
        }
    }

    /// A number from 1 to 2^31 that must be there.
    pub fn size(&self, key: &str) -> Result<usize, LoadError> {
        match self.get(key) {
            Some(&Value::Unsigned(n)) if (1..=1 << 31).contains(&n) => Ok(n as usize),
            other => Err(wrong(key, "a number from 1 to 2^31", other)),
        }
    }

    /// As [`Gguf::size`], or `default` where the key is missing.
    pub fn size_or(&self, key: &str, default: usize) -> Result<usize, LoadError> {
        match self.get(key) {
            None => Ok(default),
            Some(_) => self.size(key),
        }
    }

    /// A finite float that must be there.
    pub fn float(&self, key: &str) -> Result<f64, LoadError> {
        match self.get(key) {
            Some(&Value::Float(x)) if x.is_finite() => Ok(x),
            other => Err(wrong(key, "a finite number", other)),
        }
    }

    /// A finite float above zero, or `default` where the key is missing.
    pub fn positive_or(&self, key: &str, default: f64) -> Result<f64, LoadError> {
        match self.get(key) {
            None => Ok(default),
            Some(&Value::Float(x)) if x.is_finite() && x > 0.0 => Ok(x),
            other => Err(wrong(key, "a finite number above 0", other)),
        }
    }

    /// A list that must be there.
    pub fn list(&self, key: &str) -> Result<&[Value], LoadError> {
        match self.get(key) {
            Some(Value::List(values)) => Ok(values),
            other => Err(wrong(key, "a list", other)),
        }
    }

    /// A flag, or `default` where the key is missing.
    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool, LoadError> {
        match self.get(key) {
            None => Ok(default),
            Some(&Value::Bool(flag)) => Ok(flag),
            other => Err(wrong(key, "true or false", other)),
        }
    }

    /// A tensor that must be there with this shape.
    pub fn tensor(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<&Tensor<'a>, LoadError> {
        let tensor = self.any_tensor(name)?;
        if (tensor.rows, tensor.columns) != (rows, columns) {
            return Err(damaged!(
                "the tensor '{name}' is {} x {}, not {rows} x {columns}",
                tensor.rows,
                tensor.columns
            ));
        }
        Ok(tensor)
    }

    /// A tensor that must be there, whatever its shape.
    pub fn any_tensor(&self, name: &str) -> Result<&Tensor<'a>, LoadError> {
        let tensor = self.tensors.get(name);
        tensor.ok_or_else(|| damaged!("the tensor '{name}' is missing"))
    }

    /// The names of all tensors, in no order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is such a tensor.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

fn wrong(key: &str, wanted: &str, found: Option<&Value>) -> LoadError {
    match found {
        None => damaged!("the key '{key}' is missing"),
        Some(Value::List(values)) => {
            damaged!("'{key}' is a list of {}, not {wanted}", values.len())
        }
        Some(value) => damaged!("'{key}' is {value:?}, not {wanted}"),
    }
}

/// A tensor as the header lists it.
struct Entry {
    name: String,
    kind: TensorKind,
    rows: usize,
    columns: usize,
    offset: usize,
    size: usize,
}

impl Entry {
    fn read(reader: &mut Reader<'_>) -> Result<Self, LoadError> {
        let name = reader.text()?;
        let bad = |what: &str| damaged!("the tensor '{name}' {what}");
        let dimensions = reader.u32()?;
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(bad(&format!("has {dimensions} dimensions")));
        }
        let mut shape = [1usize; MOST_DIMENSIONS as usize];
        for length in shape.iter_mut().take(dimensions as usize) {
            *length = usize::try_from(reader.u64()?)
                .ok()
                .filter(|&length| length > 0)
                .ok_or_else(|| bad("has an impossible shape"))?;
        }
        let kind = TensorKind::parse(reader.u32()?)?;
        let offset = usize::try_from(reader.u64()?).map_err(|_| bad("lies beyond the file"))?;
        let columns = shape[0];
        if !columns.is_multiple_of(kind.block()) {
            return Err(bad("has rows that are not whole blocks"));
        }
        let rows = shape[1..]
            .iter()
            .try_fold(1usize, |product, &length| product.checked_mul(length));
        let size = rows.and_then(|rows| {
            (columns / kind.block())
                .checked_mul(kind.block_bytes())?
                .checked_mul(rows)
        });
        match (rows, size) {
            (Some(rows), Some(size)) => Ok(Self {
                name,
                kind,
                rows,
                columns,
                offset,
                size,
            }),
            _ => Err(bad("has an impossible shape")),
        }
    }
}

/// Finds the bytes of every tensor: within the file, aligned, not overlapping.
fn place(
    mut entries: Vec<Entry>,
    file: &[u8],
    start: usize,
    alignment: usize,
) -> Result<HashMap<String, Tensor<'_>>, LoadError> {
    entries.sort_by_key(|entry| entry.offset);
    let mut tensors = HashMap::with_capacity(entries.len());
    let mut free_from = 0;
    for entry in entries {
        let name = &entry.name;
        if !entry.offset.is_multiple_of(alignment) {
            return Err(damaged!("the tensor '{name}' is not aligned"));
        }
        if entry.offset < free_from {
            return Err(damaged!("the tensor '{name}' overlaps another"));
        }
        let bytes = start
            .checked_add(entry.offset)
            .and_then(|from| Some(from..from.checked_add(entry.size)?))
            .and_then(|range| file.get(range))
            .ok_or_else(|| damaged!("the tensor '{name}' reaches beyond the end of the file"))?;
        free_from = entry.offset + entry.size;
        let tensor = Tensor {
            kind: entry.kind,
            columns: entry.columns,
            rows: entry.rows,
            bytes,
        };
        if tensors.insert(entry.name.clone(), tensor).is_some() {
            return Err(damaged!("the tensor '{}' stands twice", entry.name));
        }
    }
    Ok(tensors)
}
