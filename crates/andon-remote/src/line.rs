//! Connections to a server, and when they end.
//!
//! A call blocks its caller's thread, in reads of a few milliseconds, so that it
//! ends when its caller leaves, when its deadline passes and when the server
//! keeps silent; the connection is then closed, which is how a server learns
//! that its work is not wanted any more.

mod watch;
mod watched;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use andon_task::engine::{EngineError, Terms};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, RustlsConnector, TcpConnector};
use ureq::{Agent, Error};

use crate::endpoint::is_near;

pub use self::watch::Patience;
use self::watch::{Post, Watch};
use self::watched::Watching;

/// The most calls at once; more are refused.
const MOST_CALLS: usize = 64;

/// One connection at a time to a server, kept for the next call.
struct Line {
    agent: Agent,
    post: Post,
}

impl Line {
    fn new(config: Config) -> Self {
        let post = Post::default();
        let connector =
            ().chain(TcpConnector::default())
                .chain(Watching(post.clone()))
                .chain(RustlsConnector::default());
        let resolver = Near(DefaultResolver::default());
        Self {
            agent: Agent::with_parts(config, connector, resolver),
            post,
        }
    }
}

/// The connections to a server.
pub(crate) struct Lines {
    config: Config,
    patience: Patience,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    idle: Vec<Line>,
    taken: usize,
}

impl Lines {
    pub(crate) fn new(patience: Patience) -> Self {
        let tls = TlsConfig::builder()
            // The platform's certificates: a plant often has its own.
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        Self::with_tls(patience, tls)
    }

    pub(crate) fn with_tls(patience: Patience, tls: TlsConfig) -> Self {
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // Neither a proxy nor a redirect takes a text where nobody sent it.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .build();
        Self {
            config,
            patience,
            places: Mutex::default(),
        }
    }

    /// A connection for one call on these terms.
    pub(crate) fn take(&self, terms: &Terms) -> Result<Call<'_>, EngineError> {
        let line = {
            let mut places = self.places();
            if places.taken == MOST_CALLS {
                return Err(EngineError::Overloaded {
                    waiting: places.taken,
                    retry_after: Duration::from_secs(1),
                });
            }
            places.taken += 1;
            places.idle.pop()
        };
        let line = line.unwrap_or_else(|| Line::new(self.config.clone()));
        line.post.begin(Watch::new(terms, self.patience));
        let call = Call {
            lines: self,
            line: Some(line),
        };
        match call.ended() {
            None => Ok(call),
            Some(ended) => Err(ended),
        }
    }

    /// Calls in progress.
    pub(crate) fn taken(&self) -> usize {
        self.places().taken
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in progress. The line is free for others when it goes.
pub(crate) struct Call<'a> {
    lines: &'a Lines,
    line: Option<Line>,
}

impl Call<'_> {
    /// What sends the request.
    pub(crate) fn agent(&self) -> &Agent {
        &self.line().agent
    }

    /// How long connecting may take.
    pub(crate) fn connect_within(&self) -> Duration {
        let left = self.line().post.left().unwrap_or(Duration::ZERO);
        left.min(self.lines.patience.connect)
            .max(Duration::from_millis(1))
    }

    /// A token has come: from here on the next one is waited for.
    pub(crate) fn token_came(&self) {
        self.line().post.token_came();
    }

    /// The answer is whole: what still comes is waited for only briefly.
    pub(crate) fn wind_up(&self) {
        self.line().post.wind_up();
    }

    /// Whether the call was ended from this side, or is to be; and why.
    pub(crate) fn ended(&self) -> Option<EngineError> {
        self.line().post.ended()
    }

    fn line(&self) -> &Line {
        self.line
            .as_ref()
            .expect("a call holds its line until it goes")
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut places = self.lines.places();
        places.taken -= 1;
        if let Some(line) = self.line.take() {
            line.post.end();
            places.idle.push(line);
        }
    }
}

/// Lets plain HTTP go to near addresses alone, whatever a name stands for now.
#[derive(Debug)]
struct Near(DefaultResolver);

impl Resolver for Near {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let addresses = self.0.resolve(uri, config, timeout)?;
        let is_plain = uri.scheme() != Some(&Scheme::HTTPS);
        let far = addresses.iter().find(|address| !is_near(address.ip()));
        match far.filter(|_| is_plain) {
            None => Ok(addresses),
            Some(far) => Err(Error::Io(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "the name stands for {}, beyond loopback and private networks: use https",
                    far.ip()
                ),
            ))),
        }
    }
}
