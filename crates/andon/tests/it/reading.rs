//! A task that extracts: learned, measured and run as a user does it.

use std::fs;

use serde_json::{Value, json};

use crate::models::run;
use crate::node::{Ended, Home};

const SCHEMA: &str = r#"{"type": "object", "properties": {
  "number": {"type": ["string", "null"]}, "total": {"type": ["number", "null"]},
  "positions": {"type": "array", "items": {"type": "object", "properties": {
    "part": {"type": "string"}, "quantity": {"type": "integer"}}, "required": ["part", "quantity"]}}},
  "required": ["number", "total", "positions"]}"#;

const TASK: &str = "name = \"slip\"\nkind = \"extract\"\ninstructions = \"Extract the slip.\"\nschema = \"schemas/slip.json\"\n";

pub(crate) fn example(number: usize) -> (String, Value) {
    let parts = ["seal kit", "oil filter", "v-belt"];
    let (part, other) = (parts[number % 3], parts[(number + 1) % 3]);
    let (quantity, total) = (3 + number, number as f64 * 12.25 + 40.0);
    let text = format!(
        "Slip no: S-{}\n{part}\t{quantity}\n{other}\t{}\nTotal: {total:.2} EUR",
        4100 + number * 7,
        quantity * 2
    );
    let positions =
        json!([{"part": part, "quantity": quantity}, {"part": other, "quantity": quantity * 2}]);
    let number = format!("S-{}", 4100 + number * 7);
    (
        text,
        json!({"number": number, "total": total, "positions": positions}),
    )
}

pub(crate) fn lines(range: std::ops::Range<usize>) -> String {
    let line = |number| {
        let (input, expected) = example(number);
        format!("{}\n", json!({"input": input, "expected": expected}))
    };
    range.map(line).collect()
}

/// The folder of a plant with one task that extracts.
pub(crate) fn plant(home: &Home, examples: &str) -> String {
    let plant = home.beside("forms");
    for (path, content) in [
        ("tasks/slip.toml", TASK),
        ("schemas/slip.json", SCHEMA),
        ("examples/slip.jsonl", examples),
    ] {
        let path = plant.join(path);
        fs::create_dir_all(path.parent().expect("below the plant")).expect("writable");
        fs::write(path, content).expect("writable");
    }
    plant.to_str().expect("UTF-8").to_owned()
}

fn parsed(ended: &Ended) -> Value {
    ended.succeeded();
    serde_json::from_str(ended.stdout.trim()).expect("JSON")
}

#[test]
fn a_reader_is_learned_measured_and_run() {
    let home = Home::new();
    let plant = plant(&home, &lines(0..40));
    let learned = parsed(&run(
        &home,
        &["learn", "slip", "--plant", &plant, "--json"],
        b"",
    ));
    assert_eq!(learned["promoted"], true);
    let fields = &learned["evaluation"]["field_accuracy"];
    assert!(fields["value"].as_f64() > Some(0.9), "{learned}");

    let file = home.beside("fresh.jsonl");
    fs::write(&file, lines(100..120)).expect("writable");
    let file = file.to_str().expect("UTF-8");
    let arguments = [
        "eval",
        "slip",
        "--plant",
        &plant,
        "--examples",
        file,
        "--json",
    ];
    let measured = parsed(&run(&home, &arguments, b""));
    assert_eq!(measured["n"], 20);
    for key in ["field_accuracy", "record_accuracy", "ece", "coverage"] {
        let figure = &measured[key];
        assert!(
            figure["low"].as_f64() <= figure["high"].as_f64(),
            "{key}: {measured}"
        );
    }
    assert!(measured["p50_ms"].as_f64() > Some(0.0));
    assert_eq!(measured["measured"]["digests"]["reader"], learned["reader"]);
    let page = home.beside("page.html");
    let shown = page.to_str().expect("UTF-8");
    let shown = [&arguments[..6], &["--report", shown]].concat();
    run(&home, &shown, b"").succeeded();
    let page = fs::read_to_string(page).expect("a page");
    for part in ["positions[].quantity", "Reliability", "Risk and coverage"] {
        assert!(page.contains(part), "'{part}' is not in {page}");
    }

    let (text, expected) = example(77);
    let answered = parsed(&run(
        &home,
        &["run", "slip", &text, "--plant", &plant, "--json"],
        b"",
    ));
    assert_eq!(answered["answer"], expected);
    assert_eq!(answered["answered_by"], "reader");
    assert_eq!(answered["digests"]["reader"], learned["reader"]);
    let evidence = answered["evidence"].as_array().expect("a list");
    let total = evidence
        .iter()
        .find(|field| field["path"] == "total")
        .expect("there");
    let at = |key: &str| total["span"][key].as_u64().expect("a number") as usize;
    assert_eq!(
        text[at("start")..at("end")].parse::<f64>().ok(),
        expected["total"].as_f64()
    );

    // A text that is something else: nothing is found, and a person looks at it.
    let other = parsed(&run(
        &home,
        &["run", "slip", "good morning", "--plant", &plant, "--json"],
        b"",
    ));
    assert_eq!(other["route"], "human", "{other}");
    assert_eq!(other["answer"]["total"], Value::Null);
}

#[test]
fn examples_that_do_not_satisfy_the_schema_are_named() {
    let home = Home::new();
    let sound = plant(&home, &lines(0..3));
    let wrong = format!(
        "{}{}\n",
        lines(0..3),
        json!({"input": "x", "expected": {"number": 5, "total": null, "positions": []}})
    );
    let file = home.beside("fresh.jsonl");
    fs::write(&file, format!("\n{wrong}")).expect("writable");
    let file = file.to_str().expect("UTF-8");
    let arguments = ["eval", "slip", "--plant", &sound, "--examples", file];
    run(&home, &arguments, b"").failed(&["line 5", "expected.number"]);
    run(&home, &["learn", "slip", "--plant", &sound, "--tune"], b"").failed(&["too few", "--tune"]);
    plant(&home, &wrong);
    run(&home, &["learn", "slip", "--plant", &sound], b"").failed(&["line 4", "expected.number"]);
}

/// A plant whose notes name two numbers, so that a reader cannot know which is meant.
fn undecided(home: &Home, deadline: &str) -> String {
    let line = |number: usize| {
        let numbers = [
            format!("S-{}", 1009 + 37 * number),
            format!("S-{}", 9001 - 53 * number),
        ];
        let meant = &numbers[(number * number / 3) % 2];
        let text = format!("Slip {} {}\nCount: {number}", numbers[0], numbers[1]);
        format!(
            "{}\n",
            json!({"input": text, "expected": {"number": meant, "count": number}})
        )
    };
    let plant = plant(home, &(0..40).map(line).collect::<String>());
    let schema = r#"{"type": "object", "properties": {"number": {"type": "string",
      "pattern": "^S-[0-9]{4}$"}, "count": {"type": "integer"}},
      "required": ["number", "count"], "additionalProperties": false}"#;
    fs::write(format!("{plant}/schemas/slip.json"), schema).expect("writable");
    let task = format!("{TASK}deadline = \"{deadline}\"\n");
    fs::write(format!("{plant}/tasks/slip.toml"), task).expect("writable");
    plant
}

#[test]
fn the_language_model_is_tried_as_a_second_reader_where_there_is_time() {
    let home = Home::new();
    let learn = |plant: &str| {
        parsed(&run(
            &home,
            &["learn", "slip", "--plant", plant, "--json", "--promote"],
            b"",
        ))
    };
    // Where a machine waits nobody else is asked.
    let learned = learn(&undecided(&home, "machine"));
    assert_eq!(learned["second_opinion"], Value::Null, "{learned}");

    let plant = undecided(&home, "batch");
    let learned = learn(&plant);
    let second = &learned["second_opinion"];
    let outcome = second["outcome"].as_str().expect("an outcome");
    assert!(["kept", "left"].contains(&outcome), "{second}");
    assert!(second["written"].as_u64() >= Some(12), "{second}");
    for side in ["with", "without"] {
        assert!(second[side]["fields"].as_f64() > Some(0.4), "{second}");
    }
    // Nobody can know which number is meant: no record is to be accepted for it.
    let text = "Slip S-4242 S-7777\nCount: 5";
    let answered = parsed(&run(
        &home,
        &["run", "slip", text, "--plant", &plant, "--json"],
        b"",
    ));
    let number = answered["answer"]["number"].as_str().expect("a text");
    assert!(text.contains(number), "{answered}");
    let is_fused = outcome == "kept";
    let by = ["reader", "reader_and_generation"][usize::from(is_fused)];
    assert_eq!(answered["answered_by"], by, "{answered}");
    assert_eq!(
        answered["digests"]["model"].is_string(),
        is_fused,
        "{answered}"
    );
}
