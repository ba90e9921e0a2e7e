//! The model's vocabulary, as the grammars see it.

use std::sync::Arc;

use llguidance::toktrie::{TokRxInfo, TokTrie, TokenId, TokenizerEnv};

use crate::tokenizer::{Controls, Tokenizer};

/// A byte that is in no text: llguidance marks control tokens with it.
const MARKER: u8 = TokTrie::SPECIAL_TOKEN_MARKER;

/// The tokens that texts are made of, and the model's own way to choose among them.
pub(super) struct Environment {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
}

impl Environment {
    /// Control tokens stand for no bytes, so no text can call for one.
    pub(super) fn new(tokenizer: Arc<Tokenizer>) -> Self {
        let size = u32::try_from(tokenizer.size()).expect("a vocabulary is below 2^20 tokens");
        let words: Vec<Vec<u8>> = (0..size)
            .map(|token| tokenizer.bytes(token))
            .map(|bytes| match bytes.contains(&MARKER) {
                true => Vec::new(),
                false => bytes.to_vec(),
            })
            .collect();
        let trie = TokTrie::from(&TokRxInfo::new(size, tokenizer.ends()[0]), &words);
        Self { tokenizer, trie }
    }
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    /// The tokens that the model was taught for these bytes. What is forced must be
    /// these, or the model reads a text that it would not write.
    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let encode = |text: &str| self.tokenizer.encode(text, Controls::Text);
        let tokens = self.trie.tokenize_with_greedy_fallback(bytes, encode);
        // The tokenizer leaves out bytes that it has no token for: then only what
        // comes before them can be forced.
        let mut read = 0;
        let fits = |&token: &TokenId| {
            let piece = self.trie.token(token);
            let fits = bytes[read..].starts_with(piece);
            read += piece.len();
            fits
        };
        tokens.into_iter().take_while(fits).collect()
    }
}
