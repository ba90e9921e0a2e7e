//! The first answer of a task with a long prefix after a restart.

use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{Contest, Subject};
use crate::andon::{self, Site};
use crate::http::Client;
use crate::peer::{self, Flags};
use crate::process::Server;
use crate::series::Series;
use crate::table::{Row, Target, Unit};

const CONTEXT: usize = 4096;

/// Both times of one restart, in milliseconds.
struct Times {
    from_start: f64,
    from_ready: f64,
}

impl Times {
    fn until_now(server: &Server) -> Self {
        let since = |began: Instant| began.elapsed().as_secs_f64() * 1000.0;
        Self {
            from_start: since(server.started()),
            from_ready: since(server.ready()),
        }
    }
}

fn post(client: &Client, path: &str, body: &Value) -> anyhow::Result<()> {
    match client.post(path, &[], body)?.body {
        Ok(_) => Ok(()),
        Err(refusal) => bail!("{path} is refused: {} {}", refusal.status, refusal.reason),
    }
}

/// A slot of the peer that was saved by hand and is restored by hand.
struct Saved(Vec<String>);

impl Saved {
    const FILE: &str = "slot.bin";

    fn new(contest: &Contest) -> anyhow::Result<Self> {
        let folder = contest.scratch.join("slots");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create '{}'", folder.display()))?;
        let folder = format!("{}/", folder.display());
        Ok(Self(vec!["--slot-save-path".to_owned(), folder]))
    }

    fn call(client: &Client, action: &str) -> anyhow::Result<()> {
        let body = json!({ "filename": Self::FILE });
        post(client, &format!("/slots/0?action={action}"), &body)
    }
}

fn peer_restart(
    contest: &Contest,
    subject: &Subject,
    flags: Flags,
    saved: Option<&Saved>,
    number: usize,
) -> anyhow::Result<Times> {
    let more = saved.map_or(&[][..], |saved| &saved.0);
    let slots = (flags == Flags::Best).then_some(1);
    let server = contest
        .peer
        .serve(&subject.gguf, flags, slots, CONTEXT, more)?;
    let client = Client::new(server.url(), peer::PATIENCE);
    if saved.is_some() {
        Saved::call(&client, "restore")?;
    }
    post(
        &client,
        "/v1/chat/completions",
        &contest.restart.letter(number),
    )?;
    Ok(Times::until_now(&server))
}

fn andon_restart(contest: &Contest, site: &Site, number: usize) -> anyhow::Result<Times> {
    let node = contest.andon.up(site)?;
    let client = Client::new(node.url(), andon::PATIENCE);
    let path = format!("/api/tasks/{}/runs", andon::RESTART);
    post(&client, &path, &contest.restart.run(number))?;
    Ok(Times::until_now(&node))
}

/// The rows: from when the server is ready, and from the start of its process.
pub(crate) fn rows(contest: &Contest, subject: &Subject) -> anyhow::Result<Vec<Row>> {
    let site = contest.site(subject)?;
    // What is there from before: a node that has had the task once, a saved slot.
    andon_restart(contest, &site, 0)?;
    let saved = Saved::new(contest)?;
    {
        let server = contest
            .peer
            .serve(&subject.gguf, Flags::Best, Some(1), CONTEXT, &saved.0)?;
        let client = Client::new(server.url(), peer::PATIENCE);
        post(&client, "/v1/chat/completions", &contest.restart.letter(0))?;
        Saved::call(&client, "save")?;
    }
    let (mut default, mut best, mut by_hand, mut own) = (vec![], vec![], vec![], vec![]);
    for number in 1..=contest.plan.restarts {
        default.push(peer_restart(
            contest,
            subject,
            Flags::Default,
            None,
            number,
        )?);
        best.push(peer_restart(contest, subject, Flags::Best, None, number)?);
        by_hand.push(peer_restart(
            contest,
            subject,
            Flags::Best,
            Some(&saved),
            number,
        )?);
        own.push(andon_restart(contest, &site, number)?);
    }
    let row =
        |work: &str, target: Option<f64>, peers: &[(&str, &[Times])], of: fn(&Times) -> f64| {
            let series =
                |name: &str, times: &[Times]| Series::new(name, times.iter().map(of).collect());
            Row {
                work: work.to_owned(),
                model: subject.name.clone(),
                unit: Unit::Milliseconds,
                target: target.map(Target::Times),
                peer: peers
                    .iter()
                    .filter_map(|(name, times)| series(name, times))
                    .collect(),
                andon: series("andon, task over HTTP", &own)
                    .ok_or_else(|| "nothing was measured".to_owned()),
            }
        };
    let cold = [
        (Flags::Default.name(), default.as_slice()),
        (Flags::Best.name(), best.as_slice()),
    ];
    let restored = [(
        "llama-server, slot saved and restored by hand",
        by_hand.as_slice(),
    )];
    let (ready, start) = (
        |times: &Times| times.from_ready,
        |times: &Times| times.from_start,
    );
    Ok(vec![
        row(
            "restart, 2,000-token prefix, from ready",
            Some(20.0),
            &cold,
            ready,
        ),
        row(
            "restart, 2,000-token prefix, from start",
            Some(20.0),
            &cold,
            start,
        ),
        row(
            "restart, to a slot restored by hand, from ready",
            None,
            &restored,
            ready,
        ),
        row(
            "restart, to a slot restored by hand, from start",
            None,
            &restored,
            start,
        ),
    ])
}
