//! A known answer as it would come under a grammar, token by token: what a model that is
//! to learn such answers has to choose, and what it is never asked.

use andon_task::engine::{EngineError, Grammar};

use super::LanguageModel;
use crate::grammar::Constraint;
use crate::tokenizer::Controls;

/// A token of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The token.
    pub token: u32,
    /// Who chooses it.
    pub by: Chooser,
}

/// Who chooses a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chooser {
    /// The model, among what the grammar allows.
    Model,
    /// The grammar: nothing else may come.
    Grammar,
}

impl LanguageModel {
    /// The tokens of an answer that satisfies a grammar, as they come when the model writes
    /// it: those that the grammar forces, and between them what the model would write.
    ///
    /// # Errors
    /// If the answer does not satisfy the grammar, or the grammar cannot be compiled.
    pub fn path(&self, grammar: &Grammar, answer: &str) -> Result<Vec<Step>, EngineError> {
        let mut constraint = self.constrain(grammar)?;
        let mut path = Path {
            steps: Vec::new(),
            rest: answer.as_bytes(),
        };
        loop {
            let forced = constraint.forced();
            for &token in &forced {
                self.take(&mut constraint, &mut path, (token, Chooser::Grammar))?;
            }
            if constraint.is_finished() {
                return match path.rest {
                    [] => Ok(path.steps),
                    _ => Err(path.leaves()),
                };
            }
            let Some(next) = self.next_of(&path)? else {
                if !constraint.may_end() {
                    return Err(path.leaves());
                }
                let (token, by) = (self.tokenizer.ends()[0], Chooser::Model);
                path.steps.push(Step { token, by });
                return Ok(path.steps);
            };
            self.take(&mut constraint, &mut path, (next, Chooser::Model))?;
        }
    }

    /// The token with which the model itself would go on; `None` at the end.
    fn next_of(&self, path: &Path<'_>) -> Result<Option<u32>, EngineError> {
        let rest = match std::str::from_utf8(path.rest) {
            Ok(rest) => rest,
            // Within a character there is one way on: its next byte.
            Err(_) => return Ok(self.byte(path.rest[0])),
        };
        Ok(self.tokenizer.encode(rest, Controls::Text).first().copied())
    }

    fn byte(&self, byte: u8) -> Option<u32> {
        let tokens = 0..self.tokenizer.size() as u32;
        let mut tokens = tokens.filter(|&token| !self.tokenizer.is_control(token));
        tokens.find(|&token| self.tokenizer.bytes(token) == [byte])
    }

    fn take(
        &self,
        constraint: &mut Constraint,
        path: &mut Path<'_>,
        (token, by): (u32, Chooser),
    ) -> Result<(), EngineError> {
        let text = self.tokenizer.bytes(token);
        let rest = path.rest.strip_prefix(text);
        let rest = rest.filter(|_| !text.is_empty());
        path.rest = rest.ok_or_else(|| path.leaves())?;
        constraint.accept(token).map_err(|_| path.leaves())?;
        path.steps.push(Step { token, by });
        Ok(())
    }
}

/// How far an answer was followed.
struct Path<'a> {
    steps: Vec<Step>,
    rest: &'a [u8],
}

impl Path<'_> {
    fn leaves(&self) -> EngineError {
        let rest: String = String::from_utf8_lossy(self.rest)
            .chars()
            .take(40)
            .collect();
        EngineError::Grammar(format!("the answer leaves it before '{rest}'"))
    }
}
