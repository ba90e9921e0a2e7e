//! Connections that wait no longer than the call that they are in.

use std::io;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport, time,
};

use super::watch::{LOOK, Post};

/// Puts a watch on each connection.
#[derive(Debug)]
pub(super) struct Watching(pub(super) Post);

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
pub(super) struct Watched<T> {
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
