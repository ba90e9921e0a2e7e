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
    ///
    /// # Errors
    /// If no token ends a turn.
    pub(super) fn new(tokenizer: Arc<Tokenizer>) -> Result<Self, String> {
        let end = tokenizer.ends().first().copied();
        let end = end.ok_or("the vocabulary has no token that ends a turn")?;
        let size = u32::try_from(tokenizer.size()).expect("a vocabulary is below 2^20 tokens");
        let words: Vec<Vec<u8>> = (0..size)
            .map(|token| tokenizer.bytes(token))
            .map(|bytes| match bytes.contains(&MARKER) {
                true => Vec::new(),
                false => bytes.to_vec(),
            })
            .collect();
        let trie = TokTrie::from(&TokRxInfo::new(size, end), &words);
        Ok(Self { tokenizer, trie })
    }
}

impl Environment {
    /// The tokens of a text within an answer, where nothing is put before it.
    fn encode(&self, text: &str) -> Vec<TokenId> {
        if !self.tokenizer.leads_with_blank() {
            return self.tokenizer.encode(text, Controls::Text);
        }
        // Nothing merges with the end of a line: what comes after it is as it is
        // within a text.
        let tokens = self.tokenizer.encode(&format!("\n{text}"), Controls::Text);
        let mut lead = " \n".len();
        let is_lead = |&token: &TokenId| {
            let is_lead = lead > 0;
            lead = lead.saturating_sub(self.trie.token_len(token));
            is_lead
        };
        tokens.into_iter().skip_while(is_lead).collect()
    }
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    /// The tokens that the model was taught for these bytes. What is forced must be
    /// these, or the model reads a text that it would not write.
    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let encode = |text: &str| self.encode(text);
        let tokens = self.trie.tokenize_with_greedy_fallback(bytes, encode);
        match self.trie.decode_raw(&tokens) == bytes {
            true => tokens,
            // The tokenizer leaves out or changes what it has no tokens for.
            false => self.trie.greedy_tokenize(bytes),
        }
    }
}
