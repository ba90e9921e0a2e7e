//! Shares of labels, where a server can tell them exactly.
//!
//! The share of a label is the probability with which the model says it when it
//! is held to the labels, token by token: wherever labels part, what follows is
//! weighed among what may follow. That needs the server's own tokens and what the
//! model thinks of a few of them. vLLM gives the log-probabilities of a given
//! text's tokens; llama-server, probabilities among tokens that are lifted above
//! all others. Of a server that gives neither no share is made up.

use andon_task::engine::{EngineError, Prompt, ScoreRequest, Scores, Terms, Usage};
use serde_json::{Value, json};

use crate::model::{Maker, Server};
use crate::wire;

/// Below this share it does not matter any more how labels divide it.
const TOLERANCE: f64 = 1e-6;

/// How far llama-server's allowed tokens are lifted: no logit reaches as far.
const LIFT: f32 = 200.0;

/// The most labels of a request.
const MOST_LABELS: usize = 4096;

/// A place where labels part: the tokens before it, from the label's first, and
/// those that may follow.
struct Fork<'a> {
    before: &'a [u32],
    after: &'a [u32],
    /// A label that goes through here, for each of those that may follow.
    labels: &'a [usize],
}

impl Server {
    pub(crate) fn score(&self, request: &ScoreRequest) -> Result<Scores, EngineError> {
        self.refuse_adapter(request.adapter.as_ref())?;
        if request.labels.is_empty() {
            return Err(EngineError::Invalid("there are no labels to score".into()));
        }
        if request.labels.len() > MOST_LABELS {
            let message = format!("there are more than {MOST_LABELS} labels");
            return Err(EngineError::Invalid(message));
        }
        match self.maker {
            Maker::Vllm => self.score_by_echo(request),
            Maker::LlamaServer => self.score_by_forks(request),
            Maker::Andon | Maker::Other => Err(EngineError::Invalid(format!(
                "the server at {} cannot weigh labels: it tells neither its tokens nor what the model thinks of given ones, as vLLM and llama-server do; train a head for the task, or use one of those",
                self.endpoint
            ))),
        }
    }

    /// All labels in one request, as texts whose tokens the server judges.
    fn score_by_echo(&self, request: &ScoreRequest) -> Result<Scores, EngineError> {
        let terms = &request.terms;
        let prompt = match &request.prompt {
            Prompt::Text(text) => json!({"prompt": text}),
            Prompt::Chat(chat) => {
                json!({"messages": wire::messages(chat)?, "add_generation_prompt": true})
            }
        };
        let prompt = self.tokens(prompt, terms)?;
        let labels = request
            .labels
            .iter()
            .map(|label| self.tokens(json!({"prompt": label, "add_special_tokens": false}), terms))
            .collect::<Result<Vec<_>, _>>()?;
        refuse_beginnings(&labels, &request.labels)?;
        let texts: Vec<Vec<u32>> = labels
            .iter()
            .map(|label| [prompt.as_slice(), label].concat())
            .collect();
        let body = json!({
            "model": self.model,
            "prompt": texts,
            "echo": true,
            "logprobs": 1,
            "max_tokens": 1,
            "temperature": 0,
        });
        let url = self.endpoint.api("/completions");
        let answer = self.json(&url, Some(&body), terms)?;
        self.check_fingerprint(answer["system_fingerprint"].as_str())?;
        let mut told: Vec<Option<Vec<f64>>> = vec![None; labels.len()];
        for (at, choice) in answer["choices"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let index = choice["index"].as_u64().map_or(at, |index| index as usize);
            let (Some(place), Some(label)) = (told.get_mut(index), labels.get(index)) else {
                continue;
            };
            let tokens = choice["logprobs"]["token_logprobs"].as_array();
            let of_label =
                tokens.and_then(|tokens| tokens.get(prompt.len()..prompt.len() + label.len()));
            let of_label = of_label.into_iter().flatten().map(Value::as_f64);
            *place = of_label.collect::<Option<Vec<f64>>>();
        }
        let told = told
            .into_iter()
            .zip(&labels)
            .map(|(told, label)| told.filter(|told| told.len() == label.len()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| self.untold("the log-probabilities of a given text's tokens"))?;
        let shares = shares(&labels, |fork| {
            let logs = fork
                .labels
                .iter()
                .map(|&label| told[label][fork.before.len()]);
            Ok(normalised(&logs.collect::<Vec<f64>>()))
        })?;
        Ok(Scores {
            shares,
            usage: Usage {
                prompt_tokens: prompt.len(),
                cached_tokens: 0,
                completion_tokens: labels.iter().map(Vec::len).sum(),
            },
        })
    }

    /// A request for each place where labels part.
    fn score_by_forks(&self, request: &ScoreRequest) -> Result<Scores, EngineError> {
        let terms = &request.terms;
        let (text, is_chat) = match &request.prompt {
            Prompt::Text(text) => (text.clone(), false),
            Prompt::Chat(chat) => {
                let url = self.endpoint.beside("/apply-template");
                let body = json!({"messages": wire::messages(chat)?});
                let rendered = self.json(&url, Some(&body), terms)?;
                let text = rendered["prompt"].as_str();
                let text = text.ok_or_else(|| self.untold("what its template makes of a chat"))?;
                (text.to_owned(), true)
            }
        };
        let prompt = json!({"content": text, "add_special": true, "parse_special": is_chat});
        let prompt = self.tokens(prompt, terms)?;
        let mut labels = Vec::with_capacity(request.labels.len());
        for label in &request.labels {
            let body = json!({"content": label, "add_special": false, "parse_special": false});
            labels.push(self.tokens(body, terms)?);
        }
        if let Some(end) = self.end_of_turn(&labels, terms)? {
            labels.iter_mut().for_each(|label| label.push(end));
        }
        refuse_beginnings(&labels, &request.labels)?;
        let url = self.endpoint.beside("/completion");
        let mut usage = Usage {
            prompt_tokens: prompt.len(),
            ..Usage::default()
        };
        let shares = shares(&labels, |fork| {
            let lift = fork.after.iter().map(|token| json!([token, LIFT]));
            let tokens = [prompt.as_slice(), fork.before].concat();
            let body = json!({
                "prompt": tokens,
                "n_predict": 1,
                "temperature": 1.0,
                "samplers": ["temperature"],
                "logit_bias": lift.collect::<Value>(),
                "n_probs": fork.after.len(),
                "post_sampling_probs": true,
                "cache_prompt": true,
                "ignore_eos": false,
            });
            let answer = self.json(&url, Some(&body), terms)?;
            usage.completion_tokens += fork.before.len() + 1;
            let top = answer["completion_probabilities"][0]["top_probs"].as_array();
            let top = top.map_or(&[][..], Vec::as_slice);
            let of = |token: &u32| {
                let found = top
                    .iter()
                    .find(|told| told["id"].as_u64() == Some((*token).into()));
                found.map_or(Some(0.0), |told| told["prob"].as_f64())
            };
            let weights = fork.after.iter().map(of).collect::<Option<Vec<f64>>>();
            // All of the probability lies on the tokens that were lifted, or they
            // were not.
            weights
                .filter(|weights| (weights.iter().sum::<f64>() - 1.0).abs() < 1e-3)
                .ok_or_else(|| self.untold("probabilities among given tokens"))
        })?;
        Ok(Scores { shares, usage })
    }

    /// llama-server's token for the end of a turn, if it is needed to tell a label
    /// from another that begins with it.
    fn end_of_turn(&self, labels: &[Vec<u32>], terms: &Terms) -> Result<Option<u32>, EngineError> {
        if beginning(labels).is_none() {
            return Ok(None);
        }
        let props = self.json(&self.endpoint.beside("/props"), None, terms)?;
        let end = props["eos_token"].as_str().unwrap_or_default();
        let body = json!({"content": end, "add_special": false, "parse_special": true});
        match self.tokens(body, terms)?.as_slice() {
            &[end] => Ok(Some(end)),
            _ => Err(self.untold("the token that ends a turn")),
        }
    }

    /// The server's tokens for a text.
    fn tokens(&self, mut body: Value, terms: &Terms) -> Result<Vec<u32>, EngineError> {
        body["model"] = self.model.as_str().into();
        let url = self.endpoint.beside("/tokenize");
        let answer = self.json(&url, Some(&body), terms)?;
        let tokens = answer["tokens"].as_array().into_iter().flatten();
        let tokens = tokens.map(|token| u32::try_from(token.as_u64()?).ok());
        let tokens = tokens.collect::<Option<Vec<u32>>>();
        tokens
            .filter(|tokens| !tokens.is_empty())
            .ok_or_else(|| self.untold("its tokens"))
    }

    fn untold(&self, what: &str) -> EngineError {
        EngineError::Invalid(format!(
            "the server at {} cannot weigh labels: it does not tell {what}",
            self.endpoint
        ))
    }
}

/// A label that another begins with, or that is there twice.
fn beginning(labels: &[Vec<u32>]) -> Option<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| labels[a].cmp(&labels[b]));
    let pairs = order.windows(2);
    let mut begins = pairs.filter(|pair| labels[pair[1]].starts_with(&labels[pair[0]]));
    begins.next().map(|pair| pair[0])
}

fn refuse_beginnings(labels: &[Vec<u32>], names: &[String]) -> Result<(), EngineError> {
    match beginning(labels) {
        None => Ok(()),
        Some(label) => Err(EngineError::Invalid(format!(
            "the label '{}' is there twice, or another begins with it, which this server cannot tell apart: rename one",
            names[label]
        ))),
    }
}

/// What the logarithms stand for, as parts of one.
fn normalised(logs: &[f64]) -> Vec<f64> {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// The share of each label, by what `weigh` says of the places where they part. No
/// label is the beginning of another.
fn shares(
    labels: &[Vec<u32>],
    mut weigh: impl FnMut(Fork<'_>) -> Result<Vec<f64>, EngineError>,
) -> Result<Vec<f64>, EngineError> {
    let mut shares = vec![0.0; labels.len()];
    let mut open = vec![(0, (0..labels.len()).collect::<Vec<usize>>(), 1.0)];
    while let Some((depth, through, share)) = open.pop() {
        if through.len() == 1 || share < TOLERANCE {
            let part = share / through.len() as f64;
            through.iter().for_each(|&label| shares[label] = part);
            continue;
        }
        let mut after: Vec<u32> = Vec::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for label in through {
            let token = labels[label][depth];
            match after.iter().position(|&known| known == token) {
                Some(at) => groups[at].push(label),
                None => {
                    after.push(token);
                    groups.push(vec![label]);
                }
            }
        }
        let weights = match groups.as_slice() {
            [_] => vec![1.0],
            _ => {
                let first: Vec<usize> = groups.iter().map(|group| group[0]).collect();
                weigh(Fork {
                    before: &labels[first[0]][..depth],
                    after: &after,
                    labels: &first,
                })?
            }
        };
        for (group, weight) in groups.into_iter().zip(weights) {
            open.push((depth + 1, group, share * weight));
        }
    }
    if shares.iter().all(|share| share.is_finite()) {
        return Ok(shares);
    }
    Err(EngineError::Failed(
        "the server told what is no number".into(),
    ))
}

#[cfg(test)]
mod tests;
