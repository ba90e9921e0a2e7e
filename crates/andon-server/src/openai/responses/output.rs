//! The output of a response: items, and the events that tell how they grow.

use andon_task::engine::{CallForm, Finish, Generation, Piece};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::ResponseView;
use crate::error::ApiError;
use crate::openai::generation::{self, Frame, Script};
use crate::tools::{Delta, Reader};

/// A part of the output.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    /// Words.
    Message {
        id: String,
        /// `completed`, `incomplete` or, in events, `in_progress`.
        status: &'static str,
        /// `assistant`.
        role: &'static str,
        content: Vec<OutputText>,
    },
    /// A call of a function.
    FunctionCall {
        id: String,
        /// As that of a message.
        status: &'static str,
        /// What the output of the call is to name.
        call_id: String,
        name: String,
        /// JSON, as text.
        arguments: String,
    },
}

/// Words.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct OutputText {
    /// `output_text`.
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
    /// Always empty.
    annotations: Vec<Value>,
    /// Always empty.
    logprobs: Vec<Value>,
}

impl OutputText {
    fn new(text: &str) -> Self {
        Self {
            kind: "output_text",
            text: text.to_owned(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
        }
    }
}

/// Writes a response, and the events of its growth.
pub(super) struct Writer {
    response: ResponseView,
    reader: Reader,
    /// Events so far.
    events: usize,
    /// Whether the last item still grows.
    is_open: bool,
}

impl Writer {
    pub(super) fn new(response: ResponseView, form: Option<CallForm>) -> Self {
        Self {
            response,
            reader: Reader::new(form),
            events: 0,
            is_open: false,
        }
    }

    /// The response of an answer that is complete.
    pub(super) fn whole(mut self, generations: &[Generation]) -> ResponseView {
        for generation in generations {
            let (text, drawn) = (generation.text.as_str(), generation.drawn.as_slice());
            self.piece(0, Piece { text, drawn });
            self.ended(0, generation);
        }
        self.closing(generations);
        self.response
    }

    fn event(&mut self, name: &'static str, fields: Value) -> Frame {
        let mut data = json!({"type": name, "sequence_number": self.events});
        self.events += 1;
        if let (Some(data), Value::Object(fields)) = (data.as_object_mut(), fields) {
            data.extend(fields);
        }
        Frame::named(name, &data)
    }

    /// An event that tells the whole response.
    fn state(&mut self, name: &'static str) -> Frame {
        let response = json!({"response": self.response});
        self.event(name, response)
    }

    fn write(&mut self, delta: Delta, frames: &mut Vec<Frame>) {
        match delta {
            Delta::Words(text, _) => {
                let is_message = matches!(self.response.output.last(), Some(Item::Message { .. }));
                if !(self.is_open && is_message) {
                    self.close("completed", frames);
                    self.open_message(frames);
                }
                if let Some(Item::Message { content, .. }) = self.response.output.last_mut() {
                    content[0].text.push_str(&text);
                }
                if !text.is_empty() {
                    let fields =
                        self.at(json!({"content_index": 0, "delta": text, "logprobs": []}));
                    frames.push(self.event("response.output_text.delta", fields));
                }
            }
            Delta::Call(_, name) => {
                self.close("completed", frames);
                let item = Item::FunctionCall {
                    id: self.id("fc"),
                    status: "in_progress",
                    call_id: self.id("call"),
                    name,
                    arguments: String::new(),
                };
                self.open(item, frames);
            }
            Delta::Arguments(_, text) => {
                if let Some(Item::FunctionCall { arguments, .. }) = self.response.output.last_mut()
                {
                    arguments.push_str(&text);
                }
                let fields = self.at(json!({"delta": text}));
                frames.push(self.event("response.function_call_arguments.delta", fields));
            }
        }
    }

    /// An id for the next item.
    fn id(&self, prefix: &str) -> String {
        let number = self.response.id.trim_start_matches("resp");
        format!("{prefix}{number}-{}", self.response.output.len())
    }

    /// The fields of an event about the last item.
    fn at(&self, mut fields: Value) -> Value {
        let items = &self.response.output;
        if let Some(Item::Message { id, .. } | Item::FunctionCall { id, .. }) = items.last() {
            fields["item_id"] = json!(id);
            fields["output_index"] = json!(items.len() - 1);
        }
        fields
    }

    fn open_message(&mut self, frames: &mut Vec<Frame>) {
        let item = Item::Message {
            id: self.id("msg"),
            status: "in_progress",
            role: "assistant",
            content: Vec::new(),
        };
        self.open(item, frames);
        let part = OutputText::new("");
        let fields = self.at(json!({"content_index": 0, "part": part}));
        frames.push(self.event("response.content_part.added", fields));
        if let Some(Item::Message { content, .. }) = self.response.output.last_mut() {
            content.push(part);
        }
    }

    fn open(&mut self, item: Item, frames: &mut Vec<Frame>) {
        let fields = json!({"output_index": self.response.output.len(), "item": item});
        self.response.output.push(item);
        self.is_open = true;
        frames.push(self.event("response.output_item.added", fields));
    }

    /// Ends the item that grows, if one does.
    fn close(&mut self, end: &'static str, frames: &mut Vec<Frame>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let index = self.response.output.len() - 1;
        let Some(item) = self.response.output.last_mut() else {
            return;
        };
        let (Item::Message { status, .. } | Item::FunctionCall { status, .. }) = item;
        *status = end;
        let item = item.clone();
        match &item {
            Item::Message { content, .. } => {
                let part = &content[0];
                let text = json!({"content_index": 0, "text": part.text, "logprobs": []});
                let text = self.at(text);
                frames.push(self.event("response.output_text.done", text));
                let part = self.at(json!({"content_index": 0, "part": part}));
                frames.push(self.event("response.content_part.done", part));
            }
            Item::FunctionCall {
                name, arguments, ..
            } => {
                let fields = self.at(json!({"name": name, "arguments": arguments}));
                frames.push(self.event("response.function_call_arguments.done", fields));
            }
        }
        let fields = json!({"output_index": index, "item": item});
        frames.push(self.event("response.output_item.done", fields));
    }
}

impl Script for Writer {
    fn opening(&mut self) -> Vec<Frame> {
        vec![
            self.state("response.created"),
            self.state("response.in_progress"),
        ]
    }

    fn piece(&mut self, _: usize, piece: Piece<'_>) -> Vec<Frame> {
        let mut frames = Vec::new();
        for delta in self.reader.push(piece) {
            self.write(delta, &mut frames);
        }
        frames
    }

    fn ended(&mut self, _: usize, generation: &Generation) -> Vec<Frame> {
        let mut frames = Vec::new();
        for delta in self.reader.finish() {
            self.write(delta, &mut frames);
        }
        if self.response.output.is_empty() {
            self.open_message(&mut frames);
        }
        let end = match generation.finish {
            Finish::Stop => "completed",
            Finish::Length => "incomplete",
        };
        self.close(end, &mut frames);
        self.response
            .end(generation.finish, generation.usage.into());
        frames
    }

    fn closing(&mut self, generations: &[Generation]) -> Vec<Frame> {
        self.response.usage = Some(generation::usage(generations).into());
        let name = match self.response.status {
            "incomplete" => "response.incomplete",
            _ => "response.completed",
        };
        vec![self.state(name)]
    }

    fn failed(&mut self, error: &ApiError) -> Vec<Frame> {
        self.response.status = "failed";
        self.response.error = Some(json!({"code": "server_error", "message": error.message()}));
        vec![self.state("response.failed")]
    }
}
