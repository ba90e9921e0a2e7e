//! What waits for a link: nothing is lost and nothing is done twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use andon_store::{Page, PlaceState, QueueFilter};
use andon_task::route::{Reason, Route};
use andon_task::run::Evidence;

use crate::bench::{Bench, Made};
use crate::server::{Asked, Reply, Server};

/// An upstream whose link can be cut, and that acts once for a key.
#[derive(Clone, Default)]
struct Deduplicating {
    is_down: Arc<AtomicBool>,
    acted: Arc<Mutex<HashMap<String, usize>>>,
    order: Arc<Mutex<Vec<String>>>,
}

impl Deduplicating {
    fn start(&self) -> Server {
        let own = self.clone();
        Server::start(move |asked| own.answer(asked))
    }

    fn answer(&self, asked: &Asked) -> Reply {
        if self.is_down.load(Ordering::Relaxed) {
            return Reply::Close;
        }
        let mut acted = self.acted.lock().expect("no test panicked");
        let times = acted.entry(asked.key()).or_default();
        if *times == 0 {
            *times = 1;
            self.order
                .lock()
                .expect("no test panicked")
                .push(asked.last().to_owned());
        }
        Reply::label("east")
    }

    fn cut(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }
}

fn drain(bench: &Bench, settled: usize) {
    let until = Instant::now() + Duration::from_secs(30);
    let mut sum = 0;
    while sum < settled {
        assert!(Instant::now() < until, "{sum} of {settled} settled");
        sum += bench.node.drain_queue().expect("draining").settled;
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_waits_is_sent_when_the_link_is_back() {
    let upstream = Deduplicating::default();
    let server = upstream.start();
    let bench = Made::with(&server.url).task("queue = true").bench();
    upstream.cut(true);
    let stored = bench.run("Juan Pérez hears it");
    assert_eq!(
        (stored.run.route, stored.run.reason),
        (Route::Human, Reason::Queued)
    );
    assert_eq!(stored.run.answer, "north", "a provisional answer");
    assert!(
        stored
            .run
            .evidence
            .iter()
            .any(|e| matches!(e, Evidence::Queued { .. }))
    );
    let page = Page {
        before: None,
        limit: 10,
    };
    let places = bench
        .store
        .queue(&QueueFilter::default(), page)
        .expect("the queue");
    assert_eq!(places[0].state, PlaceState::Queued);
    assert!(!places[0].new.request.contains("Juan"), "it waits redacted");
    // The same record waits once.
    let taken = bench.node.recall(stored.record).expect("the record");
    bench
        .node
        .run("kind", &taken, &Default::default())
        .expect("a run");
    assert_eq!(bench.store.queue_counts().expect("counts").queued, 1);
    upstream.cut(false);
    drain(&bench, 1);
    let runs = bench.node.runs_of(stored.record).expect("runs");
    let last = &runs.last().expect("one").run;
    assert_eq!((last.route, &last.answer), (Route::Cloud, &"east".into()));
    let places = bench
        .store
        .queue(&QueueFilter::default(), page)
        .expect("the queue");
    assert_eq!(places[0].state, PlaceState::Settled);
    assert_eq!(places[0].new.request, "", "what was asked is not kept");
}

#[test]
fn what_waits_too_long_or_may_not_leave_any_more_is_a_dead_letter() {
    let upstream = Deduplicating::default();
    let server = upstream.start();
    let made = Made::with(&server.url).task("wait = '2h'");
    let bench = made.bench();
    upstream.cut(true);
    bench.run("first");
    bench.clock.fetch_add(3 * 3_600_000, Ordering::Relaxed);
    bench.run("second");
    assert_eq!(bench.node.drain_queue().expect("draining").expired, 1);
    let directory = Arc::clone(&bench.directory);
    drop(bench);
    // The policy is another today.
    upstream.cut(false);
    let bench = Bench::open(&made.policy(""), directory);
    bench.clock.fetch_add(3 * 3_600_000, Ordering::Relaxed);
    assert_eq!(bench.node.drain_queue().expect("draining").expired, 1);
    let filter = QueueFilter {
        state: Some(PlaceState::Expired),
    };
    let page = Page {
        before: None,
        limit: 10,
    };
    let dead = bench.store.queue(&filter, page).expect("the queue");
    let reasons: Vec<&str> = dead
        .iter()
        .filter_map(|place| place.reason.as_deref())
        .collect();
    assert_eq!(reasons, ["policy_denied", "deadline"]);
    assert!(upstream.acted.lock().expect("it").is_empty());
}

#[test]
fn what_does_not_fit_the_queue_is_a_persons() {
    let upstream = Deduplicating::default();
    let server = upstream.start();
    let mut made = Made::with(&server.url).task("queue = true");
    made.upstreams.push_str("[queue]\nmax_bytes = 600\n");
    let bench = made.bench();
    upstream.cut(true);
    let reasons: Vec<Reason> = (0..6)
        .map(|i| bench.run(&format!("note {i}")).run.reason)
        .collect();
    assert!(
        reasons.contains(&Reason::Queued) && reasons.contains(&Reason::LinkDown),
        "{reasons:?}"
    );
}

/// Requests over a link that comes and goes, and nodes that end at any moment: by
/// dropping a node while something of it is in flight, as a kill leaves the database.
fn flaps(requests: usize, every: usize) {
    let upstream = Deduplicating::default();
    let server = upstream.start();
    let made = Made::with(&server.url).task("queue = true");
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let mut bench = Bench::open(&made, Arc::clone(&directory));
    let answered = AtomicUsize::new(0);
    for number in 0..requests {
        upstream.cut(number / every % 2 == 1);
        let run = bench.run(&format!("note {number}")).run;
        match run.route {
            Route::Cloud => drop(answered.fetch_add(1, Ordering::Relaxed)),
            _ => assert_eq!(run.reason, Reason::Queued, "note {number}"),
        }
        if number % every == every - 1 {
            // One is taken out and the node ends before it is answered.
            let taken = bench
                .store
                .take_from_queue(bench.node.now())
                .expect("the queue");
            if let Some(place) = taken.filter(|place| place.id % 2 == 0) {
                // The upstream even acted, and its answer was lost.
                let mut acted = upstream.acted.lock().expect("no test panicked");
                *acted.entry(place.new.key).or_default() = 1;
            }
            drop(bench);
            bench = Bench::open(&made, Arc::clone(&directory));
            bench.node.recover_queue().expect("the queue");
        }
    }
    upstream.cut(false);
    let waiting = bench.store.queue_counts().expect("counts").queued;
    drain(&bench, usize::try_from(waiting).expect("few"));
    let counts = bench.store.queue_counts().expect("counts");
    assert_eq!((counts.queued, counts.in_flight, counts.expired), (0, 0, 0));
    let acted = upstream.acted.lock().expect("no test panicked");
    assert_eq!(acted.len(), requests, "none is lost and none is done twice");
    // Each record has one answer from upstream.
    let mut by_record: BTreeMap<i64, usize> = BTreeMap::new();
    for record in 1..=i64::try_from(requests).expect("few") {
        let runs = bench.node.runs_of(record).expect("runs");
        let cloud = runs.iter().filter(|run| run.run.route == Route::Cloud);
        *by_record.entry(record).or_default() += cloud.count();
    }
    assert!(by_record.values().all(|count| *count == 1), "{by_record:?}");
    assert!(answered.load(Ordering::Relaxed) > 0 && counts.settled > 0);
}

/// 120 requests, or as many as ANDON_FLAP_REQUESTS says: `make bench-hybrid` asks for
/// 20,000.
#[test]
fn a_link_that_comes_and_goes_loses_nothing() {
    let requests = std::env::var("ANDON_FLAP_REQUESTS");
    let requests = requests.map_or(120, |number| number.parse().expect("a number"));
    flaps(requests, 12);
}
