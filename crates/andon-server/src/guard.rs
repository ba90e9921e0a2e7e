//! Who may reach the node: loopback is the only door that opens by itself.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::error::ApiError;

/// An address that others can reach, without the word that says so.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, and there is no TLS: give --tls-cert and --tls-key, listen on 127.0.0.1, or say --insecure-no-tls"
)]
pub struct NotLoopback(SocketAddr);

/// Whether an address may be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Loopback alone.
    Loopback,
    /// Any address: there is TLS, or somebody said in so many words that there is none.
    Anywhere,
}

/// Refuses to listen beyond loopback unless that is said explicitly.
pub fn guard(address: SocketAddr, exposure: Exposure) -> Result<(), NotLoopback> {
    match exposure {
        Exposure::Loopback if !address.ip().is_loopback() => Err(NotLoopback(address)),
        _ => Ok(()),
    }
}

/// On loopback, refuses what a page of another site could make a browser send:
/// a request under a foreign name (DNS rebinding) or from a foreign origin.
pub(crate) async fn refuse_foreign(request: Request, next: Next) -> Response {
    match check(request.headers(), request.uri().authority()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(headers: &HeaderMap, authority: Option<&Authority>) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    // Without a name (HTTP/1.0) there is nothing that a browser could have bent.
    let host = authority.map(Authority::as_str).or(text(header::HOST));
    if let Some(host) = host.filter(|host| !names_loopback(host)) {
        let host: String = host.chars().take(100).collect();
        let message = format!(
            "this node listens on loopback and is not '{host}': call it by 127.0.0.1 or localhost"
        );
        return Err(ApiError::foreign(message));
    }
    if let Some(origin) = text(header::ORIGIN) {
        let rest = origin.split_once("://").map(|(_, rest)| rest);
        if !rest.is_some_and(names_loopback) {
            let origin: String = origin.chars().take(100).collect();
            let message = format!("pages of '{origin}' may not call this node");
            return Err(ApiError::foreign(message));
        }
    }
    Ok(())
}

fn names_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
