//! Clients that go before their answers have come, and a node that is asked to end
//! while others wait.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::models::command;
use crate::node::Home;
use crate::up::{Up, first_event};

/// As many as have a place at once.
const AT_ONCE: usize = 24;
const CHAT: &str = "/v1/chat/completions";

fn up(home: &Home) -> Up {
    Up::start(
        home,
        command(home, &["up", "--listen", "127.0.0.1:0", "--json"]),
    )
}

fn story(number: usize, max_tokens: usize) -> Value {
    json!({
        "model": "smollm2:135m",
        "messages": [{"role": "user", "content": format!("Tell the story of pump {number}.")}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": true,
    })
}

/// Opens streams and goes when each has begun.
fn come_and_go(node: &Up) {
    let mut streams: Vec<TcpStream> = (0..AT_ONCE)
        .map(|number| node.open(CHAT, &story(number, 1_500)))
        .collect();
    for stream in &mut streams {
        let begun = first_event(stream);
        assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    }
    drop(streams);
    node.becomes_idle(Duration::from_secs(20));
}

#[test]
fn hundreds_of_clients_vanish_and_their_work_stops() {
    let home = Home::new();
    let node = up(&home);
    let free = node.metric("andon_engine_free_blocks ");
    come_and_go(&node);
    let memory = node.memory();
    let before = node.metric("andon_engine_computed_tokens_total ");
    for _ in 0..9 {
        come_and_go(&node);
    }
    let computed = node.metric("andon_engine_computed_tokens_total ") - before;
    // Whole, the stories would have been a third of a million tokens.
    assert!(computed < 100_000.0, "{computed} tokens were computed");
    assert_eq!(
        node.metric("andon_engine_free_blocks "),
        free,
        "blocks were lost"
    );
    if let (Some(before), Some(after)) = (memory, node.memory()) {
        assert!(
            after < before + 128,
            "{before} MiB before, {after} MiB after"
        );
    }
    node.is_ready();
}

#[cfg(unix)]
#[test]
fn a_node_that_is_asked_to_end_answers_whom_it_has_begun_to_answer() {
    use std::io::Read;

    let home = Home::new();
    let mut node = up(&home);
    let mut short: Vec<TcpStream> = (0..8)
        .map(|number| node.open(CHAT, &story(number, 16)))
        .collect();
    let mut endless = story(9, 6_000);
    endless["response_format"] = json!({
        "type": "json_schema",
        "json_schema": {
            "name": "numbers",
            "schema": {"type": "array", "items": {"type": "integer"}, "minItems": 2_500},
        },
    });
    let mut long = node.open(CHAT, &endless);
    for stream in short.iter_mut().chain([&mut long]) {
        first_event(stream);
    }
    std::thread::scope(|scope| {
        let ask = || {
            let body = json!({"input": "oil drips"});
            // Until there is no connection any more.
            while let Some(answer) = node.try_post("/api/tasks/failure/runs", &[], &body) {
                assert!(matches!(answer.status, 200 | 429 | 503), "{answer:?}");
            }
        };
        (0..8).for_each(|_| drop(scope.spawn(ask)));
        std::thread::sleep(Duration::from_millis(300));
        node.ask_to_end();
    });
    for stream in &mut short {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("the answer ends");
        assert!(rest.contains("data: [DONE]"), "{rest}");
    }
    // Ten seconds are for those who are nearly done; who is not is let go.
    let status = node.ended_within(Duration::from_secs(30)).expect("it ends");
    assert!(status.success(), "{status}: {}", node.log());
    let mut rest = Vec::new();
    // The connection may end in any way.
    drop(long.read_to_end(&mut rest));
    assert!(
        !String::from_utf8_lossy(&rest).contains("[DONE]"),
        "it was short after all"
    );
}
