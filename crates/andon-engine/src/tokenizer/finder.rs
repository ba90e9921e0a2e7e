//! Tokens that are found in a text before anything else is looked at.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::{LoadError, damaged};

/// Bytes of a control token, at most.
const LONGEST_CONTROL: usize = 1024;

/// Finds the texts of tokens, all of them at once: the first in a text, and of
/// several that begin there the longest.
pub(super) struct Finder {
    /// None where there is nothing to find.
    texts: Option<AhoCorasick>,
    tokens: Vec<u32>,
}

impl Finder {
    pub(super) fn new(texts: &[(u32, String)]) -> Result<Self, LoadError> {
        // Every search may look this far ahead.
        if let Some((id, text)) = texts.iter().find(|(_, text)| text.len() > LONGEST_CONTROL) {
            return Err(damaged!("the control token {id} has {} bytes", text.len()));
        }
        let found = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts.iter().map(|(_, text)| text))
            .map_err(|error| damaged!("the control tokens: {error}"))?;
        Ok(Self {
            texts: (!texts.is_empty()).then_some(found),
            tokens: texts.iter().map(|(id, _)| *id).collect(),
        })
    }

    pub(super) fn all(&self, text: &str) -> impl Iterator<Item = (Range<usize>, u32)> {
        let found = self
            .texts
            .iter()
            .flat_map(move |texts| texts.find_iter(text));
        found.map(|found| (found.range(), self.tokens[found.pattern()]))
    }

    pub(super) fn first(&self, text: &str) -> Option<Range<usize>> {
        Some(self.texts.as_ref()?.find(text)?.range())
    }
}
