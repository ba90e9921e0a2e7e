//! What handlers take and give: JSON in with a bounded size, JSON out, path and
//! query; every refusal in OpenAI's error shape.

use aide::generate::GenContext;
use aide::openapi::{
    MediaType, Operation, RequestBody, Response as ResponseDocument, SchemaObject,
};
use aide::operation::{ParamLocation, add_parameters, parameters_from_schema, set_body};
use aide::{OperationInput, OperationOutput};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The largest body.
pub(crate) const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// A body that is too large is read on to this many bytes, and not kept, so that
/// its sender gets to read the refusal.
const MAX_DISCARDED_BYTES: usize = 8 * MAX_BODY_BYTES;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::media_type());
        }
        let bytes = read(request).await?;
        decode(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    // A page of another site can post without asking first, but not as JSON.
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim())
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}

async fn read(request: Request) -> Result<Vec<u8>, ApiError> {
    let mut stream = request.into_body().into_data_stream();
    let mut bytes = Vec::new();
    let mut seen = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| ApiError::broken_body())?;
        seen += piece.len();
        if seen > MAX_DISCARDED_BYTES {
            break;
        }
        if seen > MAX_BODY_BYTES {
            bytes = Vec::new();
        } else {
            bytes.extend_from_slice(&piece);
        }
    }
    if seen > MAX_BODY_BYTES {
        return Err(ApiError::too_large(MAX_BODY_BYTES));
    }
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        let message = format!("the body is not UTF-8 at byte {at}: encode it as UTF-8");
        return Err(ApiError::invalid_json(message));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_data() {
            misfit(&path, &cause.to_string())
        } else {
            ApiError::invalid_json(format!("the body is not JSON: {cause}"))
        }
    })?;
    deserializer
        .end()
        .map_err(|error| ApiError::invalid_json(format!("the body is not JSON: {error}")))?;
    Ok(value)
}

/// JSON of another form than the request has.
fn misfit(path: &str, cause: &str) -> ApiError {
    let cause = cause.split(" at line ").next().unwrap_or(cause);
    // A field that is missing has the path of what it is missing from.
    let missing = cause
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    let param = match (path, missing) {
        (".", Some(field)) => field.to_owned(),
        (".", None) => return ApiError::invalid_json("the body must be a JSON object"),
        (path, Some(field)) => format!("{path}.{field}"),
        (path, None) => path.to_owned(),
    };
    ApiError::invalid(param, in_plain_words(cause))
}

/// A message of the JSON reader without the names of types in this program,
/// and without the value that was sent, which may be the text of a record.
fn in_plain_words(cause: &str) -> String {
    let Some((found, expected)) = cause.rsplit_once(", expected ") else {
        return cause.to_owned();
    };
    let expected = match expected {
        "f32" | "f64" => "a number",
        "usize" | "u64" => "a whole number from 0 on",
        "i64" => "a whole number",
        expected if expected.starts_with("struct ") => "an object",
        expected if expected.contains(" enum ") => "an object with a type",
        expected => expected,
    };
    let found = match found.split_once(": string \"") {
        Some((what, _)) => format!("{what}: a string"),
        None => found.to_owned(),
    };
    format!("{found}, expected {expected}")
}

impl<T: JsonSchema> OperationInput for Body<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let media = json_media::<T>(ctx);
        let body = RequestBody {
            content: [("application/json".to_owned(), media)]
                .into_iter()
                .collect(),
            required: true,
            ..RequestBody::default()
        };
        set_body(ctx, operation, body);
    }
}

/// A JSON answer.
pub(crate) struct Reply<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: JsonSchema> OperationOutput for Reply<T> {
    type Inner = T;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<ResponseDocument> {
        Some(ResponseDocument {
            description: "The answer.".to_owned(),
            content: [("application/json".to_owned(), json_media::<T>(ctx))]
                .into_iter()
                .collect(),
            ..ResponseDocument::default()
        })
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, ResponseDocument)> {
        Self::operation_response(ctx, operation)
            .map(|response| (Some(200), response))
            .into_iter()
            .collect()
    }
}

fn json_media<T: JsonSchema>(ctx: &mut GenContext) -> MediaType {
    MediaType {
        schema: Some(SchemaObject {
            json_schema: ctx.schema.subschema_for::<T>(),
            example: None,
            external_docs: None,
        }),
        ..MediaType::default()
    }
}

/// The parameters in the path, a struct with a field for each.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| {
                let message = "the path has something else where a name or a number belongs";
                ApiError::invalid("path", message)
            })
    }
}

impl<T: JsonSchema> OperationInput for Path<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        document_parameters::<T>(ctx, operation, ParamLocation::Path);
    }
}

/// The parameters after the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let reason = text.rsplit("query string: ").next().unwrap_or(&text);
                ApiError::invalid("query", reason)
            })
    }
}

impl<T: JsonSchema> OperationInput for Query<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        document_parameters::<T>(ctx, operation, ParamLocation::Query);
    }
}

pub(crate) fn document_parameters<T: JsonSchema>(
    ctx: &mut GenContext,
    operation: &mut Operation,
    location: ParamLocation,
) {
    let schema = ctx.schema.subschema_for::<T>();
    let schema = ctx.resolve_schema(&schema).clone();
    let parameters = parameters_from_schema(ctx, schema, location);
    add_parameters(ctx, operation, parameters);
}
