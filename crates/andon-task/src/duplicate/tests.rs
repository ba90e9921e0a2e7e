use proptest::prelude::*;

use super::{Note, likeness, repeated};

fn note(text: &str) -> Note<'_> {
    Note {
        text,
        vector: None,
        procedures: None,
    }
}

fn check(one: &str, other: &str, range: std::ops::RangeInclusive<f64>) {
    let found = likeness(note(one), note(other));
    assert!(
        range.contains(&found),
        "'{one}' and '{other}' are {found} alike, expected {range:?}"
    );
}

#[test]
fn characters_alone() {
    check("Belt slips on start", "belt SLIPS, on start!", 1.0..=1.0);
    check(
        "fuga de aceite en la válvula",
        "Fuga aceite válvula",
        0.6..=0.95,
    );
    check("oil leak at gearbox", "gearbox leaking oil", 0.5..=0.9);
    check("belt slips", "no label on bottle", 0.0..=0.2);
    check("¡!", "…", 0.0..=0.0);
    check("", "belt", 0.0..=0.0);
}

#[test]
fn vectors_count_as_much_as_characters() {
    let (east, north) = ([1.0_f32, 0.0], [0.0_f32, 1.0]);
    let with = |vector| Note {
        text: "belt",
        vector: Some(vector),
        procedures: None,
    };
    assert!((likeness(with(&east), with(&east)) - 1.0).abs() < 1e-12);
    assert!((likeness(with(&east), with(&north)) - 0.5).abs() < 1e-12);
    let opposite = [-1.0_f32, 0.0];
    assert!((likeness(with(&east), with(&opposite)) - 0.5).abs() < 1e-12);
    let longer = [1.0_f32, 0.0, 0.0];
    assert!((likeness(with(&east), with(&longer)) - 1.0).abs() < 1e-12);
}

#[test]
fn the_same_procedure_is_a_reason_of_its_own() {
    let check = |one: &[f64], other: &[f64], expected: f64| {
        let with = |text, procedures| Note {
            text,
            vector: None,
            procedures: Some(procedures),
        };
        let found = likeness(with("belt slips", one), with("cinta patina", other));
        assert!(
            (found - expected).abs() < 1e-12,
            "{one:?} {other:?}: {found}"
        );
    };
    check(&[0.9, 0.0], &[0.8, 0.1], 0.72);
    check(&[0.9, 0.0], &[0.0, 0.9], 0.0);
    check(&[0.0, 0.0], &[0.0, 0.0], 0.0);
    check(&[1.0], &[1.0, 0.0], 0.0);
}

#[test]
fn the_most_alike_open_note_is_named_and_the_earlier_of_two() {
    let open = [
        (3, note("no label on bottle")),
        (5, note("belt slips at start")),
        (4, note("belt slips at start")),
    ];
    let repeat = repeated(note("Belt slips at start"), open, 0.6).expect("a repeat");
    assert_eq!(repeat.record, 4);
    assert!((repeat.likeness - 1.0).abs() < 1e-12);
    assert_eq!(repeated(note("motor hot"), open, 0.6), None);
    assert_eq!(repeated(note("motor hot"), [], 0.0), None);
}

proptest! {
    #[test]
    fn likeness_is_symmetric_and_within_bounds(one in ".{0,60}", other in ".{0,60}") {
        let found = likeness(note(&one), note(&other));
        prop_assert!((0.0..=1.0).contains(&found));
        prop_assert!((found - likeness(note(&other), note(&one))).abs() < 1e-9);
    }

    #[test]
    fn a_note_is_like_itself(text in "[a-zñ ]{0,40}[a-z0-9]") {
        prop_assert!((likeness(note(&text), note(&text)) - 1.0).abs() < 1e-9);
    }
}
