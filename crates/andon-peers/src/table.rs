//! The rows of the comparison: what was measured, its ratio, and how it prints.

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

use crate::series::Series;

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// Milliseconds: less is better.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Tokens a second: more is better.
    #[serde(rename = "tokens/s")]
    TokensPerSecond,
    /// Requests a second: more is better.
    #[serde(rename = "requests/s")]
    RequestsPerSecond,
    /// Megabytes: less is better.
    #[serde(rename = "MB")]
    Megabytes,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::TokensPerSecond => "tok/s",
            Self::RequestsPerSecond => "req/s",
            Self::Megabytes => "MB",
        }
    }

    fn more_is_better(self) -> bool {
        matches!(self, Self::TokensPerSecond | Self::RequestsPerSecond)
    }
}

/// What a row is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// So many times as good as the peer.
    Times(f64),
    /// At most so much, in the row's unit.
    AtMost(f64),
    /// At most such a share of what the peer takes.
    ShareAtMost(f64),
}

/// One kind of work with one model.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) work: String,
    /// With which model.
    pub(crate) model: String,
    /// In what it is counted.
    pub(crate) unit: Unit,
    /// What it is to reach, if anything.
    pub(crate) target: Option<Target>,
    /// The peer: as a user starts it first, then with other flags.
    pub(crate) peer: Vec<Series>,
    /// Andon, or why it refused.
    pub(crate) andon: Result<Series, String>,
}

impl Row {
    /// The peer's series with the best median.
    fn best(&self) -> Option<&Series> {
        let order = |a: &&Series, b: &&Series| a.median.total_cmp(&b.median);
        if self.unit.more_is_better() {
            self.peer.iter().max_by(order)
        } else {
            self.peer.iter().min_by(order)
        }
    }

    /// How many times better than `peer` Andon is; for memory, its share.
    fn ratio(&self, peer: Option<&Series>) -> Option<f64> {
        let (andon, peer) = (self.andon.as_ref().ok()?.median, peer?.median);
        let is_share = matches!(self.target, Some(Target::ShareAtMost(_)));
        Some(if self.unit.more_is_better() || is_share {
            andon / peer
        } else {
            peer / andon
        })
    }

    /// Whether the target is reached, against the peer at its best.
    fn is_reached(&self) -> Option<bool> {
        let ratio = self.ratio(self.best());
        match self.target? {
            _ if self.andon.is_err() => Some(false),
            Target::Times(times) => Some(ratio? >= times),
            Target::ShareAtMost(share) => Some(ratio? <= share),
            Target::AtMost(most) => Some(self.andon.as_ref().ok()?.median <= most),
        }
    }

    /// The row as JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "work": self.work,
            "model": self.model,
            "unit": self.unit,
            "target": self.target.map(shown),
            "is_reached": self.is_reached(),
            "ratio_to_peer": self.ratio(self.peer.first()),
            "ratio_to_best_peer": self.ratio(self.best()),
            "best_peer": self.best().map(|best| &best.name),
            "peer": self.peer,
            "andon": self.andon.as_ref().ok(),
            "refused": self.andon.as_ref().err(),
        })
    }
}

fn shown(target: Target) -> String {
    match target {
        Target::Times(times) => format!("≥ {times}×"),
        Target::AtMost(most) => format!("≤ {most}"),
        Target::ShareAtMost(share) => format!("≤ {share}×"),
    }
}

/// A number with about three digits.
fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The rows as a table for people.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "WORK", "MODEL", "UNIT", "PEER", "BEST", "ANDON", "RATIO", "TO BEST", "TARGET", "",
    ]);
    let absent = || "–".to_owned();
    let median = |series: Option<&Series>| series.map_or_else(absent, |s| number(s.median));
    let times =
        |ratio: Option<f64>| ratio.map_or_else(absent, |ratio| format!("{}×", number(ratio)));
    for row in rows {
        table.add_row([
            row.work.clone(),
            row.model.clone(),
            row.unit.name().to_owned(),
            median(row.peer.first()),
            median(row.best()),
            match &row.andon {
                Ok(series) => number(series.median),
                Err(_) => "refused".to_owned(),
            },
            times(row.ratio(row.peer.first())),
            times(row.ratio(row.best())),
            row.target.map_or_else(String::new, shown),
            match row.is_reached() {
                None => "",
                Some(true) => "yes",
                Some(false) => "no",
            }
            .to_owned(),
        ]);
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
