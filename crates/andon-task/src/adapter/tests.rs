use crate::digest::Digest;
use crate::plant::Plant;
use crate::task::Task;

use super::*;

fn task(instructions: &str, labels: &str) -> Task {
    let task = format!(
        "name = \"kind\"\nkind = \"decide\"\ninstructions = \"{instructions}\"\nlabels = \"l.csv\"\n"
    );
    let files = [("tasks/kind.toml", task.as_str()), ("l.csv", labels)];
    let files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    Plant::parse(&files).expect("a plant").tasks["kind"].clone()
}

fn adapter(temperature: f64) -> TaskAdapter {
    let task = task("Which?", "label\na\nb\n");
    TaskAdapter::new(&task, Digest::of(b"file"), Digest::of(b"m")).calibrated(temperature)
}

#[test]
fn what_was_written_is_read() {
    let adapter = adapter(1.37);
    let read = TaskAdapter::parse(&adapter.bytes()).expect("it is whole");
    assert_eq!(read, adapter);
    assert_eq!(read.digest(), adapter.digest());
}

#[test]
fn another_temperature_is_another_adapter() {
    assert_ne!(adapter(1.0).digest(), adapter(1.1).digest());
}

#[test]
fn what_it_was_not_trained_for_is_refused_by_name() {
    let refused = |task: &Task, model: &[u8]| {
        let fits = adapter(1.0).fits(task, Digest::of(model));
        fits.map_err(|error| error.to_string())
    };
    let (question, labels) = ("Which?", "label\na\nb\n");
    assert_eq!(refused(&task(question, labels), b"m"), Ok(()));
    let model = refused(&task(question, labels), b"other").unwrap_err();
    assert!(model.contains(&Digest::of(b"other").short()), "{model}");
    let others = refused(&task(question, "label\na\nc\n"), b"m").unwrap_err();
    assert!(others.contains("other labels"), "{others}");
    let asked = refused(&task("What?", labels), b"m").unwrap_err();
    assert!(asked.contains("another prompt"), "{asked}");
}

#[test]
fn bytes_that_are_no_adapter_are_refused() {
    assert!(TaskAdapter::parse(b"{").is_err());
    for temperature in ["0.0", "-1.0", "1e999"] {
        let written = String::from_utf8(adapter(1.5).bytes()).expect("JSON");
        let written = written.replace("1.5", temperature);
        assert!(TaskAdapter::parse(written.as_bytes()).is_err());
    }
}

#[test]
fn a_temperature_keeps_the_order_and_the_sum() {
    let shares = [0.7, 0.3, 0.0];
    for temperature in [0.5, 1.0, 3.0] {
        let given = adapter(temperature).probabilities(&shares);
        assert!((given.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(given[0] > given[1] && given[1] > given[2]);
    }
    let same = adapter(1.0).probabilities(&shares);
    assert!((same[0] - 0.7).abs() < 1e-6);
}

#[test]
fn an_adapter_of_earlier_versions_goes_on_with_the_prompt_that_it_knows() {
    let task = task("Which?", "label\na\nb\n");
    let full = prompt::decide(&task, "it drips");
    let earlier = TaskAdapter {
        prompt: prompt::digest(&prompt::decide(&task, "")),
        ..adapter(1.0)
    };
    assert!(earlier.fits(&task, Digest::of(b"m")).is_ok());
    assert_eq!(earlier.asked(&task, "it drips"), full);
    let asked = adapter(1.0).asked(&task, "it drips");
    assert_eq!(asked, Prompt::Text("Which?\n\nit drips\n".to_owned()));
}

#[test]
fn the_file_of_an_earlier_version_keeps_its_digest() {
    let digest = Digest::of(b"x");
    let written = format!(
        r#"{{"file":"{digest}","model":"{digest}","prompt":"{digest}","labels":"{digest}","temperature":1.5}}"#
    );
    let read = TaskAdapter::parse(written.as_bytes()).expect("it is whole");
    assert_eq!(read.digest(), Digest::of(written.as_bytes()));
}

#[test]
fn one_that_writes_has_no_temperature() {
    let task = task("Which?", "label\na\nb\n");
    let written = TaskAdapter::new(&task, Digest::of(b"file"), Digest::of(b"m"));
    assert!(!String::from_utf8_lossy(&written.bytes()).contains("temperature"));
    assert_eq!(
        TaskAdapter::parse(&written.bytes()).expect("whole"),
        written
    );
}
