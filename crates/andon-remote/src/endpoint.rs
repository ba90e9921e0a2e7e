use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use crate::error::ConnectError;

/// Where a server is, and which of its models is meant:
/// `http://10.0.0.7:8000/v1#model`. Without a path it is `/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and port.
    root: String,
    /// The path of the API, without a slash at its end.
    path: String,
    model: Option<String>,
}

impl Endpoint {
    /// The model that is meant; `None` if the server is to have one alone.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The address of a resource of OpenAI's API, as `/models`.
    pub(crate) fn api(&self, resource: &str) -> String {
        format!("{}{}{resource}", self.root, self.path)
    }

    /// The address of a resource that servers have beside that API.
    pub(crate) fn beside(&self, resource: &str) -> String {
        let before = self.path.strip_suffix("/v1").unwrap_or(&self.path);
        format!("{}{before}{resource}", self.root)
    }
}

impl FromStr for Endpoint {
    type Err = ConnectError;

    fn from_str(text: &str) -> Result<Self, ConnectError> {
        let wrong = || ConnectError::Address(text.to_owned());
        let (address, model) = match text.split_once('#') {
            Some((address, model)) if !model.is_empty() => (address, Some(model.to_owned())),
            Some(_) => return Err(wrong()),
            None => (text, None),
        };
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let scheme = uri.scheme().ok_or_else(wrong)?;
        let is_http = *scheme == Scheme::HTTP;
        // A key has its own place, where it is not shown with the address.
        let has_secret = authority.as_str().contains('@');
        if has_secret || uri.query().is_some() || !(is_http || *scheme == Scheme::HTTPS) {
            return Err(wrong());
        }
        let host = authority.host();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if is_http && literal.parse().is_ok_and(|address| !is_near(address)) {
            return Err(ConnectError::Beyond(host.to_owned()));
        }
        Ok(Self {
            root: format!("{scheme}://{authority}"),
            path: match uri.path().trim_end_matches('/') {
                "" => "/v1".to_owned(),
                path => path.to_owned(),
            },
            model,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.root, self.path)
    }
}

/// Whether an address is of this machine or of a private network, where plain
/// HTTP does not leave the plant.
pub(crate) fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn an_address_says_where_and_which() {
        let check = |text: &str, models: &str, tokenize: &str, model: Option<&str>| {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.api("/models"), models, "{text}");
            assert_eq!(endpoint.beside("/tokenize"), tokenize, "{text}");
            assert_eq!(endpoint.model(), model, "{text}");
        };
        let (models, tokenize) = (
            "http://10.0.0.7:8000/v1/models",
            "http://10.0.0.7:8000/tokenize",
        );
        check("http://10.0.0.7:8000/v1#a/b", models, tokenize, Some("a/b"));
        check("http://10.0.0.7:8000/v1/", models, tokenize, None);
        check("http://10.0.0.7:8000", models, tokenize, None);
        check(
            "https://gpu.plant.example/llm/v1#m",
            "https://gpu.plant.example/llm/v1/models",
            "https://gpu.plant.example/llm/tokenize",
            Some("m"),
        );
        check(
            "http://[::1]:8000",
            "http://[::1]:8000/v1/models",
            "http://[::1]:8000/tokenize",
            None,
        );
        check(
            "http://gpu:8000",
            "http://gpu:8000/v1/models",
            "http://gpu:8000/tokenize",
            None,
        );
    }

    #[test]
    fn what_is_no_address_or_leaves_the_plant_in_the_clear_is_refused() {
        let check = |text: &str, part: &str| {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        for text in [
            "",
            "smollm2:135m",
            "ftp://10.0.0.7/v1",
            "http://user:secret@10.0.0.7/v1",
            "http://10.0.0.7/v1?x=1",
            "http://10.0.0.7/v1#",
            "/v1",
        ] {
            check(text, "is no address");
        }
        for text in [
            "http://8.8.8.8/v1",
            "http://[2606:4700::1111]/v1",
            "http://[::ffff:8.8.8.8]/v1",
        ] {
            check(text, "beyond loopback");
        }
    }
}
