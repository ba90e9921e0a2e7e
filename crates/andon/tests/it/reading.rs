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
    run(&home, &["learn", "slip", "--plant", &sound, "--tune"], b"").failed(&["leave them out"]);
    plant(&home, &wrong);
    run(&home, &["learn", "slip", "--plant", &sound], b"").failed(&["line 4", "expected.number"]);
}
