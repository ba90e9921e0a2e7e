//! `andon key add|list|revoke`

use std::process::ExitCode;

use andon_server::{KeyTerms, issue};
use andon_store::StoredKey;
use andon_task::access::Role;
use andon_task::run::Timestamp;
use anyhow::Context;
use serde::Serialize;

use crate::cli::Key;
use crate::output;
use crate::settings::Settings;
use crate::{clock, node};

/// A key as it is shown.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    id: String,
    role: Role,
    scopes: Vec<String>,
    requests_per_minute: Option<u32>,
    added_at: String,
    expires_at: Option<String>,
    /// `in use`, `expired` or `revoked`.
    state: &'static str,
    /// The key itself: only when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// Does what was asked for with keys.
pub(super) fn run(settings: &Settings, typed: Key) -> anyhow::Result<ExitCode> {
    let store = node::store(&settings.state)?;
    let now = clock::now();
    match typed {
        Key::Add {
            name,
            role,
            scopes,
            requests_per_minute,
            expires,
            who,
        } => {
            let later = |age: std::time::Duration| {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_add(age))
            };
            let (key, token) = issue(KeyTerms {
                name,
                role,
                scopes,
                requests_per_minute,
                expires_at: expires.map(later),
            })?;
            store.add_key(&key, who.name(), now)?;
            let stored = StoredKey {
                key,
                added_at: now,
                revoked_at: None,
            };
            let line = Line {
                key: Some(token),
                ..line(stored, now)
            };
            settings.output.print(&line, |line| {
                format!(
                    "{}\nThis is the key of {}, as {}. It is shown this once: only its hash is kept.\nCallers send it as 'authorization: Bearer KEY'; OpenAI's clients as their API key.",
                    line.key.as_deref().unwrap_or_default(),
                    line.name,
                    line.role
                )
            })?;
        }
        Key::List => {
            let keys = store.keys().context("cannot read the keys")?;
            let lines: Vec<Line> = keys.into_iter().map(|key| line(key, now)).collect();
            settings.output.print(&lines, |lines| table(lines))?;
        }
        Key::Revoke { name, who } => {
            store.revoke_key(&name, who.name(), now)?;
            let revoked = serde_json::json!({ "name": name, "revoked_at": now.to_string() });
            settings.output.print(&revoked, |_| {
                format!("{name} is revoked: a node that is up refuses it within two seconds")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(stored: StoredKey, now: Timestamp) -> Line {
    let key = stored.key;
    let state = match stored.revoked_at {
        Some(_) => "revoked",
        None if key.expires_at.is_some_and(|end| end <= now) => "expired",
        None => "in use",
    };
    Line {
        name: key.name,
        id: key.id,
        role: key.role,
        scopes: key.scopes.iter().map(ToString::to_string).collect(),
        requests_per_minute: key.requests_per_minute,
        added_at: stored.added_at.to_string(),
        expires_at: key.expires_at.map(|at| at.to_string()),
        state,
        key: None,
    }
}

fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "there are no keys: on loopback everybody is let in, beyond it nobody".to_owned();
    }
    let row = |line: &Line| {
        let limit = line.requests_per_minute;
        [
            line.name.clone(),
            line.role.to_string(),
            line.scopes.join(" "),
            limit.map_or_else(String::new, |limit| limit.to_string()),
            line.added_at.clone(),
            line.expires_at.clone().unwrap_or_default(),
            line.state.to_owned(),
        ]
    };
    output::table(
        [
            "NAME", "ROLE", "SCOPES", "A MINUTE", "ADDED", "EXPIRES", "STATE",
        ],
        lines.iter().map(row).collect(),
    )
}
