//! Questions put to Cedar.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use andon_task::plant::Plant;
use andon_task::policy::{Permit, Principal, Question, Verdict};
use andon_task::redact::Field;
use andon_task::task::DataClass;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, Schema, ValidationMode, Validator,
};
use serde_json::json;

/// What policies may speak of.
pub const SCHEMA: &str = r#"
entity Task;
entity Caller;
entity Field { class: String };
action send appliesTo {
    principal: [Task, Caller],
    resource: [Field],
    context: { upstream: String },
};
"#;

/// The most answers that are kept. There are few questions, but for callers' names.
const MOST_KNOWN: usize = 4_096;

/// The policies of a plant, ready to be asked.
pub struct CedarPolicy {
    parsed: Result<Parsed, String>,
    authorizer: Authorizer,
    /// What was answered before: the policies know nothing but the question, not the time
    /// either, so the same question has the same answer.
    known: Mutex<BTreeMap<Asking, Verdict>>,
}

/// A question, as it is known again.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Asking {
    principal: Principal,
    field: Field,
    class: DataClass,
    upstream: String,
}

impl Asking {
    fn of(question: &Question<'_>) -> Self {
        Self {
            principal: question.principal.clone(),
            field: question.field,
            class: question.class,
            upstream: question.upstream.to_owned(),
        }
    }
}

pub(crate) struct Parsed {
    pub(crate) policies: PolicySet,
    pub(crate) schema: Schema,
    /// What Cedar itself finds odd, by policy.
    pub(crate) warnings: Vec<(String, String)>,
}

impl CedarPolicy {
    /// The policies of a plant. Where one of them is wrong all are closed: a `forbid`
    /// that is not understood must not be passed over.
    pub fn new(plant: &Plant) -> Self {
        Self::of_files(&plant.policies)
    }

    /// The policies of these files, by path.
    pub fn of_files(files: &BTreeMap<String, String>) -> Self {
        Self {
            parsed: parse(files),
            authorizer: Authorizer::new(),
            known: Mutex::default(),
        }
    }

    /// Policies that cannot be read: everything is denied.
    pub fn closed_because(reason: String) -> Self {
        Self {
            parsed: Err(reason),
            authorizer: Authorizer::new(),
            known: Mutex::default(),
        }
    }

    pub(crate) fn parsed(&self) -> Result<&Parsed, &str> {
        self.parsed.as_ref().map_err(String::as_str)
    }

    /// What a set of policies says.
    pub(crate) fn ask(&self, set: &PolicySet, schema: &Schema, question: &Question<'_>) -> Asked {
        let request = match request(question, schema) {
            Ok(request) => request,
            Err(error) => return Asked::failed(error),
        };
        let (request, entities) = request;
        let response = self.authorizer.is_authorized(&request, set, &entities);
        let reasons = response.diagnostics().reason().map(ToString::to_string);
        let mut reasons: Vec<String> = reasons.collect();
        reasons.sort();
        let errors: Vec<String> = response
            .diagnostics()
            .errors()
            .map(ToString::to_string)
            .collect();
        Asked {
            allowed: response.decision() == Decision::Allow && errors.is_empty(),
            reasons,
            errors,
        }
    }
}

/// What came of a question.
pub(crate) struct Asked {
    pub(crate) allowed: bool,
    pub(crate) reasons: Vec<String>,
    pub(crate) errors: Vec<String>,
}

impl Asked {
    fn failed(error: String) -> Self {
        Self {
            allowed: false,
            reasons: Vec::new(),
            errors: vec![error],
        }
    }
}

impl Permit for CedarPolicy {
    fn decide(&self, question: &Question<'_>) -> Verdict {
        let parsed = match self.parsed() {
            Ok(parsed) => parsed,
            Err(reason) => return Verdict::Closed(reason.to_owned()),
        };
        let asking = Asking::of(question);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = known().get(&asking) {
            return verdict.clone();
        }
        let verdict = self.judge(parsed, question);
        let mut known = known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(asking, verdict.clone());
        verdict
    }

    fn closed(&self) -> Option<&str> {
        self.parsed().err()
    }
}

impl CedarPolicy {
    fn judge(&self, parsed: &Parsed, question: &Question<'_>) -> Verdict {
        let asked = self.ask(&parsed.policies, &parsed.schema, question);
        match (asked.allowed, asked.errors.is_empty()) {
            (true, _) => Verdict::Permitted(asked.reasons),
            (false, true) => Verdict::Denied(asked.reasons),
            (false, false) => Verdict::Denied(asked.errors),
        }
    }
}

fn parse(files: &BTreeMap<String, String>) -> Result<Parsed, String> {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| error.to_string())?;
    let mut policies = PolicySet::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".cedar")) {
        let file = PolicySet::from_str(text).map_err(|error| told(path, &error))?;
        if file.templates().next().is_some() {
            return Err(format!(
                "{path}: templates are not used here: write the names out"
            ));
        }
        let stem = path
            .trim_start_matches("policy/")
            .trim_end_matches(".cedar");
        for policy in file.policies() {
            let own = policy.annotation("id").map(str::to_owned);
            let place = policy.id().to_string().replace("policy", "");
            let number = place
                .parse::<usize>()
                .map_or(place, |place| (place + 1).to_string());
            let name = own.unwrap_or_else(|| format!("{stem}#{number}"));
            let named = policy.new_id(PolicyId::new(&name));
            policies
                .add(named)
                .map_err(|_| format!("{path}: there are two policies of the name '{name}'"))?;
        }
    }
    let result = Validator::new(schema.clone()).validate(&policies, ValidationMode::default());
    let errors: Vec<String> = result
        .validation_errors()
        .map(ToString::to_string)
        .collect();
    if let Some(first) = errors.first() {
        let more = match errors.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        return Err(format!("{first}{more}"));
    }
    let warnings = result.validation_warnings();
    let warnings = warnings.map(|warning| (warning.policy_id().to_string(), warning.to_string()));
    Ok(Parsed {
        warnings: warnings.collect(),
        policies,
        schema,
    })
}

/// An error of Cedar's with where it is, in one line.
fn told(path: &str, error: &cedar_policy::ParseErrors) -> String {
    let first = error.iter().next();
    let words = first.map_or_else(|| error.to_string(), ToString::to_string);
    format!("{path}: {words}")
}

fn uid(kind: &str, name: &str) -> Result<EntityUid, String> {
    let kind = EntityTypeName::from_str(kind).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(name)))
}

fn request(question: &Question<'_>, schema: &Schema) -> Result<(Request, Entities), String> {
    let (kind, name) = match question.principal {
        Principal::Task(name) => ("Task", name),
        Principal::Caller(name) => ("Caller", name),
    };
    let field = question.field.name();
    let context = Context::from_json_value(json!({"upstream": question.upstream}), None)
        .map_err(|error| error.to_string())?;
    let request = Request::new(
        uid(kind, name)?,
        uid("Action", "send")?,
        uid("Field", field)?,
        context,
        Some(schema),
    )
    .map_err(|error| error.to_string())?;
    let entities = json!([
        {"uid": {"type": "Field", "id": field}, "attrs": {"class": question.class.name()}, "parents": []},
        {"uid": {"type": kind, "id": name}, "attrs": {}, "parents": []},
    ]);
    let entities = Entities::from_json_value(entities, None).map_err(|error| error.to_string())?;
    Ok((request, entities))
}
