//! Policies that can never apply, and why.

use std::collections::BTreeSet;

use andon_task::plant::Plant;
use andon_task::policy::{Principal, Question};
use andon_task::redact::{CHAT_FIELDS, Field};
use andon_task::task::DataClass;
use cedar_policy::{Policy, PolicySet};
use serde::Serialize;
use serde_json::Value;

use crate::decide::CedarPolicy;

/// Something odd about a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The policy; the plant's policies as a whole where they cannot be used.
    pub policy: String,
    /// What is odd.
    pub problem: String,
}

/// What is odd about the policies of a plant: names that there are not, and policies
/// that say nothing about anything that could be sent.
pub fn check(plant: &Plant, policy: &CedarPolicy) -> Vec<Finding> {
    let parsed = match policy.parsed() {
        Ok(parsed) => parsed,
        Err(reason) => {
            let (policy, problem) = ("policy".to_owned(), reason.to_owned());
            return vec![Finding { policy, problem }];
        }
    };
    let mut findings = BTreeSet::new();
    for (policy, problem) in &parsed.warnings {
        let (policy, problem) = (policy.clone(), problem.clone());
        findings.insert(Finding { policy, problem });
    }
    for one in parsed.policies.policies() {
        let mut note = |problem: String| {
            let policy = one.id().to_string();
            findings.insert(Finding { policy, problem });
        };
        let Ok(written) = one.to_json() else {
            note("it cannot be looked into".to_owned());
            continue;
        };
        let mut named = Named::default();
        named.read(&written);
        named.unknown(plant).into_iter().for_each(&mut note);
        if !applies(plant, policy, one, &named.callers) {
            note("it can never apply to what this plant could send".to_owned());
        }
    }
    findings.into_iter().collect()
}

/// Whether a policy alone says something about anything that could be sent.
fn applies(plant: &Plant, cedar: &CedarPolicy, policy: &Policy, callers: &[String]) -> bool {
    let Ok(parsed) = cedar.parsed() else {
        return false;
    };
    let mut alone = PolicySet::new();
    if alone.add(policy.clone()).is_err() {
        return false;
    }
    let tasks = plant.tasks.values().flat_map(|task| {
        let principal = Principal::Task(task.name.clone());
        let fields = task.fields().iter();
        fields.map(move |&field| (principal.clone(), field, task.data_class))
    });
    let anybody = "anybody".to_owned();
    let callers = callers.iter().chain([&anybody]).flat_map(|caller| {
        let principal = Principal::Caller(caller.clone());
        let fields = CHAT_FIELDS.iter();
        fields.map(move |field| (principal.clone(), *field, DataClass::Internal))
    });
    let could_be: Vec<(Principal, Field, DataClass)> = tasks.chain(callers).collect();
    plant.settings.upstreams.iter().any(|upstream| {
        could_be.iter().any(|(principal, field, class)| {
            let question = Question {
                principal,
                field: *field,
                class: *class,
                upstream: &upstream.name,
            };
            !cedar
                .ask(&alone, &parsed.schema, &question)
                .reasons
                .is_empty()
        })
    })
}

/// The names that a policy uses.
#[derive(Default)]
struct Named {
    tasks: Vec<String>,
    callers: Vec<String>,
    fields: Vec<String>,
    actions: Vec<String>,
    upstreams: Vec<String>,
    classes: Vec<String>,
}

impl Named {
    fn read(&mut self, written: &Value) {
        match written {
            Value::Array(items) => items.iter().for_each(|item| self.read(item)),
            Value::Object(map) => {
                if let (Some(kind), Some(id)) = (text(map.get("type")), text(map.get("id"))) {
                    let names = match kind {
                        "Task" => Some(&mut self.tasks),
                        "Caller" => Some(&mut self.callers),
                        "Field" => Some(&mut self.fields),
                        "Action" => Some(&mut self.actions),
                        _ => None,
                    };
                    if let Some(names) = names {
                        names.push(id.to_owned());
                    }
                }
                for (operator, sides) in map {
                    if matches!(operator.as_str(), "==" | "!=" | "contains") {
                        self.compare(&sides["left"], &sides["right"]);
                        self.compare(&sides["right"], &sides["left"]);
                    }
                }
                map.values().for_each(|value| self.read(value));
            }
            _ => {}
        }
    }

    /// What an attribute is compared with.
    fn compare(&mut self, attribute: &Value, with: &Value) {
        let names = match attribute["."]["attr"].as_str() {
            Some("upstream") => &mut self.upstreams,
            Some("class") => &mut self.classes,
            _ => return,
        };
        let set = with["Set"].as_array().into_iter().flatten();
        let values = std::iter::once(with).chain(set);
        let values = values.filter_map(|value| value["Value"].as_str());
        names.extend(values.map(str::to_owned));
    }

    fn unknown(&self, plant: &Plant) -> Vec<String> {
        let upstreams = &plant.settings.upstreams;
        let mut problems = Vec::new();
        let mut look = |names: &[String], what: &str, known: &dyn Fn(&str) -> bool| {
            let unknown = names.iter().filter(|name| !known(name));
            problems.extend(unknown.map(|name| format!("there is no {what} '{name}'")));
        };
        look(&self.tasks, "task", &|name| plant.tasks.contains_key(name));
        look(&self.fields, "field", &|name| Field::named(name).is_some());
        look(&self.actions, "action", &|name| name == "send");
        look(&self.upstreams, "upstream", &|name| {
            upstreams.iter().any(|upstream| upstream.name == name)
        });
        look(&self.classes, "data class", &|name| {
            DataClass::ALL.iter().any(|class| class.name() == name)
        });
        problems
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}
