use serde_json::Value;

use super::{Decide, Extract, Questions, Restart};

fn content(chat: &Value, turn: usize) -> &str {
    chat["messages"][turn]["content"].as_str().expect("a text")
}

fn decide() -> Decide {
    let pairs = |pairs: &[(&str, &str)]| {
        let own = |(note, label): &(&str, &str)| ((*note).to_owned(), (*label).to_owned());
        pairs.iter().map(own).collect()
    };
    let examples = pairs(&[
        ("oil on the floor", "Leaking"),
        ("drips, a lot", "Leaking"),
        ("bearing sings", "Noise"),
    ]);
    let notes = pairs(&[("short", "Noise"), ("pump drips on the floor", "Leaking")]);
    Decide::new(examples, notes).expect("two labels and a note")
}

#[test]
fn both_sides_decide_on_the_same_words() {
    let decide = decide();
    assert_eq!(
        decide.labels_csv(),
        "label,description\n\"Leaking\",\"oil on the floor\"\n\"Noise\",\"bearing sings\"\n"
    );
    let note = "pump drips on the floor";
    assert_eq!(decide.run(7)["input"], note);
    let chosen = decide.chosen(7);
    assert_eq!(content(&chosen, 1), note);
    assert!(content(&chosen, 0).ends_with("\n- Leaking: oil on the floor\n- Noise: bearing sings"));
    let label = "/response_format/json_schema/schema/properties/label/enum";
    assert_eq!(
        chosen.pointer(label),
        Some(&serde_json::json!(["Leaking", "Noise"]))
    );
    let letter = decide.letter(7);
    assert!(
        content(&letter, 0).ends_with("\nA: Leaking: oil on the floor\nB: Noise: bearing sings")
    );
    assert_eq!(letter["max_tokens"], 1);
}

#[test]
fn requests_that_no_cache_may_know_differ() {
    let check = |make: &dyn Fn(usize) -> String| {
        let mut made: Vec<String> = (0..40).map(make).collect();
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 40);
    };
    check(&|number| Extract.chat(number).to_string());
    check(&|number| Questions.chats(number)[0].to_string());
    check(&|number| Questions.decisions("m", number).to_string());
    check(&|number| Questions.long_text(number));
}

#[test]
fn a_restart_asks_both_sides_by_the_same_rules() {
    let restart = Restart::new();
    let letter = restart.letter(1);
    assert!(content(&letter, 0).starts_with(restart.instructions()));
    assert_eq!(restart.run(1)["input"], content(&letter, 1));
}
