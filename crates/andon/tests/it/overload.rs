//! Twice as many requests as the node can do: each gets an answer or is refused in
//! words that say what to do, and afterwards the node is as it was.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::models::{command, run};
use crate::node::Home;
use crate::up::{Answer, Up};

/// Requests at twice the capacity.
const COUNT: usize = 10_000;
/// Clients for whom there are places at once.
const PLACES: usize = 24;
/// Clients, more than the node has places.
const CLIENTS: usize = 160;
/// Every request's. With the grace of 100 ms that is less than the first of the bounds
/// of the node's own histogram that count here; a machine that others keep busy may be
/// slow to wake a thread now and then, though not for seconds.
const DEADLINE: (&str, &str) = ("x-andon-deadline-ms", "700");

/// A request of the mix: mostly notes, some decisions, a few chats.
fn request(number: usize) -> (&'static str, &'static str, Value) {
    const NOTES: [&str; 8] = [
        "oil drips from the pump",
        "bearing howls at start",
        "cabinet is hot",
        "valve leaks again",
        "loud banging from the press",
        "motor smells of burning",
        "puddle under the tank",
        "guard rattles",
    ];
    let note = NOTES[number / 10 % NOTES.len()];
    match number % 10 {
        0 => (
            "/v1/chat/completions",
            "batch",
            json!({
                "model": "smollm2:135m",
                "messages": [{"role": "user", "content": note}],
                "max_tokens": 6,
                "temperature": 0,
            }),
        ),
        1..4 => (
            "/v1/decisions",
            "person",
            json!({
                "model": "smollm2:135m",
                "input": note,
                "questions": [{"type": "predicate", "instructions": "It is urgent."}],
            }),
        ),
        _ => ("/api/tasks/failure/runs", "machine", json!({"input": note})),
    }
}

/// What came back, and when.
struct Told {
    answer: Answer,
    took: Duration,
}

/// Sends `count` requests, each when `due` says and a client is free.
fn send(
    node: &Up,
    count: usize,
    clients: usize,
    due: impl Fn(usize) -> Duration + Sync,
) -> Vec<Told> {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let client = || {
        let mut told = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return told;
            }
            thread::sleep(due(number).saturating_sub(began.elapsed()));
            let (path, class, body) = request(number);
            let sent = Instant::now();
            let answer = node.try_post(path, &[("x-andon-class", class), DEADLINE], &body);
            told.push(Told {
                answer: answer.unwrap_or_else(|| panic!("request {number} got no answer")),
                took: sent.elapsed(),
            });
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let told = clients
            .into_iter()
            .map(|client| client.join().expect("no panic"));
        told.flatten().collect()
    })
}

#[test]
fn twice_what_the_node_can_do_is_answered_or_refused() {
    let home = Home::new();
    run(&home, &["learn", "failure"], b"").succeeded();
    let node = Up::start(
        &home,
        command(&home, &["up", "--listen", "127.0.0.1:0", "--json"]),
    );

    // What it can do, and what it then holds.
    let at_once = |_| Duration::ZERO;
    send(&node, 100, 4, at_once);
    let began = Instant::now();
    let calm = send(&node, 400, PLACES, at_once);
    let each = began.elapsed() / 400;
    let answered = calm.iter().filter(|told| told.answer.status == 200);
    assert!(answered.count() > 200, "there are places for all");
    node.becomes_idle(Duration::from_secs(10));
    let (memory, free) = (node.memory(), node.metric("andon_engine_free_blocks "));

    let interval = each / 2;
    let told = send(&node, COUNT, CLIENTS, |number| interval * number as u32);
    let mut answered = 0;
    for Told { answer, .. } in &told {
        match answer.status {
            200 => answered += 1,
            429 | 503 => assert!(
                answer.retry_after.is_some_and(|wait| wait > 0),
                "{answer:?}"
            ),
            504 => assert_eq!(answer.code(), "deadline_passed"),
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!(told.len(), COUNT);
    assert!(
        answered > COUNT / 10,
        "only {answered} of {COUNT} were answered"
    );
    for route in [
        "/v1/chat/completions",
        "/v1/decisions",
        "/api/tasks/{task}/runs",
    ] {
        let (late, all) = node.later_than(route, "1.0");
        assert!(
            all > 0.0 && late <= all / 50.0,
            "{late} of {all} to {route}"
        );
        assert_eq!(node.later_than(route, "5.0"), (0.0, all), "{route}");
    }

    node.becomes_idle(Duration::from_secs(10));
    node.is_ready();
    assert_eq!(
        node.post("/api/tasks/failure/runs", &json!({"input": "oil drips"}))
            .status,
        200
    );
    assert_eq!(
        node.metric("andon_engine_free_blocks "),
        free,
        "blocks were lost"
    );
    assert_eq!(node.metric("andon_engine_failures_total "), 0.0);
    assert_eq!(node.metric("andon_engine_replaced_total "), 0.0);
    if let (Some(before), Some(after)) = (memory, node.memory()) {
        assert!(
            after < before + 128,
            "{before} MiB before, {after} MiB after"
        );
    }
    let mut took: Vec<Duration> = told.iter().map(|told| told.took).collect();
    took.sort();
    let share = |of: usize| took[(COUNT - 1) * of / 1000];
    let said = format!(
        "{COUNT} requests every {interval:?}: {answered} answered; median {:?}, p99 {:?}, longest {:?}; {memory:?} MiB before, {:?} after\n",
        share(500),
        share(990),
        share(1000),
        node.memory(),
    );
    drop(std::io::Write::write_all(
        &mut std::io::stderr(),
        said.as_bytes(),
    ));
}
