use super::*;

fn sentences(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn quotations_are_found_letter_for_letter() {
    let section = sentences(&[
        "Lock out the drive.",
        "Tighten the bolts to 40 Nm.",
        "Check the seal.",
    ]);
    let check = |text: &str, expected: Option<Range<usize>>| {
        assert_eq!(find(&section, text), expected, "{text}");
    };
    check("Tighten the bolts to 40 Nm.", Some(1..2));
    check("40 Nm", Some(1..2));
    check("Tighten the bolts\n to 40 Nm. Check the seal.", Some(1..3));
    check("Tighten the bolts to 45 Nm.", None);
    check("tighten the bolts to 40 Nm.", None);
    check(" ", None);
}

#[test]
fn words_that_a_schema_allows_are_choices() {
    let schema = json!({
        "properties": {
            "unit": {"enum": ["kg", "m"]},
            "of": {"items": {"properties": {"kind": {"const": "slip"}}}},
            "enum": {"type": "string"},
        },
    });
    let mut choices = HashSet::new();
    choices_of(&schema, &mut choices);
    assert_eq!(choices, HashSet::from(["kg", "m", "slip"]));
}

#[test]
fn numbers_are_runs_of_digits() {
    let numbers = |text| numbers(text).into_iter().collect::<Vec<_>>();
    assert_eq!(
        numbers("chg 2x brg 6205, 12.5 bar"),
        ["12", "2", "5", "6205"]
    );
    assert!(numbers("no digits").is_empty());
}
