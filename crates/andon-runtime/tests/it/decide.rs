//! Uncertain decisions that go to an upstream, and those that must not.

use std::time::{Duration, Instant};

use andon_store::{AuditFilter, Page};
use andon_task::audit::Act;
use andon_task::engine::Terms;
use andon_task::route::{Reason, Route};
use andon_task::run::{Answerer, Evidence, Timestamp};

use serde_json::json;

use crate::bench::{Bench, Made, upstream};
use crate::server::{Reply, Server};

fn audit(bench: &Bench, act: Act) -> Vec<serde_json::Value> {
    let filter = AuditFilter {
        act: Some(act),
        since: None,
    };
    let page = Page {
        before: None,
        limit: 100,
    };
    let rows = bench.store.audit(&filter, page).expect("the log");
    let detail = rows
        .iter()
        .map(|row| serde_json::from_str(&row.detail).expect("JSON"));
    detail.collect()
}

#[test]
fn an_uncertain_decision_is_answered_upstream() {
    let server = Server::start(|_| Reply::label("east"));
    let bench = Made::with(&server.url).bench();
    let stored = bench.run("Juan Pérez says it pulls to the right, call 600 123 456");
    let run = &stored.run;
    assert_eq!(run.answer, "east");
    assert_eq!(
        (run.route, run.reason),
        (Route::Cloud, Reason::NotCalibrated)
    );
    assert_eq!(run.answered_by, Answerer::Upstream);
    assert_eq!(run.probability, None);
    let left = run.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Egress(left) => Some(left),
        _ => None,
    });
    let left = left.expect("evidence of what left");
    assert_eq!(left.upstream, "cloud");
    assert_eq!(left.fields, ["input", "instructions", "labels"]);
    assert_eq!(left.redactions["PERSON"], 1);
    assert_eq!(left.redactions["PHONE"], 1);
    assert_eq!((left.prompt_tokens, left.completion_tokens), (100, 10));
    assert!((left.cost - 300e-6).abs() < 1e-12, "{}", left.cost);
    let asked = &server.asked()[0];
    let sent = String::from_utf8_lossy(&asked.bytes);
    for secret in ["Juan", "Pérez", "600", "P-101"] {
        assert!(!sent.contains(secret), "{secret}: {sent}");
    }
    assert!(sent.contains("pulls to the right"));
    // The row was written before, and says what left.
    let rows = audit(&bench, Act::Egress);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["upstream"], "cloud");
    assert_eq!(rows[0]["redactions"]["PERSON"], 1);
    assert_eq!(rows[0]["payload_sha256"], left.payload.to_string());
    let payload = andon_task::digest::Digest::of(&asked.bytes);
    assert_eq!(left.payload, payload);
    assert_eq!(audit(&bench, Act::EgressSettled)[0]["outcome"], "answered");
    let again = bench.node.run_of(stored.id).expect("the run");
    assert_eq!(again.run, *run);
}

#[test]
fn a_label_that_names_something_comes_back_as_it_is() {
    let server = Server::start(|asked| {
        let labels =
            &asked.body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"];
        Reply::label(labels[2].as_str().expect("a label"))
    });
    let run = Made::with(&server.url).bench().run("it trips again").run;
    assert_eq!(run.answer, "P-101 trips");
    assert!(!String::from_utf8_lossy(&server.asked()[0].bytes).contains("P-101"));
}

#[test]
fn what_may_not_leave_stays() {
    let check = |made: Made, server: &Server, reason: Reason| {
        let run = made.bench().run("a note").run;
        assert_eq!((run.route, run.reason), (Route::Human, reason));
        assert_eq!(run.answer, "north");
        assert_eq!(server.count(), 0, "{reason:?}");
    };
    let server = Server::start(|_| Reply::label("east"));
    let made = || Made::with(&server.url);
    check(made().policy(""), &server, Reason::PolicyDenied);
    check(
        made().policy("permit (principal, act"),
        &server,
        Reason::PolicyDenied,
    );
    let but_labels =
        "permit (principal, action, resource) unless { resource == Field::\"labels\" };";
    check(made().policy(but_labels), &server, Reason::PolicyDenied);
    check(
        made().task("data_class = 'confidential'"),
        &server,
        Reason::DataClass,
    );
    let poor = Made {
        upstreams: upstream("cloud", &server.url, "budget_day = 0.000001"),
        ..made()
    };
    check(poor, &server, Reason::Budget);
}

#[test]
fn a_policy_that_cannot_be_used_degrades_the_node() {
    let made = Made::with("http://127.0.0.1:9/v1");
    assert!(made.bench().node.readiness().degraded.is_empty());
    let readiness = made
        .policy("permit (principal, act")
        .bench()
        .node
        .readiness();
    let [closed] = readiness.degraded.as_slice() else {
        panic!("one thing is closed");
    };
    assert_eq!(closed.name, "egress");
    let detail = closed.detail.as_deref().unwrap_or_default();
    assert!(detail.contains("policy/main.cedar"), "{detail}");
}

#[test]
fn a_budget_is_spent_and_then_a_person_is_asked() {
    let server = Server::start(|_| Reply::label("east"));
    // Each question costs 300e-6, and is thought to cost some 3,000e-6 before.
    let made = Made {
        upstreams: upstream("cloud", &server.url, "budget_month = 0.0035"),
        ..Made::with("")
    };
    let bench = made.bench();
    let routes: Vec<Route> = (0..6)
        .map(|i| bench.run(&format!("note {i}")).run.route)
        .collect();
    assert_eq!(routes[0], Route::Cloud);
    assert_eq!(routes[5], Route::Human);
    // A calendar month later there is more, and no day earlier. A clock that is set back
    // by a day gives nothing back.
    let set = |date: &str, more: i64| {
        let at = Timestamp::of_date(date).expect("a date");
        bench
            .clock
            .store(at.0 + more, std::sync::atomic::Ordering::Relaxed);
    };
    // The bench's time is 2001-09-09.
    for (date, more, expected) in [
        ("2001-09-08", 0, Route::Human),
        ("2001-09-30", 86_399_999, Route::Human),
        ("2001-10-01", 0, Route::Cloud),
    ] {
        set(date, more);
        assert_eq!(bench.run("later").run.route, expected, "{date}");
    }
}

#[test]
fn a_bad_answer_is_asked_for_once_more_and_then_a_person() {
    let html = || {
        Reply::Body(
            200,
            "Content-Type: text/html\r\n".into(),
            "<p>hello</p>".into(),
        )
    };
    let bad = [
        html(),
        Reply::says("east"),
        Reply::says("{\"label\": \"south\"}"),
        Reply::says("{\"label\": \"east\", \"more\": 1}"),
        Reply::Body(
            200,
            "Content-Type: application/json\r\n".into(),
            "{\"cho".into(),
        ),
        Reply::json(&serde_json::json!({"choices": []})),
    ];
    for reply in bad {
        let shown = format!("{reply:?}");
        let server = Server::start(move |_| reply.clone());
        let run = Made::with(&server.url).bench().run("a note").run;
        assert_eq!(
            (run.route, run.reason),
            (Route::Human, Reason::UpstreamInvalid),
            "{shown}"
        );
        assert_eq!(server.count(), 2, "{shown}");
        let keys: Vec<String> = server
            .asked()
            .iter()
            .map(crate::server::Asked::key)
            .collect();
        assert_ne!(keys[0], keys[1]);
    }
    let server = Server::start(move |asked| match asked.key().ends_with("-2") {
        true => Reply::label("east"),
        false => html(),
    });
    let run = Made::with(&server.url).bench().run("a note").run;
    assert_eq!(run.route, Route::Cloud);
}

#[test]
fn failures_are_tried_again_and_the_next_upstream_is_asked() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let shaky =
        Server::start(
            move |_| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Reply::status(503),
                1 => Reply::Body(429, "Retry-After: 1\r\n".into(), String::new()),
                _ => Reply::label("east"),
            },
        );
    let began = Instant::now();
    let run = Made::with(&shaky.url).bench().run("a note").run;
    assert_eq!((run.route, shaky.count()), (Route::Cloud, 3));
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "what it says is heeded"
    );
    let keys: Vec<String> = shaky
        .asked()
        .iter()
        .map(crate::server::Asked::key)
        .collect();
    assert!(
        keys.iter().all(|key| *key == keys[0]),
        "the same key whenever it is the same"
    );
    let closing = Server::start(|_| Reply::Close);
    let second = Server::start(|_| Reply::label("east"));
    let both = Made {
        upstreams: upstream("first", &closing.url, "") + &upstream("second", &second.url, ""),
        ..Made::with("")
    };
    let run = both.bench().run("a note").run;
    assert_eq!(run.route, Route::Cloud);
    assert_eq!(second.count(), 1);
    let refusing = Server::start(|_| Reply::status(401));
    let run = Made::with(&refusing.url).bench().run("a note").run;
    assert_eq!((run.reason, refusing.count()), (Reason::UpstreamFailed, 1));
}

#[test]
fn a_silent_upstream_is_given_up_in_time() {
    let silent = Server::start(|_| Reply::Silence);
    let bench = Made::with(&silent.url).bench();
    let began = Instant::now();
    let run = bench.run("a note").run;
    let took = began.elapsed();
    assert_eq!(run.reason, Reason::LinkDown);
    // Its time to a first token is 400 ms; the rest is what a busy machine adds.
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert!(took <= Duration::from_millis(1_500), "{took:?}");
    let terms = Terms {
        deadline: Some(Instant::now() + Duration::from_millis(100)),
        ..Terms::default()
    };
    let run = bench.run_on("another", &terms).run;
    assert_eq!(run.reason, Reason::Deadline);
    // After three failures it is left alone, which takes no time.
    for _ in 0..3 {
        bench.run("more");
    }
    let before = silent.count();
    let began = Instant::now();
    assert_eq!(bench.run("and more").run.reason, Reason::LinkDown);
    assert!(began.elapsed() < Duration::from_millis(300));
    assert_eq!(silent.count(), before);
}

#[test]
fn a_policy_that_changes_decides_at_once_and_is_in_the_log() {
    let server = Server::start(|_| Reply::label("east"));
    let made = Made::with(&server.url);
    let bench = made.bench();
    let first = bench.run("a note").run;
    assert_eq!(first.route, Route::Cloud);
    let rule = |policy: &str| {
        let plant = Made::with(&server.url).policy(policy).plant();
        let rules = andon_runtime::Rules {
            policy: std::sync::Arc::new(andon_policy::CedarPolicy::new(&plant)),
            digest: plant.policy,
        };
        bench.node.rule_by(rules).expect("noted");
        plant.policy
    };
    let digest = rule("forbid (principal, action, resource);");
    let run = bench.run("another").run;
    assert_eq!(
        (run.route, run.reason),
        (Route::Human, Reason::PolicyDenied)
    );
    assert_eq!(run.digests.policy, digest);
    // One that cannot be read closes the way, and the node says so.
    rule("permit (principal, act");
    assert_eq!(bench.run("a third").run.reason, Reason::PolicyDenied);
    assert_eq!(bench.node.readiness().degraded.len(), 1);
    rule(crate::bench::PERMIT);
    assert!(bench.node.readiness().degraded.is_empty());
    assert_eq!(bench.run("a fourth").run.route, Route::Cloud);
    assert_eq!(server.count(), 2);
    let rows = audit(&bench, Act::PolicyChanged);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["to"], json!(first.digests.policy));
}
