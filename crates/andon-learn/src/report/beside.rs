//! What a comparison decides, and the section that shows it.

use super::document::{Cell, Content, Section, Shown, Table, interval, share};
use super::{Compared, Decision, Subject, Today};
use crate::comparison::{Comparison, Difference, Pair, Verdict};

/// More examples than this no plant labels for one comparison.
const MOST_EXAMPLES: usize = 20_000;

/// Decides which contender runs. `to_run` says what makes a contender run, by its
/// name.
pub fn decide(
    comparison: Comparison,
    subjects: Vec<Subject>,
    today: Today,
    to_run: impl Fn(&str) -> String,
) -> Compared {
    let decision = outcome(&comparison, &today);
    let sentence = sentence(&comparison, &today, &decision, to_run);
    Compared {
        comparison,
        subjects,
        today,
        decision,
        sentence,
    }
}

/// The pair of two contenders, and whether `name` is its first.
fn pair<'a>(comparison: &'a Comparison, name: &str, other: &str) -> Option<(&'a Pair, bool)> {
    comparison.pairs.iter().find_map(|pair| {
        if pair.first == name && pair.second == other {
            Some((pair, true))
        } else if pair.second == name && pair.first == other {
            Some((pair, false))
        } else {
            None
        }
    })
}

fn beats(comparison: &Comparison, name: &str, other: &str) -> bool {
    pair(comparison, name, other).is_some_and(|(pair, is_first)| match pair.verdict {
        Verdict::First => is_first,
        Verdict::Second => !is_first,
        Verdict::NotShown => false,
    })
}

fn outcome(comparison: &Comparison, today: &Today) -> Decision {
    // Of those that nothing beats the most accurate, the first of equals.
    let best = comparison
        .contenders
        .iter()
        .filter(|standing| standing.leads)
        .reduce(
            |best, other| match other.accuracy.value > best.accuracy.value {
                true => other,
                false => best,
            },
        );
    let best = best.map(|standing| standing.name.as_str());
    match (&today.contender, best) {
        (Some(today), Some(best)) if beats(comparison, best, today) => {
            Decision::Replaces(best.to_owned())
        }
        (Some(today), _) => {
            let better = comparison.contenders.iter();
            let mut better = better.filter(|other| beats(comparison, &other.name, today));
            match better.next() {
                Some(better) => Decision::Replaces(better.name.clone()),
                None => Decision::Stays(today.clone()),
            }
        }
        (None, Some(best)) => {
            let mut others = comparison
                .contenders
                .iter()
                .filter(|standing| standing.name != best);
            match others.all(|other| beats(comparison, best, &other.name)) {
                true => Decision::Replaces(best.to_owned()),
                false => Decision::Open,
            }
        }
        (None, None) => Decision::Open,
    }
}

fn sentence(
    comparison: &Comparison,
    today: &Today,
    decision: &Decision,
    to_run: impl Fn(&str) -> String,
) -> String {
    let runs = &today.runs;
    match (decision, &today.contender) {
        (Decision::Replaces(name), Some(of_today)) => {
            let by = pair(comparison, name, of_today)
                .map_or_else(String::new, |(pair, is_first)| by(pair, is_first));
            format!(
                "Today {runs} runs; {name} is shown to be better{by} and should run: {}.",
                to_run(name)
            )
        }
        (Decision::Replaces(name), None) => format!(
            "{name} is shown to be better than every other; today {runs} runs, which was not among them. To run {name}: {}.",
            to_run(name)
        ),
        (Decision::Stays(name), _) => {
            let closest = comparison
                .pairs
                .iter()
                .filter(|pair| pair.first == *name || pair.second == *name)
                .filter(|pair| pair.verdict == Verdict::NotShown)
                .min_by(|a, b| a.accuracy.p_value.total_cmp(&b.accuracy.p_value));
            match closest {
                None => format!(
                    "Today {runs} runs, which is shown to be better than every other: it stays."
                ),
                Some(pair) => {
                    let other = match pair.first == *name {
                        true => &pair.second,
                        false => &pair.first,
                    };
                    format!(
                        "Today {runs} runs, and nothing is shown to be better: it stays. It and {other} are not shown to differ{}.",
                        more(pair)
                    )
                }
            }
        }
        (Decision::Open, _) => {
            let leaders: Vec<&str> = comparison
                .contenders
                .iter()
                .filter(|standing| standing.leads)
                .map(|standing| standing.name.as_str())
                .collect();
            let pair = comparison
                .pairs
                .iter()
                .filter(|pair| leaders.contains(&pair.first.as_str()))
                .find(|pair| leaders.contains(&pair.second.as_str()));
            format!(
                "{} are not shown to differ{}; today {runs} runs, which was not among them.",
                leaders.join(" and "),
                pair.map_or_else(String::new, more)
            )
        }
    }
}

fn by(pair: &Pair, is_first: bool) -> String {
    let Difference {
        value, low, high, ..
    } = pair.accuracy;
    let (value, low, high) = match is_first {
        true => (value, low, high),
        false => (-value, -high, -low),
    };
    format!(
        " by {:.1} points of accuracy ({:.1} to {:.1}, {})",
        100.0 * value,
        100.0 * low,
        100.0 * high,
        chance(pair.accuracy.p_adjusted)
    )
}

fn more(pair: &Pair) -> String {
    match pair.more_examples {
        Some(more) if more <= MOST_EXAMPLES => {
            let digits = 10usize.pow(more.checked_ilog10().unwrap_or(0).saturating_sub(1));
            let rounded = more.div_ceil(digits) * digits;
            format!(": if the difference is real, some {rounded} examples more would show it")
        }
        Some(_) => ", and the difference is too small to be shown by any plant's examples".into(),
        None => String::new(),
    }
}

fn chance(p_value: f64) -> String {
    match p_value < 0.001 {
        true => "p < 0.001".into(),
        false => format!("p = {p_value:.3}"),
    }
}

pub(super) fn section(compared: &Compared) -> Section {
    let comparison = &compared.comparison;
    let has_fields = (comparison.contenders.iter()).any(|one| one.field_accuracy.is_some());
    let mut columns = vec![
        "CONTENDER",
        "ACCURACY#",
        "95 % INTERVAL",
        "P50#",
        "STANDING",
    ];
    if has_fields {
        columns.insert(1, "RIGHT FIELDS#");
    }
    let mut standings = Table::of(&columns);
    for standing in &comparison.contenders {
        let is_today = compared.today.contender.as_ref() == Some(&standing.name);
        let place = match (standing.leads, is_today) {
            (true, true) => "runs today; none is shown to be better",
            (true, false) => "none is shown to be better",
            (false, true) => "runs today; shown to be worse",
            (false, false) => "shown to be worse",
        };
        let mut row = vec![
            standing.name.as_str().into(),
            share(&standing.accuracy),
            interval(standing.accuracy),
            standing
                .p50_ms
                .map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"))
                .into(),
            place.into(),
        ];
        if has_fields {
            let fields = standing.field_accuracy.as_ref();
            row.insert(1, fields.map_or_else(|| "–".into(), share));
        }
        standings.rows.push(row);
    }
    let mut pairs = Table::of(&[
        "PAIR",
        "FIGURE",
        "DIFFERENCE#",
        "95 % INTERVAL",
        "P#",
        "SHOWN",
    ]);
    for pair in &comparison.pairs {
        let alone = format!(
            "{} (right alone {}) and {} ({})",
            pair.first, pair.first_alone, pair.second, pair.second_alone
        );
        for (index, figure) in std::iter::once(&pair.accuracy)
            .chain(&pair.figures)
            .enumerate()
        {
            let name: Cell = if index == 0 {
                alone.as_str().into()
            } else {
                Cell::default()
            };
            pairs.rows.push(vec![
                name,
                readable(figure.figure).into(),
                format!("{:+.1}", 100.0 * figure.value).into(),
                format!("{:+.1} to {:+.1}", 100.0 * figure.low, 100.0 * figure.high).into(),
                chance(figure.p_adjusted).into(),
                shown(pair, figure).into(),
            ]);
        }
    }
    Section {
        heading: "Comparison".into(),
        text: vec![
            format!(
                "All on the same {} examples. Differences are those of the first to the second, in points.",
                comparison.n
            ),
            "Accuracies are compared by the exact test of McNemar, other figures by bootstrap over pairs; p-values are corrected by Holm over all pairs. Only what is shown at 5 % is called better.".into(),
        ],
        content: vec![Content::Table(standings), Content::Table(pairs)],
        shown: Shown::Everywhere,
    }
}

fn readable(figure: &'static str) -> &'static str {
    match figure {
        "top3_accuracy" => "top 3",
        "macro_f1" => "macro F1",
        "ece" => "calibration error",
        "auroc" => "AUROC",
        "coverage_at_5" => "coverage at 5 % error",
        other => other,
    }
}

fn shown(pair: &Pair, difference: &Difference) -> String {
    if difference.p_adjusted >= crate::comparison::SIGNIFICANCE {
        let more = match difference.figure {
            "accuracy" => more(pair),
            _ => String::new(),
        };
        return format!("not shown to differ{more}");
    }
    // Of a calibration error less is better.
    let first = (difference.value > 0.0) != (difference.figure == "ece");
    let better = if first { &pair.first } else { &pair.second };
    format!("{better} is better")
}
