//! `andon up`

use std::process::ExitCode;

use andon_server::Exposure;
use serde_json::json;

use crate::asking;
use crate::cli::Up;
use crate::node::{self, Needs};
use crate::settings::Settings;
use crate::{plant, service};

/// Keeps a node up until it is asked to end.
pub(super) fn run(settings: &Settings, typed: &Up) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(typed.log)
        .init();
    let exposure = match typed.insecure_no_tls {
        true => Exposure::Anywhere,
        false => Exposure::Loopback,
    };
    // A port in use is said before the models are loaded.
    let listener = service::bind(typed.listen, exposure)?;
    let plant = plant::load(settings.plant.as_deref())?;
    let _occupied = node::occupy(&settings.state)?;
    let node = node::open(settings, plant, Needs::Everything(&typed.adapters))?;
    for task in node.plant().tasks.keys() {
        let has_examples = node.plant().examples.contains_key(task);
        let is_learned = node.head_status(task).is_some() || node.adapter_status(task).is_some();
        if has_examples && !is_learned {
            tracing::warn!(
                task,
                "nothing is promoted, so the labels are scored by the language model: train one with `andon learn {task}`"
            );
        }
    }
    match node.pin_prompts() {
        Ok(tokens) => tracing::info!(tokens, "the tasks' prompts are at hand"),
        // Each is computed when it is first needed.
        Err(error) => tracing::warn!(%error, "a task's prompt is not kept at hand"),
    }
    asking::fill_shelf(settings, &node)?;
    let url = format!("http://{}", listener.local_addr()?);
    settings.output.print(
        &json!({ "url": url, "plant": node.plant().settings.name }),
        |_| {
            format!(
                "{} is up at {url}\n  page   {url}/\n  API    {url}/api/openapi.json\n  OpenAI base URL {url}/v1\nEnd it with Ctrl-C.",
                node.plant().settings.name
            )
        },
    )?;
    service::run(listener, node, service::asked_to_end())?;
    Ok(ExitCode::SUCCESS)
}
