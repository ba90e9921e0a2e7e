//! Finding the model.

use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use andon_remote::{ConnectError, Endpoint, Key, Patience, RemoteModel};
use andon_task::engine::{Generate, Score};
use serde_json::{Value, json};

use crate::server::{Reply, Server, Step, ended, event, question};

fn connect(endpoint: Endpoint) -> Result<RemoteModel, ConnectError> {
    RemoteModel::connect(endpoint, None, Patience::default())
}

/// A server with these models.
fn serving(models: Value) -> Server {
    Server::start("nobody", move |asked| match asked.path.as_str() {
        "/v1/models" => Reply::json(&json!({ "data": models })),
        _ => Reply::chat(&["ok"], "stop"),
    })
}

#[test]
fn the_model_is_found_by_name_or_because_it_is_alone() {
    let check = |models: Value, fragment: &str, expected: Result<&str, &str>| {
        let server = serving(models);
        let endpoint = format!("{}/v1{fragment}", server.address);
        let found = connect(endpoint.parse().expect("an endpoint"));
        match (found, expected) {
            (Ok(model), Ok(name)) => assert_eq!(Generate::identity(&model).name, name),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, _) => panic!("{fragment}: {:?}", found.map(|_| ())),
        }
    };
    let two = || json!([{"id": "a"}, {"id": "b"}]);
    check(two(), "#b", Ok("b"));
    check(two(), "", Err("has a, b: name"));
    check(two(), "#c", Err("no model 'c': it has a, b"));
    check(json!([{"id": "a"}]), "", Ok("a"));
    check(
        json!([{"id": "a", "kind": "language"}, {"id": "e", "kind": "encoder"}]),
        "",
        Ok("a"),
    );
    check(json!([]), "", Err("no models"));
    check(json!("nonsense"), "#a", Err("no models"));
}

#[test]
fn a_server_that_is_none_is_said_to_be() {
    let check = |server: &Server, part: &str| {
        let error = connect(server.endpoint()).err().expect(part);
        let source = std::error::Error::source(&error)
            .expect("a cause")
            .to_string();
        assert!(source.contains(part), "{source}");
    };
    check(
        &Server::start("nobody", |_| Reply::status(200, "", "<html>sign in</html>")),
        "no JSON",
    );
    check(
        &Server::start("nobody", |_| Reply::status(401, "", "")),
        "refuses the key",
    );
    let moved = "Location: http://127.0.0.1:1/v1/models\r\n";
    check(
        &Server::start("nobody", move |_| Reply::status(307, moved, "")),
        "sends elsewhere",
    );
    check(
        &Server::start("nobody", |_| Reply::events(vec![Step::Cut])),
        "/v1/models",
    );

    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let error = connect(address.parse().expect("an endpoint"))
        .err()
        .expect("nobody listens");
    assert!(matches!(error, ConnectError::Server { .. }), "{error}");
}

#[test]
fn the_key_goes_with_every_request() {
    let server = Server::answering(Reply::chat(&["A jam."], "stop"));
    let key = Key::new("secret-1").expect("a key");
    let model = RemoteModel::connect(server.endpoint(), Some(key), Patience::default());
    let model = model.expect("a model");
    let answer = model.generate(&question(), &mut |_| ControlFlow::Continue(()));
    answer.expect("an answer");
    for asked in server.asked() {
        assert!(
            asked.head.contains("authorization: bearer secret-1\r\n"),
            "{}",
            asked.head
        );
    }
}

#[test]
fn a_model_is_known_by_what_its_server_says_of_it() {
    let identity = |entry: Value| {
        let server = serving(json!([entry]));
        let model = connect(server.endpoint()).expect("a model");
        Score::identity(&model).clone()
    };
    let first = identity(json!({"id": "a", "created": 1, "root": "x", "max_model_len": 2048}));
    let later = identity(json!({"id": "a", "created": 2, "root": "x", "max_model_len": 2048}));
    let other = identity(json!({"id": "a", "created": 1, "root": "y", "meta": {"n_ctx": 512}}));
    assert_eq!(first, later);
    assert_ne!(first.digest, other.digest);
    assert_eq!((first.context_tokens, other.context_tokens), (2048, 512));
}

#[test]
fn a_model_that_was_replaced_answers_no_more() {
    let answers = AtomicUsize::new(0);
    let server = Server::start("somebody", move |_| {
        let fingerprint = ["fp-1", "fp-2"][answers.fetch_add(1, Ordering::Relaxed).min(1)];
        let said =
            json!({"system_fingerprint": fingerprint, "choices": [{"delta": {"content": "A"}}]});
        Reply::events(vec![event(&said), ended("stop")])
    });
    let model = server.connect();
    let ask = || {
        let mut text = String::new();
        let answer = model.generate(&question(), &mut |piece| {
            text.push_str(piece.text);
            ControlFlow::Continue(())
        });
        (answer.map(|_| ()), text)
    };
    assert!(ask().0.is_ok());
    let (answer, text) = ask();
    let error = answer.expect_err("another model").to_string();
    assert!(
        error.contains("'fp-2'") && text.is_empty(),
        "{error} {text}"
    );
}
