//! Laws of normalising that need no trained model.

use proptest::prelude::*;

use super::{Calibration, Memory, Normaliser, Ranker, Reader, align, tokens};
use crate::glossary::Glossary;

fn targets(text: &str, expected: &str) -> Vec<String> {
    align(&tokens(text), expected, None, &[])
}

fn memory(pairs: &[(&str, &[&str])]) -> Memory {
    let read: Vec<_> = pairs
        .iter()
        .map(|(text, targets)| {
            let targets = targets.iter().map(|target| (*target).to_owned());
            (tokens(text), targets.collect::<Vec<String>>())
        })
        .collect();
    Memory::of(
        read.iter()
            .map(|(tokens, targets)| (tokens.as_slice(), targets.as_slice())),
    )
}

#[test]
fn tokens_are_aligned_with_what_they_became() {
    let check = |text: &str, expected: &str, aligned: &[&str]| {
        assert_eq!(targets(text, expected), aligned, "{text}");
    };
    check(
        "PH639 REP BELT",
        "<id> replace belt",
        &["<id>", "replace", "belt"],
    );
    check(
        "FIT POS4 TYRE",
        "fit position <num> tyre",
        &["fit", "position <num>", "tyre"],
    );
    check(
        "L/H DRIVE LINE",
        "left hand driveline",
        &["left hand", "driveline", ""],
    );
    check("C/O PUMP", "change out pump", &["change out", "pump"]);
    check(
        "3M MECH INSP",
        "<num> month mechanical inspection",
        &["<num> month", "mechanical", "inspection"],
    );
    check("C 5542 LEAK", "<id> leak", &["<id>", "", "leak"]);
    check("PUMP", "", &[""]);
}

proptest! {
    #[test]
    fn an_alignment_keeps_every_word(text in "[a-z0-9/]{1,6}( [a-z0-9/]{1,6}){0,6}", expected in "([a-z<>]{1,7} ?){0,9}") {
        let aligned = targets(&text, &expected);
        prop_assert_eq!(aligned.len(), tokens(&text).len());
        let words: Vec<&str> = aligned.iter().flat_map(|target| target.split_whitespace()).collect();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        prop_assert_eq!(words, expected);
    }

    #[test]
    fn any_text_is_normalised_token_by_token(text in "\\PC{0,60}") {
        let normaliser = Normaliser::new(&memory(&[("rep pump", &["replace", "pump"])]), &Ranker::default(), Calibration::NONE);
        let normalised = normaliser.normalise(&text, &Glossary::default());
        prop_assert_eq!(normalised.tokens.len(), tokens(&text).len());
        prop_assert!((0.0..=1.0).contains(&normalised.probability));
        for (settled, token) in normalised.tokens.iter().zip(tokens(&text)) {
            prop_assert_eq!(&text[settled.place.clone()], token.text);
        }
    }
}

#[test]
fn what_examples_made_of_a_token_is_a_candidate_unless_it_is_held_out() {
    let reader = Reader::new(memory(&[("REP pump", &["replace", "pump"])]));
    let candidates = |held: bool| -> Vec<String> {
        let expected = ["replace".to_owned(), "pump".to_owned()];
        let scene = match held {
            true => reader.read_held_out("REP pump", &expected),
            false => reader.read("REP pump"),
        };
        scene.candidates(0).map(str::to_owned).collect()
    };
    assert!(candidates(false).contains(&"replace".to_owned()));
    assert!(!candidates(true).contains(&"replace".to_owned()));
}

#[test]
fn unknown_words_are_compared_with_known_ones() {
    let reader = Reader::new(memory(&[
        (
            "replace hydraulic bearing",
            &["replace", "hydraulic", "bearing"],
        ),
        ("replace valve position", &["replace", "valve", "position"]),
    ]));
    let check = |word: &str, expected: &str| {
        let scene = reader.read(word);
        let candidates: Vec<&str> = scene.candidates(0).collect();
        assert!(candidates.contains(&expected), "{word}: {candidates:?}");
    };
    check("replcae", "replace");
    check("hyd", "hydraulic");
    check("brng", "bearing");
    check("valve/bearing", "valve / bearing");
    check("bearingvalve", "bearing valve");
}

#[test]
fn the_glossary_writes_out_what_no_example_has() {
    let normaliser = Normaliser::new(
        &memory(&[("fix pmp", &["fix", "pomp"])]),
        &Ranker::default(),
        Calibration::NONE,
    );
    let glossary = Glossary::parse(
        "term,meaning,lang\nvlv,valve,en\npmp,pump,en\nfuga,leak,es\ne stop,emergency stop,en\n",
    )
    .unwrap();
    let text = |text: &str| normaliser.normalise(text, &glossary).text;
    assert_eq!(text("vlv"), "valve");
    assert_eq!(text("e stop"), "emergency stop");
    // What examples say counts more, and a translation is no spelling.
    assert_ne!(text("pmp"), "pump");
    assert_ne!(text("fuga"), "leak");
}

#[test]
fn a_normaliser_is_read_as_it_was_written_and_damage_is_found() {
    let normaliser = Normaliser::new(
        &memory(&[("REP pump", &["replace", "pump"])]),
        &Ranker::default(),
        Calibration::NONE,
    );
    let bytes = normaliser.bytes();
    assert_eq!(Normaliser::parse(bytes).unwrap().bytes(), bytes);
    for cut in 0..bytes.len() {
        assert!(Normaliser::parse(&bytes[..cut]).is_err());
    }
    for at in 0..bytes.len() {
        let mut spoilt = bytes.to_vec();
        spoilt[at] ^= 1;
        assert!(Normaliser::parse(&spoilt).is_err(), "byte {at}");
    }
}
