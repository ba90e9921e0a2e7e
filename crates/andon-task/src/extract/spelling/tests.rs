use serde_json::{Value, json};

use super::{Spelling, distance, folded, same};

#[test]
fn compares_without_case_and_punctuation() {
    assert_eq!(folded(" Mr. D.I.Y.  (m) "), "MR D I Y M");
    for (a, b, right) in [
        (json!("a,B"), json!("A. b"), true),
        (json!(9), json!(9.0), true),
        (json!(9), json!(9.01), false),
        (json!(""), Value::Null, false),
        (Value::Null, Value::Null, true),
    ] {
        assert_eq!(same(Some(&a), Some(&b)), right, "{a} {b}");
    }
    assert!(same(None, Some(&Value::Null)));
}

#[test]
fn writes_blanks_as_the_examples_do() {
    let mut spelling = Spelling::default();
    assert_eq!(
        spelling.write("27,JALAN\n81100 JOHOR"),
        "27,JALAN 81100 JOHOR"
    );
    for _ in 0..3 {
        spelling.learn("27,JALAN DEDAP", "27, JALAN DEDAP");
    }
    assert_eq!(spelling.write("9,TAMAN\nX"), "9, TAMAN X");
    // What has other letters teaches nothing.
    spelling.learn("abc", "abd e");
    assert_eq!(spelling.write("a b"), "a b");
}

#[test]
fn counts_edits() {
    let characters = |text: &str| text.chars().collect::<Vec<_>>();
    assert_eq!(
        distance(&characters("kitten"), &characters("sitting")),
        3.0 / 7.0
    );
    assert_eq!(distance(&[], &[]), 0.0);
}
