//! The thread with a model that counts, and that fails where it is told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use andon_kernels::isa::Isa;
use andon_kernels::kv::Heads;
use andon_task::engine::{Departure, Finish, Sampling, Usage};
use andon_task::task::Class;

use super::*;
use crate::decoder::Wants;
use crate::drive::wait;

/// Tokens: what follows one is the next, and after the last the first.
const VOCABULARY: usize = 64;
/// A step with this token panics.
const PANIC: u32 = 60;
/// A step with this token takes until the test says otherwise.
const HANG: u32 = 61;

const HEADS: Heads = Heads {
    queries: 1,
    keys: 1,
    size: 16,
};

#[derive(Clone, Default)]
struct Counter {
    per_token: Duration,
    is_entered: Arc<AtomicBool>,
    is_released: Arc<AtomicBool>,
    /// The first token of each step, in the order in which they came to their end.
    steps: Arc<Mutex<Vec<u32>>>,
}

impl Model for Counter {
    fn new_cache(&self, blocks: usize) -> Vec<kv::Layer> {
        vec![kv::Layer::new(HEADS, blocks)]
    }

    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn step(
        &self,
        _: &Kernels,
        _: &mut Workspace,
        cache: &mut [kv::Layer],
        slots: &[Slot<'_>],
        pause: &mut Pause<'_>,
    ) -> Logits {
        for slot in slots {
            assert!(
                slot.position < slot.blocks.len() * kv::BLOCK,
                "a block for all"
            );
            assert_ne!(slot.token, PANIC, "the model fails here");
        }
        if slots.iter().any(|slot| slot.token == HANG) {
            self.is_entered.store(true, Ordering::Relaxed);
            while !self.is_released.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        std::thread::sleep(self.per_token * slots.len() as u32);
        pause(cache);
        let mut steps = self.steps.lock().expect("no panic");
        steps.extend(slots.first().map(|slot| slot.token));
        let mut logits = Logits::default();
        for slot in slots {
            let next = (slot.token as usize + 1) % 50;
            let row = (0..VOCABULARY).map(|token| if token == next { 9.0 } else { 0.0 });
            match slot.wants {
                Wants::Nothing => {}
                Wants::Everything => logits.whole.extend(row),
                Wants::Tokens(_) => logits.partial.extend(row),
            }
        }
        logits
    }
}

fn worker(model: &Counter, blocks: usize) -> Worker {
    let kernels = Arc::new(Kernels::new(Isa::scalar(), 1));
    let patience = Duration::from_millis(200);
    Worker::start(model.clone(), kernels, blocks, patience).expect("a thread")
}

fn slow() -> Counter {
    Counter {
        per_token: Duration::from_micros(500),
        ..Counter::default()
    }
}

fn terms(class: Class) -> Terms {
    Terms {
        class,
        ..Terms::default()
    }
}

fn within(class: Class, time: Duration) -> Terms {
    Terms {
        deadline: Some(Instant::now() + time),
        ..terms(class)
    }
}

/// Continues a text by `most` tokens.
fn generate(
    worker: &Worker,
    tokens: &[u32],
    most: usize,
    terms: &Terms,
) -> Result<(Vec<u32>, Finish), EngineError> {
    continued(worker, tokens, most, terms).map(|(drawn, finish, _)| (drawn, finish))
}

/// As [`generate`], with what it cost.
fn continued(
    worker: &Worker,
    tokens: &[u32],
    most: usize,
    terms: &Terms,
) -> Result<(Vec<u32>, Finish, Usage), EngineError> {
    let (events, incoming) = sync_channel(most + 1);
    let work = Work::Generate(Generate {
        tokens: tokens.to_vec(),
        most,
        ends: vec![49],
        sampling: Sampling::default(),
        alternatives: None,
        constraint: None,
        kind: 0,
        progress: None,
        events,
    });
    worker.submit(work, None, terms)?;
    let mut drawn = Vec::new();
    loop {
        match wait(worker, &incoming, terms)? {
            Event::Token { token, .. } => drawn.push(token),
            Event::End(end) => return end.map(|(finish, usage)| (drawn, finish, usage)),
        }
    }
}

/// What the thread says of itself comes a little after its answers.
fn eventually(worker: &Worker, is_so: impl Fn(Statistics) -> bool) {
    let began = Instant::now();
    while !is_so(worker.statistics()) {
        let statistics = worker.statistics();
        assert!(began.elapsed() < Duration::from_secs(20), "{statistics:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn expected(from: u32, most: usize) -> Vec<u32> {
    (1..=most as u32).map(|n| (from + n) % 50).collect()
}

#[test]
fn a_panic_fails_its_request_and_the_thread_goes_on() {
    let worker = worker(&Counter::default(), 64);
    let failed = generate(&worker, &[PANIC], 4, &Terms::default());
    assert!(matches!(failed, Err(EngineError::Failed(_))), "{failed:?}");
    eventually(&worker, |now| now.failures == 1 && now.running == 0);
    let (tokens, finish) = generate(&worker, &[1], 4, &Terms::default()).expect("an answer");
    assert_eq!((tokens, finish), (expected(1, 4), Finish::Length));
}

#[test]
fn a_thread_that_hangs_is_replaced_and_what_waits_goes_on() {
    let model = Counter::default();
    let worker = worker(&model, 64);
    generate(&worker, &[1], 3, &Terms::default()).expect("an answer");
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| generate(&worker, &[HANG], 4, &Terms::default()));
        let began = Instant::now();
        // Whoever comes then is answered, after the patience that steps have.
        while worker.statistics().replaced == 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "not replaced");
            std::thread::sleep(Duration::from_millis(5));
        }
        let (tokens, _) = generate(&worker, &[5], 4, &Terms::default()).expect("an answer");
        assert_eq!(tokens, expected(5, 4));
        model.is_released.store(true, Ordering::Relaxed);
        let outcome = stuck.join().expect("no panic");
        assert!(
            matches!(outcome, Err(EngineError::Failed(_))),
            "{outcome:?}"
        );
    });
}

#[test]
fn nobody_waits_past_the_deadline_of_a_step_that_hangs() {
    let model = Counter::default();
    let worker = worker(&model, 64);
    let deadline = Duration::from_millis(60);
    let began = Instant::now();
    let outcome = generate(&worker, &[HANG], 4, &within(Class::Person, deadline));
    assert!(
        matches!(outcome, Err(EngineError::DeadlinePassed)),
        "{outcome:?}"
    );
    assert!(began.elapsed() >= deadline);
    model.is_released.store(true, Ordering::Relaxed);
}

#[test]
fn who_gives_its_memory_to_others_says_the_same_in_the_end() {
    // Room for 128 tokens; each needs 80.
    let worker = worker(&slow(), 8);
    std::thread::scope(|scope| {
        let batch = scope.spawn(|| generate(&worker, &[1; 40], 40, &terms(Class::Batch)));
        std::thread::sleep(Duration::from_millis(25));
        let person = scope.spawn(|| generate(&worker, &[7; 40], 40, &Terms::default()));
        let (tokens, _) = batch.join().expect("no panic").expect("an answer");
        assert_eq!(tokens, expected(1, 40));
        let (tokens, _) = person.join().expect("no panic").expect("an answer");
        assert_eq!(tokens, expected(7, 40));
    });
    eventually(&worker, |now| now.suspended > 0 && now.free_blocks == 8);
}

#[test]
fn machines_go_before_batches() {
    let worker = worker(&slow(), 256);
    std::thread::scope(|scope| {
        for start in 0..8 {
            let worker = &worker;
            scope.spawn(move || generate(worker, &[start; 200], 400, &terms(Class::Batch)));
        }
        eventually(&worker, |now| now.running == 8);
        // Eight prompts of 200 tokens would take 800 ms.
        for _ in 0..3 {
            generate(&worker, &[3; 8], 1, &terms(Class::Machine)).expect("an answer");
            assert!(
                worker.statistics().running >= 8,
                "the batches were not done"
            );
        }
        // Only now may they end.
        worker.board.close();
    });
}

/// A batch's step hangs while a machine's request comes; both outcomes.
fn overtaken(
    model: &Counter,
    blocks: usize,
    batch: &[u32],
    machine: &[u32],
) -> [Result<Vec<u32>, EngineError>; 2] {
    let worker = worker(model, blocks);
    let outcomes = std::thread::scope(|scope| {
        let worker = &worker;
        let batch = scope.spawn(move || generate(worker, batch, 3, &terms(Class::Batch)));
        while !model.is_entered.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let machine = scope.spawn(move || generate(worker, machine, 2, &terms(Class::Machine)));
        eventually(worker, |now| now.waiting == 1);
        model.is_released.store(true, Ordering::Relaxed);
        [batch, machine].map(|thread| thread.join().expect("no panic").map(|(said, _)| said))
    });
    eventually(&worker, |now| now.running == 0 && now.free_blocks == blocks);
    // Whatever became of them, the next is answered.
    let (tokens, _) = generate(&worker, &[5], 4, &Terms::default()).expect("an answer");
    assert_eq!(tokens, expected(5, 4));
    outcomes
}

#[test]
fn a_machine_overtakes_the_step_of_a_batch() {
    let model = Counter::default();
    let [batch, machine] = overtaken(&model, 64, &[HANG], &[3]);
    assert_eq!(machine.expect("an answer"), expected(3, 2));
    assert_eq!(batch.expect("an answer"), expected(HANG, 3));
    // Both steps of the machine are over before the one that it met.
    let steps = model.steps.lock().expect("no panic").clone();
    assert_eq!(steps[..3], [3, 4, HANG]);
}

#[test]
fn who_overtakes_takes_no_memory_from_those_in_their_step() {
    let model = Counter::default();
    // Four blocks of sixteen tokens, two or three of which the batch has.
    let [batch, machine] = overtaken(&model, 4, &[HANG; 30], &[3; 30]);
    assert_eq!(machine.expect("an answer"), expected(3, 2));
    assert_eq!(batch.expect("an answer"), expected(HANG, 3));
    let steps = model.steps.lock().expect("no panic").clone();
    assert_eq!(steps[0], HANG);
}

#[test]
fn a_panic_of_who_overtakes_fails_all_that_run() {
    let [batch, machine] = overtaken(&Counter::default(), 64, &[HANG], &[PANIC]);
    for outcome in [batch, machine] {
        assert!(
            matches!(outcome, Err(EngineError::Failed(_))),
            "{outcome:?}"
        );
    }
}

#[test]
fn what_cannot_be_in_time_is_refused_at_once() {
    let worker = worker(&slow(), 256);
    // Before anything is measured nothing is refused.
    generate(&worker, &[1; 100], 2, &Terms::default()).expect("an answer");
    generate(&worker, &[2; 10], 2, &Terms::default()).expect("an answer");
    let late = generate(
        &worker,
        &[3; 600],
        1,
        &within(Class::Machine, Duration::from_millis(50)),
    );
    match late {
        Err(EngineError::Late { needed, left, .. }) => {
            assert!(needed > Duration::from_millis(150), "{needed:?}");
            assert!(left <= Duration::from_millis(50), "{left:?}");
        }
        other => panic!("{other:?}"),
    }
    let in_time = within(Class::Machine, Duration::from_secs(5));
    generate(&worker, &[3; 600], 1, &in_time).expect("an answer");
    assert_eq!(worker.statistics().refused, 1);
}

#[test]
fn the_queue_is_bounded() {
    let model = Counter::default();
    let worker = worker(&model, 8);
    let terms = Terms::default();
    let mut kept = Vec::new();
    let full = (0..1000).find_map(|_| {
        let (events, incoming) = sync_channel(9);
        kept.push(incoming);
        let work = Work::Generate(Generate {
            tokens: vec![HANG],
            most: 8,
            ends: Vec::new(),
            sampling: Sampling::default(),
            alternatives: None,
            constraint: None,
            kind: 0,
            progress: None,
            events,
        });
        worker.submit(work, None, &terms).err()
    });
    assert!(
        matches!(full, Some(EngineError::Overloaded { .. })),
        "{full:?}"
    );
    model.is_released.store(true, Ordering::Relaxed);
    for incoming in kept.iter().take(100) {
        let end = wait(&worker, incoming, &terms);
        assert!(end.is_ok(), "all that were taken are answered");
    }
}

#[test]
fn a_caller_that_leaves_costs_nothing_more() {
    let worker = worker(&slow(), 256);
    let departure = Departure::default();
    let terms = Terms {
        departure: departure.clone(),
        ..Terms::default()
    };
    std::thread::scope(|scope| {
        let left = scope.spawn(|| generate(&worker, &[1; 100], 3000, &terms));
        eventually(&worker, |now| now.running > 0);
        departure.announce();
        let outcome = left.join().expect("no panic");
        assert!(
            matches!(outcome, Err(EngineError::Cancelled)),
            "{outcome:?}"
        );
    });
    // Whether or not there is anything else to do.
    eventually(&worker, |now| now.running == 0 && now.free_blocks == 256);
}

#[test]
fn as_many_as_there_are_run_side_by_side() {
    let worker = worker(&Counter::default(), 2048);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..256u32)
            .map(|n| {
                let worker = &worker;
                let start = n % 50;
                scope.spawn(move || {
                    let (tokens, _) = generate(worker, &[start; 30], 20, &Terms::default())?;
                    let whole = expected(start, 20);
                    let end = whole.iter().position(|&token| token == 49).unwrap_or(20);
                    assert_eq!(tokens, whole[..end]);
                    Ok::<_, EngineError>(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic").expect("an answer");
        }
    });
    eventually(&worker, |now| now.free_blocks == 2048);
}

#[test]
fn a_beginning_in_common_is_computed_once() {
    let worker = worker(&slow(), 256);
    let terms = Terms::default();
    let mut waiting = Vec::new();
    for question in 0..4 {
        let (outcome, shares) = sync_channel(1);
        let mut prompt = vec![9; 320];
        prompt.extend([question, 20]);
        let labels = vec![vec![21, 22, 0], vec![30, 0]];
        worker
            .submit(
                Work::Score(Score {
                    prompt,
                    labels,
                    outcome,
                }),
                None,
                &terms,
            )
            .expect("taken");
        waiting.push(shares);
    }
    for shares in waiting {
        let (shares, _) = wait(&worker, &shares, &terms)
            .expect("heard")
            .expect("an answer");
        assert!(shares[0] > 0.99, "{shares:?}");
    }
    eventually(&worker, |now| now.free_blocks == 256);
    let computed = worker.statistics().computed_tokens;
    assert!(computed < 320 + 4 * 24, "{computed} tokens");
}

#[test]
fn what_is_pinned_stays_and_comes_back() {
    let worker = worker(&Counter::default(), 16);
    let terms = Terms::default();
    let tokens: Vec<u32> = (0..32).collect();
    let (outcome, content) = sync_channel(1);
    let pin = Pin {
        tokens: tokens.clone(),
        outcome,
    };
    worker.submit(Work::Pin(pin), None, &terms).expect("taken");
    let content = wait(&worker, &content, &terms)
        .expect("heard")
        .expect("kept");
    assert_eq!(content.len(), 2 * HEADS.token_bytes() * kv::BLOCK);
    let cached = |prompt: &[u32]| {
        let prompt = [prompt, &[3]].concat();
        let (_, _, usage) = continued(&worker, &prompt, 1, &terms).expect("an answer");
        usage.cached_tokens
    };
    assert_eq!(cached(&tokens), 32);
    // Others fill the cache: it stays.
    for start in 0..20 {
        generate(&worker, &[start + 1; 160], 1, &terms).expect("an answer");
    }
    assert_eq!(cached(&tokens), 32);
    // The cache is lost: it comes back by itself.
    generate(&worker, &[PANIC], 1, &terms).expect_err("a panic");
    generate(&worker, &[1], 1, &terms).expect("an answer");
    assert_eq!(cached(&tokens), 32);
    let (outcome, restored) = sync_channel(1);
    let restore = Restore {
        tokens: (10..42).collect(),
        content,
        outcome,
    };
    worker
        .submit(Work::Restore(restore), None, &terms)
        .expect("taken");
    wait(&worker, &restored, &terms)
        .expect("heard")
        .expect("kept");
    let restored: Vec<u32> = (10..42).collect();
    assert_eq!(cached(&restored), 32);
}

#[test]
fn drafts_save_steps_and_change_nothing() {
    let worker = worker(&Counter::default(), 256);
    // The answer stands in the prompt, from its second token on; then it goes on
    // with what does not.
    let mut prompt: Vec<u32> = (2..30).collect();
    prompt.extend([40, 0, 1]);
    let (tokens, _) = generate(&worker, &prompt, 40, &Terms::default()).expect("an answer");
    assert_eq!(tokens, expected(1, 40));
    let text = [prompt.clone(), tokens].concat();
    eventually(&worker, |now| now.running == 0 && now.free_blocks == 256);
    let steps = worker.statistics().steps;
    assert!(steps < 30, "{steps} steps for 40 tokens");
    // What was drafted and did not come true is not found by others.
    let wrong = [&text[..31], &[2, 3, 50, 51, 52], &text[36..]].concat();
    let (tokens, _, usage) = continued(&worker, &wrong, 1, &Terms::default()).expect("an answer");
    assert_eq!(tokens, expected(*wrong.last().expect("tokens"), 1));
    assert_eq!(usage.cached_tokens, 33);
}

#[test]
fn what_follows_a_wrong_draft_is_not_believed() {
    let worker = worker(&Counter::default(), 256);
    // After 7 and 8 the prompt goes on with 20, the answer with 9.
    let prompt = [5, 6, 7, 8, 20, 21, 22, 23, 24, 5, 6];
    let (tokens, _) = generate(&worker, &prompt, 9, &Terms::default()).expect("an answer");
    assert_eq!(tokens, expected(6, 9));
}

#[test]
fn an_answer_that_is_over_before_it_begins_holds_nothing() {
    let worker = worker(&Counter::default(), 16);
    let prompt = [3; 40];
    generate(&worker, &prompt, 1, &Terms::default()).expect("an answer");
    let (tokens, finish) = generate(&worker, &prompt, 0, &Terms::default()).expect("an end");
    assert_eq!((tokens, finish), (Vec::new(), Finish::Length));
    // All blocks can be had for another.
    generate(&worker, &[4; 200], 50, &Terms::default()).expect("an answer");
}

#[test]
fn who_waits_again_has_said_none_of_its_drafts() {
    // Wherever the answer is, the prompt goes on with something else.
    let prompt: Vec<u32> = (1..45).flat_map(|n| [n, n + 1, 55]).chain([0]).collect();
    // Room for 256 tokens; one needs 174, the other 100.
    let worker = worker(&slow(), 16);
    std::thread::scope(|scope| {
        let batch = scope.spawn(|| generate(&worker, &prompt, 40, &terms(Class::Batch)));
        eventually(&worker, |now| now.running == 1);
        let person = scope.spawn(|| generate(&worker, &[7; 40], 40, &Terms::default()));
        let other = scope.spawn(|| generate(&worker, &[8; 40], 40, &Terms::default()));
        let (tokens, _) = batch.join().expect("no panic").expect("an answer");
        assert_eq!(tokens, expected(0, 40));
        for (thread, start) in [(person, 7), (other, 8)] {
            let (tokens, _) = thread.join().expect("no panic").expect("an answer");
            assert_eq!(tokens, expected(start, 40));
        }
    });
    eventually(&worker, |now| now.suspended > 0 && now.free_blocks == 16);
}
