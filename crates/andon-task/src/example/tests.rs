use super::*;

fn labels() -> LabelSet {
    LabelSet::parse("label,critical\nleak,\nnoise,\nguard,true\n").unwrap()
}

#[test]
fn a_text_may_have_two_labels() {
    let jsonl = r#"{"input": "a", "expected": "leak"}
{"input": "b", "expected": ["leak"]}
{"input": "c", "expected": ["noise", "guard"]}"#;
    let examples = parse_labelled(jsonl, &labels()).unwrap();
    let found: Vec<_> = examples.iter().map(|one| (one.label, one.also)).collect();
    assert_eq!(found, [(0, None), (0, None), (1, Some(2))]);
    assert!(examples[2].accepts(1) && examples[2].accepts(2) && !examples[2].accepts(0));
    let labels = labels();
    assert_eq!(examples[0].severity(labels.labels()), Severity::Ordinary);
    assert_eq!(examples[2].severity(labels.labels()), Severity::Critical);
}

#[test]
fn other_numbers_of_labels_are_refused() {
    let check = |expected: &str, message: &str| {
        let line = format!(r#"{{"input": "a", "expected": {expected}}}"#);
        let error = parse_labelled(&line, &labels()).expect_err("a fault");
        assert_eq!(error.to_string(), message);
    };
    let count = "line 1: expected holds no label, the same twice or more than two: give one, or two where the text tells of two problems";
    check("[]", count);
    check(r#"["leak", "leak"]"#, count);
    check(r#"["leak", "noise", "guard"]"#, count);
    check(
        r#"["leak", "rust"]"#,
        "line 1: the label 'rust' is not in the task's label file: correct it or add it there",
    );
}
