//! A small pool of threads for work that takes microseconds.
//!
//! A job is a number of chunks. The caller and the workers take chunks from one
//! counter, so a worker that the operating system has set aside delays nobody,
//! unless it holds a chunk; when that happens the pool lets the caller work
//! alone for a while. Workers spin between the jobs of a step and sleep after
//! it: an idle pool costs nothing.

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
/// A wait for a worker longer than this means that the box is busy.
const STALL: Duration = Duration::from_micros(400);
/// How long the caller then works alone.
const ALONE: Duration = Duration::from_millis(50);

type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// Threads that carry out one job at a time, together with its caller.
pub struct Pool {
    shared: Arc<Shared>,
    /// Held by the caller whose job runs; remembers until when to work alone.
    turn: Mutex<Option<Instant>>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    /// The job's number in the upper half, its chunks not yet taken in the lower.
    state: AtomicU64,
    chunks: AtomicU32,
    finished: AtomicU32,
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
            chunks: AtomicU32::new(0),
            finished: AtomicU32::new(0),
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
    pub fn for_each(&self, chunks: usize, work: &Work<'_>) {
        let alone = || (0..chunks).for_each(work);
        if chunks <= 1 || self.workers.is_empty() {
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
        let chunks = u32::try_from(chunks).expect("a job has fewer than 2^32 chunks");
        if self.shared.run(chunks, work) == Pace::Stalled {
            *turn = Some(Instant::now() + ALONE);
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

#[derive(PartialEq, Eq)]
enum Pace {
    Steady,
    Stalled,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The caller's side of a job.
    fn run(&self, chunks: u32, work: &Work<'_>) -> Pace {
        self.chunks.store(chunks, Ordering::Relaxed);
        self.finished.store(0, Ordering::Relaxed);
        // SAFETY: only the lifetime changes. The closure is called by threads
        // that took a chunk, and this function returns when every chunk has
        // been finished.
        let work: *const Work<'static> =
            unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        // SAFETY: the caller holds `turn` and the last job has no chunk left.
        unsafe { *self.job.get() = Some(work) };
        let number = (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.state
            .store((number << 32) | u64::from(chunks), Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.ring();
        }
        while self.take() {}
        self.wait(chunks)
    }

    fn wait(&self, chunks: u32) -> Pace {
        let is_finished = || self.finished.load(Ordering::Acquire) == chunks;
        for _ in 0..1000 {
            if is_finished() {
                return Pace::Steady;
            }
            std::hint::spin_loop();
        }
        let start = Instant::now();
        while !is_finished() {
            std::thread::yield_now();
        }
        if start.elapsed() > STALL {
            Pace::Stalled
        } else {
            Pace::Steady
        }
    }

    /// Takes a chunk of the current job and carries it out; false if none is left.
    fn take(&self) -> bool {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state as u32 == 0 {
                return false;
            }
            match self.state.compare_exchange_weak(
                state,
                state - 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        let chunk = self.chunks.load(Ordering::Relaxed) - state as u32;
        // SAFETY: this thread holds an unfinished chunk of the job, so that
        // `run` has not returned: the closure lives and `job` is not written.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe {
            let work = (*self.job.get()).expect("a job with chunks has its work");
            (*work)(chunk as usize);
        }));
        if let Err(panic) = outcome {
            *lock(&self.panic) = Some(panic);
        }
        self.finished.fetch_add(1, Ordering::Release);
        true
    }

    /// A worker's life.
    fn serve(&self) {
        while !self.stopping.load(Ordering::Relaxed) {
            if self.take() {
                while self.take() {}
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
        self.state.load(Ordering::SeqCst) as u32 == 0 && !self.stopping.load(Ordering::SeqCst)
    }

    fn ring(&self) {
        let _bed = lock(&self.bed);
        self.bell.notify_all();
    }
}
