//! The seam for encoders that are tuned on a task's own examples.

use andon_task::engine::Embed;

use crate::error::LearnError;

/// A text, as the glossary reads it, and the position of its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labelled<'a> {
    /// The text.
    pub text: &'a str,
    /// The position of the right label in the label set.
    pub label: usize,
}

/// An encoder that was tuned on examples.
pub struct Tuned {
    /// What serves: the vector of a text is that of the encoder it came from, then that
    /// of the tuned one. Its identity is its own.
    pub encoder: Box<dyn Embed>,
    /// The classifier that was tuned with it: over the second of these vectors, a row for
    /// each dimension and one for the constant 1, in each a column for each label.
    pub classifier: Vec<f32>,
    /// What has to be kept so that the encoder can be loaded again.
    pub bytes: Vec<u8>,
}

/// Tunes an encoder so that texts of one label come to lie together.
pub trait Tune {
    /// Tunes on `examples` alone: in cross-validation these are the training part
    /// of one fold. `labels` is the number of labels of the task; `progress` hears
    /// how many steps are done, and of how many.
    ///
    /// The same examples give the same encoder, bit for bit. What goes wrong is
    /// [`LearnError::Tuning`].
    fn tune(
        &self,
        examples: &[Labelled<'_>],
        labels: usize,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Tuned, LearnError>;
}
