//! A small pool of threads for work that takes microseconds.
//!
//! A job is a number of chunks in a row. The caller takes them from the front,
//! the workers from the back, so that each walks through memory in one
//! direction and all are done at the same time. A worker that the operating
//! system has set aside delays nobody, unless it holds a chunk; then the caller
//! gives up its core, on which the system can run the worker, and afterwards works
//! alone for so long that such waits take a small part of its time. Workers spin
//! between the jobs of a step and sleep after it: an idle pool costs nothing.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a worker looks for the next job before it sleeps: longer than the
/// pauses within a step, short enough that an idle node costs nothing.
const SPIN: Duration = Duration::from_micros(60);
/// How long the caller spins for the last chunks of others before it sleeps.
const PATIENCE: Duration = Duration::from_micros(200);
/// A wait longer than this, and than two chunks take, means that the box is busy.
const STALL: Duration = Duration::from_micros(400);
/// How many times as long the caller then works alone, and at least how long.
const ALONE_TIMES: u32 = 8;
const ALONE_AT_LEAST: Duration = Duration::from_millis(4);
const ALONE_AT_MOST: Duration = Duration::from_millis(400);

type Work<'a> = dyn Fn(Turn) + Sync + 'a;

/// A chunk to be worked on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Its number.
    pub(crate) chunk: usize,
    /// The chunk that this thread takes next, unless another does first.
    pub(crate) next: Option<usize>,
}

/// Threads that carry out one job at a time, together with its caller.
pub struct Pool {
    shared: Arc<Shared>,
    /// Held by the caller whose job runs; until when callers work alone.
    turn: Mutex<Option<Instant>>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    /// The job's number in the upper half; in the lower the chunks not yet taken:
    /// the first of them, and the one behind the last, sixteen bits each.
    state: AtomicU64,
    finished: AtomicU32,
    /// Whether the caller sleeps until the last chunk is finished.
    caller_sleeps: AtomicBool,
    chair: Mutex<()>,
    done: Condvar,
    job: UnsafeCell<Option<*const Work<'static>>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    bell: Condvar,
    stopping: AtomicBool,
}

// SAFETY: `job` is written only by the caller that holds `turn`, while no chunk
// is taken, and read only by a thread that has taken a chunk (see `take`).
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` leads to a `Sync` closure.
unsafe impl Send for Shared {}

impl Pool {
    /// A pool in which `threads` threads work, the caller being one of them.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            finished: AtomicU32::new(0),
            caller_sleeps: AtomicBool::new(false),
            chair: Mutex::new(()),
            done: Condvar::new(),
            job: UnsafeCell::new(None),
            panic: Mutex::new(None),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
            stopping: AtomicBool::new(false),
        });
        let workers = (1..threads)
            .map_while(|number| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("andon-kernel-{number}"))
                    .spawn(move || shared.serve())
                    .ok()
            })
            .collect();
        Self {
            shared,
            turn: Mutex::new(None),
            workers,
        }
    }

    /// Threads that work on a job, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` once for each number below `chunks`, on any of the threads,
    /// and returns when all calls have returned. While another caller's job
    /// runs, the work is done by this caller alone. A panic in `work` is passed
    /// on to the caller, after the other chunks.
    pub(crate) fn for_each(&self, chunks: usize, work: &(dyn Fn(usize) + Sync)) {
        self.for_each_turn(chunks, &|turn| work(turn.chunk));
    }

    /// As [`Pool::for_each`], telling each call what its thread does next.
    pub(crate) fn for_each_turn(&self, chunks: usize, work: &Work<'_>) {
        let alone = || {
            for chunk in 0..chunks {
                let next = Some(chunk + 1).filter(|&next| next < chunks);
                work(Turn { chunk, next });
            }
        };
        let Ok(count) = u16::try_from(chunks) else {
            return alone();
        };
        if count <= 1 || self.workers.is_empty() {
            return alone();
        }
        let mut turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return alone(),
        };
        match *turn {
            Some(until) if Instant::now() < until => return alone(),
            _ => *turn = None,
        }
        if let Pace::Stalled(wait) = self.shared.run(count, work) {
            let alone = (wait * ALONE_TIMES).clamp(ALONE_AT_LEAST, ALONE_AT_MOST);
            *turn = Some(Instant::now() + alone);
        }
        let panic = lock(&self.shared.panic).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.ring();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its work; there is nothing to hear.
            drop(worker.join());
        }
    }
}

/// Which end of a job a thread takes its chunks from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

/// The chunks of a job that nobody has taken, as the lower half of the state.
#[derive(Clone, Copy)]
struct Left {
    from: u16,
    to: u16,
}

impl Left {
    fn of(state: u64) -> Self {
        Self {
            from: (state >> 16) as u16,
            to: state as u16,
        }
    }

    fn is_empty(self) -> bool {
        self.from >= self.to
    }

    fn bits(self) -> u64 {
        u64::from(self.from) << 16 | u64::from(self.to)
    }

    /// Takes a chunk from one end; there must be one.
    fn take(mut self, end: End) -> (Turn, Self) {
        let chunk = match end {
            End::Front => {
                self.from += 1;
                self.from - 1
            }
            End::Back => {
                self.to -= 1;
                self.to
            }
        };
        let next = match end {
            _ if self.is_empty() => None,
            End::Front => Some(usize::from(chunk) + 1),
            End::Back => Some(usize::from(chunk) - 1),
        };
        let chunk = usize::from(chunk);
        (Turn { chunk, next }, self)
    }
}

enum Pace {
    Steady,
    /// The caller waited this long for others.
    Stalled(Duration),
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The caller's side of a job.
    fn run(&self, chunks: u16, work: &Work<'_>) -> Pace {
        self.finished.store(0, Ordering::Relaxed);
        // SAFETY: only the lifetime changes. The closure is called by threads
        // that took a chunk, and this function returns when every chunk has
        // been finished.
        let work: *const Work<'static> =
            unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        // SAFETY: the caller holds `turn` and the last job has no chunk left.
        unsafe { *self.job.get() = Some(work) };
        let number = (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        let left = Left {
            from: 0,
            to: chunks,
        };
        // The number's upper bits fall off: it only has to differ from the last.
        self.state
            .store((number << 32) | left.bits(), Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.ring();
        }
        let start = Instant::now();
        let mut own = 0;
        while self.take(End::Front) {
            own += 1;
        }
        let end = Instant::now();
        self.wait(u32::from(chunks), end);
        let (wait, chunk) = (end.elapsed(), (end - start) / own.max(1));
        match wait > STALL && wait > 2 * chunk {
            true => Pace::Stalled(wait),
            false => Pace::Steady,
        }
    }

    /// Returns when all chunks are finished.
    fn wait(&self, chunks: u32, start: Instant) {
        let is_finished = || self.finished.load(Ordering::SeqCst) == chunks;
        loop {
            for _ in 0..32 {
                if is_finished() {
                    return;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() > PATIENCE {
                break;
            }
        }
        // Who finishes a chunk after this line sees it, and rings.
        self.caller_sleeps.store(true, Ordering::SeqCst);
        let mut chair = lock(&self.chair);
        while !is_finished() {
            chair = self
                .done
                .wait(chair)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.caller_sleeps.store(false, Ordering::SeqCst);
    }

    /// Takes a chunk of the current job and carries it out; false if none is left.
    fn take(&self, end: End) -> bool {
        let mut state = self.state.load(Ordering::Acquire);
        let turn = loop {
            let left = Left::of(state);
            if left.is_empty() {
                return false;
            }
            let (turn, left) = left.take(end);
            let taken = state & !0xffff_ffff | left.bits();
            match self.state.compare_exchange_weak(
                state,
                taken,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break turn,
                Err(now) => state = now,
            }
        };
        // SAFETY: this thread holds an unfinished chunk of the job, so that
        // `run` has not returned: the closure lives and `job` is not written.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe {
            let work = (*self.job.get()).expect("a job with chunks has its work");
            (*work)(turn);
        }));
        if let Err(panic) = outcome {
            *lock(&self.panic) = Some(panic);
        }
        self.finished.fetch_add(1, Ordering::SeqCst);
        if self.caller_sleeps.load(Ordering::SeqCst) {
            let _chair = lock(&self.chair);
            self.done.notify_all();
        }
        true
    }

    /// A worker's life.
    fn serve(&self) {
        while !self.stopping.load(Ordering::Relaxed) {
            if self.take(End::Back) {
                while self.take(End::Back) {}
                self.spin();
            } else {
                self.sleep();
            }
        }
    }

    fn spin(&self) {
        let start = Instant::now();
        while start.elapsed() < SPIN {
            for _ in 0..32 {
                if !self.is_idle() {
                    return;
                }
                std::hint::spin_loop();
            }
        }
    }

    fn sleep(&self) {
        let mut bed = lock(&self.bed);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while self.is_idle() {
            bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn is_idle(&self) -> bool {
        Left::of(self.state.load(Ordering::SeqCst)).is_empty()
            && !self.stopping.load(Ordering::SeqCst)
    }

    fn ring(&self) {
        let _bed = lock(&self.bed);
        self.bell.notify_all();
    }
}
