//! One model of llama.cpp with one context: the only unsafe code of this crate.

use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Mutex, Once, PoisonError};

use andon_engine::LoadError;
use llama_cpp_sys_2 as sys;

use crate::Options;

/// Tokens of a batch, at most.
pub(crate) const BATCH: usize = 512;
/// Sequences that a context tells apart.
pub(crate) const SEQUENCES: usize = 128;

/// A token to compute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) token: u32,
    /// Its place in the sequence.
    pub(crate) position: usize,
    pub(crate) sequence: usize,
    /// Whether the logits after it are wanted.
    pub(crate) wants: bool,
}

/// Why a batch was not computed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("llama.cpp has no room for {0} more tokens")]
    NoRoom(usize),
    #[error("llama.cpp failed with code {0}")]
    Code(i32),
    #[error("the batch is not one: {0}")]
    Batch(&'static str),
}

/// A model and its context.
pub(crate) struct Native {
    context: NonNull<sys::llama_context>,
    model: NonNull<sys::llama_model>,
    vocabulary: usize,
    context_tokens: usize,
    cells: usize,
    /// Where the logits of the last batch are: for each entry its row, if it has one.
    wanted: Vec<bool>,
}

// SAFETY: llama.cpp allows a context to be used by any one thread at a time; the pointers are
// owned by this value alone, and every use of them takes `&mut self` or is a read.
unsafe impl Send for Native {}

impl Native {
    /// Loads a model and makes a context of it.
    pub(crate) fn load(path: &Path, options: Options) -> Result<Self, LoadError> {
        static BACKEND: Once = Once::new();
        // Two that are loaded at once find a GPU half set up, and llama.cpp ends the process.
        static LOADING: Mutex<()> = Mutex::new(());
        let _loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        BACKEND.call_once(|| {
            // SAFETY: called once, before anything else of the library; the callback is a
            // function that lives as long as the program and needs no data.
            unsafe {
                sys::llama_log_set(Some(log), std::ptr::null_mut());
                sys::llama_backend_init();
            }
        });
        let refused = |what: &str| LoadError::Unsupported(format!("llama.cpp {what}"));
        let bytes = path.as_os_str().as_encoded_bytes();
        let name = CString::new(bytes).map_err(|_| refused("takes no path with a zero byte"))?;
        // SAFETY: a plain function that returns a plain value.
        let mut model_options = unsafe { sys::llama_model_default_params() };
        let layers = options.gpu_layers.map(i32::try_from);
        model_options.n_gpu_layers = layers.map_or(-1, |layers| layers.unwrap_or(i32::MAX));
        // A file that is replaced under a map would change what runs, or end the process.
        model_options.load_mode = sys::LLAMA_LOAD_MODE_NONE;
        // SAFETY: the path is a string that ends with a zero byte and outlives the call.
        let model = unsafe { sys::llama_model_load_from_file(name.as_ptr(), model_options) };
        let model = NonNull::new(model).ok_or_else(|| refused("does not load the file"))?;
        // SAFETY: the model is loaded and not freed.
        let (trained, vocabulary) = unsafe {
            let vocabulary = sys::llama_model_get_vocab(model.as_ptr());
            (
                sys::llama_model_n_ctx_train(model.as_ptr()),
                sys::llama_vocab_n_tokens(vocabulary),
            )
        };
        let trained = usize::try_from(trained).unwrap_or(0);
        let threads = i32::try_from(options.threads).unwrap_or(i32::MAX).max(1);
        // SAFETY: a plain function that returns a plain value.
        let mut context_options = unsafe { sys::llama_context_default_params() };
        context_options.n_ctx = u32::try_from(options.cache_tokens).unwrap_or(u32::MAX);
        context_options.n_batch = BATCH as u32;
        context_options.n_ubatch = BATCH as u32;
        context_options.n_seq_max = SEQUENCES as u32;
        context_options.n_threads = threads;
        context_options.n_threads_batch = threads;
        context_options.no_perf = true;
        // Sequences share their beginnings, so they share one buffer.
        context_options.kv_unified = true;
        context_options.swa_full = true;
        // SAFETY: the model is loaded and outlives the context, which is freed first.
        let context = unsafe { sys::llama_init_from_model(model.as_ptr(), context_options) };
        let Some(context) = NonNull::new(context) else {
            // SAFETY: the model is not used again.
            unsafe { sys::llama_model_free(model.as_ptr()) };
            return Err(refused(
                "makes no context of the model: there may be too little memory",
            ));
        };
        // SAFETY: the context is there and not freed.
        let cells = unsafe { sys::llama_n_ctx(context.as_ptr()) } as usize;
        Ok(Self {
            context,
            model,
            vocabulary: usize::try_from(vocabulary).unwrap_or(0),
            context_tokens: trained.min(cells),
            cells,
            wanted: Vec::new(),
        })
    }

    /// Tokens that a request may have.
    pub(crate) fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    /// Tokens that all sequences together may have.
    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    /// Tokens of the vocabulary: logits of a row.
    pub(crate) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Computes tokens; each stands behind all of its sequence that was computed before.
    pub(crate) fn compute(&mut self, entries: &[Entry]) -> Result<(), Fault> {
        if entries.is_empty() || entries.len() > BATCH {
            return Err(Fault::Batch("it has no tokens, or too many"));
        }
        let is_sound = |entry: &Entry| {
            (entry.token as usize) < self.vocabulary
                && entry.sequence < SEQUENCES
                && entry.position < self.cells
        };
        if !entries.iter().all(is_sound) {
            return Err(Fault::Batch(
                "a token, a place or a sequence is out of bounds",
            ));
        }
        // Bounded above, so nothing is lost in these.
        let mut tokens: Vec<i32> = entries.iter().map(|entry| entry.token as i32).collect();
        let mut positions: Vec<i32> = entries.iter().map(|entry| entry.position as i32).collect();
        let mut counts = vec![1_i32; entries.len()];
        let mut sequences: Vec<i32> = entries.iter().map(|entry| entry.sequence as i32).collect();
        let mut places: Vec<*mut i32> = sequences.iter_mut().map(std::ptr::from_mut).collect();
        let mut wants: Vec<i8> = entries.iter().map(|entry| i8::from(entry.wants)).collect();
        let batch = sys::llama_batch {
            n_tokens: entries.len() as i32,
            token: tokens.as_mut_ptr(),
            embd: std::ptr::null_mut(),
            pos: positions.as_mut_ptr(),
            n_seq_id: counts.as_mut_ptr(),
            seq_id: places.as_mut_ptr(),
            logits: wants.as_mut_ptr(),
        };
        // SAFETY: every array has `n_tokens` elements and outlives the call; the batch's
        // tokens, places and sequences were checked above; `&mut self` makes this the only
        // use of the context.
        let code = unsafe { sys::llama_decode(self.context.as_ptr(), batch) };
        self.wanted.clear();
        match code {
            0 => {
                self.wanted.extend(entries.iter().map(|entry| entry.wants));
                Ok(())
            }
            1 => Err(Fault::NoRoom(entries.len())),
            code => Err(Fault::Code(code)),
        }
    }

    /// The logits after an entry of the last batch that wanted them.
    pub(crate) fn logits(&self, entry: usize) -> Option<&[f32]> {
        self.wanted.get(entry).copied().filter(|wanted| *wanted)?;
        let entry = i32::try_from(entry).ok()?;
        // SAFETY: the last batch had this entry and wanted its logits, so the library has a
        // row of as many floats as the vocabulary has tokens, valid until the next batch,
        // which needs `&mut self`.
        unsafe {
            let row = sys::llama_get_logits_ith(self.context.as_ptr(), entry);
            (!row.is_null()).then(|| std::slice::from_raw_parts(row, self.vocabulary))
        }
    }

    /// Forgets a sequence from a place on; false if the library cannot.
    pub(crate) fn forget(&mut self, sequence: usize, from: usize) -> bool {
        let (Ok(sequence), Ok(from)) = (i32::try_from(sequence), i32::try_from(from)) else {
            return false;
        };
        // SAFETY: the context is there, and `&mut self` makes this its only use.
        unsafe {
            let memory = sys::llama_get_memory(self.context.as_ptr());
            sys::llama_memory_seq_rm(memory, sequence, from, -1)
        }
    }

    /// Lets a sequence begin as another does, so many tokens.
    pub(crate) fn share(&mut self, from: usize, to: usize, tokens: usize) {
        let [from, to, tokens] = [from, to, tokens].map(|value| value as i32);
        // SAFETY: as in `forget`; sequences are below `SEQUENCES` wherever they are made.
        unsafe {
            let memory = sys::llama_get_memory(self.context.as_ptr());
            sys::llama_memory_seq_cp(memory, from, to, 0, tokens);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        // SAFETY: as in `forget`.
        unsafe {
            let memory = sys::llama_get_memory(self.context.as_ptr());
            sys::llama_memory_clear(memory, true);
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: both are owned by this value and not used again; the context goes first.
        unsafe {
            sys::llama_free(self.context.as_ptr());
            sys::llama_model_free(self.model.as_ptr());
        }
    }
}

/// Passes on what the library has to complain of.
unsafe extern "C" fn log(level: sys::ggml_log_level, text: *const c_char, _data: *mut c_void) {
    if level != sys::GGML_LOG_LEVEL_ERROR && level != sys::GGML_LOG_LEVEL_WARN {
        return;
    }
    if text.is_null() {
        return;
    }
    // SAFETY: the library gives a string that ends with a zero byte, for this call.
    let text = unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy();
    tracing::debug!(target: "llama.cpp", "{}", text.trim_end());
}
