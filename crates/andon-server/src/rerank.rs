//! `POST /v1/rerank`, as the open servers have it: how much each document has to
//! do with a query.

use andon_task::engine::{Embed, Message, Prompt, Role, ScoreRequest, Terms};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::{App, Chosen};
use crate::asked::Asked;
use crate::error::ApiError;
use crate::extract::{Body, Reply};
use crate::gate::Presence;
use crate::openai::parameters::{self, Rest};

/// The most documents of one request.
const MAX_DOCUMENTS: usize = 1000;

/// A query, and documents to put in order.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RerankRequest {
    /// An encoder or the language model, as `GET /v1/models` names them.
    model: String,
    /// What is looked for.
    query: String,
    /// 1 to 1,000 texts.
    documents: Vec<Document>,
    /// How many results, the best ones; all by default.
    top_n: Option<usize>,
    /// Whether results hold the texts; not by default.
    return_documents: Option<bool>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// A text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an object with text")]
enum Document {
    /// As it stands.
    Text(String),
    /// In an object.
    Object { text: String },
}

impl Document {
    fn into_text(self) -> String {
        let (Self::Text(text) | Self::Object { text }) = self;
        text
    }
}

/// The documents in their order, the best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reranked {
    id: String,
    model: String,
    /// `list`.
    object: &'static str,
    results: Vec<Ranked>,
    usage: RerankUsage,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Ranked {
    /// The place of the document in the request, from 0.
    index: usize,
    /// Larger is more relevant. By an encoder: the cosine of the angle between
    /// the vectors of query and document. By the language model: the share of
    /// "yes" against "no", which is no calibrated probability.
    relevance_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<RankedText>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RankedText {
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RerankUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// Scores in the order of the documents, and the tokens that they cost.
type Scored = (Vec<f64>, usize);

/// Puts documents in the order of what they have to do with a query.
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    Body(request): Body<RerankRequest>,
) -> Result<Reply<Reranked>, ApiError> {
    parameters::refuse(&request.rest)?;
    let number = request.documents.len();
    if !(1..=MAX_DOCUMENTS).contains(&number) {
        let message = format!("there are {number} documents: give 1 to {MAX_DOCUMENTS}");
        return Err(ApiError::invalid("documents", message));
    }
    if request.query.trim().is_empty() {
        return Err(ApiError::invalid("query", "the query is empty"));
    }
    let top = parameters::at_least_one("top_n", request.top_n)?.unwrap_or(number);
    let texts: Vec<String> = request
        .documents
        .into_iter()
        .map(Document::into_text)
        .collect();
    if let Some(index) = texts.iter().position(|text| text.trim().is_empty()) {
        let message = "the document is empty: leave it out";
        return Err(ApiError::invalid(format!("documents[{index}]"), message));
    }
    let query = request.query;
    let ((scores, tokens), texts) = match app.encoder(&request.model) {
        Ok(encoder) => {
            let work = move |_: &_| Ok((by_likeness(&*encoder, &query, &texts)?, texts));
            app.work(asked.class(), work).await?
        }
        Err(_) => {
            let chosen = app.language_model(&request.model, None)?;
            let presence = Presence::new();
            let terms = asked.terms(presence.departure());
            let work = move |_: &_| Ok((by_asking(&chosen, &query, &texts, &terms)?, texts));
            app.long_work(asked.class(), work).await?
        }
    };
    let returns = request.return_documents.unwrap_or(false);
    let mut results: Vec<Ranked> = scores
        .into_iter()
        .zip(texts)
        .enumerate()
        .map(|(index, (relevance_score, text))| Ranked {
            index,
            relevance_score,
            document: returns.then_some(RankedText { text }),
        })
        .collect();
    results.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score));
    results.truncate(top);
    Ok(Reply(Reranked {
        id: app.answer_id("rerank"),
        model: request.model,
        object: "list",
        results,
        usage: RerankUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
        },
    }))
}

fn by_likeness(encoder: &dyn Embed, query: &str, texts: &[String]) -> Result<Scored, ApiError> {
    let all: Vec<&str> = std::iter::once(query)
        .chain(texts.iter().map(String::as_str))
        .collect();
    let vectors = encoder.embed(&all)?;
    let mut tokens = 0;
    for text in all {
        tokens += encoder.count_tokens(text)?;
    }
    let cosine = |vector: &Vec<f32>| {
        let products = vectors[0].iter().zip(vector);
        products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    Ok((vectors[1..].iter().map(cosine).collect(), tokens))
}

fn by_asking(
    chosen: &Chosen,
    query: &str,
    texts: &[String],
    terms: &Terms,
) -> Result<Scored, ApiError> {
    let request = |text: &String| {
        // The query stands first: all prompts begin with it.
        let content = format!(
            "Query: {query}\n\nDocument: {text}\n\nIs the document about what the query asks for? Answer with yes or no and nothing else."
        );
        let prompt = Prompt::chat(vec![
            Message::new(Role::System, "Judge whether a document answers a query."),
            Message::new(Role::User, content),
        ]);
        ScoreRequest {
            adapter: chosen.adapter.clone(),
            terms: terms.clone(),
            ..ScoreRequest::new(prompt, vec!["yes".to_owned(), "no".to_owned()])
        }
    };
    let requests: Vec<ScoreRequest> = texts.iter().map(request).collect();
    let scores = chosen.model.score_all(&requests)?;
    let tokens = scores.iter().map(|scores| scores.usage.prompt_tokens).sum();
    Ok((
        scores.iter().map(|scores| scores.shares[0]).collect(),
        tokens,
    ))
}
