use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::engine::Likelihood;

/// Tokens of these pieces, each half as probable as the one before.
fn drawn(pieces: &[&str]) -> Vec<Drawn> {
    let token = |(number, piece): (usize, &&str)| Drawn {
        token: Likelihood {
            bytes: piece.as_bytes().to_vec(),
            log_probability: -(number as f64),
        },
        alternatives: Vec::new(),
    };
    pieces.iter().enumerate().map(token).collect()
}

#[test]
fn each_value_has_the_probability_of_its_own_tokens() {
    let pieces = [
        "{\"",
        "a",
        "\":\"",
        "x\\\"",
        "y",
        "\",\"",
        "b",
        "\":[",
        "12",
        ".5",
        ",",
        "null",
        "],",
        "\"c\":{\"d",
        "\":true",
        "}}",
    ];
    let text = pieces.concat();
    let written = Written::of(&text, &drawn(&pieces)).expect("an object");
    assert_eq!(
        written.value,
        json!({"a": "x\"y", "b": [12.5, null], "c": {"d": true}})
    );
    for (path, sum) in [
        ("a", -7.0),
        ("b[0]", -17.0),
        ("b[1]", -11.0),
        ("c.d", -14.0),
    ] {
        assert_eq!(written.likelihood(path), Some(sum), "{path}");
    }
    assert_eq!(written.likelihood("b"), None);
}

#[test]
fn tokens_of_another_text_say_nothing() {
    let written = Written::of("{\"a\":1}", &drawn(&["{", "\"a\":2}"])).expect("an object");
    assert_eq!(written.likelihood("a"), None);
    assert_eq!(Written::of("{\"a\":1", &[]), None);
}

proptest! {
    /// Whatever an object holds, each of its plain values has a place.
    #[test]
    fn every_value_is_found(texts in prop::collection::vec(".{0,12}", 0..6), number in any::<f64>()) {
        let object = json!({"texts": texts, "of": {"number": number, "nothing": null}});
        for text in [object.to_string(), format!("{object:#}")] {
            let written = Written::of(&text, &drawn(&[&text])).expect("an object");
            for index in 0..texts.len() {
                let path = format!("texts[{index}]");
                prop_assert!(written.likelihood(&path).is_some(), "{path} of {text}");
            }
            prop_assert!(written.likelihood("of.number").is_some());
            prop_assert!(written.likelihood("of.nothing").is_some());
        }
    }
}
