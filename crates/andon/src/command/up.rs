//! `andon up`

use std::process::ExitCode;
use std::sync::Arc;

use andon_server::{Door, Exposure, Serving, Tls, TlsFiles};
use anyhow::{Context, bail};
use serde_json::json;

use crate::asking;
use crate::cli::Up;
use crate::node::{self, Needs};
use crate::settings::Settings;
use crate::{plant, ruling, service};

/// Keeps a node up until it is asked to end.
pub(super) fn run(settings: &Settings, typed: &Up) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(typed.log)
        .init();
    // What a panic says may quote the text that it stumbled over: the log has the place.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a fault of the program");
    }));
    let serving = serving(typed)?;
    let exposure = match typed.insecure_no_tls || serving.tls.is_some() {
        true => Exposure::Anywhere,
        false => Exposure::Loopback,
    };
    // A port in use is said before the models are loaded.
    let listener = service::bind(typed.listen, exposure)?;
    let plant = plant::load(settings.plant.as_deref())?;
    let _occupied = node::occupy(&settings.state)?;
    let on_loopback = typed.listen.ip().is_loopback();
    if !on_loopback {
        need_keys(settings)?;
    }
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
    let scheme = match serving.tls {
        Some(_) => "https",
        None => "http",
    };
    let node = Arc::new(node);
    asking::fill_shelf(settings, &node)?;
    ruling::watch(settings, &node)?;
    let address = listener.local_addr()?;
    let started = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "plant": node.plant().settings.name,
        "listen": address.to_string(),
        "tls": serving.tls.is_some(),
        "open_loopback": typed.open_loopback,
    });
    node.note_start(started)
        .context("the start cannot be noted in the audit log")?;
    let url = format!("{scheme}://{address}");
    settings.output.print(
        &json!({ "url": url, "plant": node.plant().settings.name }),
        |_| {
            format!(
                "{} is up at {url}\n  page   {url}/\n  API    {url}/api/openapi.json\n  OpenAI base URL {url}/v1\nEnd it with Ctrl-C.",
                node.plant().settings.name
            )
        },
    )?;
    let served = service::run(
        serving,
        listener,
        Arc::clone(&node),
        service::asked_to_end(),
    );
    node.note_stop()
        .context("the end cannot be noted in the audit log")?;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// How the node is served, from what was typed.
fn serving(typed: &Up) -> anyhow::Result<Serving> {
    let tls = match (&typed.tls_cert, &typed.tls_key) {
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (certificate.clone(), key.clone());
            Some(Tls::load(TlsFiles { certificate, key }).context("there is no TLS")?)
        }
        _ => None,
    };
    if typed.open_loopback && !typed.listen.ip().is_loopback() {
        bail!(
            "--open-loopback is for a node that listens on loopback, and not on {}: leave it out",
            typed.listen
        );
    }
    let door = match typed.open_loopback {
        true => Door::Open,
        false => Door::UntilKeys,
    };
    Ok(Serving {
        door,
        tls,
        ..Serving::default()
    })
}

/// Beyond loopback nobody is let in without a key: a node that nobody can call is a
/// mistake.
fn need_keys(settings: &Settings) -> anyhow::Result<()> {
    let keys = node::store(&settings.state)?
        .keys()
        .context("cannot read the keys")?;
    if !keys.iter().any(|key| key.revoked_at.is_none()) {
        bail!(
            "there is no key, and beyond loopback nobody is let in without: make one with `andon key add NAME --role admin`"
        );
    }
    Ok(())
}
