//! A chat's answer as chunks.

use andon_task::engine::{Generation, Piece};
use serde_json::{Value, json};

use super::Style;
use crate::openai::generation::{self, Frame, Script};
use crate::openai::logprobs::ChatLogprobs;
use crate::openai::{Head, UsageView, finish_word};
use crate::tools::{Delta, Reader};

/// Writes the chunks of all choices.
pub(super) struct Chunks {
    head: Head,
    style: Style,
    readers: Vec<Reader>,
    wants_usage: bool,
}

impl Chunks {
    pub(super) fn new(head: Head, style: Style, choices: usize, wants_usage: bool) -> Self {
        let readers = (0..choices).map(|_| Reader::new(style.form));
        Self {
            readers: readers.collect(),
            head,
            style,
            wants_usage,
        }
    }

    fn chunk(&self, choices: Value) -> Frame {
        let usage = self.wants_usage.then_some(Value::Null);
        self.head.chunk("chat.completion.chunk", choices, usage)
    }

    fn delta(&self, choice: usize, delta: Value, logprobs: Option<ChatLogprobs>) -> Frame {
        self.chunk(json!([
            {"index": choice, "delta": delta, "finish_reason": null, "logprobs": logprobs}
        ]))
    }

    fn frames(&self, choice: usize, deltas: Vec<Delta>) -> Vec<Frame> {
        let frame = |delta| match delta {
            Delta::Words(text, drawn) => {
                let logprobs = self.style.logprobs.then(|| drawn.as_slice().into());
                self.delta(choice, json!({"content": text}), logprobs)
            }
            Delta::Call(number, name) => {
                let id = self.style.call_id(choice, number);
                let function = json!({"name": name, "arguments": ""});
                let call =
                    json!({"index": number, "id": id, "type": "function", "function": function});
                self.delta(choice, json!({"tool_calls": [call]}), None)
            }
            Delta::Arguments(number, text) => {
                let call = json!({"index": number, "function": {"arguments": text}});
                self.delta(choice, json!({"tool_calls": [call]}), None)
            }
        };
        deltas.into_iter().map(frame).collect()
    }
}

impl Script for Chunks {
    fn opening(&mut self) -> Vec<Frame> {
        let role = json!({"role": "assistant", "content": ""});
        (0..self.readers.len())
            .map(|choice| self.delta(choice, role.clone(), None))
            .collect()
    }

    fn piece(&mut self, choice: usize, piece: Piece<'_>) -> Vec<Frame> {
        let deltas = self.readers[choice].push(piece);
        self.frames(choice, deltas)
    }

    fn ended(&mut self, choice: usize, generation: &Generation) -> Vec<Frame> {
        let deltas = self.readers[choice].finish();
        let mut frames = self.frames(choice, deltas);
        let finish = finish_word(generation.finish, self.readers[choice].has_calls());
        frames.push(self.chunk(json!([
            {"index": choice, "delta": {}, "finish_reason": finish, "logprobs": null}
        ])));
        frames
    }

    fn closing(&mut self, generations: &[Generation]) -> Vec<Frame> {
        let usage = self.wants_usage.then(|| {
            let usage = UsageView::from(generation::usage(generations));
            self.head
                .chunk("chat.completion.chunk", json!([]), Some(json!(usage)))
        });
        usage.into_iter().chain([Frame::done()]).collect()
    }
}
