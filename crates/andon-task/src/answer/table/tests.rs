use super::*;
use crate::answer::document::Form;

const ROWS: &str = "# fmea\n\n- Component: Engine | Failure Mode: Leaking | Cause of Failure: Worn seal | RPN: 24\n- Component: Engine | Failure Mode: Seized | Cause of Failure: No oil. Or water | RPN: 48\n- Component: Engine | Failure Mode: Leaking | Cause of Failure: Worn seal | RPN: 12\n- Component: Fuel Tank | Failure Mode: Leaking | Cause of Failure: Impact | RPN: 8\n";

#[track_caller]
fn check(question: &str, expected: Option<(&str, usize)>) {
    let document = Document::parse("manuals/fmea.csv", ROWS.to_owned(), Form::Markdown);
    let table = Table::of(&document).expect("a table");
    let answer = table.ask(question);
    let answer = answer
        .as_ref()
        .map(|answer| (answer.text.as_str(), answer.rows.len()));
    assert_eq!(answer, expected);
}

#[test]
fn rows_are_counted_ranked_and_listed() {
    check(
        "How many failure modes has the engine?",
        Some((
            "2 different values of 'Failure Mode' in 3 rows where Component is 'Engine'.",
            3,
        )),
    );
    check(
        "Which cause is most frequent for the engine?",
        Some((
            "Cause of Failure in 3 rows where Component is 'Engine', most frequent (2 rows): Worn seal.",
            2,
        )),
    );
    check(
        "What is the highest RPN of the fuel tank?",
        Some((
            "RPN in 1 rows where Component is 'Fuel Tank', highest: 8 (1 rows).",
            1,
        )),
    );
    check(
        "Which causes has the fuel tank?",
        Some((
            "Cause of Failure in 1 rows where Component is 'Fuel Tank': Impact.",
            1,
        )),
    );
}

#[test]
fn what_is_not_accounted_for_is_not_answered() {
    check("How many failure modes has the gearbox?", None);
    check("How many bolts has the engine?", None);
    check("What is the torque of the engine?", None);
    check("What is the highest cause of the engine?", None);
    check("Why does the engine leak?", None);
}
