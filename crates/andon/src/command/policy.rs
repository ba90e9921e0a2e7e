//! `andon policy`

use std::process::ExitCode;

use andon_policy::{CedarPolicy, Finding, Outcome, check, run_tests};
use andon_task::plant::Plant;
use andon_task::policy::{Permit, Principal, Question, Verdict};
use andon_task::redact::{CHAT_FIELDS, Field, TASK_FIELDS};
use andon_task::task::DataClass;
use anyhow::Context;
use serde::Serialize;

use crate::cli::PolicyCheck;
use crate::output::table;
use crate::plant;
use crate::settings::Settings;

/// What the policy of a plant comes to.
#[derive(Serialize)]
struct Checked {
    /// Why everything is closed, where it is.
    closed: Option<String>,
    findings: Vec<Finding>,
    tests: Vec<Outcome>,
    decisions: Vec<Decided>,
}

/// What may leave, and why.
#[derive(Serialize)]
struct Decided {
    task: Option<String>,
    caller: Option<String>,
    field: &'static str,
    class: &'static str,
    upstream: String,
    permitted: bool,
    /// The policies that decided; none where nothing permits it.
    by: Vec<String>,
    /// In words.
    reason: String,
}

/// Explains decisions, finds policies that can never apply and runs the plant's tests.
pub(super) fn check_all(settings: &Settings, typed: &PolicyCheck) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let policy = CedarPolicy::new(&plant);
    let checked = Checked {
        closed: policy.closed().map(str::to_owned),
        findings: check(&plant, &policy),
        tests: run_tests(&plant, &policy),
        decisions: decisions(&plant, &policy, typed)?,
    };
    settings.output.print(&checked, human)?;
    let failed = checked.tests.iter().any(|test| test.problem.is_some());
    Ok(match failed || !checked.findings.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Runs the tests that the plant keeps beside its policies.
pub(super) fn test(settings: &Settings) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let outcomes = run_tests(&plant, &CedarPolicy::new(&plant));
    settings
        .output
        .print(&outcomes, |outcomes| tests(outcomes))?;
    let failed = outcomes.iter().any(|test| test.problem.is_some());
    Ok(match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn decisions(
    plant: &Plant,
    policy: &CedarPolicy,
    typed: &PolicyCheck,
) -> anyhow::Result<Vec<Decided>> {
    let field = typed.field.as_deref().map(|name| {
        let known = TASK_FIELDS.iter().chain(CHAT_FIELDS);
        let known: Vec<&str> = known.map(|field| field.name()).collect();
        Field::named(name)
            .with_context(|| format!("there is no field '{name}': there are {}", known.join(", ")))
    });
    let field = field.transpose()?;
    if let Some(upstream) = &typed.upstream
        && !plant
            .settings
            .upstreams
            .iter()
            .any(|known| known.name == *upstream)
    {
        anyhow::bail!("plant.toml has no upstream '{upstream}': add it, or name one that it has");
    }
    let principals = match (&typed.task, &typed.caller) {
        (Some(task), _) => {
            let task = super::task(plant, task)?;
            vec![(Principal::Task(task.name.clone()), task.data_class)]
        }
        (None, Some(caller)) => vec![(Principal::Caller(caller.clone()), DataClass::Internal)],
        (None, None) => {
            let tasks = plant.tasks.values();
            tasks
                .map(|task| (Principal::Task(task.name.clone()), task.data_class))
                .collect()
        }
    };
    let mut decided = Vec::new();
    for (principal, class) in &principals {
        let fields = match (field, principal) {
            (Some(field), _) => vec![field],
            (None, Principal::Task(name)) => super::task(plant, name)?.fields().to_vec(),
            (None, Principal::Caller(_)) => CHAT_FIELDS.to_vec(),
        };
        for upstream in &plant.settings.upstreams {
            if typed
                .upstream
                .as_ref()
                .is_some_and(|only| *only != upstream.name)
            {
                continue;
            }
            for field in &fields {
                let question = Question {
                    principal,
                    field: *field,
                    class: *class,
                    upstream: &upstream.name,
                };
                let too_confidential = *class > upstream.data_class;
                decided.push(decision(policy, &question, too_confidential));
            }
        }
    }
    Ok(decided)
}

fn decision(policy: &CedarPolicy, question: &Question<'_>, too_confidential: bool) -> Decided {
    let verdict = policy.decide(question);
    let (by, reason) = match verdict.clone() {
        Verdict::Permitted(by) if too_confidential => {
            (by, "the upstream's data_class is lower".to_owned())
        }
        Verdict::Permitted(by) => (by.clone(), format!("permitted by {}", by.join(", "))),
        Verdict::Denied(by) if by.is_empty() => (by, "no policy permits it".to_owned()),
        Verdict::Denied(by) => (by.clone(), format!("forbidden by {}", by.join(", "))),
        Verdict::Closed(reason) => (Vec::new(), reason),
    };
    let (task, caller) = match question.principal {
        Principal::Task(name) => (Some(name.clone()), None),
        Principal::Caller(name) => (None, Some(name.clone())),
    };
    Decided {
        task,
        caller,
        field: question.field.name(),
        class: question.class.name(),
        upstream: question.upstream.to_owned(),
        permitted: verdict.permits() && !too_confidential,
        by,
        reason,
    }
}

fn human(checked: &Checked) -> String {
    let mut parts = Vec::new();
    if let Some(reason) = &checked.closed {
        parts.push(format!("nothing leaves: {reason}"));
    }
    let row = |decided: &Decided| {
        let who = decided.task.as_ref().or(decided.caller.as_ref());
        [
            who.cloned().unwrap_or_default(),
            decided.field.to_owned(),
            decided.upstream.clone(),
            if decided.permitted { "permit" } else { "deny" }.to_owned(),
            decided.reason.clone(),
        ]
    };
    match checked.decisions.is_empty() {
        true => parts.push("plant.toml has no upstreams: nothing can leave".to_owned()),
        false => parts.push(table(
            ["WHO", "FIELD", "UPSTREAM", "", "WHY"],
            checked.decisions.iter().map(row).collect(),
        )),
    }
    if checked.closed.is_none() {
        let findings = checked.findings.iter();
        parts.extend(findings.map(|found| format!("{}: {}", found.policy, found.problem)));
    }
    if !checked.tests.is_empty() {
        parts.push(tests(&checked.tests));
    }
    parts.join("\n")
}

fn tests(outcomes: &[Outcome]) -> String {
    let wrong = outcomes.iter().filter_map(|test| {
        let problem = test.problem.as_ref()?;
        Some(format!("failed  {}: {problem}\n", test.name))
    });
    let wrong: String = wrong.collect();
    let failed = outcomes
        .iter()
        .filter(|test| test.problem.is_some())
        .count();
    format!("{wrong}{} tests, {failed} failed", outcomes.len())
}
