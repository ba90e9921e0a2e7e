//! The tests that a plant keeps beside its policies: `policy/tests/*.toml`.

use andon_task::plant::Plant;
use andon_task::policy::{Permit, Principal, Question, Verdict};
use andon_task::redact::Field;
use andon_task::task::DataClass;
use serde::{Deserialize, Serialize};

use crate::decide::CedarPolicy;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    test: Vec<Test>,
}

/// One question and the answer that is expected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    task: Option<String>,
    caller: Option<String>,
    field: String,
    upstream: String,
    /// Of a caller's field; that of a task is in its file.
    class: Option<DataClass>,
    expect: Expected,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Permit,
    Deny,
}

/// How a test went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The file and the test.
    pub name: String,
    /// What is wrong, if anything is.
    pub problem: Option<String>,
}

/// Runs the tests of a plant, in order of file and place.
pub fn run_tests(plant: &Plant, policy: &CedarPolicy) -> Vec<Outcome> {
    let files = plant
        .policies
        .iter()
        .filter(|(path, _)| path.ends_with(".toml"));
    let mut outcomes = Vec::new();
    for (path, text) in files {
        match toml::from_str::<File>(text) {
            Ok(file) => outcomes.extend(file.test.iter().map(|test| Outcome {
                name: format!("{path}: {}", test.name),
                problem: test.problem(plant, policy),
            })),
            Err(error) => outcomes.push(Outcome {
                name: path.clone(),
                problem: Some(error.to_string().trim_end().to_owned()),
            }),
        }
    }
    outcomes
}

impl Test {
    fn problem(&self, plant: &Plant, policy: &CedarPolicy) -> Option<String> {
        let (principal, class) = match (&self.task, &self.caller) {
            (Some(task), None) => match plant.tasks.get(task) {
                Some(known) => (Principal::Task(task.clone()), known.data_class),
                None => return Some(format!("there is no task '{task}'")),
            },
            (None, Some(caller)) => {
                let class = self.class.unwrap_or(DataClass::Internal);
                (Principal::Caller(caller.clone()), class)
            }
            _ => return Some("give either task or caller".to_owned()),
        };
        let Some(field) = Field::named(&self.field) else {
            return Some(format!("there is no field '{}'", self.field));
        };
        let verdict = policy.decide(&Question {
            principal: &principal,
            field,
            class: self.class.unwrap_or(class),
            upstream: &self.upstream,
        });
        let found = match verdict.permits() {
            true => Expected::Permit,
            false => Expected::Deny,
        };
        (found != self.expect).then(|| match verdict {
            Verdict::Permitted(by) => format!("it is permitted, by {}", by.join(", ")),
            Verdict::Denied(by) if by.is_empty() => "it is denied: no policy permits it".to_owned(),
            Verdict::Denied(by) => format!("it is denied, by {}", by.join(", ")),
            Verdict::Closed(reason) => format!("it is denied: {reason}"),
        })
    }
}
