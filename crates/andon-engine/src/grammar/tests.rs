use andon_task::engine::Grammar;
use serde_json::{Value, json};

use super::*;

/// A vocabulary of every byte and a few longer pieces, so small that what is tested
/// is the grammar alone.
fn grammars() -> Grammars {
    Grammars::new(Arc::new(Tokenizer::of_bytes(&[
        "true", "pump", "\":", "{\"", "leak",
    ])))
    .unwrap()
}
