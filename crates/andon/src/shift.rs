//! A shift of a plant's notes, played through a node over HTTP.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::Agent;

/// Marks the records of a demo, so that the next one can close them.
const MARK: &str = "demo-shift";

/// One note of `shift.jsonl`, with what a person says of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Note {
    pub(crate) id: String,
    pub(crate) time: String,
    pub(crate) asset: String,
    pub(crate) lang: String,
    pub(crate) input: String,
    #[serde(default)]
    pub(crate) repeats: Option<String>,
    /// The right labels, by the task's name with `_` for `-`.
    #[serde(flatten)]
    pub(crate) expected: BTreeMap<String, Value>,
}

/// What the node made of a note.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Played {
    pub(crate) note: String,
    pub(crate) time: String,
    pub(crate) asset: String,
    pub(crate) lang: String,
    pub(crate) input: String,
    /// Answers by task.
    pub(crate) answers: BTreeMap<String, Answer>,
    /// The note that it repeats, where that is of this shift.
    pub(crate) repeats: Option<String>,
    /// The note that a person says it repeats.
    pub(crate) truly_repeats: Option<String>,
    /// The procedure that the failure leads to: number and title.
    pub(crate) procedure: Option<String>,
    /// `edge` where every task was answered there.
    pub(crate) route: &'static str,
    /// From sending the note to having all answers, all on disk.
    pub(crate) took_ms: f64,
}

/// One task's answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) label: String,
    pub(crate) probability: Option<f64>,
    /// The three most probable labels.
    pub(crate) candidates: Vec<String>,
    pub(crate) route: String,
    /// Whether a person says the same.
    pub(crate) right: Option<bool>,
}

/// Reads `shift.jsonl`.
pub(crate) fn parse(jsonl: &str) -> anyhow::Result<Vec<Note>> {
    jsonl
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            serde_json::from_str(line).with_context(|| format!("shift.jsonl line {}", index + 1))
        })
        .collect()
}

/// A client of the node at `url`.
pub(crate) struct Player {
    agent: Agent,
    url: String,
    /// The notes of this shift by the number of their record.
    notes: BTreeMap<i64, String>,
}

impl Player {
    pub(crate) fn new(url: String) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let notes = BTreeMap::new();
        Self { agent, url, notes }
    }

    /// Closes the open notes of an earlier demo: a new shift does not repeat
    /// them.
    pub(crate) fn close_earlier(&self) -> anyhow::Result<()> {
        let mut before = None;
        loop {
            let after = before.map_or(String::new(), |id: i64| format!("&before={id}"));
            let page = self.get(&format!("/api/records?open=true&limit=1000{after}"))?;
            let records = page["records"].as_array().map_or(&[][..], Vec::as_slice);
            let Some(last) = records.last() else {
                return Ok(());
            };
            for record in records.iter().filter(|r| r["meta"]["demo"] == MARK) {
                self.post(&format!("/api/records/{}/close", record["id"]), &json!({}))?;
            }
            before = last["id"].as_i64();
        }
    }

    /// Sends a note and reads what the node made of it.
    pub(crate) fn play(&mut self, note: &Note) -> anyhow::Result<Played> {
        let body = json!({
            "text": note.input,
            "asset": note.asset,
            "meta": { "demo": MARK, "note": note.id, "time": note.time, "lang": note.lang },
        });
        let began = Instant::now();
        let answer = self.post("/api/records", &body)?;
        let took_ms = began.elapsed().as_secs_f64() * 1000.0;
        if let Some(failed) = answer["failed"]
            .as_array()
            .and_then(|failed| failed.first())
        {
            bail!(
                "note {}: task {}: {}",
                note.id,
                failed["task"],
                failed["message"]
            );
        }
        let runs = answer["runs"]
            .as_array()
            .context("the node answers with runs")?;
        let answers: BTreeMap<String, Answer> = runs
            .iter()
            .map(|run| (text(&run["task"]), Answer::read(run, note)))
            .collect();
        let record = &answer["record"];
        if let Some(id) = record["id"].as_i64() {
            self.notes.insert(id, note.id.clone());
        }
        let repeats = record["repeats"]["record"].as_i64();
        let at_the_edge = answers.values().all(|answer| answer.route == "edge");
        Ok(Played {
            note: note.id.clone(),
            time: note.time.clone(),
            asset: note.asset.clone(),
            lang: note.lang.clone(),
            input: note.input.clone(),
            repeats: repeats.and_then(|id| self.notes.get(&id).cloned()),
            truly_repeats: note.repeats.clone(),
            procedure: runs.iter().find_map(|run| {
                let procedure = run["procedure"].as_object()?;
                Some(format!(
                    "{} {}",
                    text(&procedure["id"]),
                    text(&procedure["title"])
                ))
            }),
            answers,
            route: if at_the_edge { "edge" } else { "human" },
            took_ms,
        })
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut response = self.agent.get(format!("{}{path}", self.url)).call()?;
        Ok(serde_json::from_reader(response.body_mut().as_reader())?)
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut response = self
            .agent
            .post(format!("{}{path}", self.url))
            .content_type("application/json")
            .send(serde_json::to_vec(body)?)?;
        let answer: Value = serde_json::from_reader(response.body_mut().as_reader())?;
        if !response.status().is_success() {
            bail!(
                "the node answers {}: {}",
                response.status(),
                answer["error"]["message"]
            );
        }
        Ok(answer)
    }
}

impl Answer {
    fn read(run: &Value, note: &Note) -> Self {
        let label = text(&run["answer"]);
        let expected = note.expected.get(&text(&run["task"]).replace('-', "_"));
        let probabilities = run["probabilities"].as_object();
        Self {
            right: expected.map(|expected| *expected == label.as_str()),
            probability: run["probability"].as_f64(),
            candidates: probabilities
                .map(|all| all.keys().take(3).cloned().collect())
                .unwrap_or_default(),
            route: text(&run["route"]),
            label,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
