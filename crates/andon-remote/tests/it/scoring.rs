//! Shares of labels by the two ways that servers have, against full enumeration
//! of a model whose tokens are bytes.

use andon_task::engine::{EngineError, Message, Prompt, Role, Score, ScoreRequest};
use serde_json::{Value, json};

use crate::server::{Asked, Reply, Server};

/// The token that ends a turn.
const END: u64 = 256;

/// What the model thinks of a token after others.
fn logit(before: &[u64], token: u64) -> f64 {
    let place = before
        .iter()
        .fold(1u64, |sum, token| (sum * 31 + token) % 10_007);
    ((place * 7919 + token * 104_729) % 1000) as f64 / 200.0
}

/// Its log-probability over the whole vocabulary.
fn log_probability(before: &[u64], token: u64) -> f64 {
    let total: f64 = (0..=END).map(|token| logit(before, token).exp()).sum();
    logit(before, token) - total.ln()
}

fn tokens(text: &str) -> Vec<u64> {
    text.bytes().map(u64::from).collect()
}

fn given(value: &Value) -> Vec<u64> {
    let tokens = value.as_array().expect("tokens");
    tokens
        .iter()
        .map(|token| token.as_u64().expect("a token"))
        .collect()
}

/// What a chat is for this model.
fn rendered(messages: &Value) -> String {
    let turns = messages.as_array().expect("messages").iter();
    let turns = turns.map(|turn| turn["content"].as_str().expect("a text"));
    format!("{}|", turns.collect::<Vec<_>>().join("|"))
}

fn vllm(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/tokenize" => {
            let text = match asked.body["prompt"].as_str() {
                Some(text) => text.to_owned(),
                None => rendered(&asked.body["messages"]),
            };
            Reply::json(&json!({"tokens": tokens(&text), "max_model_len": 2048}))
        }
        "/v1/completions" => {
            let prompts = asked.body["prompt"].as_array().expect("prompts").iter();
            let choices = prompts.enumerate().map(|(index, prompt)| {
                let prompt = given(prompt);
                let told = (0..prompt.len()).map(|at| match at {
                    0 => Value::Null,
                    at => log_probability(&prompt[..at], prompt[at]).into(),
                });
                let mut told: Vec<Value> = told.collect();
                // The token that was generated.
                told.push((-0.1).into());
                json!({"index": index, "logprobs": {"token_logprobs": told}})
            });
            // In whatever order they were done.
            let mut choices: Vec<Value> = choices.collect();
            choices.reverse();
            Reply::json(&json!({ "choices": choices }))
        }
        _ => Reply::status(404, "", ""),
    }
}

fn llama_server(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/apply-template" => Reply::json(&json!({"prompt": rendered(&asked.body["messages"])})),
        "/props" => Reply::json(&json!({"eos_token": "</s>"})),
        "/tokenize" => Reply::json(&match asked.body["content"].as_str().expect("a text") {
            "</s>" => json!({ "tokens": [END] }),
            text => json!({ "tokens": tokens(text) }),
        }),
        "/completion" => {
            let before = given(&asked.body["prompt"]);
            let lifted = asked.body["logit_bias"].as_array().expect("tokens").iter();
            let lifted: Vec<u64> = lifted
                .map(|pair| pair[0].as_u64().expect("a token"))
                .collect();
            let total: f64 = lifted
                .iter()
                .map(|&token| logit(&before, token).exp())
                .sum();
            let top = lifted
                .iter()
                .rev()
                .map(|&token| json!({"id": token, "prob": logit(&before, token).exp() / total}));
            let top: Value = top.collect();
            Reply::json(&json!({"completion_probabilities": [{"top_probs": top}]}))
        }
        _ => Reply::status(404, "", ""),
    }
}

fn expected(prompt: &str, labels: &[&str], ends: bool) -> Vec<f64> {
    let paths: Vec<Vec<u64>> = labels
        .iter()
        .map(|label| {
            let mut path = tokens(label);
            path.extend(ends.then_some(END));
            path
        })
        .collect();
    let share = |path: &Vec<u64>| {
        (0..path.len())
            .map(|depth| {
                let before = [tokens(prompt).as_slice(), &path[..depth]].concat();
                let mut after: Vec<u64> = paths
                    .iter()
                    .filter(|other| other.len() > depth && other[..depth] == path[..depth])
                    .map(|other| other[depth])
                    .collect();
                after.sort_unstable();
                after.dedup();
                let total: f64 = after.iter().map(|&token| logit(&before, token).exp()).sum();
                logit(&before, path[depth]).exp() / total
            })
            .product()
    };
    paths.iter().map(share).collect()
}

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

fn check(server: &Server, prompt: Prompt, read: &str, labels: &[&str], ends: bool) {
    let request = ScoreRequest::new(prompt, owned(labels));
    let scores = server.connect().score(&request).expect("shares");
    for (found, expected) in scores.shares.iter().zip(expected(read, labels, ends)) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    assert_eq!(scores.usage.prompt_tokens, read.len());
}

fn chat() -> Prompt {
    Prompt::chat(vec![
        Message::new(Role::System, "Which failure?"),
        Message::new(Role::User, "It rattles."),
    ])
}

const LABELS: [&str; 5] = ["bearing", "belt", "seal", "sensor", "jam"];

#[test]
fn shares_are_exact_whichever_way_the_server_has() {
    let text = || Prompt::Text("failure: ".to_owned());
    let servers = [
        Server::start("vllm", vllm),
        Server::start("llamacpp", llama_server),
    ];
    for server in servers {
        check(&server, text(), "failure: ", &LABELS, false);
        check(
            &server,
            chat(),
            "Which failure?|It rattles.|",
            &LABELS,
            false,
        );
        check(&server, text(), "failure: ", &["jam"], false);
    }
}

#[test]
fn a_label_that_begins_another_needs_the_end_of_the_turn() {
    let labels = ["seal", "seal leaks", "jam"];
    let server = Server::start("llamacpp", llama_server);
    check(
        &server,
        chat(),
        "Which failure?|It rattles.|",
        &labels,
        true,
    );
    let server = Server::start("vllm", vllm);
    let error = server
        .connect()
        .score(&ScoreRequest::new(chat(), owned(&labels)));
    let error = error.expect_err("it cannot be told apart").to_string();
    assert!(error.contains("'seal'"), "{error}");
}

#[test]
fn no_share_is_made_up() {
    let check = |owner: &'static str, handler: fn(&Asked) -> Reply, part: &str| {
        let server = Server::start(owner, handler);
        let request = ScoreRequest::new(chat(), owned(&LABELS));
        let error = server.connect().score(&request).expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
    };
    check("somebody", llama_server, "cannot weigh labels");
    check("andon", llama_server, "cannot weigh labels");
    check("vllm", |_| Reply::status(404, "", ""), "/tokenize");
    check(
        "llamacpp",
        |_| Reply::status(404, "", ""),
        "/apply-template",
    );
    check(
        "llamacpp",
        |_| Reply::json(&json!({"prompt": "a", "tokens": []})),
        "its tokens",
    );
    // One that knows no lifting tells what it would have said anyway.
    let deaf = |asked: &Asked| match asked.path.as_str() {
        "/completion" => Reply::json(&json!({"completion_probabilities": [
            {"top_probs": [{"id": 98, "prob": 0.2}, {"id": 7, "prob": 0.1}]},
        ]})),
        _ => llama_server(asked),
    };
    check("llamacpp", deaf, "probabilities among given tokens");
    // One that knows no echo tells the tokens that it generated.
    let mute = |asked: &Asked| match asked.path.as_str() {
        "/v1/completions" => Reply::json(&json!({"choices": [
            {"index": 0, "logprobs": {"token_logprobs": [-0.1]}},
        ]})),
        _ => vllm(asked),
    };
    check("vllm", mute, "log-probabilities of a given text's tokens");
}

#[test]
fn a_departed_caller_ends_scoring() {
    let server = Server::start("llamacpp", llama_server);
    let request = ScoreRequest::new(chat(), owned(&LABELS));
    request.terms.departure.announce();
    let scores = server.connect().score(&request);
    assert!(matches!(scores, Err(EngineError::Cancelled)), "{scores:?}");
}
