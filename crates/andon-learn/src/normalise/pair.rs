//! Examples as tokens with what became of each.

use andon_task::normalise::{Memory, Token, align, tokens};

/// Rounds of counting and aligning anew.
const ROUNDS: usize = 3;

/// A text of the examples, token by token.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair<'a> {
    /// The text.
    pub text: &'a str,
    /// Its tokens.
    pub tokens: Vec<Token<'a>>,
    /// What became of each; empty where it was merged into another.
    pub targets: Vec<String>,
}

/// Aligns texts with their normalised texts: first by likeness alone, then in the light of
/// what the same tokens became in the other texts.
pub fn pairs<'a>(examples: &[(&'a str, &str)]) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'_>> = examples
        .iter()
        .map(|&(text, expected)| {
            let tokens = tokens(text);
            let targets = align(&tokens, expected, None, &[]);
            Pair {
                text,
                tokens,
                targets,
            }
        })
        .collect();
    for _ in 0..ROUNDS {
        let memory = memory(&pairs);
        for (pair, (_, expected)) in pairs.iter_mut().zip(examples) {
            pair.targets = align(&pair.tokens, expected, Some(&memory), &pair.targets);
        }
    }
    pairs
}

/// What the pairs made of each token.
pub(super) fn memory<'a>(pairs: impl IntoIterator<Item = &'a Pair<'a>>) -> Memory {
    Memory::of(
        pairs
            .into_iter()
            .map(|pair| (pair.tokens.as_slice(), pair.targets.as_slice())),
    )
}
