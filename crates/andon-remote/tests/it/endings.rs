//! Requests that end before their answer does: by the caller, the clock or the
//! server. Whoever ends them, the connection is closed and the next one works.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use andon_remote::Patience;
use andon_task::engine::{EngineError, Generate, GenerateRequest, Terms};

use crate::server::{Reply, Server, Step, question, said};

const BRIEF: Duration = Duration::from_millis(150);

fn impatient() -> Patience {
    Patience {
        first_token: Duration::from_millis(600),
        between_tokens: BRIEF,
        ..Patience::default()
    }
}

fn error_of(steps: Vec<Step>, patience: Patience) -> (Server, EngineError) {
    let server = Server::answering(Reply::events(steps));
    let model = server.connect_with(patience);
    let generation = model.generate(&question(), &mut |_| ControlFlow::Continue(()));
    (
        server,
        generation.expect_err("the server does not end its answer"),
    )
}

#[test]
fn a_server_that_stalls_is_left() {
    let check = |steps: Vec<Step>, patience: Patience, part: &str| {
        let (server, error) = error_of(steps, patience);
        assert!(matches!(error, EngineError::Failed(_)), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        server.was_left();
    };
    check(
        vec![Step::Hold],
        impatient(),
        "600 ms before its first token",
    );
    check(
        vec![said("It"), Step::Hold],
        impatient(),
        "150 ms between two tokens",
    );
    let half = Step::Send("data: {\"choices\": [{\"del".to_owned());
    check(
        vec![said("It"), half, Step::Hold],
        impatient(),
        "150 ms between two tokens",
    );
    let total = Patience {
        total: BRIEF,
        ..Patience::default()
    };
    check(
        vec![said("It"), Step::Hold],
        total,
        "150 ms until it was done",
    );
}

#[test]
fn a_server_that_only_drips_is_left() {
    let sign = || {
        [
            Step::Send(": still here\n\n".to_owned()),
            Step::Pause(BRIEF / 5),
        ]
    };
    let mut steps = vec![said("It")];
    steps.extend((0..60).flat_map(|_| sign()));
    let (_, error) = error_of(steps, impatient());
    assert!(error.to_string().contains("between two tokens"), "{error}");
}

#[test]
fn a_stream_that_is_cut_or_is_none_is_an_error() {
    let check = |reply: Reply, part: &str| {
        let server = Server::answering(reply);
        let model = server.connect();
        let generation = model.generate(&question(), &mut |_| ControlFlow::Continue(()));
        let error = generation.expect_err(part);
        assert!(matches!(error, EngineError::Failed(_)), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    let events = |steps: Vec<Step>| Reply::events(steps);
    let send = |text: &str| Step::Send(text.to_owned());
    check(events(vec![said("It"), Step::Cut]), "/v1/chat/completions");
    check(events(vec![said("It")]), "cut before its end");
    check(events(vec![]), "cut before its end");
    check(
        events(vec![said("It"), send("data: [DONE]\n\n")]),
        "cut before its end",
    );
    check(
        events(vec![said("It"), send("data: {oops}\n\n")]),
        "an event is no chunk",
    );
    check(
        events(vec![send("data: {\"choices\": 7}\n\n")]),
        "an event is no chunk",
    );
    check(
        events(vec![send(
            "data: {\"choices\": [{\"finish_reason\": \"content_filter\"}]}\n\n",
        )]),
        "'content_filter'",
    );
    let broken = "data: {\"error\": {\"message\": \"out of memory\", \"code\": 500}}\n\n";
    check(events(vec![said("It"), send(broken)]), "out of memory");
    let page = Reply::status(200, "Content-Type: text/html\r\n", "<html>sign in</html>");
    check(page, "the answer is text/html");
}

#[test]
fn an_error_in_the_middle_of_a_stream_is_what_it_would_have_been_before() {
    let error = "data: {\"error\": {\"message\": \"busy\", \"code\": 503}}\n\n";
    let (_, error) = error_of(vec![said("It"), Step::Send(error.to_owned())], impatient());
    assert!(matches!(error, EngineError::Overloaded { .. }), "{error}");
}

#[test]
fn a_caller_who_leaves_ends_the_servers_work() {
    let server = Server::answering(Reply::events(vec![said("It"), Step::Hold]));
    let model = server.connect();
    let request = question();
    let departure = request.terms.departure.clone();
    let generation = model.generate(&request, &mut |_| {
        // Once it has begun, from another thread.
        let departure = departure.clone();
        thread::spawn(move || departure.announce());
        ControlFlow::Continue(())
    });
    assert!(
        matches!(generation, Err(EngineError::Cancelled)),
        "{generation:?}"
    );
    server.was_left();

    let generation = model.generate(&question(), &mut |_| ControlFlow::Break(()));
    assert!(
        matches!(generation, Err(EngineError::Cancelled)),
        "{generation:?}"
    );
    server.was_left();
}

#[test]
fn a_caller_who_has_left_asks_nothing() {
    let server = Server::answering(Reply::chat(&["It"], "stop"));
    let model = server.connect();
    let before = server.asked().len();
    let request = question();
    request.terms.departure.announce();
    let generation = model.generate(&request, &mut |_| ControlFlow::Continue(()));
    assert!(
        matches!(generation, Err(EngineError::Cancelled)),
        "{generation:?}"
    );
    assert_eq!(server.asked().len(), before);
}

#[test]
fn a_deadline_ends_the_servers_work() {
    let server = Server::answering(Reply::events(vec![said("It"), Step::Hold]));
    let model = server.connect();
    let request = GenerateRequest {
        terms: Terms {
            deadline: Some(Instant::now() + BRIEF),
            ..Terms::default()
        },
        ..question()
    };
    let generation = model.generate(&request, &mut |_| ControlFlow::Continue(()));
    assert!(
        matches!(generation, Err(EngineError::DeadlinePassed)),
        "{generation:?}"
    );
    server.was_left();
}

#[test]
fn after_a_failure_the_next_request_is_answered() {
    let server = Server::start("somebody", |asked| match asked.connection {
        0 => Reply::events(vec![said("It"), Step::Cut]),
        _ => Reply::chat(&["A jam."], "stop"),
    });
    let model = server.connect();
    let ask = || model.generate(&question(), &mut |_| ControlFlow::Continue(()));
    ask().expect_err("the first is cut");
    assert_eq!(ask().expect("the second is answered").text, "A jam.");
}
