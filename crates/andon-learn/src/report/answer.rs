//! The figures and sections of an `answer` task.

use serde::Serialize;

use super::document::{Content, Section, Shown, Table, interval, percent, share};
use super::{Report, decide};
use crate::answer::{Evaluation, Graded};
use crate::evaluate::{self, Answer, evaluate};
use andon_task::example::Example;

/// Questions that are told, those that went wrong and were surest first.
const MOST: usize = 60;

/// What was measured of an `answer` task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnswerFigures {
    /// The figures.
    #[serde(flatten)]
    pub figures: Evaluation,
    /// The same questions as a decision whether the answer is from a right section.
    #[serde(skip)]
    pub answers: Option<evaluate::Evaluation>,
    /// Questions that were answered wrongly, the surest first.
    pub wrong_answers: Vec<WrongAnswer>,
    /// Questions with an answer that were declined, the surest first.
    pub declined_answers: Vec<WrongAnswer>,
}

/// A question that was not dealt with rightly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrongAnswer {
    /// Its example, counted from 1.
    pub example: usize,
    /// The question.
    pub question: String,
    /// The place of the right section among those found; null where there is none.
    pub right_section_at: Option<usize>,
    /// How probable it was that the answer is right.
    pub probability: f64,
}

impl AnswerFigures {
    /// The figures with the questions that went wrong.
    pub fn of(figures: Evaluation, examples: &[Example]) -> Self {
        let is_right = |graded: &Graded| graded.answerable && graded.right;
        let answers: Vec<Answer> = figures
            .graded
            .iter()
            .map(|graded| Answer {
                label: usize::from(!is_right(graded)),
                also: None,
                second: None,
                best: 0,
                confidence: graded.probability,
                above: usize::from(!is_right(graded)),
                language: None,
                took: graded.took,
            })
            .collect();
        let labels = ["right".to_owned(), "wrong".to_owned()];
        let told = |of: &dyn Fn(&Graded) -> bool| {
            let all = examples.iter().zip(&figures.graded).enumerate();
            let mut told: Vec<WrongAnswer> = all
                .filter(|(_, (_, graded))| of(graded))
                .map(|(number, (example, graded))| WrongAnswer {
                    example: number + 1,
                    question: example.input.clone(),
                    right_section_at: graded.place,
                    probability: graded.probability,
                })
                .collect();
            told.sort_by(|a, b| b.probability.total_cmp(&a.probability));
            told.truncate(MOST);
            told
        };
        Self {
            answers: evaluate(&answers, &labels, figures.threshold),
            wrong_answers: told(&|one| one.given && !is_right(one)),
            declined_answers: told(&|one| !one.given && one.answerable),
            figures,
        }
    }
}

pub(super) fn sections(report: &Report, found: &AnswerFigures) -> Vec<Section> {
    let mut sections = vec![figures(&found.figures)];
    if let Some(answers) = &found.answers {
        sections.push(decide::reliability(report, answers));
        sections.push(decide::selective(report, answers));
    }
    sections.extend(questions(
        "Answered wrongly",
        "From another section than the right one, or though the documents do not say.",
        &found.wrong_answers,
    ));
    sections.extend(questions(
        "Declined though the documents say",
        "Where the right section was found first, a lower threshold would have given the answer.",
        &found.declined_answers,
    ));
    sections
}

fn figures(found: &Evaluation) -> Section {
    let mut table = Table::of(&["FIGURE", "VALUE#", "95 % INTERVAL"]);
    let at = format!("coverage at {:.2}", found.threshold);
    for (name, estimate) in [
        ("right section first", &found.hit_at_1),
        ("among the first five", &found.hit_at_5),
        ("ROUGE-L", &found.rouge_l),
        ("declined without answer", &found.declined),
        ("declined with the answer hidden", &found.declined_without),
        ("answered rightly", &found.answered),
        (at.as_str(), &found.coverage),
        ("error when answered", &found.selective_error),
    ] {
        if let Some(estimate) = estimate {
            let cells = vec![name.into(), share(estimate), interval(*estimate)];
            table.rows.push(cells);
        }
    }
    let (n, p50, p99) = (found.n, found.p50_ms, found.p99_ms);
    Section {
        heading: "Figures".into(),
        text: vec![format!(
            "{n} questions; one answer takes {p50:.1} ms (p50), {p99:.1} ms (p99)."
        )],
        content: vec![Content::Table(table)],
        shown: Shown::Everywhere,
    }
}

fn questions(heading: &str, text: &str, told: &[WrongAnswer]) -> Option<Section> {
    let mut table = Table::of(&["EXAMPLE#", "QUESTION", "RIGHT SECTION AT#", "PROBABILITY#"]);
    for wrong in told {
        let place = wrong.right_section_at;
        table.rows.push(vec![
            wrong.example.to_string().into(),
            wrong.question.as_str().into(),
            place.map_or("–".to_owned(), |at| at.to_string()).into(),
            percent(wrong.probability).into(),
        ]);
    }
    (!table.rows.is_empty()).then(|| Section {
        heading: heading.to_owned(),
        text: vec![format!("{text} Examples are counted from 1.")],
        content: vec![Content::Table(table)],
        shown: Shown::OnPage,
    })
}
