//! Connections to a server, and when they end.
//!
//! A call blocks its caller's thread, in reads of a few milliseconds, so that it
//! ends when its caller leaves, when its deadline passes and when the server
//! keeps silent; the connection is then closed, which is how a server learns
//! that its work is not wanted any more.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use andon_task::engine::{Departure, EngineError, Terms};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport,
    time,
};
use ureq::{Agent, Error};

use crate::endpoint::is_near;

/// How often a call looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// The most calls at once; more are refused.
const MOST_CALLS: usize = 64;

/// How long a server may take, apart from what a request's own deadline says.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the first token, with all of the prompt before it.
    pub first_token: Duration,
    /// From token to token.
    pub between_tokens: Duration,
    /// For all of it.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_token: Duration::from_secs(60),
            between_tokens: Duration::from_secs(15),
            total: Duration::from_secs(600),
        }
    }
}

/// Why a call was ended from this side.
#[derive(Clone, Debug)]
enum End {
    Left,
    Deadline,
    Silence(&'static str, Duration),
}

/// What a call in progress is watched for.
#[derive(Debug)]
struct Watch {
    departure: Departure,
    deadline: Option<Instant>,
    patience: Patience,
    began: Instant,
    /// Until when the next token has to come, and what that wait is called.
    next: (Instant, &'static str, Duration),
    ended: Option<End>,
}

impl Watch {
    fn new(terms: &Terms, patience: Patience) -> Self {
        let began = Instant::now();
        Self {
            departure: terms.departure.clone(),
            deadline: terms.deadline,
            patience,
            began,
            next: (
                began + patience.first_token,
                "before its first token",
                patience.first_token,
            ),
            ended: None,
        }
    }

    /// How long nothing but a departure ends the call; `None` once it has ended.
    fn left(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let (silent, wait, allowed) = self.next;
        if self.departure.is_announced() {
            self.ended = Some(End::Left);
        } else if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.ended = Some(End::Deadline);
        } else if self.began + self.patience.total <= now {
            self.ended = Some(End::Silence("until it was done", self.patience.total));
        } else if silent <= now {
            self.ended = Some(End::Silence(wait, allowed));
        }
        if self.ended.is_some() {
            return None;
        }
        let ends = silent.min(self.began + self.patience.total);
        let ends = self.deadline.map_or(ends, |deadline| ends.min(deadline));
        Some(ends - now)
    }
}

/// The watch of the call that a connection is in, if it is in one.
#[derive(Clone, Debug, Default)]
struct Post(Arc<Mutex<Option<Watch>>>);

impl Post {
    fn with<T>(&self, work: impl FnOnce(&mut Option<Watch>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long the call may still take; `None` once it has ended.
    fn left(&self) -> Option<Duration> {
        self.with(|watch| watch.as_mut().map_or(Some(LOOK), Watch::left))
    }
}

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
        line.post
            .with(|watch| *watch = Some(Watch::new(terms, self.patience)));
        let call = Call {
            lines: self,
            line: Some(line),
        };
        match call.line().post.left() {
            Some(_) => Ok(call),
            None => Err(call.ended().expect("a watch that has ended says why")),
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
        self.line().post.with(|watch| {
            if let Some(watch) = watch {
                let allowed = watch.patience.between_tokens;
                watch.next = (Instant::now() + allowed, "between two tokens", allowed);
            }
        });
    }

    /// The answer is whole: what still comes is waited for only briefly.
    pub(crate) fn wind_up(&self) {
        self.line().post.with(|watch| {
            if let Some(watch) = watch {
                watch.next = (Instant::now() + LOOK, "to end its answer", LOOK);
            }
        });
    }

    /// Whether the call was ended from this side, or is to be; and why.
    pub(crate) fn ended(&self) -> Option<EngineError> {
        self.line().post.left();
        let end = self
            .line()
            .post
            .with(|watch| watch.as_ref().and_then(|watch| watch.ended.clone()))?;
        Some(match end {
            End::Left => EngineError::Cancelled,
            End::Deadline => EngineError::DeadlinePassed,
            End::Silence(wait, allowed) => EngineError::Failed(format!(
                "the server took more than {} ms {wait}",
                allowed.as_millis()
            )),
        })
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
            line.post.with(|watch| *watch = None);
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

/// Puts a watch on each connection.
#[derive(Debug)]
struct Watching(Post);

impl<In: Transport> Connector<In> for Watching {
    type Out = Watched<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Watched {
            inner,
            post: self.0.clone(),
        }))
    }
}

/// A connection that waits no longer than its call.
#[derive(Debug)]
struct Watched<T> {
    inner: T,
    post: Post,
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let left = self.post.left().ok_or_else(ended)?;
        self.inner.transmit_output(amount, within(timeout, left))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let began = Instant::now();
        loop {
            let left = self.post.left().ok_or_else(ended)?;
            match self.inner.await_input(within(timeout, left.min(LOOK))) {
                Err(Error::Timeout(_)) if began.elapsed() < *timeout.after => {}
                result => return result,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

fn ended() -> Error {
    Error::Io(io::Error::other("the call was ended"))
}

/// `timeout`, but at most `left`.
fn within(timeout: NextTimeout, left: Duration) -> NextTimeout {
    let least = Duration::from_millis(1);
    NextTimeout {
        after: time::Duration::Exact(left.min(*timeout.after).max(least)),
        ..timeout
    }
}
