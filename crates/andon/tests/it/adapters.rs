//! An adapter for a task that extracts: trained, killed, resumed, measured, served, rolled back.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::models::{command, run};
use crate::node::Home;

const TASK: &str =
    "name = \"part\"\nkind = \"extract\"\ninstructions = \"Which part?\"\nschema = \"part.json\"\n";
/// Not in the order in which the examples have them.
const SCHEMA: &str = r#"{"type": "object", "properties": {
  "part": {"type": "string"}, "quantity": {"type": ["integer", "null"]}},
  "required": ["part", "quantity"], "additionalProperties": false}"#;

fn lines(range: std::ops::Range<usize>) -> String {
    let line = |number: usize| {
        let part = ["seal kit", "oil filter", "v-belt"][number % 3];
        let quantity = (!number.is_multiple_of(4)).then_some(number);
        let count = quantity.map_or_else(String::new, |quantity| format!("{quantity} x "));
        let expected = json!({"quantity": quantity, "part": part});
        format!(
            "{}\n",
            json!({"input": format!("{count}{part}"), "expected": expected})
        )
    };
    range.map(line).collect()
}

fn plant(home: &Home) -> String {
    let plant = home.beside("parts");
    for (path, content) in [
        ("tasks/part.toml", TASK),
        ("part.json", SCHEMA),
        ("examples/part.jsonl", &lines(1..11)),
    ] {
        let path = plant.join(path);
        fs::create_dir_all(path.parent().expect("below the plant")).expect("writable");
        fs::write(path, content).expect("writable");
    }
    plant.to_str().expect("UTF-8").to_owned()
}

fn succeed(home: &Home, plant: &str, arguments: &[&str]) -> Value {
    let ended = run(
        home,
        &[arguments, &["--plant", plant, "--json"]].concat(),
        b"",
    );
    ended.succeeded();
    serde_json::from_str(ended.stdout.trim()).expect("JSON")
}

/// Begins a training and kills it once it has left a checkpoint.
fn kill_at(checkpoint: &Path, home: &Home, arguments: &[&str]) {
    let mut learning = command(home, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let began = Instant::now();
    while !checkpoint.exists() {
        let ended = learning.try_wait().expect("it is there");
        assert_eq!(ended, None, "it ended without a checkpoint");
        assert!(began.elapsed() < Duration::from_secs(600), "no checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
    learning.kill().expect("it is killed");
    learning.wait().expect("it ends");
}

#[test]
fn an_adapter_that_writes_survives_a_kill_serves_and_goes() {
    let home = Home::new();
    let plant = plant(&home);
    // Two steps an epoch, and a checkpoint after the fourth.
    let learn = ["learn", "part", "--adapter", "--epochs", "3"];
    let checkpoint = home.beside("state/adapters/part.checkpoint");
    kill_at(
        &checkpoint,
        &home,
        &[&learn[..], &["--plant", &plant]].concat(),
    );
    let learned = succeed(&home, &plant, &learn);
    assert!(!checkpoint.exists(), "a training that ended leaves none");
    assert_eq!(
        (&learned["promoted"], &learned["examples"]),
        (&json!(true), &json!(8))
    );
    assert_eq!(learned["evaluation"]["n"], 2);
    let other = Home::new();
    let whole = succeed(&other, &plant, &learn);
    assert_eq!(
        learned["adapter"], whole["adapter"],
        "a kill changes nothing"
    );

    let ask = ["run", "part", "7 x oil filter"];
    let answer = succeed(&home, &plant, &ask);
    assert_eq!(answer["answered_by"], "generation", "{answer}");
    assert_eq!(answer["digests"]["adapter"], learned["adapter"]);
    assert!(answer["answer"]["part"].is_string(), "{answer}");

    // By its weights or by its name it is the same, and what measures it asks as it serves.
    let file = home.beside("fresh.jsonl");
    fs::write(&file, lines(21..24)).expect("writable");
    let adapter = format!("adapter:{}", learned["adapter"].as_str().expect("a digest"));
    let weights = learned["file"].as_str().expect("a path");
    let against = format!("smollm2:135m,smollm2:135m+adapter={weights}");
    let file = file.to_str().expect("UTF-8");
    let measured = [
        "eval",
        "part",
        "--examples",
        file,
        "--with",
        &adapter,
        "--against",
        &against,
    ];
    let measured = succeed(&home, &plant, &measured);
    let standing = |place: usize| &measured["comparison"]["contenders"][place]["field_accuracy"];
    assert_eq!(standing(0), standing(2), "{measured}");
    assert!(standing(1)["value"].is_number(), "{measured}");
    assert_eq!(measured["field_accuracy"], *standing(0));

    // A reader that serves is what answers, until it is rolled back.
    let reader = succeed(&home, &plant, &["learn", "part", "--promote"]);
    let answer = succeed(&home, &plant, &ask);
    assert_eq!(answer["answered_by"], "reader");
    assert_eq!(answer["digests"]["reader"], reader["reader"]);
    succeed(&home, &plant, &["rollback", "part"]);
    let answer = succeed(&home, &plant, &ask);
    assert_eq!(answer["digests"]["adapter"], learned["adapter"]);

    // Another schema is another task: the adapter does not answer it.
    let schema = SCHEMA.replace(
        "\"part\": {\"type\": \"string\"}",
        "\"part\": {\"type\": \"string\", \"maxLength\": 40}",
    );
    fs::write(Path::new(&plant).join("part.json"), schema).expect("writable");
    let answer = succeed(&home, &plant, &ask);
    assert_eq!(answer["digests"]["adapter"], Value::Null);
}

#[test]
fn what_cannot_be_written_is_told_before_a_training_begins() {
    let home = Home::new();
    let plant = plant(&home);
    let examples = Path::new(&plant).join("examples/part.jsonl");
    let spoilt = lines(1..11).replacen("seal kit\"", "seal\\u0001kit\"", 2);
    fs::write(examples, spoilt).expect("writable");
    let ended = run(
        &home,
        &["learn", "part", "--adapter", "--plant", &plant],
        b"",
    );
    ended.failed(&[
        "the example '3 x seal",
        "cannot be written under the schema",
    ]);
    assert!(!home.beside("state/adapters/part.checkpoint").exists());
}
