//! The figures and sections of an `extract` task.

use serde::Serialize;
use serde_json::Value;

use super::document::{Content, Section, Shown, Table, interval, percent, share};
use super::{Report, decide};
use crate::evaluate::Evaluation;
use crate::extract::{Extraction, Graded};
use crate::interval::Estimate;
use andon_task::example::Example;
use andon_task::extract::Fields;

/// Wrong fields that are told, the surest first.
const MOST: usize = 60;
/// A value is shown up to so many characters.
const SHOWN: usize = 120;

/// What was measured of an `extract` task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExtractFigures {
    /// The figures.
    #[serde(flatten)]
    pub figures: Extraction,
    /// The same records as a decision whether all of one is right.
    #[serde(skip)]
    pub records: Evaluation,
    /// Fields that were read wrongly, the surest first.
    pub wrong_fields: Vec<WrongField>,
}

/// A field that was read wrongly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrongField {
    /// Its example, counted from 1.
    pub example: usize,
    /// The field.
    pub field: String,
    /// What the example says; null where it has none.
    pub expected: Value,
    /// What was read.
    pub read: Value,
    /// How sure the reader was of it.
    pub confidence: f64,
}

impl ExtractFigures {
    /// The figures with the wrong fields of the readings, one for each example.
    pub fn of(
        (figures, records): (Extraction, Evaluation),
        fields: &Fields,
        (examples, graded): (&[Example], &[Graded]),
    ) -> Self {
        let mut wrong_fields = Vec::new();
        for (number, (example, graded)) in examples.iter().zip(graded).enumerate() {
            let read = graded.reading.as_ref().map(|reading| &reading.value);
            for (place, field) in fields.all().iter().enumerate() {
                if !graded.right[place] {
                    wrong_fields.push(WrongField {
                        example: number + 1,
                        field: field.path.clone(),
                        expected: at(&example.expected, &field.path),
                        read: read.map_or(Value::Null, |read| at(read, &field.path)),
                        confidence: graded.confidence[place],
                    });
                }
            }
        }
        wrong_fields.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        wrong_fields.truncate(MOST);
        Self {
            figures,
            records,
            wrong_fields,
        }
    }
}

/// What an object has at the path of a field; a list of it, where the path leads through one.
fn at(value: &Value, path: &str) -> Value {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let name = step.trim_end_matches("[]");
    let inner = if name.is_empty() {
        value
    } else {
        value.get(name).unwrap_or(&Value::Null)
    };
    match (step.ends_with("[]"), inner, rest) {
        (true, Value::Array(items), "") => items.clone().into(),
        (true, Value::Array(items), rest) => items.iter().map(|item| at(item, rest)).collect(),
        (_, inner, "") => inner.clone(),
        (_, inner, rest) => at(inner, rest),
    }
}

pub(super) fn sections(report: &Report, found: &ExtractFigures) -> Vec<Section> {
    let mut sections = vec![figures(&found.figures), fields(&found.figures)];
    sections.push(decide::reliability(report, &found.records));
    sections.push(decide::selective(report, &found.records));
    sections.extend(wrong(found));
    sections
}

fn figures(found: &Extraction) -> Section {
    let mut table = Table::of(&["FIGURE", "VALUE#", "95 % INTERVAL"]);
    let mut row = |name: String, estimate: &Estimate| {
        let cells = vec![name.into(), share(estimate), interval(*estimate)];
        table.rows.push(cells);
    };
    row("right fields".into(), &found.field_accuracy);
    row("records all right".into(), &found.record_accuracy);
    if let Some(f1) = &found.micro_f1 {
        row("micro F1 of values".into(), f1);
    }
    let by_chance = 100.0 * found.ece_by_chance;
    row(
        format!("calibration error of records ({by_chance:.1} % by chance)"),
        &found.ece,
    );
    if let Some(auroc) = &found.auroc {
        row("AUROC of records".into(), auroc);
    }
    row(format!("coverage at {:.2}", found.accept), &found.coverage);
    if let Some(error) = &found.selective_error {
        row("error when accepted".into(), error);
    }
    if let Some(verbatim) = &found.verbatim {
        row("values to the letter of the text".into(), verbatim);
    }
    let (n, p50, p99) = (found.n, found.p50_ms, found.p99_ms);
    Section {
        heading: "Figures".into(),
        text: vec![
            format!("{n} records; one takes {p50:.1} ms (p50), {p99:.1} ms (p99)."),
            "A record is accepted where all of it is probable to be right; strings are compared without case and punctuation.".to_owned(),
        ],
        content: vec![Content::Table(table)],
        shown: Shown::Everywhere,
    }
}

fn fields(found: &Extraction) -> Section {
    let mut table = Table::of(&["FIELD", "RIGHT#", "95 % INTERVAL"]);
    for (path, right) in &found.per_field {
        let cells = vec![path.as_str().into(), share(right), interval(*right)];
        table.rows.push(cells);
    }
    Section {
        heading: "Fields".into(),
        text: vec!["A field of a list is right where all its values are.".to_owned()],
        content: vec![Content::Table(table)],
        shown: Shown::Everywhere,
    }
}

fn wrong(found: &ExtractFigures) -> Option<Section> {
    let mut table = Table::of(&["EXAMPLE#", "FIELD", "EXPECTED", "READ", "CONFIDENCE#"]);
    for wrong in &found.wrong_fields {
        table.rows.push(vec![
            wrong.example.to_string().into(),
            wrong.field.as_str().into(),
            shown(&wrong.expected).into(),
            shown(&wrong.read).into(),
            percent(wrong.confidence).into(),
        ]);
    }
    (!table.rows.is_empty()).then(|| Section {
        heading: "Wrong and sure".into(),
        text: vec!["Read these first: where the reader is sure, the mistake may be in the example. Examples are counted from 1.".into()],
        content: vec![Content::Table(table)],
        shown: Shown::OnPage,
    })
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.replace('\n', " "),
        other => other.to_string(),
    };
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
