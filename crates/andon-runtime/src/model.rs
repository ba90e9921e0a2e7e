use andon_task::engine::{Generate, Identity, Score};

/// A language model: one set of weights that both continues text and scores
/// labels.
pub trait LanguageModel: Generate + Score {
    /// Which model this is.
    fn model(&self) -> &Identity {
        Generate::identity(self)
    }
}

impl<T: Generate + Score + ?Sized> LanguageModel for T {}
