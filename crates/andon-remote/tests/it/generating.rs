//! What a server is asked, and what becomes of its answer.

use std::ops::ControlFlow;

use andon_task::engine::{
    Adapter, EngineError, Finish, Generate, GenerateRequest, Generation, Grammar, Prompt, Sampling,
    Usage,
};
use serde_json::{Value, json};

use crate::server::{Reply, Server, Step, ended, event, question, said, usage};

fn generate(
    server: &Server,
    request: &GenerateRequest,
) -> (Result<Generation, EngineError>, Vec<String>) {
    let mut pieces = Vec::new();
    let generation = server.connect().generate(request, &mut |piece| {
        pieces.push(piece.text.to_owned());
        ControlFlow::Continue(())
    });
    (generation, pieces)
}

#[test]
fn a_chat_comes_in_pieces_with_what_it_cost() {
    let server = Server::answering(Reply::chat(&["It ", "jams."], "stop"));
    let request = GenerateRequest {
        max_tokens: Some(40),
        sampling: Sampling {
            temperature: 0.7,
            top_p: 0.9,
            seed: 11,
        },
        stop: vec!["\n\n".to_owned()],
        ..question()
    };
    let (generation, pieces) = generate(&server, &request);
    let generation = generation.expect("an answer");
    assert_eq!(generation.text, "It jams.");
    assert_eq!(pieces, ["It ", "jams."]);
    assert_eq!(generation.finish, Finish::Stop);
    let cost = Usage {
        prompt_tokens: 12,
        cached_tokens: 5,
        completion_tokens: 2,
    };
    assert_eq!(generation.usage, cost);
    let asked = server.asked().pop().expect("a request");
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(
        asked.body,
        json!({
            "model": "model-a",
            "stream": true,
            "stream_options": {"include_usage": true},
            "temperature": 0.7,
            "top_p": 0.9,
            "seed": 11,
            "stop": ["\n\n"],
            "max_tokens": 40,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Why does the press stop?"},
            ],
        })
    );
}

#[test]
fn a_text_is_continued() {
    let server = Server::start("somebody", |_| {
        Reply::events(vec![
            event(&json!({"choices": [{"index": 0, "text": " stops", "finish_reason": null}]})),
            event(&json!({"choices": [{"index": 0, "text": "", "finish_reason": "length"}]})),
            usage(3, 1),
        ])
    });
    let request = GenerateRequest {
        max_tokens: Some(1),
        ..GenerateRequest::new(Prompt::Text("The press".to_owned()))
    };
    // Some servers end without saying that they are done.
    let (generation, _) = generate(&server, &request);
    let generation = generation.expect("an answer");
    assert_eq!(
        (generation.text.as_str(), generation.finish),
        (" stops", Finish::Length)
    );
    let asked = server.asked().pop().expect("a request");
    assert_eq!(asked.path, "/v1/completions");
    assert_eq!(asked.body["prompt"], "The press");
}

#[test]
fn log_probabilities_are_read_in_both_forms() {
    let chat = json!({"choices": [{"delta": {"content": "jam"}, "finish_reason": "stop", "logprobs": {"content": [{
        "token": "jam", "bytes": [106, 97, 109], "logprob": -0.5,
        "top_logprobs": [{"token": "wear", "bytes": null, "logprob": -1.5}, {"token": "jam", "logprob": -0.5}],
    }]}}]});
    let text = json!({"choices": [{"text": "jam", "finish_reason": "stop", "logprobs": {
        "tokens": ["jam"], "token_logprobs": [-0.5], "text_offset": [0],
        "top_logprobs": [{"wear": -1.5, "jam": -0.5, "oil": -3.0}],
    }}]});
    let check = |answer: Value, prompt: Prompt| {
        let server = Server::start("somebody", move |_| Reply::events(vec![event(&answer)]));
        let request = GenerateRequest {
            max_tokens: Some(1),
            alternatives: Some(2),
            ..GenerateRequest::new(prompt)
        };
        let (generation, _) = generate(&server, &request);
        let [drawn] = generation
            .expect("an answer")
            .drawn
            .try_into()
            .expect("one token");
        assert_eq!(drawn.token.bytes, b"jam");
        assert!((drawn.token.log_probability + 0.5).abs() < 1e-9);
        let alternatives: Vec<&[u8]> = drawn.alternatives.iter().map(|a| &*a.bytes).collect();
        assert_eq!(alternatives, [b"jam".as_slice(), b"wear"]);
    };
    check(chat, question().prompt);
    check(text, Prompt::Text("cause:".to_owned()));
}

#[test]
fn log_probabilities_that_do_not_come_are_an_error() {
    let server = Server::answering(Reply::chat(&["jam"], "stop"));
    let request = GenerateRequest {
        alternatives: Some(2),
        ..question()
    };
    let error = generate(&server, &request).0.expect_err("nothing was told");
    assert!(
        error.to_string().contains("no log-probabilities"),
        "{error}"
    );
}

#[test]
fn what_a_model_thinks_first_is_no_part_of_the_answer() {
    let thought = event(&json!({"choices": [{"delta": {"reasoning_content": "Hm."}}]}));
    let server = Server::answering(Reply::events(vec![thought, said("A jam."), ended("stop")]));
    let (generation, pieces) = generate(&server, &question());
    assert_eq!(generation.expect("an answer").text, "A jam.");
    assert_eq!(pieces, ["A jam."]);
}

/// The answer of a server that was asked for a label, and what became of it.
fn held(grammar: Grammar, reply: Reply) -> (Result<String, EngineError>, Vec<String>) {
    let server = Server::start("vllm", move |_| reply.clone());
    let request = GenerateRequest {
        grammar: Some(grammar),
        ..question()
    };
    let (generation, pieces) = generate(&server, &request);
    (generation.map(|generation| generation.text), pieces)
}

#[test]
fn an_answer_that_is_held_to_something_comes_whole() {
    let schema = json!({"type": "object", "required": ["code"]});
    let reply = Reply::chat(&["{\"code\":", " \"E1\"}"], "stop");
    let (text, pieces) = held(Grammar::Json(schema), reply);
    assert_eq!(text.expect("an answer"), r#"{"code":"E1"}"#);
    assert_eq!(pieces, [r#"{"code":"E1"}"#]);
}

#[test]
fn a_free_text_in_place_of_what_was_asked_for_is_an_error() {
    let choice = || Grammar::Choice(vec!["jam".to_owned(), "wear".to_owned()]);
    let schema = || Grammar::Json(json!({"type": "object", "required": ["code"]}));
    let check = |grammar: Grammar, reply: Reply, part: &str| {
        let (text, pieces) = held(grammar, reply);
        let error = text.expect_err("no such answer").to_string();
        assert!(error.contains(part), "{error}");
        assert!(pieces.is_empty(), "{pieces:?}");
    };
    let free = || Reply::chat(&["I think it is a jam."], "stop");
    check(choice(), free(), "thrown away");
    check(schema(), free(), "thrown away");
    check(Grammar::Regex("E[0-9]+".to_owned()), free(), "thrown away");
    let cut = Reply::chat(&["{\"code\": \"E"], "length");
    check(schema(), cut, "ran out of tokens");
}

#[test]
fn what_a_server_cannot_do_is_not_asked_of_it() {
    let server = Server::answering(Reply::chat(&["no"], "stop"));
    let check = |request: GenerateRequest, part: &str| {
        let before = server.asked().len();
        let (generation, _) = generate(&server, &request);
        let error = generation.expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
        // Only the introduction was asked for.
        assert_eq!(server.asked().len(), before + 2);
    };
    let adapter = Adapter {
        name: "press".to_owned(),
        scale: 1.0,
    };
    check(
        GenerateRequest {
            adapter: Some(adapter),
            ..question()
        },
        "no adapter 'press'",
    );
    check(
        GenerateRequest {
            max_tokens: Some(0),
            ..question()
        },
        "max_tokens is 0",
    );
    let lark = Some(Grammar::Lark("start: \"a\"".to_owned()));
    check(
        GenerateRequest {
            grammar: lark,
            ..question()
        },
        "context-free grammar",
    );
    let text = Prompt::Text("The press".to_owned());
    check(GenerateRequest::new(text), "give max_tokens");
    let choice = Some(Grammar::Choice(vec!["a".to_owned()]));
    let told = GenerateRequest {
        grammar: choice,
        alternatives: Some(1),
        ..question()
    };
    check(told, "without log-probabilities");
}

#[test]
fn a_stream_ends_where_the_server_says() {
    let after = vec![
        said("A"),
        ended("stop"),
        said("B"),
        Step::Send("data: [DONE]\n\n".into()),
    ];
    let server = Server::answering(Reply::events(after));
    assert_eq!(
        generate(&server, &question()).0.expect("an answer").text,
        "A"
    );
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = Server::answering(Reply::chat(&["A jam."], "stop"));
    let model = server.connect();
    for _ in 0..3 {
        let answer = model.generate(&question(), &mut |_| ControlFlow::Continue(()));
        answer.expect("an answer");
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|asked| asked.connection == 0), "{asked:?}");
}
