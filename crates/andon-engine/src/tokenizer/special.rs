//! The tokens around a text: what it begins with, and what ends it or a turn.

use super::vocabulary::{Kind, TURN_ENDS, Vocabulary};
use crate::error::{LoadError, damaged};
use crate::gguf::Gguf;

/// The tokens around a text.
pub(super) struct Special {
    /// What every text begins with, if the model wants that.
    pub(super) begin: Option<u32>,
    /// What ends a text.
    pub(super) end: Option<u32>,
    /// What stands behind every text, if the model wants that.
    pub(super) closes: Option<u32>,
    /// What ends a turn, the usual first.
    pub(super) ends: Vec<u32>,
    /// Control tokens that take the blanks behind them.
    pub(super) greedy: Vec<u32>,
}

impl Special {
    /// Reads them. `adds_begin` and `adds_end` hold where the file does not say
    /// whether texts are begun and ended so.
    pub(super) fn from_gguf(
        gguf: &Gguf<'_>,
        vocabulary: &Vocabulary<'_>,
        adds_begin: bool,
        adds_end: bool,
    ) -> Result<Self, LoadError> {
        let model = gguf.text("tokenizer.ggml.model")?;
        let named = |key: &str| vocabulary.named(gguf, key);
        let begin = named("tokenizer.ggml.bos_token_id")?;
        let end = named("tokenizer.ggml.eos_token_id")?;
        let adds_begin = gguf.flag_or("tokenizer.ggml.add_bos_token", adds_begin)?;
        let adds_end = gguf.flag_or("tokenizer.ggml.add_eos_token", adds_end)?;
        let (begin, closes) = if model == "bert" {
            let begin = named("tokenizer.ggml.cls_token_id")?.or(begin);
            // The key is misspelt in every file.
            let closes = named("tokenizer.ggml.seperator_token_id")?;
            let named = |found: Option<u32>, text| found.or_else(|| vocabulary.id(text));
            (named(begin, "[CLS]"), named(closes, "[SEP]"))
        } else {
            (begin.filter(|_| adds_begin), end.filter(|_| adds_end))
        };
        let ends = ends(gguf, vocabulary, end)?;
        if ends.is_empty() && !matches!(model, "bert" | "t5") {
            return Err(damaged!(
                "no token ends a text: 'tokenizer.ggml.eos_token_id' is missing"
            ));
        }
        let is_phi3 = match gguf.get("general.architecture") {
            None => false,
            Some(_) => model == "llama" && gguf.text("general.architecture")? == "phi3",
        };
        // As Phi-3's own tokenizer says; its files do not.
        let is_greedy = |text: &str| is_phi3 && !["<unk>", "<s>", "<|endoftext|>"].contains(&text);
        let greedy = vocabulary
            .iter()
            .filter(|(_, text, kind)| *kind == Kind::Control && is_greedy(text))
            .map(|(id, _, _)| id);
        Ok(Self {
            begin,
            end,
            closes,
            ends,
            greedy: greedy.collect(),
        })
    }
}

/// The tokens that end a turn, the one that the chat template writes first.
fn ends(
    gguf: &Gguf<'_>,
    vocabulary: &Vocabulary<'_>,
    end: Option<u32>,
) -> Result<Vec<u32>, LoadError> {
    let turn = vocabulary.named(gguf, "tokenizer.ggml.eot_token_id")?;
    let template = match gguf.get("tokenizer.chat_template") {
        None => "",
        Some(_) => gguf.text("tokenizer.chat_template")?,
    };
    // Some files do not say what ends a turn, and their template does.
    let (written, others): (Vec<_>, Vec<_>) = TURN_ENDS
        .into_iter()
        .filter_map(|name| Some((name, vocabulary.id(name)?)))
        .partition(|(name, _)| template.contains(name));
    let mut ends = Vec::new();
    let written = written.into_iter().map(|(_, id)| id);
    let others = others.into_iter().map(|(_, id)| id);
    for id in written.chain(turn).chain(end).chain(others) {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    Ok(ends)
}
