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
            "RPN in 1 row where Component is 'Fuel Tank', highest: 8 (1 row).",
            1,
        )),
    );
    check(
        "Which causes has the fuel tank?",
        Some((
            "Cause of Failure in 1 row where Component is 'Fuel Tank': Impact.",
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

const SHEET: &str = "# fmea\n
- Component: Pump | Potential Failure Mode: Leaking | Potential Cause(s) of Failure: Worn seal | Severity: 9 | Occurrence: 3 | RPN: 54 | Recommended Action: Change the seal
- Component: Pump | Potential Failure Mode: Seized | Potential Cause(s) of Failure: No oil | Severity: 10 | Occurrence: 1 | RPN: 40 | Recommended Action: Check the oil
- Component: Motor | Potential Failure Mode: Overheating | Potential Cause(s) of Failure: Blocked fins | Severity: 7 | Occurrence: 4 | RPN: 84 | Recommended Action: Clean the fins
- Component: Motor | Potential Failure Mode: Noisy | Potential Cause(s) of Failure: Worn bearing | Severity: 4 | Occurrence: 5 | RPN: 40 | Recommended Action: Grease
- Component: Belt | Potential Failure Mode: Leaking | Potential Cause(s) of Failure: Worn seal | Severity: 8 | Occurrence: 2 | RPN: 16 | Recommended Action: Change the seal
";

#[track_caller]
fn ask(question: &str, expected: &str) {
    let document = Document::parse("manuals/fmea.csv", SHEET.to_owned(), Form::Markdown);
    let table = Table::of(&document).expect("a table");
    let answer = table.ask(question).map(|answer| answer.text);
    assert_eq!(
        answer.as_deref().unwrap_or("declined"),
        expected,
        "{question}"
    );
}

#[test]
fn numbers_are_compared_in_both_languages() {
    let two = "2 rows where Severity is above 8.";
    for question in [
        "How many have severity above 8?",
        "How many rows have a severity greater than 8?",
        "How many failures have a severity rating over 8?",
        "¿Cuántos tienen severidad mayor que 8?",
        "¿Cuántas filas tienen una gravedad superior a 8?",
    ] {
        ask(question, two);
    }
    ask(
        "How many entries have severity of at least 8?",
        "3 rows where Severity is at least 8.",
    );
    ask(
        "How many entries have a severity of 8 or more?",
        "3 rows where Severity is at least 8.",
    );
    ask(
        "How many have an RPN between 40 and 60?",
        "3 rows where RPN is from 40 to 60.",
    );
    ask(
        "How many failures have a severity of 9?",
        "1 row where Severity is 9.",
    );
    ask(
        "How many failure modes have severity above 7 and occurrence below 3?",
        "2 different values of 'Potential Failure Mode' in 2 rows where Severity is above 7 and Occurrence is below 3.",
    );
    ask(
        "How many have severity above 10?",
        "None: 0 rows where Severity is above 10.",
    );
    ask(
        "Which failure modes have a severity above 8?",
        "Potential Failure Mode in 2 rows where Severity is above 8: Leaking; Seized.",
    );
}

#[test]
fn rows_are_ranked_in_both_languages() {
    let three = "Potential Failure Mode in 5 rows with the highest RPN: Overheating (RPN 84); Leaking (RPN 54); Seized (RPN 40); Noisy (RPN 40) (more than 3, as some are level at 40).";
    for question in [
        "Which three failure modes have the highest RPN?",
        "What are the top 3 failure modes by RPN?",
        "List the 3 failure modes with the highest RPN",
        "¿Qué tres modos de fallo tienen el mayor RPN?",
        "¿Cuáles son los 3 modos de falla con el NPR más alto?",
    ] {
        ask(question, three);
    }
    ask(
        "Which component has the highest severity?",
        "Component in 5 rows with the highest Severity: Pump (Severity 10).",
    );
    ask(
        "What is the lowest RPN?",
        "RPN in 5 rows, lowest: 16 (1 row).",
    );
    ask(
        "¿Cuál es el RPN más alto?",
        "RPN in 5 rows, highest: 84 (1 row).",
    );
    ask(
        "What is the average severity of the pump?",
        "Severity in 2 rows where Component is 'Pump', mean: 9.5.",
    );
    ask(
        "Which failure mode is the most common?",
        "Potential Failure Mode in 5 rows, most frequent (2 rows): Leaking.",
    );
    ask(
        "¿Cuál es el modo de fallo más frecuente?",
        "Potential Failure Mode in 5 rows, most frequent (2 rows): Leaking.",
    );
}

#[test]
fn values_choose_rows() {
    ask(
        "What is the recommended action for overheating?",
        "Recommended Action in 1 row where Potential Failure Mode is 'Overheating': Clean the fins.",
    );
    ask(
        "How many failures are caused by worn seal?",
        "2 rows where Potential Cause(s) of Failure is 'Worn seal'.",
    );
    ask(
        "How many failure modes are leaking?",
        "2 rows where Potential Failure Mode is 'Leaking'.",
    );
    ask(
        "How many causes contain the word bearing?",
        "1 row where Potential Cause(s) of Failure has the words 'bearing'.",
    );
    ask(
        "Which component has the most failure modes?",
        "Component in 5 rows with most different values of 'Potential Failure Mode' (2): Motor; Pump; with most rows (2): Motor; Pump.",
    );
    ask(
        "Which failure modes have an RPN above 100?",
        "None: 0 rows where RPN is above 100.",
    );
}

#[test]
fn what_may_mean_something_else_is_declined() {
    for question in [
        "How many have severity above the usual?",
        "How many critical failure modes have severity above 8?",
        "Which three failure modes are the worst?",
        "Why is the severity of the pump above 8?",
        "What should I do when severity is above 8?",
        "How many have severity 8 or 9?",
        "How many failure modes had an RPN above 50 last year?",
        "Which failure modes do not have severity above 8?",
        "What torque does the motor take?",
        "How many failure modes are caused by noise?",
        "How many failure modes lead to worn seal damage?",
    ] {
        ask(question, "declined");
    }
}
