//! A breaker: an upstream that fails is left alone, and tried by one request at a time.

use std::time::{Duration, Instant};

use andon_task::upstream::{Link, UpstreamError};

/// So many failures in a row, and it is left alone.
const FAILURES: u32 = 3;
/// How long at first; twice as long each time that the one who tries fails.
const FIRST_REST: Duration = Duration::from_secs(2);
/// How long at most.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// One who tries and does not say how it went is forgotten after this.
const LOST: Duration = Duration::from_secs(120);

/// What is known of the link.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// What it failed in last, by key.
    failed: Option<String>,
    /// Until when the upstream is left alone, and how long the rest was.
    open: Option<(Instant, Duration)>,
    /// Since when somebody tries.
    probing: Option<Instant>,
}

impl Breaker {
    /// Whether a request may go now.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        match self.link(now) {
            Link::Up => true,
            Link::Down => false,
            Link::Probing => {
                self.probing = Some(now);
                true
            }
        }
    }

    /// What a request would meet.
    pub(super) fn link(&self, now: Instant) -> Link {
        let is_tried = self.probing.is_some_and(|since| now < since + LOST);
        match self.open {
            None => Link::Up,
            Some((until, _)) if now < until || is_tried => Link::Down,
            Some(_) => Link::Probing,
        }
    }

    /// How a request went that was admitted, which is known by its key. One that an upstream
    /// fails in again and again says something of itself, and once something of the link;
    /// that there is no link at all each says anew.
    pub(super) fn heard<T>(&mut self, now: Instant, key: &str, result: &Result<T, UpstreamError>) {
        let failed = match result {
            // One who left says nothing of the link.
            Err(UpstreamError::Cancelled | UpstreamError::DeadlinePassed) => {
                self.probing = None;
                return;
            }
            Err(UpstreamError::Busy { status: 429, .. }) => false,
            Err(error) => error.is_of_link(),
            Ok(_) => false,
        };
        self.probing = None;
        if !failed {
            self.failures = 0;
            self.failed = None;
            self.open = None;
            return;
        }
        let is_told_again = self.failed.as_deref() == Some(key) && self.open.is_none();
        if is_told_again && !matches!(result, Err(UpstreamError::Unreachable(_))) {
            return;
        }
        self.failed = Some(key.to_owned());
        self.failures += 1;
        if let Some((_, rest)) = self.open {
            let rest = (rest * 2).min(LONGEST_REST);
            self.open = Some((now + rest, rest));
        } else if self.failures >= FAILURES {
            self.open = Some((now + FIRST_REST, FIRST_REST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent() -> Result<(), UpstreamError> {
        Err(UpstreamError::Silent(String::new()))
    }

    #[test]
    fn one_tries_after_a_rest_and_everybody_once_it_answered() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut breaker = Breaker::default();
        for key in ["a", "b", "c"] {
            assert!(breaker.admit(at(0.0)));
            breaker.heard(at(0.0), key, &silent());
        }
        assert!(!breaker.admit(at(1.9)));
        assert!(breaker.admit(at(2.0)));
        assert!(!breaker.admit(at(2.0)), "one at a time");
        breaker.heard(at(2.1), "d", &silent());
        assert!(!breaker.admit(at(6.0)), "the rest is twice as long");
        assert!(breaker.admit(at(6.2)));
        breaker.heard(at(6.3), "d", &Ok(()));
        assert!(breaker.admit(at(6.3)) && breaker.admit(at(6.3)));
    }

    #[test]
    fn what_is_not_the_links_fault_leaves_it_closed() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert!(breaker.admit(now));
            breaker.heard(now, "a", &Err::<(), _>(UpstreamError::Unfit));
        }
        assert_eq!(breaker.link(now), Link::Up);
        // One who tried and left does not keep others from trying.
        for key in ["a", "b", "c"] {
            breaker.heard(now, key, &silent());
        }
        let later = now + FIRST_REST;
        assert!(breaker.admit(later));
        breaker.heard(later, "d", &Err::<(), _>(UpstreamError::Cancelled));
        assert!(breaker.admit(later));
    }

    #[test]
    fn one_request_alone_does_not_take_the_link_from_the_others() {
        let now = Instant::now();
        let failed = || {
            Err::<(), _>(UpstreamError::Busy {
                status: 500,
                retry_after: None,
            })
        };
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.heard(now, "a", &failed());
        }
        assert_eq!(breaker.link(now), Link::Up);
        breaker.heard(now, "b", &failed());
        breaker.heard(now, "c", &failed());
        assert_eq!(breaker.link(now), Link::Down);
        // Without a connection it is nobody's own.
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            let unreachable = Err::<(), _>(UpstreamError::Unreachable(String::new()));
            breaker.heard(now, "a", &unreachable);
        }
        assert_eq!(breaker.link(now), Link::Down);
    }
}
