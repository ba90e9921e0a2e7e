//! Requests one after the other: deciding, questions and extraction.

use std::thread;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;

use super::{Contest, Subject};
use crate::andon;
use crate::http::{Answer, Client};
use crate::peer::{self, Flags};
use crate::series::Series;
use crate::table::{Row, Target, Unit};
use crate::work::{Extract, Questions};

/// Room for each request, in tokens; one of the default four slots may take all.
const CONTEXT: usize = 8192;

/// Between two turns, so that the threads of the one before are asleep.
const PAUSE: Duration = Duration::from_millis(50);

/// Which requests are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A note and 22 labels.
    Decide,
    /// Four questions on a report.
    Questions,
    /// Six fields.
    Extract,
}

/// One side of a row: how it is asked the request of a number.
struct Side<'a> {
    name: String,
    ask: Box<dyn Fn(usize) -> anyhow::Result<Vec<Answer>> + 'a>,
}

/// What a side made of its requests.
type Outcome = Result<Series, String>;

/// The rows of the kinds that were asked for.
pub(crate) fn rows(
    contest: &Contest,
    subject: &Subject,
    asked: &[Asked],
) -> anyhow::Result<Vec<Row>> {
    let site = contest.site(subject)?;
    let node = contest.andon.up(&site)?;
    let default = contest
        .peer
        .serve(&subject.gguf, Flags::Default, None, CONTEXT, &[])?;
    let best = contest
        .peer
        .serve(&subject.gguf, Flags::Best, Some(1), CONTEXT, &[])?;
    let andon = Client::new(node.url(), andon::PATIENCE);
    let peers = [
        (Flags::Default, Client::new(default.url(), peer::PATIENCE)),
        (Flags::Best, Client::new(best.url(), peer::PATIENCE)),
    ];
    let mut rows = Vec::new();
    for &asked in asked {
        let made = match asked {
            Asked::Decide => decide(contest, &peers, &andon)?,
            Asked::Questions => questions(contest, &subject.name, &peers, &andon)?,
            Asked::Extract => extract(contest, &subject.name, &peers, &andon)?,
        };
        rows.extend(made.into_iter().map(|row| Row {
            model: subject.name.clone(),
            ..row
        }));
    }
    Ok(rows)
}

type Peers = [(Flags, Client); 2];

/// The peer's sides, each asked by `bodies` in `/v1/chat/completions`.
fn peer_sides<'a>(
    peers: &'a Peers,
    way: &str,
    bodies: impl Fn(usize) -> Vec<Value> + Copy + 'a,
) -> Vec<Side<'a>> {
    let side = |(flags, client): &'a (Flags, Client)| Side {
        name: format!("{}, {way}", flags.name()),
        ask: Box::new(move |number| {
            bodies(number)
                .iter()
                .map(|body| client.post("/v1/chat/completions", &[], body))
                .collect()
        }),
    };
    peers.iter().map(side).collect()
}

fn decide(contest: &Contest, peers: &Peers, andon: &Client) -> anyhow::Result<Vec<Row>> {
    let Some(decide) = &contest.decide else {
        return Ok(Vec::new());
    };
    let path = format!("/api/tasks/{}/runs", andon::DECIDE);
    let own = || Side {
        name: "andon, task over HTTP, record and run on disk".to_owned(),
        ask: Box::new(|number| Ok(vec![andon.post(&path, &MACHINE, &decide.run(number))?])),
    };
    let plan = contest.plan;
    let mut sides = peer_sides(peers, "enum", |number| vec![decide.chosen(number)]);
    sides.push(own());
    let chosen = in_turn(&sides, plan.rounds, plan.long)?;
    let mut sides = peer_sides(peers, "letter", |number| vec![decide.letter(number)]);
    sides.push(own());
    let letter = in_turn(&sides, plan.rounds, plan.short)?;
    let labels = decide.len();
    Ok(vec![
        row(
            &format!("decide, {labels} labels, to enum"),
            Target::Times(40.0),
            chosen,
        )?,
        row(
            &format!("decide, {labels} labels, to letter"),
            Target::Times(5.0),
            letter,
        )?,
    ])
}

fn questions(
    contest: &Contest,
    model: &str,
    peers: &Peers,
    andon: &Client,
) -> anyhow::Result<Vec<Row>> {
    let mut sides = peer_sides(peers, "enum", |number| Questions.chats(number));
    sides.push(Side {
        name: "andon, /v1/decisions".to_owned(),
        ask: Box::new(|number| {
            let body = Questions.decisions(model, number);
            Ok(vec![andon.post("/v1/decisions", &PERSON, &body)?])
        }),
    });
    let outcomes = in_turn(&sides, contest.plan.rounds, contest.plan.long.min(2))?;
    Ok(vec![row(
        "four questions on a report",
        Target::Times(10.0),
        outcomes,
    )?])
}

fn extract(
    contest: &Contest,
    model: &str,
    peers: &Peers,
    andon: &Client,
) -> anyhow::Result<Vec<Row>> {
    let mut sides = peer_sides(peers, "schema", |number| vec![Extract.chat(number)]);
    sides.push(Side {
        name: "andon, chat with a schema".to_owned(),
        ask: Box::new(|number| {
            let mut body = Extract.chat(number);
            body["model"] = model.into();
            Ok(vec![andon.post("/v1/chat/completions", &PERSON, &body)?])
        }),
    });
    let outcomes = in_turn(&sides, contest.plan.rounds, contest.plan.long)?;
    Ok(vec![row(
        "extract six fields",
        Target::Times(8.0),
        outcomes,
    )?])
}

/// A machine waits for the answer.
pub(super) const MACHINE: [(&str, &str); 1] = [("x-andon-class", "machine")];
/// A person waits for the answer.
const PERSON: [(&str, &str); 1] = [("x-andon-class", "person")];
/// Nobody waits for the answer.
pub(super) const BATCH: [(&str, &str); 1] = [("x-andon-class", "batch")];

/// Asks the sides in turn. Before each turn one request warms the caches; it asks
/// for something else, and does not count.
fn in_turn(sides: &[Side<'_>], rounds: usize, each: usize) -> anyhow::Result<Vec<Outcome>> {
    let mut times = vec![Vec::new(); sides.len()];
    let mut tokens = vec![Tokens::default(); sides.len()];
    let mut refused = vec![None; sides.len()];
    for round in 0..rounds {
        for (index, side) in sides.iter().enumerate() {
            if refused[index].is_some() {
                continue;
            }
            for number in round * (each + 1)..(round + 1) * (each + 1) {
                let is_warm = number > round * (each + 1);
                let mut took = Duration::ZERO;
                let mut counted = Tokens::default();
                for answer in (side.ask)(number)? {
                    took += answer.took;
                    match answer.body {
                        Ok(body) => counted.add(&body["usage"]),
                        Err(refusal) => {
                            refused[index] =
                                Some(format!("{}: {}", refusal.status, refusal.reason));
                        }
                    }
                }
                if is_warm {
                    times[index].push(took.as_secs_f64() * 1000.0);
                    tokens[index].prompt += counted.prompt;
                    tokens[index].answer += counted.answer;
                }
            }
            thread::sleep(PAUSE);
        }
    }
    let outcomes = sides.iter().enumerate().map(|(index, side)| {
        if let Some(reason) = refused[index].take() {
            return Err(reason);
        }
        let mut series = Series::new(&side.name, std::mem::take(&mut times[index]))
            .ok_or_else(|| "nothing was measured".to_owned())?;
        let count = series.values.len() as f64;
        let mean = |sum: f64| (sum > 0.0).then_some(sum / count);
        series.prompt_tokens = mean(tokens[index].prompt);
        series.answer_tokens = mean(tokens[index].answer);
        Ok(series)
    });
    Ok(outcomes.collect())
}

/// Tokens, as far as the servers count them.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    prompt: f64,
    answer: f64,
}

impl Tokens {
    /// Adds what one answer cost; decisions have names of their own for it.
    fn add(&mut self, usage: &Value) {
        let of = |names: [&str; 2]| names.iter().find_map(|name| usage[name].as_f64());
        self.prompt += of(["prompt_tokens", "input_tokens"]).unwrap_or(0.0);
        self.answer += of(["completion_tokens", "output_tokens"]).unwrap_or(0.0);
    }
}

/// A row in milliseconds of the peer's outcomes and then Andon's.
fn row(work: &str, target: Target, mut outcomes: Vec<Outcome>) -> anyhow::Result<Row> {
    let Some(andon) = outcomes.pop() else {
        bail!("'{work}' has no sides");
    };
    let mut peer = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(series) => peer.push(series),
            Err(reason) => bail!("llama-server refuses '{work}': {reason}"),
        }
    }
    Ok(Row {
        work: work.to_owned(),
        model: String::new(),
        unit: Unit::Milliseconds,
        target: Some(target),
        peer,
        andon,
    })
}
