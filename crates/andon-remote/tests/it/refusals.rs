//! What a server's refusals mean here.

use std::ops::ControlFlow;
use std::time::Duration;

use andon_task::engine::{EngineError, Generate};

use crate::server::{Reply, Server, question};

fn refusal(status: u16, headers: &str, body: &str) -> EngineError {
    let server = Server::answering(Reply::status(status, headers, body));
    let model = server.connect();
    let generation = model.generate(&question(), &mut |_| ControlFlow::Continue(()));
    generation.expect_err("a refusal")
}

#[test]
fn a_busy_server_says_when_to_come_again() {
    let check = |status: u16, headers: &str, expected: u64| match refusal(status, headers, "{}") {
        EngineError::Overloaded { retry_after, .. } => {
            assert_eq!(retry_after, Duration::from_secs(expected), "{headers}");
        }
        other => panic!("{status}: {other}"),
    };
    check(429, "Retry-After: 7\r\n", 7);
    check(503, "Retry-After: 2\r\n", 2);
    check(503, "", 1);
    check(503, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", 1);
    check(429, "Retry-After: 99999999\r\n", 3600);
}

#[test]
fn a_prompt_that_does_not_fit_is_told_with_both_counts() {
    let body = r#"{"error":{"code":400,"type":"exceed_context_size_error","message":"too long","n_prompt_tokens":10001,"n_ctx":2048}}"#;
    match refusal(400, "", body) {
        EngineError::DoesNotFit {
            prompt_tokens,
            context_tokens,
            ..
        } => assert_eq!((prompt_tokens, context_tokens), (10_001, 2048)),
        other => panic!("{other}"),
    }
    let body = r#"{"error":{"code":400,"message":"maximum context length is 2048 tokens, you requested 10001"}}"#;
    let error = refusal(400, "", body);
    assert!(matches!(error, EngineError::Invalid(_)), "{error}");
    assert!(error.to_string().contains("10001"), "{error}");
}

#[test]
fn whose_fault_it_is_is_kept() {
    let check = |status: u16, body: &str, invalid: bool, part: &str| {
        let error = refusal(status, "", body);
        assert_eq!(
            matches!(error, EngineError::Invalid(_)),
            invalid,
            "{error:?}"
        );
        assert!(error.to_string().contains(part), "{error}");
    };
    let said = |what: &str| format!(r#"{{"error":{{"message":"{what}","code":"x"}}}}"#);
    check(400, &said("no such field"), true, "no such field");
    check(422, &said("no such field"), true, "no such field");
    check(413, "", true, "it does not say why");
    check(401, &said("who are you"), false, "refuses the key");
    check(403, &said("who are you"), false, "refuses the key");
    check(404, &said("no model"), false, "no such model");
    check(500, &said("it broke"), false, "it broke");
    check(502, "<html>bad gateway</html>", false, "502");
    check(302, "", false, "sends elsewhere");
    check(500, &said(&"x".repeat(100_000)), false, "xxx");
    let grammar = r#"{"error":{"message":"no lookbehind","code":"unsupported_grammar"}}"#;
    assert!(matches!(refusal(400, "", grammar), EngineError::Grammar(_)));
}

#[test]
fn a_servers_own_words_are_kept_short_and_on_one_line() {
    let body = format!(r#"{{"error":{{"message":"a\nb{}"}}}}"#, "c".repeat(10_000));
    let error = refusal(400, "", &body).to_string();
    assert!(error.len() < 600 && !error.contains('\n'), "{error}");
}
