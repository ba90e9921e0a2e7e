use std::ops::ControlFlow;

use andon_task::engine::{Drawn, EngineError, Finish, Generation, Piece, Usage};

use crate::grammar::Hold;
use crate::wire::Chunk;

/// The most bytes of an answer.
const MOST_BYTES: usize = 8 << 20;

/// An answer as it comes. What is held to a grammar is passed on when it is
/// whole and was checked, and not before.
pub(crate) struct Answer<'a> {
    hold: Option<&'a Hold>,
    alternatives: Option<usize>,
    on_piece: &'a mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    text: String,
    drawn: Vec<Drawn>,
    finish: Option<Finish>,
    usage: Usage,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(
        hold: Option<&'a Hold>,
        alternatives: Option<usize>,
        on_piece: &'a mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Self {
        Self {
            hold,
            alternatives,
            on_piece,
            text: String::new(),
            drawn: Vec::new(),
            finish: None,
            usage: Usage::default(),
        }
    }

    /// Whether the server has said that the answer ends here.
    pub(crate) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Takes what an event brings, and says whether that was a token.
    pub(crate) fn take(&mut self, chunk: Chunk) -> Result<bool, EngineError> {
        if let Some(usage) = chunk.usage {
            self.usage = usage.into();
        }
        let Some(choice) = chunk.choices.into_iter().next() else {
            return Ok(false);
        };
        if self.is_finished() {
            return Ok(false);
        }
        let is_thought = choice.is_thought();
        let finish = choice.finish().transpose()?;
        let text = choice.text().to_owned();
        let drawn = match self.alternatives {
            Some(most) => choice.drawn(most)?,
            None => Vec::new(),
        };
        if self.text.len() + text.len() > MOST_BYTES {
            return Err(EngineError::Failed(format!(
                "the server's answer has more than {MOST_BYTES} bytes"
            )));
        }
        let is_token = is_thought || !text.is_empty() || !drawn.is_empty();
        if self.hold.is_none() && (!text.is_empty() || !drawn.is_empty()) {
            self.pass_on(&text, &drawn)?;
        }
        self.text.push_str(&text);
        self.drawn.extend(drawn);
        self.finish = finish;
        Ok(is_token)
    }

    /// The whole of it.
    pub(crate) fn end(mut self) -> Result<Generation, EngineError> {
        let finish = self.finish.ok_or_else(|| {
            EngineError::Failed("the server's answer was cut before its end".into())
        })?;
        if self.alternatives.is_some() && self.drawn.is_empty() && !self.text.is_empty() {
            let message = "the server tells no log-probabilities: ask without them";
            return Err(EngineError::Invalid(message.into()));
        }
        if let Some(hold) = self.hold {
            self.text = hold.check(&self.text).ok_or_else(|| match finish {
                Finish::Length => EngineError::Invalid(
                    "the answer ran out of tokens before it was what was asked for: allow more"
                        .into(),
                ),
                Finish::Stop => EngineError::Failed(
                    "the server's answer is not what it was to be held to, and was thrown away"
                        .into(),
                ),
            })?;
            let (text, drawn) = (
                std::mem::take(&mut self.text),
                std::mem::take(&mut self.drawn),
            );
            self.pass_on(&text, &drawn)?;
            (self.text, self.drawn) = (text, drawn);
        }
        Ok(Generation {
            text: self.text,
            drawn: self.drawn,
            finish,
            usage: self.usage,
        })
    }

    fn pass_on(&mut self, text: &str, drawn: &[Drawn]) -> Result<(), EngineError> {
        match (self.on_piece)(Piece { text, drawn }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EngineError::Cancelled),
        }
    }
}
