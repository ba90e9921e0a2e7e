//! Upstreams by the command line: what they are worth, their keys, and a policy that
//! changes while a node is up.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::models::command;
use crate::node::{Ended, Home};
use crate::queue::{Upstream, hybrid};
use crate::up::Up;

fn run(home: &Home, arguments: &[&str]) -> Ended {
    Ended::from(command(home, arguments).output().expect("the binary runs"))
}

fn object(home: &Home, arguments: &[&str]) -> Value {
    let ended = run(home, &[arguments, &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// Twelve notes that the head calls leaks, expected to be something.
fn examples(home: &Home, expected: &str) -> String {
    let line = |number: usize| {
        let input = format!("oil drips from pump {number}");
        format!("{}\n", json!({"input": input, "expected": expected}))
    };
    let path = home.beside(&format!("{expected}.jsonl"));
    fs::write(&path, (0..12).map(line).collect::<String>()).expect("writable");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn an_upstream_is_measured_beside_what_answers_here_and_asked_where_it_is_better() {
    let home = Home::new();
    let upstream = Upstream::default();
    hybrid(&home, &upstream.start());
    run(&home, &["learn", "asked"]).succeeded();
    upstream.say("heat");
    let measure = |expected: &str| {
        let file = examples(&home, expected);
        object(
            &home,
            &["eval", "asked", "--on", "upstream", "--examples", &file],
        )
    };
    let better = measure("heat");
    let found = &better["upstreams"][0];
    assert_eq!(
        (&found["upstream"], &found["worth"]),
        (&json!("cloud"), &json!("better"))
    );
    assert_eq!(better["edge"]["uncertain"], 12);
    assert_eq!(found["uncertain"]["upstream_alone"], 12);
    assert!(found["uncertain"]["p_value"].as_f64().expect("a number") < 0.001);
    assert_eq!(found["accuracy"]["value"], 1.0);
    assert_eq!(better["edge"]["accuracy"]["value"], 0.0);
    let asked = upstream.count();
    assert_eq!(asked, 12, "each was asked once");
    let cloud = object(&home, &["run", "asked", "oil drips from a new pump"]);
    assert_eq!(
        (&cloud["route"], &cloud["answer"]),
        (&json!("cloud"), &json!("heat"))
    );

    let worse = measure("leak");
    let found = &worse["upstreams"][0];
    assert_eq!(found["worth"], "not_better");
    assert_eq!(found["uncertain"]["edge_alone"], 12);
    let asked = upstream.count();
    let human = object(&home, &["run", "asked", "oil drips from another pump"]);
    assert_eq!(
        (&human["route"], &human["reason"]),
        (&json!("human"), &json!("not_better"))
    );
    assert_eq!(upstream.count(), asked, "nobody was asked");
    // Each that was asked left a row before, and the finding is an act itself.
    let log = object(&home, &["audit", "list", "--act", "upstream_measured"]);
    assert!(log.to_string().contains("not_better"), "{log}");
    object(&home, &["audit", "verify"]);

    // Without a file the plant's own examples count, answered while they were held out.
    let own = object(
        &home,
        &["eval", "asked", "--on", "upstream:cloud", "--sample", "10"],
    );
    assert_eq!(own["examples"]["n"], 10);
    assert!(
        own["edge"]["how"]
            .as_str()
            .expect("text")
            .contains("cross-validated")
    );
    let shown = run(
        &home,
        &["eval", "asked", "--on", "upstream", "--sample", "11"],
    );
    shown.succeeded();
    assert!(shown.stdout.contains("upstream:cloud"), "{}", shown.stdout);

    run(&home, &["eval", "asked", "--on", "upstream:nobody"]).failed(&["no such upstream"]);
    assert_eq!(
        run(&home, &["eval", "asked", "--on", "everybody"]).code,
        Some(2)
    );
    let policy = home.beside("plant/policy/main.cedar");
    fs::write(&policy, "").expect("writable");
    run(&home, &["eval", "asked", "--on", "upstream"])
        .failed(&["'cloud' cannot be measured", "andon policy check"]);
}

#[cfg(unix)]
#[test]
fn a_key_that_everybody_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    hybrid(&home, "http://127.0.0.1:9/v1");
    let key = home.beside("key");
    fs::write(&key, "secret").expect("writable");
    let plant = home.beside("plant/plant.toml");
    let with_key = |file: &Path| {
        let text = fs::read_to_string(&plant).expect("it is there");
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with("key_file"))
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&plant, format!("{text}key_file = '{}'\n", file.display())).expect("writable");
    };
    with_key(&key);
    let mode = |mode| fs::set_permissions(&key, PermissionsExt::from_mode(mode)).expect("changed");
    mode(0o644);
    run(&home, &["run", "asked", "a note"]).failed(&[
        "cannot use the upstream 'cloud'",
        "can be read by everybody",
        "chmod 600",
    ]);
    mode(0o600);
    run(&home, &["run", "asked", "a note"]).succeeded();
    // Nor does it lie in the plant, which is kept in git.
    let within = home.beside("plant/key");
    fs::write(&within, "secret").expect("writable");
    fs::set_permissions(&within, PermissionsExt::from_mode(0o600)).expect("changed");
    with_key(&within);
    run(&home, &["run", "asked", "a note"]).failed(&["cannot use the upstream 'cloud'", "plant"]);
}

#[test]
fn a_policy_that_changes_while_a_node_is_up_decides_soon() {
    let home = Home::new();
    let upstream = Upstream::default();
    hybrid(&home, &upstream.start());
    run(&home, &["learn", "asked"]).succeeded();
    let policy = home.beside("plant/policy/main.cedar");
    // It starts although its policy does not parse: nothing leaves, and it says so.
    fs::write(&policy, "permit (principal, act").expect("writable");
    let up = command(&home, &["up", "--listen", "127.0.0.1:0", "--json"]);
    let node = Up::start(&home, up);
    let number = std::cell::Cell::new(0);
    let asked = || {
        number.set(number.get() + 1);
        let note = format!("note {}", number.get());
        let answer = node.post("/api/tasks/asked/runs", &json!({ "input": note }));
        (answer.body["route"].clone(), answer.body["reason"].clone())
    };
    let is = |route: &str, reason: &str| (json!(route), json!(reason));
    assert_eq!(asked(), is("human", "policy_denied"));
    let health = || node.get("/health").body;
    assert_eq!(health()["status"], "degraded");
    let becomes = |expected: (Value, Value)| {
        let began = Instant::now();
        while asked() != expected {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "not yet {expected:?}"
            );
            thread::sleep(Duration::from_millis(200));
        }
    };
    fs::write(&policy, "permit (principal, action, resource);").expect("writable");
    becomes(is("cloud", "below_threshold"));
    fs::write(&policy, "forbid (principal, action, resource);").expect("writable");
    becomes(is("human", "policy_denied"));
    let asked_so_far = upstream.count();
    fs::remove_file(&policy).expect("it is there");
    thread::sleep(Duration::from_secs(7));
    assert_eq!(asked(), is("human", "policy_denied"));
    assert_eq!(upstream.count(), asked_so_far);
    let began = Instant::now();
    while health()["status"] != "ready" {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", health());
        thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn what_small_models_are_bad_at_is_asked_elsewhere_as_far_as_policy_lets_it() {
    let home = Home::new();
    let upstream = Upstream::default();
    hybrid(&home, &upstream.start());
    let up = command(&home, &["up", "--listen", "127.0.0.1:0", "--json"]);
    let node = Up::start(&home, up);
    let ask = |text: &str| {
        let messages = json!([{"role": "user", "content": text}]);
        let body = json!({"model": "andon:auto", "messages": messages, "max_tokens": 8});
        node.post("/v1/chat/completions", &body)
    };
    let poem = "Write a funny poem about a night shift in a bottling hall, ten verses.";
    let routed = ask(poem);
    assert_eq!(routed.status, 200, "{routed:?}");
    assert_eq!(routed.body["model"], "upstream:cloud");
    assert_eq!(
        routed.body["choices"][0]["message"]["content"],
        json!({"label": "leak"}).to_string()
    );
    assert_eq!(upstream.count(), 1);

    let here = ask("Which code fits: belt slips off the tail pulley?");
    assert_eq!(
        (here.status, &here.body["model"]),
        (200, &json!("smollm2:135m"))
    );
    assert_eq!(upstream.count(), 1, "what is within reach stays here");

    let policy = home.beside("plant").join("policy/main.cedar");
    fs::write(policy, "forbid (principal, action, resource);").expect("writable");
    let until = Instant::now() + Duration::from_secs(20);
    let declined = loop {
        let answer = ask(poem);
        if answer.status != 200 || Instant::now() > until {
            break answer;
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(declined.code(), "beyond_small_model", "{declined:?}");
}
