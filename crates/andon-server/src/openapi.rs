//! The OpenAPI document, generated from the routes and the types they take and
//! give.

use aide::axum::ApiRouter;
use aide::openapi::{Info, OpenApi, ReferenceOr};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::routes::routes;

/// The OpenAPI 3.1 document of the whole API, as JSON.
pub fn document() -> String {
    let (_, document) = finish(routes());
    document
}

/// The router for serving, and the document of its routes.
pub(crate) fn finish(routes: ApiRouter<App>) -> (Router<App>, String) {
    let mut document = OpenApi {
        info: Info {
            title: "Andon".to_owned(),
            description: Some(
                "Language work of a plant, decided on its own node. Under /v1 as OpenAI has it."
                    .to_owned(),
            ),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Info::default()
        },
        ..OpenApi::default()
    };
    let router = routes.finish_api(&mut document);
    name_operations(&mut document);
    let json = serde_json::to_string(&document).expect("a document has string keys alone");
    (router, json)
}

/// Names every operation after its method and path, and sorts it under the API
/// that it belongs to.
fn name_operations(document: &mut OpenApi) {
    let paths = document.paths.iter_mut().flat_map(|paths| &mut paths.paths);
    for (path, item) in paths {
        let ReferenceOr::Item(item) = item else {
            continue;
        };
        let tag = match path.split('/').nth(1) {
            Some("v1") => "OpenAI",
            Some("api") => "Andon",
            _ => "Operation",
        };
        let words = path.replace(['{', '}'], "").replace(['/', '.'], "_");
        for (method, operation) in [("get", &mut item.get), ("post", &mut item.post)] {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{method}{words}"));
                operation.tags = vec![tag.to_owned()];
            }
        }
    }
}

/// Shows the document.
pub(crate) async fn show(State(app): State<App>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        app.openapi.clone(),
    )
        .into_response()
}
