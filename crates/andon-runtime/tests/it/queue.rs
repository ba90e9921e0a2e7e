//! What waits for a link: nothing is lost and nothing is done twice.

use std::collections::HashMap;
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

const NEWEST: Page = Page {
    before: None,
    limit: 10,
};

/// Runs drain until nothing more comes of it, while the clock goes on by a rest each time.
fn drain_patiently(bench: &Bench, rounds: usize) {
    for _ in 0..rounds {
        for _ in 0..3 {
            bench.node.drain_queue().expect("draining");
        }
        bench.clock.fetch_add(601_000, Ordering::Relaxed);
    }
}

#[test]
fn one_that_an_upstream_fails_in_does_not_hold_the_others() {
    let is_down = Arc::new(AtomicBool::new(true));
    let is_mended = Arc::new(AtomicBool::new(false));
    let (down, mended) = (Arc::clone(&is_down), Arc::clone(&is_mended));
    let server = Server::start(move |asked| {
        let is_poison = asked.last().contains("poison") && !mended.load(Ordering::Relaxed);
        match (down.load(Ordering::Relaxed), is_poison) {
            (true, _) => Reply::Close,
            (_, true) => Reply::status(500),
            _ => Reply::label("east"),
        }
    });
    let bench = Made::with(&server.url).task("queue = true").bench();
    let poison = bench.run("poison");
    assert_eq!(poison.run.reason, Reason::Queued);
    for number in 0..5 {
        bench.run(&format!("note {number}"));
    }
    is_down.store(false, Ordering::Relaxed);
    drain(&bench, 5);
    let counts = bench.store.queue_counts().expect("counts");
    assert_eq!(
        (counts.settled, counts.queued),
        (5, 1),
        "others overtake it"
    );
    // The link is not blamed for it: what comes meanwhile is answered.
    assert_eq!(bench.run("meanwhile").run.route, Route::Cloud);
    drain_patiently(&bench, 10);
    let dead = bench
        .store
        .queue(&QueueFilter::default(), NEWEST)
        .expect("the queue");
    let dead = dead.last().expect("the first that waited");
    assert_eq!((dead.state, dead.failures), (PlaceState::Expired, 7));
    let reason = dead.reason.as_deref().expect("a reason");
    assert!(
        reason.contains("given up after 8 failures") && reason.contains("500"),
        "{reason}"
    );
    assert_eq!(bench.run("after it").run.route, Route::Cloud);
    // Its case is a person's, and it can be sent again.
    let inbox = bench
        .node
        .inbox(&Default::default(), Default::default(), 10);
    let open = inbox.expect("the inbox").open;
    assert!(
        open.iter()
            .any(|open| open.waiting.run.record == poison.record)
    );
    assert!(
        bench.node.retry_queued(dead.id + 1, None).is_err(),
        "settled"
    );
    is_mended.store(true, Ordering::Relaxed);
    bench
        .node
        .retry_queued(dead.id, Some("ana"))
        .expect("a place");
    drain(&bench, 1);
    let runs = bench.node.runs_of(poison.record).expect("runs");
    assert_eq!(runs.last().expect("one").run.route, Route::Cloud);
    assert!(bench.node.retry_queued(dead.id, None).is_err(), "answered");
}

#[test]
fn garbage_is_asked_for_twice_and_given_up() {
    let upstream = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&upstream);
    let server = Server::start(move |asked| match is_up.load(Ordering::Relaxed) {
        false => Reply::Close,
        true if asked.last().contains("odd") => {
            let head = "Content-Type: text/html\r\n".to_owned();
            Reply::Body(200, head, "<html>sign in</html>".to_owned())
        }
        true => Reply::label("east"),
    });
    let bench = Made::with(&server.url).task("queue = true").bench();
    bench.run("odd");
    bench.run("plain");
    upstream.store(true, Ordering::Relaxed);
    drain(&bench, 1);
    let counts = bench.store.queue_counts().expect("counts");
    assert_eq!((counts.settled, counts.expired, counts.queued), (1, 1, 0));
}

#[test]
fn a_clock_that_jumps_by_a_day_changes_no_waiting_time() {
    const DAY: i64 = 86_400_000;
    let upstream = Deduplicating::default();
    let server = upstream.start();
    let bench = Made::with(&server.url).task("wait = '2h'").bench();
    upstream.cut(true);
    for by in [DAY, -DAY] {
        bench.run(&format!("before {by}"));
        bench.clock.fetch_add(by, Ordering::Relaxed);
        bench.node.shift_queue(by).expect("shifted");
        assert_eq!(bench.node.drain_queue().expect("draining").expired, 0);
    }
    // Set back by a day before anybody noticed: what had failed is not held for a day.
    let now = bench.node.now();
    let taken = bench.store.take_from_queue(now, 1).expect("the queue");
    let later = andon_task::run::Timestamp(now.0 + 600_000);
    bench
        .store
        .defer_queued(taken[0].id, (now, later), 1, "failed")
        .expect("deferred");
    assert_eq!(bench.store.take_from_queue(now, 9).expect("it").len(), 1);
    bench.node.recover_queue().expect("the queue");
    bench.clock.fetch_add(-DAY, Ordering::Relaxed);
    bench.node.shift_queue(-DAY).expect("shifted");
    let times = bench
        .store
        .queue(&QueueFilter::default(), NEWEST)
        .expect("it");
    assert!(
        times
            .iter()
            .all(|place| place.new.expires_at.0 - bench.node.now().0 <= 7_200_000)
    );
    upstream.cut(false);
    bench.clock.fetch_add(600_001, Ordering::Relaxed);
    drain(&bench, 2);
}

/// Requests in flight at once.
const CLIENTS: usize = 16;

/// Sends until so many are settled.
fn drain_all(bench: &Bench) {
    let since = Instant::now();
    let mut last = (u64::MAX, since);
    loop {
        let drained = bench.node.drain_queue().expect("draining");
        assert_eq!(drained.expired, 0);
        let counts = bench.store.queue_counts().expect("counts");
        let left = counts.queued + counts.in_flight;
        if left == 0 {
            return;
        }
        if left < last.0 {
            last = (left, Instant::now());
        }
        assert!(last.1.elapsed() < Duration::from_secs(30), "{left} wait");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Requests over a link that comes and goes `flaps` times, while what waits is sent, and
/// nodes that end at any moment: by dropping a node while something of it is in flight,
/// as a kill leaves the database.
#[allow(clippy::print_stdout, reason = "a test says what it measured")]
fn flap(requests: usize, flaps: usize) {
    const FLAPS_OF_A_NODE: usize = 10;
    let upstream = Deduplicating::default();
    let server = upstream.start();
    let made = Made::with(&server.url).task("queue = true");
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let mut bench = Bench::open(&made, Arc::clone(&directory));
    let answered = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    let every = requests / flaps;
    let nodes = flaps.div_ceil(FLAPS_OF_A_NODE);
    for node in 1..=nodes {
        let until = requests * node / nodes;
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let client = || {
                while let Ok(number) =
                    next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                        (n < until).then_some(n + 1)
                    })
                {
                    if number % every == 0 {
                        upstream.cut(number / every % 2 == 1);
                    }
                    let run = bench.run(&format!("note {number}")).run;
                    match run.route {
                        Route::Cloud => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        _ => assert!(
                            matches!(run.reason, Reason::Queued),
                            "note {number}: {:?}",
                            run.reason
                        ),
                    }
                }
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    bench.node.drain_queue().expect("draining");
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let ended: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
            is_done.store(true, Ordering::Relaxed);
            assert!(ended.into_iter().all(|client| client.is_ok()));
        });
        // Some are taken out and the node ends before they are answered.
        let now = bench.node.now();
        let taken = bench.store.take_from_queue(now, 3).expect("the queue");
        for place in taken.into_iter().filter(|place| place.id % 2 == 0) {
            // The upstream even acted, and its answer was lost.
            let mut acted = upstream.acted.lock().expect("no test panicked");
            *acted.entry(place.new.key).or_default() = 1;
        }
        drop(bench);
        bench = Bench::open(&made, Arc::clone(&directory));
        bench.node.recover_queue().expect("the queue");
    }
    upstream.cut(false);
    drain_all(&bench);
    let counts = bench.store.queue_counts().expect("counts");
    assert_eq!((counts.queued, counts.in_flight, counts.expired), (0, 0, 0));
    let acted = upstream.acted.lock().expect("no test panicked");
    assert_eq!(acted.len(), requests, "none is lost and none is done twice");
    // Each record has one answer from upstream.
    for record in 1..=i64::try_from(requests).expect("few") {
        let runs = bench.node.runs_of(record).expect("runs");
        let cloud = runs.iter().filter(|run| run.run.route == Route::Cloud);
        assert_eq!(cloud.count(), 1, "record {record}");
    }
    assert!(answered.load(Ordering::Relaxed) > 0 && counts.settled > 0);
    println!(
        "{{\"requests\": {requests}, \"flaps\": {flaps}, \"nodes\": {nodes}, \"lost\": 0, \"sent_twice\": 0, \"waited\": {}}}",
        counts.settled
    );
}

/// 120 requests, or as many as ANDON_FLAP_REQUESTS says, and a flap for every twenty:
/// `make bench-hybrid` asks for 20,000.
#[test]
fn a_link_that_comes_and_goes_loses_nothing() {
    let requests = std::env::var("ANDON_FLAP_REQUESTS");
    let requests = requests.map_or(120, |number| number.parse().expect("a number"));
    flap(requests, requests.div_ceil(20));
}

/// What waits is sent by several at once, and still the most urgent first: none is
/// overtaken by more than are under way together.
#[test]
fn what_waits_is_sent_in_its_order() {
    const WAITING: usize = 120;
    let upstream = Deduplicating::default();
    let server = upstream.start();
    let bench = Made::with(&server.url).task("queue = true").bench();
    upstream.cut(true);
    for number in 0..WAITING {
        bench.run(&format!("note {number}"));
    }
    upstream.cut(false);
    drain(&bench, WAITING);
    let order = upstream.order.lock().expect("no test panicked");
    let came: Vec<usize> = order
        .iter()
        .map(|text| text.trim_start_matches("note ").parse().expect("a number"))
        .collect();
    assert_eq!(came.len(), WAITING);
    for (place, number) in came.iter().enumerate() {
        assert!(place.abs_diff(*number) <= 24, "{number} came as {place}");
    }
}
