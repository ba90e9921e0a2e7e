//! A request as OpenAI's API has it, tools included.

use andon_task::engine::{Chat, GenerateRequest, Grammar, Message, Prompt, Role};
use andon_task::upstream::{Delivery, UpstreamError};
use serde_json::{Map, Value, json};

use super::of_engine;
use crate::grammar::Hold;
use crate::model::Dialect;

/// What holds an answer, for an API that knows JSON schemas alone.
pub(super) fn hold(request: &GenerateRequest) -> Result<Option<Hold>, UpstreamError> {
    match &request.grammar {
        None | Some(Grammar::Calls(_)) => Ok(None),
        Some(grammar) => Hold::new(grammar, Dialect::Plain)
            .map(Some)
            .map_err(of_engine),
    }
}

pub(super) fn compose(
    request: &GenerateRequest,
    model: &str,
    delivery: Delivery,
) -> Result<Vec<u8>, UpstreamError> {
    let refuse = |what: &str| Err(UpstreamError::Refused(what.to_owned()));
    let chat = match &request.prompt {
        Prompt::Chat(chat) => chat,
        Prompt::Text(_) => return refuse("an upstream answers chats: send one"),
    };
    if request.adapter.is_some() {
        return refuse("an upstream has no adapters: leave it out");
    }
    if request.alternatives.is_some() {
        return refuse("log-probabilities of an upstream are not passed on: leave them out");
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), messages(chat));
    body.insert("temperature".into(), request.sampling.temperature.into());
    body.insert("top_p".into(), request.sampling.top_p.into());
    // As JSON has it everywhere: a signed number.
    body.insert("seed".into(), request.sampling.seed.cast_signed().into());
    if let Some(most) = request.max_tokens {
        body.insert("max_tokens".into(), most.into());
    }
    if !request.stop.is_empty() {
        body.insert("stop".into(), json!(request.stop));
    }
    if delivery == Delivery::Pieces {
        body.insert("stream".into(), true.into());
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    offer(request, chat, &mut body);
    if let Some(hold) = hold(request)? {
        hold.ask(&mut body);
    }
    Ok(Value::Object(body).to_string().into_bytes())
}

fn messages(chat: &Chat) -> Value {
    // Ids of calls are given by place, so that the same chat has the same bytes.
    let mut called = 0;
    let mut answered = 0;
    let turns = chat.messages.iter().map(|message| {
        let Message {
            role,
            content,
            calls,
        } = message;
        match role {
            Role::System => json!({"role": "system", "content": content}),
            Role::User => json!({"role": "user", "content": content}),
            Role::Tool => {
                answered += 1;
                let id = format!("call_{answered}");
                json!({"role": "tool", "tool_call_id": id, "content": content})
            }
            Role::Assistant if calls.is_empty() => {
                json!({"role": "assistant", "content": content})
            }
            Role::Assistant => {
                let calls = calls.iter().map(|call| {
                    called += 1;
                    let arguments = call.arguments.to_string();
                    json!({
                        "id": format!("call_{called}"),
                        "type": "function",
                        "function": {"name": call.name, "arguments": arguments},
                    })
                });
                let calls: Vec<Value> = calls.collect();
                let content = (!content.is_empty()).then_some(content);
                json!({"role": "assistant", "content": content, "tool_calls": calls})
            }
        }
    });
    turns.collect()
}

fn offer(request: &GenerateRequest, chat: &Chat, body: &mut Map<String, Value>) {
    let held = match &request.grammar {
        Some(Grammar::Calls(calls)) => Some(calls),
        _ => None,
    };
    let tools = match held {
        Some(calls) if !calls.tools.is_empty() => &calls.tools,
        _ => &chat.tools,
    };
    if tools.is_empty() {
        return;
    }
    let offered = tools.iter().map(|tool| {
        let mut function = Map::new();
        function.insert("name".into(), tool.name.as_str().into());
        if let Some(description) = &tool.description {
            function.insert("description".into(), description.as_str().into());
        }
        function.insert("parameters".into(), tool.parameters.clone());
        json!({"type": "function", "function": function})
    });
    body.insert("tools".into(), offered.collect());
    if let Some(calls) = held {
        let choice = match (calls.words, calls.tools.as_slice()) {
            (true, _) => json!("auto"),
            (false, [tool]) => json!({"type": "function", "function": {"name": tool.name}}),
            (false, _) => json!("required"),
        };
        body.insert("tool_choice".into(), choice);
        body.insert("parallel_tool_calls".into(), (calls.most > 1).into());
    }
}
