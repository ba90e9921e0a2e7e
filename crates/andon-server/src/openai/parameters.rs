//! Fields of a request beyond those that the node fulfils: the harmless are
//! accepted, those that matter are refused by name. Nothing is ignored unseen.

use andon_task::engine::Sampling;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// Fields that a request has beyond those that its struct names.
pub(crate) type Rest = Map<String, Value>;

/// Accepted with any value: they do not change the answer.
const HARMLESS: [&str; 6] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "user",
];

/// Refuses every field that matters. `null` is the same as absent, and so is the
/// value that asks for what the node does anyway.
pub(crate) fn refuse(rest: &Rest) -> Result<(), ApiError> {
    match rest.iter().find(|(name, value)| !is_neutral(name, value)) {
        Some((name, _)) => Err(ApiError::unsupported(name.as_str())),
        None => Ok(()),
    }
}

fn is_neutral(name: &str, value: &Value) -> bool {
    if value.is_null() || HARMLESS.contains(&name) {
        return true;
    }
    match name {
        "presence_penalty" | "frequency_penalty" => value.as_f64() == Some(0.0),
        "echo" | "store" => value == &json!(false),
        "functions" => value == &json!([]),
        "logit_bias" => value == &json!({}),
        "modalities" => value == &json!(["text"]),
        "suffix" => value == &json!(""),
        _ => false,
    }
}

/// The most answers to one request.
const MAX_CHOICES: usize = 8;

/// How many answers are wanted.
pub(crate) fn choices(n: Option<usize>) -> Result<usize, ApiError> {
    match n.unwrap_or(1) {
        n @ 1..=MAX_CHOICES => Ok(n),
        n => {
            let message = format!("n is {n}: give 1 to {MAX_CHOICES}");
            Err(ApiError::invalid("n", message))
        }
    }
}

/// One text or a few.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
pub(crate) enum OneOrMany {
    /// One text.
    One(String),
    /// Several texts.
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// The texts that end a generation: four at most, none empty.
pub(crate) fn stop_texts(stop: Option<OneOrMany>) -> Result<Vec<String>, ApiError> {
    let texts = stop.map(OneOrMany::into_vec).unwrap_or_default();
    if texts.len() > 4 {
        let message = format!("stop has {} texts: give at most 4", texts.len());
        return Err(ApiError::invalid("stop", message));
    }
    if texts.iter().any(String::is_empty) {
        return Err(ApiError::invalid(
            "stop",
            "a stop text is empty: leave it out",
        ));
    }
    Ok(texts)
}

/// How tokens are drawn; what is not said is as the node does by itself: always
/// the most probable token, so that the same request gets the same answer.
pub(crate) fn sampling(
    temperature: Option<f32>,
    top_p: Option<f32>,
    seed: Option<i64>,
) -> Result<Sampling, ApiError> {
    let default = Sampling::default();
    let temperature = temperature.unwrap_or(default.temperature);
    if !(0.0..=2.0).contains(&temperature) {
        let message = format!("temperature is {temperature}: give a number from 0 to 2");
        return Err(ApiError::invalid("temperature", message));
    }
    let top_p = top_p.unwrap_or(default.top_p);
    if !(top_p > 0.0 && top_p <= 1.0) {
        let message = format!("top_p is {top_p}: give a number above 0 and at most 1");
        return Err(ApiError::invalid("top_p", message));
    }
    Ok(Sampling {
        temperature,
        top_p,
        seed: seed.map_or(default.seed, i64::cast_unsigned),
    })
}

/// The most tokens to generate; at least one.
pub(crate) fn at_least_one(name: &str, tokens: Option<usize>) -> Result<Option<usize>, ApiError> {
    match tokens {
        Some(0) => Err(ApiError::invalid(
            name,
            format!("{name} is 0: give at least 1"),
        )),
        tokens => Ok(tokens),
    }
}

/// What a stream is to hold beside the text.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// One more event before the last tells the tokens used.
    #[serde(default)]
    pub(crate) include_usage: Option<bool>,
    /// Accepted: this node sends no padding either way.
    #[serde(default, rename = "include_obfuscation")]
    _include_obfuscation: Option<bool>,
}

impl StreamOptions {
    /// Whether usage is wanted; options without a stream are a mistake.
    pub(crate) fn usage_wanted(options: Option<Self>, streams: bool) -> Result<bool, ApiError> {
        match options {
            Some(_) if !streams => Err(ApiError::invalid(
                "stream_options",
                "stream_options needs stream: true",
            )),
            Some(options) => Ok(options.include_usage.unwrap_or(false)),
            None => Ok(false),
        }
    }
}
