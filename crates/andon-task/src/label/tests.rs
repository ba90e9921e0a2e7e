use super::*;

fn check(file: &str, expected: &str) {
    let error = LabelSet::parse(file).expect_err("a fault");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn one_label_may_stand_for_what_fits_no_other() {
    let labels = LabelSet::parse("label,none\nleak,\nnoise,no\nnothing,true\n").unwrap();
    assert_eq!(labels.none(), Some(2));
    let without = LabelSet::parse("label\nleak\nnoise\nnothing\n").unwrap();
    assert_eq!(without.none(), None);
    assert_ne!(labels.digest(), without.digest());
    check(
        "label,none\nleak,yes\nnothing,true\n",
        "'leak' and 'nothing' both have none = true: leave it to one of them",
    );
    check(
        "label,none\nleak,maybe\nnoise,\n",
        "line 2: none is 'maybe': write true or false",
    );
    check(
        "label,nothing\nleak,\nnoise,\n",
        "unknown column 'nothing': the columns are label, description, procedure, critical and none",
    );
}

#[test]
fn a_label_may_have_a_branch() {
    assert_eq!(parent("pump/seal"), "pump");
    assert_eq!(parent("site/pump/seal"), "site/pump");
    assert_eq!(parent("seal"), "seal");
}
