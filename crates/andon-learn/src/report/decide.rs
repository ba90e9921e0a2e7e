//! The sections of a `decide` task.

use std::collections::BTreeMap;

use super::document::{
    Cell, Content, Count, Matrix, MatrixRow, Section, Shown, Table, interval, percent, share,
};
use super::{Report, plot};
use crate::evaluate::{Evaluation, curve};
use crate::interval::Estimate;

/// The labels that a matrix has room for.
const MATRIX: usize = 16;

/// The pairs of labels that are told.
const PAIRS: usize = 25;

pub(super) fn sections(report: &Report, evaluation: &Evaluation) -> Vec<Section> {
    let mut sections = vec![figures(report, evaluation)];
    sections.extend(languages(evaluation));
    sections.push(reliability(report, evaluation));
    sections.push(selective(report, evaluation));
    sections.extend(confusion(evaluation));
    sections.extend(wrong(report));
    sections.extend(contradictions(report));
    sections.push(labels(evaluation));
    sections
}

/// What a probability is called, as far as anybody knows that it is one.
fn word(report: &Report) -> &'static str {
    match report.measured.calibrated {
        true => "probability",
        false => "score",
    }
}

fn figures(report: &Report, evaluation: &Evaluation) -> Section {
    let mut table = Table::of(&["FIGURE", "VALUE#", "95 % INTERVAL"]);
    let mut row = |name: String, estimate: &Estimate| {
        let cells = vec![name.into(), share(estimate), interval(*estimate)];
        table.rows.push(cells);
    };
    row("accuracy".into(), &evaluation.accuracy);
    row("top 3".into(), &evaluation.top3_accuracy);
    if let Some(parent) = &evaluation.parent_accuracy {
        row("accuracy of branches".into(), parent);
    }
    if let Some(precision) = &evaluation.second_precision {
        row("second labels that are right".into(), precision);
    }
    if let Some(recall) = &evaluation.second_recall {
        row("both labels of two found".into(), recall);
    }
    row("macro F1".into(), &evaluation.macro_f1);
    let by_chance = 100.0 * evaluation.ece_by_chance;
    row(
        format!("calibration error ({by_chance:.1} % by chance)"),
        &evaluation.ece,
    );
    if let Some(auroc) = &evaluation.auroc {
        row("AUROC".into(), auroc);
    }
    let certified = match evaluation.certified {
        true => ", certified",
        false => "",
    };
    let accept = evaluation.accept;
    row(
        format!("coverage at {accept:.2}{certified}"),
        &evaluation.coverage,
    );
    if let Some(error) = &evaluation.selective_error {
        row("error when accepted".into(), error);
    }
    for at in &evaluation.coverage_at_error {
        row(
            format!("coverage at {:.0} % error", 100.0 * at.error),
            &at.coverage,
        );
    }
    let mut text = vec![format!(
        "{} examples; one answer takes {:.1} ms (p50), {:.1} ms (p99).",
        evaluation.n, evaluation.p50_ms, evaluation.p99_ms
    )];
    text.push(cost(report));
    text.push(
        "Coverage at an error is by hindsight, with the threshold that suits these very examples: only a certificate promises it for others."
            .to_owned(),
    );
    Section {
        heading: "Figures".into(),
        text,
        content: vec![Content::Table(table)],
        shown: Shown::Everywhere,
    }
}

fn cost(report: &Report) -> String {
    let cost = &report.cost;
    let mut text = format!("A thousand answers take {:.1} s", cost.mean_ms);
    if let Some(tokens) = cost.tokens_per_request {
        text.push_str(&format!(" and have {tokens:.0} tokens each"));
        if let Some(cached) = cost.cached_per_request {
            text.push_str(&format!(", of which {cached:.0} are found in the cache"));
        }
    }
    match &cost.thousand {
        Some(thousand) => {
            let currency = &thousand.currency;
            text.push_str(&format!("; they cost {:.4} {currency}", thousand.edge));
            if let Some(cloud) = thousand.cloud {
                text.push_str(&format!(
                    " here and would cost {cloud:.4} {currency} in the cloud"
                ));
            }
            text.push('.');
        }
        None => text.push_str("; plant.toml has no [cost], so no price is told."),
    }
    text
}

fn languages(evaluation: &Evaluation) -> Option<Section> {
    let mut table = Table::of(&[
        "LANGUAGE",
        "EXAMPLES#",
        "ACCURACY#",
        "95 % INTERVAL",
        "TOP 3#",
        "95 % INTERVAL",
    ]);
    for of in &evaluation.per_language {
        table.rows.push(vec![
            of.language.as_str().into(),
            of.n.to_string().into(),
            share(&of.accuracy),
            interval(of.accuracy),
            share(&of.top3_accuracy),
            interval(of.top3_accuracy),
        ]);
    }
    (!table.rows.is_empty()).then(|| Section {
        heading: "Languages".into(),
        text: Vec::new(),
        content: vec![Content::Table(table)],
        shown: Shown::Everywhere,
    })
}

pub(super) fn reliability(report: &Report, evaluation: &Evaluation) -> Section {
    let word = word(report);
    let mut table = Table::of(&["ANSWERS#", "MEAN CONFIDENCE#", "ACCURACY#", "95 % INTERVAL"]);
    for bin in &evaluation.reliability {
        table.rows.push(vec![
            bin.n.to_string().into(),
            percent(bin.confidence).into(),
            share(&bin.accuracy),
            interval(bin.accuracy),
        ]);
    }
    let text = format!(
        "On the diagonal a {word} is what it says: of the answers with 80 %, 80 % are right. Below it the answers are surer than they should be. Bars are 95 % intervals; larger points stand for more answers."
    );
    Section {
        heading: "Reliability".into(),
        text: vec![text],
        content: vec![
            Content::Plot {
                svg: plot::reliability(&evaluation.reliability, word),
                caption: format!("Accuracy by {word}."),
            },
            Content::Table(table),
        ],
        shown: Shown::OnPage,
    }
}

pub(super) fn selective(report: &Report, evaluation: &Evaluation) -> Section {
    let word = word(report);
    let mut table = Table::of(&[
        "ERROR AT MOST#",
        "COVERAGE#",
        "95 % INTERVAL",
        "CONFIDENCE FROM#",
    ]);
    for at in &evaluation.coverage_at_error {
        let from = at.threshold.map(|threshold| format!("{threshold:.3}"));
        table.rows.push(vec![
            percent(at.error).into(),
            share(&at.coverage),
            interval(at.coverage),
            from.unwrap_or_else(|| "–".into()).into(),
        ]);
    }
    let text = format!(
        "If only answers from some {word} on are accepted at the edge, so many are wrong among so many accepted. The rest goes to a person. The cross is the threshold in use, {:.2}.",
        evaluation.accept
    );
    let here = evaluation
        .selective_error
        .map(|error| (evaluation.coverage.value, error.value));
    Section {
        heading: "Risk and coverage".into(),
        text: vec![text],
        content: vec![
            Content::Plot {
                svg: plot::risk_coverage(&curve(&evaluation.answers), here),
                caption: "Share of wrong answers by share of accepted answers.".into(),
            },
            Content::Table(table),
        ],
        shown: Shown::OnPage,
    }
}

fn confusion(evaluation: &Evaluation) -> Option<Section> {
    if evaluation.confusion.is_empty() {
        return None;
    }
    let mut table = Table::of(&["RIGHT LABEL", "ANSWERED", "TIMES#", "OF ITS EXAMPLES#"]);
    let support: BTreeMap<&str, usize> = evaluation
        .per_label
        .iter()
        .map(|of| (of.label.as_str(), of.support))
        .collect();
    for pair in evaluation.confusion.iter().take(PAIRS) {
        let support = support[pair.expected.as_str()];
        table.rows.push(vec![
            pair.expected.as_str().into(),
            pair.answered.as_str().into(),
            pair.n.to_string().into(),
            percent(pair.n as f64 / support as f64).into(),
        ]);
    }
    let mut text = vec!["Rows of the matrix are right labels, columns are answers. Labels that are often taken for each other are hard to tell apart by their notes, or by their descriptions.".to_owned()];
    let matrix = matrix(evaluation);
    if matrix.rows.len() < support.len() {
        text.push(format!(
            "The matrix shows the {} labels with most confusions of {}; 'others' are all the rest.",
            matrix.rows.len(),
            support.len()
        ));
    }
    if evaluation.confusion.len() > PAIRS {
        text.push(format!(
            "The table shows the {PAIRS} most frequent of {} confused pairs; `--json` has all.",
            evaluation.confusion.len()
        ));
    }
    Some(Section {
        heading: "Confusion".into(),
        text,
        content: vec![Content::Matrix(matrix), Content::Table(table)],
        shown: Shown::OnPage,
    })
}

/// The labels that most confusions are about, as rows and columns, in the order
/// of the task.
fn matrix(evaluation: &Evaluation) -> Matrix {
    let mut errors: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in &evaluation.confusion {
        *errors.entry(&pair.expected).or_default() += pair.n;
        *errors.entry(&pair.answered).or_default() += pair.n;
    }
    let mut worst: Vec<(&str, usize)> = errors.into_iter().collect();
    worst.sort_by_key(|&(label, n)| (std::cmp::Reverse(n), label));
    worst.truncate(MATRIX);
    let shown: Vec<_> = evaluation
        .per_label
        .iter()
        .filter(|of| worst.iter().any(|&(label, _)| label == of.label))
        .collect();
    let rows = shown.iter().map(|row| {
        let wrong = |answered: &str| {
            let mut pairs = evaluation.confusion.iter();
            let pair = pairs.find(|pair| pair.expected == row.label && pair.answered == answered);
            pair.map_or(0, |pair| pair.n)
        };
        let all_wrong: usize = evaluation
            .confusion
            .iter()
            .filter(|pair| pair.expected == row.label)
            .map(|pair| pair.n)
            .sum();
        let count = |n: usize, is_right| Count {
            n,
            share: n as f64 / row.support.max(1) as f64,
            is_right,
        };
        let mut cells: Vec<Count> = shown
            .iter()
            .map(|column| match column.label == row.label {
                true => count(row.support - all_wrong, true),
                false => count(wrong(&column.label), false),
            })
            .collect();
        let told: usize = cells.iter().map(|cell| cell.n).sum();
        cells.push(count(row.support - told, false));
        MatrixRow {
            name: row.label.clone(),
            cells,
        }
    });
    let mut rows: Vec<MatrixRow> = rows.collect();
    let mut columns: Vec<String> = shown.iter().map(|of| of.label.clone()).collect();
    let others = |row: &MatrixRow| row.cells.last().is_some_and(|cell| cell.n > 0);
    match rows.iter().any(others) {
        true => columns.push("others".to_owned()),
        false => rows.iter_mut().for_each(|row| {
            row.cells.pop();
        }),
    }
    Matrix { columns, rows }
}

fn wrong(report: &Report) -> Option<Section> {
    let mut table = Table::of(&["EXAMPLE#", "TEXT", "LABEL", "ANSWER", "CONFIDENCE#", ""]);
    for wrong in &report.wrong {
        table.rows.push(vec![
            wrong.example.to_string().into(),
            wrong.text.as_str().into(),
            wrong.expected.as_str().into(),
            wrong.answer.as_str().into(),
            percent(wrong.confidence).into(),
            if wrong.suspect { "label suspect" } else { "" }.into(),
        ]);
    }
    (!table.rows.is_empty()).then(|| Section {
        heading: "Wrong and sure".into(),
        text: vec!["Read these first: where the label is suspect, the answer is as sure as right answers with its label are, and the mistake may be in the file. Examples are counted from 1.".into()],
        content: vec![Content::Table(table)],
        shown: Shown::OnPage,
    })
}

fn contradictions(report: &Report) -> Option<Section> {
    let mut table = Table::of(&["TEXT", "LABELS AND THEIR EXAMPLES"]);
    for found in &report.contradictions {
        let labels = found.labels.iter().map(|(label, examples)| {
            let numbers: Vec<String> = examples.iter().map(usize::to_string).collect();
            format!("{label} ({})", numbers.join(", "))
        });
        let labels: Vec<String> = labels.collect();
        let cells: Vec<Cell> = vec![found.text.as_str().into(), labels.join("; ").into()];
        table.rows.push(cells);
    }
    (!table.rows.is_empty()).then(|| Section {
        heading: "Contradictions".into(),
        text: vec!["These texts, but for case, accents, digits and blanks, have several labels. No answer can be right for all of them.".into()],
        content: vec![Content::Table(table)],
        shown: Shown::OnPage,
    })
}

fn labels(evaluation: &Evaluation) -> Section {
    let mut table = Table::of(&[
        "LABEL",
        "EXAMPLES#",
        "FOUND#",
        "95 % INTERVAL",
        "ANSWERS#",
        "RIGHT OF THEM#",
        "95 % INTERVAL",
    ]);
    for of in &evaluation.per_label {
        let cells =
            |value: Option<f64>, ends: Option<crate::interval::Interval>| match (value, ends) {
                (Some(value), Some(ends)) => {
                    let (low, high) = (ends.low, ends.high);
                    [share(&Estimate { value, low, high }), interval(ends)]
                }
                _ => ["–".into(), Cell::default()],
            };
        let [found, found_interval] = cells(of.recall, of.recall_interval);
        let [right, right_interval] = cells(of.precision, of.precision_interval);
        table.rows.push(vec![
            of.label.as_str().into(),
            of.support.to_string().into(),
            found,
            found_interval,
            of.answered.to_string().into(),
            right,
            right_interval,
        ]);
    }
    Section {
        heading: "Labels".into(),
        text: vec!["Found is the recall, right of them the precision.".into()],
        content: vec![Content::Table(table)],
        shown: Shown::OnPage,
    }
}
