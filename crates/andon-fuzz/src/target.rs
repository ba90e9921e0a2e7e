//! The readers.

use std::sync::{Arc, LazyLock};

use andon_engine::gguf::Gguf;
use andon_engine::tokenizer::{Controls, Tokenizer};
use andon_engine::{Encoder, LanguageModel};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;

use crate::{adapter, grammar, seed};

/// A reader of foreign bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The reader of GGUF files.
    Gguf,
    /// The tokenizer of a GGUF file, and a text to it. The bytes are the length of the
    /// text in two, the text, and the file.
    Tokenizer,
    /// A language model from a GGUF file.
    Model,
    /// An encoder from a GGUF file.
    Encoder,
    /// An adapter. The first byte is its form: 0 for a GGUF file; else what PEFT
    /// writes, the length of the settings in two bytes, the settings, and the weights.
    Adapter,
    /// A grammar to hold an answer to. The first byte is its kind.
    Grammar,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Gguf,
        Self::Tokenizer,
        Self::Model,
        Self::Encoder,
        Self::Adapter,
        Self::Grammar,
    ];

    /// Its name, as a file or a folder has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Tokenizer => "tokenizer",
            Self::Model => "model",
            Self::Encoder => "encoder",
            Self::Adapter => "adapter",
            Self::Grammar => "grammar",
        }
    }

    /// Bytes that it accepts.
    pub fn seeds(self) -> Vec<Vec<u8>> {
        match self {
            Self::Gguf | Self::Model => seed::models(),
            Self::Tokenizer => seed::tokenizers(),
            Self::Encoder => seed::encoders(),
            Self::Adapter => adapter::seeds(),
            Self::Grammar => grammar::seeds(),
        }
    }

    /// Gives it bytes; whether they were accepted.
    ///
    /// # Panics
    /// If the reader does what it may not.
    pub fn read(self, bytes: &[u8]) -> bool {
        match self {
            Self::Gguf => gguf(bytes),
            Self::Tokenizer => tokenizer(bytes),
            Self::Model => LanguageModel::from_bytes("any", bytes, kernels()).is_ok(),
            Self::Encoder => Encoder::from_gguf("any", bytes, kernels()).is_ok(),
            Self::Adapter => adapter::read(bytes, kernels()),
            Self::Grammar => grammar::read(bytes),
        }
    }
}

fn kernels() -> Arc<Kernels> {
    static KERNELS: LazyLock<Arc<Kernels>> =
        LazyLock::new(|| Arc::new(Kernels::new(Isa::detect(), 1)));
    Arc::clone(&KERNELS)
}

fn gguf(bytes: &[u8]) -> bool {
    let Ok(gguf) = Gguf::parse(bytes) else {
        return false;
    };
    let mut names: Vec<&str> = gguf.tensor_names().collect();
    names.sort_unstable();
    for name in names {
        assert!(gguf.has_tensor(name));
        // Whatever its shape is, it is not this one.
        assert!(gguf.tensor(name, usize::MAX, 0).is_err());
    }
    for key in ["general.architecture", "tokenizer.ggml.tokens"] {
        drop((
            gguf.text(key),
            gguf.list(key),
            gguf.size(key),
            gguf.float(key),
        ));
    }
    true
}

fn tokenizer(bytes: &[u8]) -> bool {
    let Some((text, file)) = split(bytes) else {
        return false;
    };
    let text = String::from_utf8_lossy(text);
    let Some(tokenizer) = Gguf::parse(file)
        .ok()
        .and_then(|gguf| Tokenizer::from_gguf(&gguf).ok())
    else {
        return false;
    };
    for controls in [Controls::Text, Controls::Meant] {
        for token in tokenizer.encode(&text, controls) {
            assert!((token as usize) < tokenizer.size());
            assert!(tokenizer.bytes(token).len() <= tokenizer.longest());
        }
    }
    let parts = tokenizer.split_controls(&text);
    assert_eq!(parts.concat(), text);
    for token in tokenizer.encode_closed(&text) {
        assert!((token as usize) < tokenizer.size());
    }
    true
}

/// Bytes whose length comes first, in two; and those after them.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}
