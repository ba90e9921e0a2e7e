//! Sixteen clients at once, half of which classify and half extract; and the memory
//! that both sides hold afterwards.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::{Value, json};

use super::ask::{BATCH, MACHINE};
use super::{Contest, Subject};
use crate::andon;
use crate::http::Client;
use crate::peer::{self, Flags};
use crate::process::Server;
use crate::series::{Series, percentile};
use crate::table::{Row, Target, Unit};
use crate::work::{Decide, Extract, Questions};

const CLIENTS: usize = 16;
/// Tokens that each slot of the peer holds.
const SLOT_TOKENS: usize = 2048;
/// Clients that classify now and then, while the others extract without a pause.
const PACED_CLIENTS: usize = 2;
/// Between the requests of a client that classifies now and then.
const PACE: Duration = Duration::from_millis(100);
/// A client that was refused asks again after this at the latest.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Classify,
    Extract,
}

/// What a client posts, and how long it rests after an answer.
struct Request {
    kind: Kind,
    path: String,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
    rest: Duration,
}

/// What came of a load.
#[derive(Debug, Default)]
struct Load {
    /// Milliseconds of each answer that classifies.
    classify: Vec<f64>,
    /// Milliseconds of each answer that extracts.
    extract: Vec<f64>,
    /// Requests that were refused because the server had enough to do.
    turned_away: usize,
    /// The first refusal that no waiting helps against.
    fault: Option<String>,
    seconds: f64,
}

impl Load {
    fn all(&self) -> Vec<f64> {
        [self.classify.as_slice(), &self.extract].concat()
    }

    fn remark(&self) -> String {
        format!(
            "{} classified, {} extracted, {} turned away, in {:.1} s",
            self.classify.len(),
            self.extract.len(),
            self.turned_away,
            self.seconds
        )
    }

    /// One number about the load as a series.
    fn series(&self, name: &str, value: Option<f64>) -> Option<Series> {
        let values = value.into_iter().collect();
        Some(Series::new(name, values)?.remarked(self.remark()))
    }

    fn rate(&self) -> f64 {
        self.all().len() as f64 / self.seconds
    }
}

/// Keeps `clients` busy for `span`; what was begun is waited for.
fn load(
    server: &Server,
    clients: usize,
    span: Duration,
    request: impl Fn(usize, usize) -> Request + Sync,
) -> anyhow::Result<Load> {
    let gathered = Mutex::new(Load::default());
    let began = Instant::now();
    let work = |client: usize| -> anyhow::Result<()> {
        let http = Client::new(server.url(), peer::PATIENCE);
        let mut number = 0;
        while began.elapsed() < span {
            let request = request(client, number);
            number += 1;
            let answer = http.post(&request.path, request.headers, &request.body)?;
            let mut rest = request.rest.saturating_sub(answer.took);
            let mut load = gathered.lock().unwrap_or_else(|broken| broken.into_inner());
            let took = answer.took.as_secs_f64() * 1000.0;
            match (answer.body, request.kind) {
                (Ok(_), Kind::Classify) => load.classify.push(took),
                (Ok(_), Kind::Extract) => load.extract.push(took),
                (Err(refusal), _) if matches!(refusal.status, 429 | 503) => {
                    load.turned_away += 1;
                    rest = refusal
                        .retry_after
                        .unwrap_or(LONGEST_REST)
                        .min(LONGEST_REST);
                }
                (Err(refusal), _) => {
                    let reason = format!("{}: {}", refusal.status, refusal.reason);
                    load.fault.get_or_insert(reason);
                    return Ok(());
                }
            }
            drop(load);
            thread::sleep(rest);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..clients)
            .map(|client| scope.spawn(move || work(client)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(outcome) => outcome?,
                Err(_) => bail!("a client ended in a panic"),
            }
        }
        Ok(())
    })?;
    let mut load = gathered
        .into_inner()
        .unwrap_or_else(|broken| broken.into_inner());
    load.seconds = began.elapsed().as_secs_f64();
    Ok(load)
}

fn kind_of(client: usize) -> Kind {
    match client % 2 {
        0 => Kind::Classify,
        _ => Kind::Extract,
    }
}

/// Each client has requests of its own.
fn number_of(client: usize, number: usize) -> usize {
    client * 1000 + number
}

fn peer_request(decide: &Decide, client: usize, number: usize) -> Request {
    let (kind, number) = (kind_of(client), number_of(client, number));
    Request {
        kind,
        path: "/v1/chat/completions".to_owned(),
        headers: &[],
        body: match kind {
            Kind::Classify => decide.chosen(number),
            Kind::Extract => Extract.chat(number),
        },
        rest: Duration::ZERO,
    }
}

fn andon_request(decide: &Decide, model: &str, kind: Kind, number: usize) -> Request {
    match kind {
        Kind::Classify => Request {
            kind,
            path: format!("/api/tasks/{}/runs", andon::DECIDE),
            headers: &MACHINE,
            body: decide.run(number),
            rest: Duration::ZERO,
        },
        Kind::Extract => {
            let mut body = Extract.chat(number);
            body["model"] = model.into();
            Request {
                kind,
                path: "/v1/chat/completions".to_owned(),
                headers: &BATCH,
                body,
                rest: Duration::ZERO,
            }
        }
    }
}

/// Fills as much of Andon's cache as all of the peer's slots hold: prompts that are
/// all different, and as long as a slot.
fn fill(server: &Server, model: &str) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || -> anyhow::Result<()> {
                    let http = Client::new(server.url(), andon::PATIENCE);
                    let body = json!({
                        "model": model,
                        "prompt": Questions.long_text(client),
                        "max_tokens": 8,
                    });
                    match http.post("/v1/completions", &BATCH, &body)?.body {
                        Ok(_) => Ok(()),
                        Err(refusal) => {
                            bail!(
                                "a long prompt is refused: {} {}",
                                refusal.status,
                                refusal.reason
                            )
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(outcome) => outcome?,
                Err(_) => bail!("a client ended in a panic"),
            }
        }
        Ok(())
    })
}

/// The rows of the load, and those of memory.
pub(crate) fn rows(contest: &Contest, subject: &Subject) -> anyhow::Result<Vec<Row>> {
    let Some(decide) = &contest.decide else {
        return Ok(Vec::new());
    };
    let span = contest.plan.load;
    let model = subject.name.as_str();
    let mut peers = Vec::new();
    for flags in [Flags::Default, Flags::Best] {
        let context = CLIENTS * SLOT_TOKENS;
        let server = contest
            .peer
            .serve(&subject.gguf, flags, Some(CLIENTS), context, &[])?;
        let load = load(&server, CLIENTS, span, |client, number| {
            peer_request(decide, client, number)
        })?;
        if let Some(fault) = load.fault {
            bail!("llama-server refuses a request of the mix: {fault}");
        }
        peers.push((flags.name(), server.memory_mb()?, load));
    }
    let node = contest.andon.up(&contest.site(subject)?)?;
    let mixed = load(&node, CLIENTS, span, |client, number| {
        andon_request(decide, model, kind_of(client), number_of(client, number))
    })?;
    let after_mix = node.memory_mb()?;
    let paced = load(&node, CLIENTS, span / 2, |client, number| {
        let number = number_of(client, number);
        match client < PACED_CLIENTS {
            true => Request {
                rest: PACE,
                ..andon_request(decide, model, Kind::Classify, number)
            },
            false => andon_request(decide, model, Kind::Extract, number),
        }
    })?;
    fill(&node, model)?;
    let after_fill = node.memory_mb()?;
    drop(node);

    let from_peers = |value: fn(&Load) -> Option<f64>| -> Vec<Series> {
        let series = peers.iter();
        series
            .filter_map(|(name, _, load)| load.series(name, value(load)))
            .collect()
    };
    let own = |load: &Load, value: fn(&Load) -> Option<f64>| match &load.fault {
        Some(fault) => Err(fault.clone()),
        None => load
            .series("andon", value(load))
            .ok_or_else(|| "nothing was answered".to_owned()),
    };
    let rate = |load: &Load| Some(load.rate());
    let p99 = |load: &Load| percentile(&load.all(), 0.99);
    let p99_classify = |load: &Load| percentile(&load.classify, 0.99);
    let memory = || {
        let series = peers.iter();
        series
            .filter_map(|(name, memory, _)| Series::new(*name, vec![*memory]))
            .collect()
    };
    // A node that refuses the work holds nothing for it.
    let held = |memory: f64| match &mixed.fault {
        Some(fault) => Err(fault.clone()),
        None => Series::new("andon, whole node", vec![memory])
            .ok_or_else(|| "nothing was read".to_owned()),
    };
    let row = |work: &str, unit, target, peer, andon| Row {
        work: work.to_owned(),
        model: model.to_owned(),
        unit,
        target,
        peer,
        andon,
    };
    let (ms, within) = (Unit::Milliseconds, Some(Target::AtMost(50.0)));
    let share = Some(Target::ShareAtMost(0.4));
    Ok(vec![
        row(
            "16 clients, half classify, half extract",
            Unit::RequestsPerSecond,
            Some(Target::Times(10.0)),
            from_peers(rate),
            own(&mixed, rate),
        ),
        row(
            "the same, p99 of all",
            ms,
            None,
            from_peers(p99),
            own(&mixed, p99),
        ),
        row(
            "the same, p99 of classify (machine)",
            ms,
            within,
            from_peers(p99_classify),
            own(&mixed, p99_classify),
        ),
        row(
            "p99 of 20 machine requests/s beside 14 batch clients",
            ms,
            within,
            Vec::new(),
            own(&paced, p99_classify),
        ),
        row(
            "memory after the mix",
            Unit::Megabytes,
            share,
            memory(),
            held(after_mix),
        ),
        row(
            "memory after 16 prompts of 2,000 tokens",
            Unit::Megabytes,
            share,
            memory(),
            held(after_fill),
        ),
    ])
}
