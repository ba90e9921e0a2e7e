//! GGUF files of floats, written.

/// Tensors begin at multiples of this.
const ALIGNMENT: usize = 32;

/// The number that the format has for 32-bit floats, among values and among tensors.
const FLOAT_VALUE: u32 = 6;
const FLOAT_TENSOR: u32 = 0;
/// The number that the format has for texts.
const TEXT_VALUE: u32 = 8;

/// A value of the metadata.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Float(f32),
}

/// A file while it is put together.
#[derive(Debug, Default)]
pub(crate) struct File {
    keys: u64,
    metadata: Vec<u8>,
    tensors: u64,
    infos: Vec<u8>,
    data: Vec<u8>,
}

impl File {
    /// Adds a value to the metadata.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.keys += 1;
        put_text(&mut self.metadata, key);
        match value {
            Value::Text(text) => {
                self.metadata.extend(TEXT_VALUE.to_le_bytes());
                put_text(&mut self.metadata, &text);
            }
            Value::Float(number) => {
                self.metadata.extend(FLOAT_VALUE.to_le_bytes());
                self.metadata.extend(number.to_le_bytes());
            }
        }
    }

    /// Adds a matrix, its row's length first.
    pub(crate) fn add(&mut self, name: String, [columns, rows]: [usize; 2], numbers: &[f32]) {
        self.tensors += 1;
        put_text(&mut self.infos, &name);
        self.infos.extend(2u32.to_le_bytes());
        self.infos.extend((columns as u64).to_le_bytes());
        self.infos.extend((rows as u64).to_le_bytes());
        self.infos.extend(FLOAT_TENSOR.to_le_bytes());
        self.infos.extend((self.data.len() as u64).to_le_bytes());
        self.data
            .extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        let end = self.data.len().next_multiple_of(ALIGNMENT);
        self.data.resize(end, 0);
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend(self.tensors.to_le_bytes());
        out.extend(self.keys.to_le_bytes());
        out.extend(&self.metadata);
        out.extend(&self.infos);
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        out.extend(&self.data);
        out
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.bytes());
}
