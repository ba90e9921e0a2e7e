//! Reading the header: every length is checked against what is left of the file.

use super::Value;
use crate::error::{LoadError, damaged};

/// Lists within lists, at most.
const MOST_DEPTH: usize = 4;

pub(super) struct Reader<'a> {
    file: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self { file, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], LoadError> {
        let rest = &self.file[self.position..];
        let bytes = rest.get(..count).ok_or_else(|| {
            damaged!(
                "the file ends at byte {} in the middle of its header",
                self.file.len()
            )
        })?;
        self.position += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let bytes = self.bytes(N)?;
        Ok(bytes.try_into().expect("as many bytes as were asked for"))
    }

    pub(super) fn u32(&mut self) -> Result<u32, LoadError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, LoadError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things of at least `smallest` bytes, which must fit the file.
    pub(super) fn count(&mut self, smallest: usize) -> Result<usize, LoadError> {
        let count = self.u64()?;
        let most = (self.file.len() - self.position) / smallest;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= most)
            .ok_or_else(|| damaged!("it claims {count} entries, more than the file can hold"))
    }

    pub(super) fn text(&mut self) -> Result<String, LoadError> {
        let length = self.count(1)?;
        let position = self.position;
        let bytes = self.bytes(length)?;
        String::from_utf8(bytes.to_vec())
            .map_err(|_| damaged!("the text at byte {position} is not UTF-8"))
    }

    pub(super) fn value(&mut self) -> Result<Value, LoadError> {
        let kind = self.u32()?;
        self.value_of(kind, 0)
    }

    fn value_of(&mut self, kind: u32, depth: usize) -> Result<Value, LoadError> {
        let signed = |n: i64| match u64::try_from(n) {
            Ok(n) => Value::Unsigned(n),
            Err(_) => Value::Signed(n),
        };
        Ok(match kind {
            0 => Value::Unsigned(u64::from(u8::from_le_bytes(self.array()?))),
            1 => signed(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Unsigned(u64::from(u16::from_le_bytes(self.array()?))),
            3 => signed(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Unsigned(u64::from(self.u32()?)),
            5 => signed(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => match u8::from_le_bytes(self.array()?) {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => return Err(damaged!("a flag is {other}, neither 0 nor 1")),
            },
            8 => Value::Text(self.text()?),
            9 if depth < MOST_DEPTH => {
                let kind = self.u32()?;
                let count = self.count(if kind == 8 { 8 } else { 1 })?;
                (0..count)
                    .map(|_| self.value_of(kind, depth + 1))
                    .collect::<Result<_, _>>()
                    .map(Value::List)?
            }
            10 => Value::Unsigned(self.u64()?),
            11 => signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(damaged!("a value has the unknown type {other}")),
        })
    }
}
