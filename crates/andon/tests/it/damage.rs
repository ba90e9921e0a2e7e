//! Files that are damaged while a node is up, or between two of its lives.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::models::{command, copy, run};
use crate::node::{Ended, Home};
use crate::up::Up;

/// A home with copies of the default models, which a test may spoil.
fn own_models(home: &Home) {
    let listed = run(home, &["model", "list", "--json"], b"");
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    for model in listed.as_array().expect("a list") {
        let folder = PathBuf::from(model["folder"].as_str().expect("a path"));
        let name = folder
            .file_name()
            .expect("a folder")
            .to_str()
            .expect("UTF-8");
        if ["smollm2-135m", "minilm-l6"].contains(&name) {
            copy(&folder, &home.model(name));
        }
    }
}

fn node_command(home: &Home) -> Command {
    let mut command = command(home, &["up", "--listen", "127.0.0.1:0", "--json"]);
    command.env("ANDON_HOME", home.beside("home"));
    command
}

/// The whole answer to a note, by the language model's shares.
fn answer(node: &Up) -> Value {
    let run = node.post(
        "/api/tasks/failure/runs",
        &json!({"input": "oil drips from the pump"}),
    );
    assert_eq!(run.status, 200, "{run:?}");
    assert_eq!(run.body["answered_by"], "label_scoring");
    run.body["probabilities"].clone()
}

fn weights(home: &Home) -> PathBuf {
    home.model("smollm2-135m")
        .join("SmolLM2-135M-Instruct.Q4_1.gguf")
}

#[test]
fn a_model_that_is_spoilt_under_a_running_node_does_not_change_its_answers() {
    let home = Home::new();
    own_models(&home);
    let sound = fs::read(weights(&home)).expect("a model");
    let refused = |parts: &[&str]| {
        let ended = node_command(&home).output().expect("the binary runs");
        Ended::from(ended).failed(parts);
    };
    let node = Up::start(&home, node_command(&home));
    let before = answer(&node);

    // Cut in place, as a full disk or a careless copy does.
    let file = OpenOptions::new().write(true).open(weights(&home));
    file.and_then(|file| file.set_len(sound.len() as u64 / 2))
        .expect("writable");
    assert_eq!(answer(&node), before);
    node.is_ready();

    // Overwritten in place by another of the same size.
    let mut other = sound;
    let last = other.len() - 1;
    other[last] ^= 1;
    fs::write(weights(&home), &other).expect("writable");
    assert_eq!(answer(&node), before);
    node.is_ready();
    drop(node);
    refused(&[
        "the model 'smollm2:135m' has SHA-256",
        "as when it came",
        "andon model rm smollm2:135m",
    ]);

    fs::write(weights(&home), &other[..other.len() / 2]).expect("writable");
    refused(&[
        "smollm2:135m",
        "bytes and not",
        "andon model pull smollm2:135m",
    ]);
    fs::remove_file(weights(&home)).expect("writable");
    refused(&["smollm2:135m"]);
}

#[test]
fn a_saved_beginning_with_a_flipped_bit_is_computed_anew() {
    let home = Home::new();
    own_models(&home);
    let folder = home.model("smollm2-135m").join("prefixes");
    // Those that came with the copy are of other plants.
    drop(fs::remove_dir_all(&folder));
    let node = Up::start(&home, node_command(&home));
    let before = answer(&node);
    drop(node);

    let mut files = fs::read_dir(&folder).expect("saved");
    let path = files.next().expect("a file").expect("readable").path();
    assert!(files.next().is_none(), "the plant has one task");
    let sound = fs::read(&path).expect("a file");
    let mut spoilt = sound.clone();
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 1;
    fs::write(&path, spoilt).expect("writable");

    let node = Up::start(&home, node_command(&home));
    let said = "a saved prefix is damaged or another's: it is ignored and computed anew";
    assert!(node.log().contains(said), "{}", node.log());
    assert_eq!(answer(&node), before);
    // And saved anew, to the same bits.
    assert!(fs::read(&path).expect("a file") == sound);
    drop(node);

    let node = Up::start(&home, node_command(&home));
    assert!(!node.log().contains("damaged"), "{}", node.log());
    assert_eq!(answer(&node), before);
}
