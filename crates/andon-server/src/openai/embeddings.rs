//! `POST /v1/embeddings`.

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parameters::{self, OneOrMany, Rest};
use crate::app::App;
use crate::asked::Asked;
use crate::error::ApiError;
use crate::extract::{Body, Reply};

/// The most texts of one request, as OpenAI has it.
const MAX_TEXTS: usize = 2048;

/// Texts to turn into vectors.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct EmbeddingRequest {
    /// The encoder, as `GET /v1/models` names it.
    model: String,
    /// A text, or up to 2,048. Arrays of tokens are refused.
    input: OneOrMany,
    /// How a vector is written.
    encoding_format: Option<Encoding>,
    /// Refused unless it is the length that the encoder gives.
    dimensions: Option<usize>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    /// An array of numbers.
    #[default]
    Float,
    /// The little-endian bytes of 32-bit numbers.
    Base64,
}

/// A list of vectors, in the order of the texts.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EmbeddingList {
    /// `list`.
    object: &'static str,
    data: Vec<Embedding>,
    model: String,
    usage: EmbeddingUsage,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Embedding {
    /// `embedding`.
    object: &'static str,
    index: usize,
    embedding: Vector,
}

/// A vector of unit length.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Serialize, JsonSchema)]
struct EmbeddingUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// Turns texts into vectors of unit length.
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    Body(request): Body<EmbeddingRequest>,
) -> Result<Reply<EmbeddingList>, ApiError> {
    parameters::refuse(&request.rest)?;
    let encoder = app.encoder(&request.model)?;
    let length = encoder.dimensions();
    if let Some(wanted) = request.dimensions.filter(|&wanted| wanted != length) {
        let message = format!("dimensions is {wanted}, this encoder gives {length}: leave it out");
        return Err(ApiError::invalid("dimensions", message));
    }
    let texts = request.input.into_vec();
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        let message = format!("input has {} texts: give 1 to {MAX_TEXTS}", texts.len());
        return Err(ApiError::invalid("input", message));
    }
    if let Some(index) = texts.iter().position(String::is_empty) {
        let message = "the text is empty: leave it out";
        return Err(ApiError::invalid(format!("input[{index}]"), message));
    }
    let model = encoder.identity().name.clone();
    let (vectors, tokens) = app
        .work(asked.class(), move |_| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let vectors = encoder.embed(&texts)?;
            let mut tokens = 0;
            for text in texts {
                tokens += encoder.count_tokens(text)?;
            }
            Ok((vectors, tokens))
        })
        .await?;
    let encoding = request.encoding_format.unwrap_or_default();
    let data = vectors
        .into_iter()
        .enumerate()
        .map(|(index, vector)| Embedding {
            object: "embedding",
            index,
            embedding: encode(vector, encoding),
        })
        .collect();
    Ok(Reply(EmbeddingList {
        object: "list",
        data,
        model,
        usage: EmbeddingUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
        },
    }))
}

fn encode(vector: Vec<f32>, encoding: Encoding) -> Vector {
    match encoding {
        Encoding::Float => Vector::Float(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            Vector::Base64(STANDARD.encode(bytes))
        }
    }
}
