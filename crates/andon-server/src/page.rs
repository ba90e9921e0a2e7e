//! `GET /`: a page with a note box, for trying the node and for a panel.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};

const PAGE: &str = include_str!("page.html");

/// The page may load nothing from elsewhere and may not be framed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Shows the page.
pub(crate) async fn show() -> Response {
    (
        [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ],
        PAGE,
    )
        .into_response()
}
