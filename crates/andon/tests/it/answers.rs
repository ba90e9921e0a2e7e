//! Questions to a plant with manuals, with the default encoder in `ANDON_HOME`.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::node::{Ended, Home};

const TASK: &str = "name = \"ask\"\nkind = \"answer\"\ninstructions = \"Answer.\"\naccept = 0.1\n";
const MANUAL: &str = "---\ntitle: Filler manual\nrevision: C\n---\n# Tightening torques\n\nThe bolts of the valve block take 25 N·m.\n\n# Cleaning\n\nRinse the nozzles with caustic every night.\n";

/// A PDF of one page with a line of text, or of none; its table of objects is right.
pub(crate) fn pdf(text: Option<&str>) -> Vec<u8> {
    let draw = text.map_or(String::new(), |text| {
        format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET")
    });
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{draw}\nendstream", draw.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut places = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    let table = file.len();
    file.push_str(&format!(
        "xref\n0 {}\n0000000000 65535 f \n",
        places.len() + 1
    ));
    for place in places {
        file.push_str(&format!("{place:010} 00000 n \n"));
    }
    file.push_str(&format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
        objects.len() + 1
    ));
    file.into_bytes()
}

fn plant(home: &Home, manuals: &[(&str, &[u8])]) -> String {
    let plant = home.beside("plant");
    let always: [(&str, &[u8]); 2] = [
        ("tasks/ask.toml", TASK.as_bytes()),
        ("manuals/filler.md", MANUAL.as_bytes()),
    ];
    for (path, content) in always.iter().chain(manuals) {
        let path = plant.join(path);
        fs::create_dir_all(path.parent().expect("below the plant")).expect("writable");
        fs::write(path, content).expect("writable");
    }
    plant.to_str().expect("UTF-8").to_owned()
}

fn run(home: &Home, plant: &str, arguments: &[&str]) -> Ended {
    let mut command: Command = home.command(arguments);
    match std::env::var_os("ANDON_HOME") {
        Some(models) => command.env("ANDON_HOME", models),
        None => command.env_remove("ANDON_HOME"),
    };
    command
        .env("ANDON_PLANT", plant)
        .env("ANDON_STATE", home.beside("state"));
    Ended::from(command.output().expect("the binary runs"))
}

fn asked(ended: &Ended) -> Value {
    ended.succeeded();
    serde_json::from_str(ended.stdout.trim()).expect("JSON")
}

#[test]
fn a_question_is_answered_from_the_manual_it_is_in() {
    let home = Home::new();
    let manual = pdf(Some("The labeller motor draws 11 kW and runs at 1450 rpm."));
    let plant = plant(&home, &[("manuals/labeller.pdf", &manual)]);
    let run_ask = |question: &str| asked(&run(&home, &plant, &["run", "ask", question, "--json"]));

    let answer = run_ask("What torque do the bolts of the valve block take?");
    let quoted = &answer["evidence"][usize::from(answer["answer"].is_null())];
    assert_eq!(quoted["section"], "manuals/filler.md#tightening-torques");
    assert_eq!(quoted["revision"], "C");
    let (start, end) = (quoted["start"].as_u64(), quoted["end"].as_u64());
    let place = start.expect("bytes") as usize..end.expect("bytes") as usize;
    assert_eq!(quoted["text"], MANUAL[place]);

    let answer = run_ask("How much power does the labeller motor draw?");
    let quoted = &answer["evidence"][usize::from(answer["answer"].is_null())];
    assert_eq!(quoted["document"], "manuals/labeller.pdf");
    assert!(
        quoted["text"].as_str().expect("words").contains("11 kW"),
        "{quoted}"
    );

    let shown = run(
        &home,
        &plant,
        &["ask", "What torque do the bolts of the valve block take?"],
    );
    shown.succeeded();
    assert!(
        shown
            .stdout
            .contains("manuals/filler.md#tightening-torques"),
        "{}",
        shown.stdout
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_hurts_nothing() {
    let home = Home::new();
    let mut encrypted = String::from_utf8(pdf(Some("secret"))).expect("ASCII");
    let dictionary = "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <0011223344556677889900112233445566778899001122334455667788990011> /U <0011223344556677889900112233445566778899001122334455667788990011> >> /ID [<00> <00>] /Root";
    encrypted = encrypted.replace("/Root", dictionary);
    let scanned = pdf(None);
    let files: [(&str, &[u8]); 3] = [
        ("manuals/scanned.pdf", &scanned),
        ("manuals/broken.pdf", b"%PDF-1.4\nnothing of it is right"),
        ("manuals/locked.pdf", encrypted.as_bytes()),
    ];
    let plant = plant(&home, &files);
    let ended = run(
        &home,
        &plant,
        &["run", "ask", "What torque do the bolts take?", "--json"],
    );
    let answer = asked(&ended);
    assert_eq!(answer["answered_by"], "passages");
    for said in [
        "'manuals/scanned.pdf' has no text",
        "'manuals/broken.pdf' is damaged",
        "'manuals/locked.pdf' is encrypted",
    ] {
        assert!(
            ended.stderr.contains(said),
            "'{said}' is not in: {}",
            ended.stderr
        );
    }
}

#[test]
fn questions_that_cannot_be_asked_say_why() {
    let home = Home::new();
    let plant = plant(&home, &[]);
    let long = "why ".repeat(5_000);
    run(&home, &plant, &["ask", &long]).failed(&["the question has 20000 characters"]);
    run(&home, &plant, &["ask", " "]).failed(&["the question is empty"]);
    run(&home, &plant, &["learn", "ask"]).failed(&["has no examples"]);
}
