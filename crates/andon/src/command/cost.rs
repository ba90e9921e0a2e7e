//! `andon cost`: where answers came from, and what they cost.

use std::collections::BTreeMap;
use std::process::ExitCode;

use andon_store::Tally;
use andon_task::plant::Plant;
use anyhow::Context;
use serde::Serialize;

use crate::cli::Cost;
use crate::output;
use crate::settings::Settings;
use crate::{clock, node, plant};

/// What is known of the costs of a node.
#[derive(Debug, Serialize)]
struct Account {
    /// The beginning of it; null: since the first run.
    since: Option<String>,
    /// All runs.
    runs: u64,
    /// Their parts, by task, route and reason.
    parts: Vec<Part>,
    /// The share of each route among all runs.
    routes: BTreeMap<String, f64>,
    /// What a thousand requests cost; null where the plant gives no prices.
    thousand: Option<Thousand>,
    /// What upstreams have had.
    upstreams: Vec<Upstream>,
}

#[derive(Debug, Serialize)]
struct Part {
    task: String,
    route: String,
    reason: String,
    runs: u64,
    /// The share among the runs of the task.
    share: f64,
    mean_ms: f64,
}

/// A thousand requests, in the plant's currency.
#[derive(Debug, Serialize)]
struct Thousand {
    currency: String,
    /// Electricity and the box, for the time that the requests took here.
    edge: f64,
    /// The mean time of one, in milliseconds.
    mean_ms: f64,
    /// The same requests, all of them, at the cloud's price; null where none is given.
    cloud: Option<f64>,
    /// The tokens that one would have there, estimated at four bytes each.
    tokens_estimated: f64,
}

#[derive(Debug, Serialize)]
struct Upstream {
    upstream: String,
    calls: u64,
    tokens: u64,
    cost: f64,
}

/// Prints the account.
pub(super) fn run(settings: &Settings, typed: &Cost) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let store = node::store(&settings.state)?;
    let since = typed.since.map(|since| since.at(clock::now()));
    let tallies = store.tallies(since).context("cannot read the runs")?;
    let spent = store.spent(since).context("cannot read what was spent")?;
    let upstreams = spent
        .into_iter()
        .map(|one| Upstream {
            upstream: one.upstream,
            calls: one.calls,
            tokens: one.tokens,
            cost: one.cost,
        })
        .collect();
    let since = since.map(|since| since.to_string());
    let account = account(&plant, &tallies, since, upstreams);
    settings.output.print(&account, human)?;
    Ok(ExitCode::SUCCESS)
}

fn account(
    plant: &Plant,
    tallies: &[Tally],
    since: Option<String>,
    upstreams: Vec<Upstream>,
) -> Account {
    let runs: u64 = tallies.iter().map(|tally| tally.runs).sum();
    let of_task = |task: &str| -> u64 {
        let own = tallies.iter().filter(|tally| tally.task == task);
        own.map(|tally| tally.runs).sum()
    };
    let mut routes: BTreeMap<String, f64> = BTreeMap::new();
    for tally in tallies {
        *routes.entry(tally.route.clone()).or_default() += tally.runs as f64 / runs as f64;
    }
    let parts = tallies
        .iter()
        .map(|tally| Part {
            task: tally.task.clone(),
            route: tally.route.clone(),
            reason: tally.reason.clone(),
            runs: tally.runs,
            share: tally.runs as f64 / of_task(&tally.task) as f64,
            mean_ms: tally.took_ms / tally.runs as f64,
        })
        .collect();
    let thousand = andon_runtime::Thousand::of(plant, tallies).map(|of| Thousand {
        currency: of.currency,
        edge: of.edge,
        mean_ms: of.mean_ms,
        cloud: of.cloud,
        tokens_estimated: of.tokens,
    });
    Account {
        since,
        runs,
        parts,
        routes,
        thousand,
        upstreams,
    }
}

fn human(account: &Account) -> String {
    let since = match &account.since {
        Some(since) => format!("since {}", &since[..10]),
        None => "so far".to_owned(),
    };
    if account.runs == 0 {
        return format!("no task was run {since}");
    }
    let row = |part: &Part| {
        [
            part.task.clone(),
            part.route.clone(),
            part.reason.clone(),
            part.runs.to_string(),
            format!("{:.1} %", 100.0 * part.share),
            format!("{:.1}", part.mean_ms),
        ]
    };
    let mut text = output::table(
        ["TASK", "ROUTE", "REASON", "RUNS", "OF TASK", "MEAN MS"],
        account.parts.iter().map(row).collect(),
    );
    let routes: Vec<String> = account
        .routes
        .iter()
        .map(|(route, share)| format!("{:.1} % {route}", 100.0 * share))
        .collect();
    text.push_str(&format!(
        "\n{} runs {since}: {}",
        account.runs,
        routes.join(", ")
    ));
    match &account.thousand {
        None => text.push_str("\nplant.toml has no [cost], so no price is told"),
        Some(thousand) => {
            let Thousand {
                currency,
                edge,
                mean_ms,
                cloud,
                tokens_estimated,
            } = thousand;
            text.push_str(&format!(
                "\na thousand requests cost {edge:.4} {currency} here, at {mean_ms:.1} ms each"
            ));
            if let Some(cloud) = cloud {
                text.push_str(&format!(
                    ", and would cost {cloud:.4} {currency} in the cloud, at about {tokens_estimated:.0} tokens each"
                ));
            }
        }
    }
    for one in &account.upstreams {
        text.push_str(&format!(
            "\n{} was called {} times: {} tokens, {:.4}",
            one.upstream, one.calls, one.tokens, one.cost
        ));
    }
    text
}

#[cfg(test)]
mod tests;
