//! A text with everything that each of its tokens may become.

use super::candidate::{Choice, choice};
use super::feature::{Context, Features, collect};
use super::lexicon::Lexicon;
use super::memory::{Held, Memory};
use super::token::{Token, tokens};

/// Reads texts with a memory.
#[derive(Clone, Debug)]
pub struct Reader {
    /// What examples made of tokens.
    pub memory: Memory,
    lexicon: Lexicon,
}

/// A text with the candidates of its tokens.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// The tokens.
    pub tokens: Vec<Token<'a>>,
    context: Context,
    choices: Vec<Choice>,
}

impl Reader {
    /// A reader that knows what the memory knows.
    pub fn new(memory: Memory) -> Self {
        Self {
            lexicon: Lexicon::of(&memory),
            memory,
        }
    }

    /// Reads a text that is not among the examples.
    pub fn read<'a>(&self, text: &'a str) -> Scene<'a> {
        self.scene(text, |_| None)
    }

    /// Reads a text of the examples as if its tokens had never been seen; `expected` are
    /// their targets.
    pub fn read_held_out<'a>(&self, text: &'a str, expected: &[String]) -> Scene<'a> {
        self.scene(text, |at| expected.get(at).map(|target| Held { target }))
    }

    fn scene<'a, 'b>(&self, text: &'a str, held: impl Fn(usize) -> Option<Held<'b>>) -> Scene<'a> {
        let tokens = tokens(text);
        let knowledge = (&self.memory, &self.lexicon);
        let choices = (0..tokens.len())
            .map(|at| choice(knowledge, &tokens, at, held(at)))
            .collect();
        Scene {
            context: Context::of(&tokens),
            tokens,
            choices,
        }
    }
}

impl Scene<'_> {
    /// What the token at `at` may become.
    pub fn candidates(&self, at: usize) -> impl ExactSizeIterator<Item = &str> {
        let candidates = self.choices[at].candidates.iter();
        candidates.map(|candidate| candidate.target.as_str())
    }

    /// The features of a candidate, behind what became of the token before.
    pub fn features(&self, (at, candidate): (usize, usize), previous: &str, into: &mut Features) {
        let choice = &self.choices[at];
        let candidate = &choice.candidates[candidate];
        let text = (self.tokens.as_slice(), &self.context);
        collect(text, at, (choice, candidate), previous, into);
    }

    /// Whether the examples hold the token, whatever its case.
    pub fn is_known(&self, at: usize) -> bool {
        self.choices[at].totals[1] > 0
    }
}
