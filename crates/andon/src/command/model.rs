//! `andon model …`

use std::process::ExitCode;

use serde::Serialize;

use crate::cli::{Intake, Model};
use crate::model::{Check, Kept, Located, Manifest, Request, Source, State, Trust};
use crate::output::{self, Output};
use crate::settings::Settings;

/// Does what was asked for with models.
pub(super) fn run(settings: &Settings, command: Model) -> anyhow::Result<ExitCode> {
    match command {
        Model::Pull { source, intake } => {
            let (source, digest) = Source::parse(&source, &intake.hub)?;
            keep(settings, source, digest, intake)
        }
        Model::Import { file, intake } => keep(settings, Source::Local(file), None, intake),
        Model::List { verify } => list(settings, verify),
        Model::Rm { name } => {
            settings.store().remove(&name)?;
            settings
                .output
                .print(&serde_json::json!({ "removed": name }), |_| {
                    format!("removed {name}")
                })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A model as the command line shows it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    folder: &'a std::path::Path,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

impl<'a> Shown<'a> {
    fn new(located: &'a Located, check: Check) -> Self {
        let (state, damage) = match located.check(check) {
            State::Whole => ("whole", None),
            State::Damaged(reason) => ("damaged", Some(reason)),
        };
        Self {
            manifest: &located.manifest,
            folder: &located.folder,
            state,
            damage,
        }
    }
}

fn keep(
    settings: &Settings,
    source: Source,
    digest: Option<andon_task::digest::Digest>,
    intake: Intake,
) -> anyhow::Result<ExitCode> {
    if let (Some(one), Some(other)) = (digest, intake.sha256)
        && one != other
    {
        anyhow::bail!(
            "the source says SHA-256 {one} and `--sha256` says {other}: give one of them"
        );
    }
    let request = Request {
        source,
        name: intake.name,
        sha256: intake.sha256.or(digest),
        trust: Trust::from_flag(intake.trust_on_first_use),
        python: intake.python,
        hub_token: intake.hub_token,
    };
    let Kept { located, was_there } = settings.store().keep(&request)?;
    let shown = Shown::new(&located, Check::Sizes);
    settings.output.print(&shown, |shown| {
        format!(
            "{} {} ({}, SHA-256 {}) in {}",
            shown.manifest.name,
            if was_there {
                "is there"
            } else {
                "is installed"
            },
            output::bytes(shown.manifest.bytes()),
            shown.manifest.digest().short(),
            shown.folder.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn list(settings: &Settings, verify: bool) -> anyhow::Result<ExitCode> {
    let check = if verify { Check::Digests } else { Check::Sizes };
    let models = settings.store().list()?;
    let shown: Vec<Shown<'_>> = models
        .iter()
        .map(|located| Shown::new(located, check))
        .collect();
    if settings.output == Output::Human && shown.is_empty() {
        settings.output.print(&(), |()| {
            "no models: fetch one with `andon model pull smollm2:135m`".to_owned()
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    settings.output.print(&shown, |shown| {
        let unknown = || "unknown".to_owned();
        let rows = shown
            .iter()
            .map(|model| {
                let manifest = model.manifest;
                [
                    manifest.name.to_string(),
                    manifest.family.clone().unwrap_or_else(unknown),
                    output::bytes(manifest.bytes()),
                    manifest.licence.clone().unwrap_or_else(unknown),
                    manifest.digest().short(),
                    manifest.source.clone(),
                    match &model.damage {
                        None => model.state.to_owned(),
                        Some(reason) => format!("damaged: {reason}"),
                    },
                ]
            })
            .collect();
        output::table(
            [
                "NAME", "FAMILY", "SIZE", "LICENCE", "DIGEST", "SOURCE", "STATE",
            ],
            rows,
        )
    })?;
    // A script that asks for a check wants to know by the exit code.
    let all_whole = shown.iter().all(|model| model.damage.is_none());
    Ok(if verify && !all_whole {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
