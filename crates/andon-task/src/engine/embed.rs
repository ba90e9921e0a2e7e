//! What encoders are to the rest of the node.

use super::{EngineError, Identity};

/// An encoder: text in, a vector of unit length out.
pub trait Embed: Send + Sync {
    /// Which model this is.
    fn identity(&self) -> &Identity;

    /// The length of the vectors.
    fn dimensions(&self) -> usize;

    /// The number of tokens in `text`, as the encoder counts them.
    fn count_tokens(&self, text: &str) -> Result<usize, EngineError>;

    /// One vector of unit length for each text. A text that does not fit the
    /// context is refused with both counts.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError>;

    /// What the middle of the encoder makes of each token of a text: there a word's
    /// meaning among its neighbours shows best, before the states become alike. (Of an encoder
    /// that was tuned for words: what its end makes of them.) `None` where
    /// the encoder does not say, or the text does not fit the context.
    fn states(&self, text: &str) -> Result<Option<States>, EngineError> {
        let _ = text;
        Ok(None)
    }
}

/// States of a text's tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct States {
    /// The bytes of the text that each token stands for.
    pub spans: Vec<(usize, usize)>,
    /// A state for each, `[token][width]`.
    pub states: Vec<f32>,
    /// Numbers of a state.
    pub width: usize,
}
