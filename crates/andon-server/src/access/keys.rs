//! The keys that are known, and those that were proved a short while ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use andon_store::StoredKey;
use andon_task::run::Timestamp;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use super::rate::Bucket;
use super::token;
use super::{BUSY, Caller, Door, Holder};
use crate::error::ApiError;

/// How often the keys are read anew: a key that is revoked counts no longer than this
/// and the time to read.
pub(super) const REFRESH: Duration = Duration::from_secs(1);

/// Keys that could not be read anew for this long count no more.
const STALE: Duration = Duration::from_secs(30);

/// A key that was proved by Argon2 is known for so long by a keyed hash of its token.
const PROVED: Duration = Duration::from_secs(300);

/// Proofs by Argon2 at once. Each takes 19 MiB and tens of milliseconds: who sends wrong
/// keys takes no more than this from the node.
const PROOFS: usize = 2;

/// Who waits longer for one of these places is sent away.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keys of a node.
pub(crate) struct KeyRing {
    door: Door,
    /// Drawn when the service starts; tokens are known again by it.
    memory: Option<hmac::Key>,
    keys: RwLock<Keys>,
    proofs: Semaphore,
}

struct Keys {
    /// When they were read anew; `None`: only when the service was made.
    read_at: Option<Instant>,
    /// Whether a key was ever made.
    any: bool,
    by_id: HashMap<String, Arc<Known>>,
}

/// A key, and what is remembered of its use.
struct Known {
    stored: StoredKey,
    holder: Arc<Holder>,
    used: Arc<Used>,
}

struct Used {
    /// The keyed hash of the token that was proved, and until when that counts.
    proved: Mutex<Option<(hmac::Tag, Instant)>>,
    bucket: Option<Mutex<Bucket>>,
}

impl KeyRing {
    /// A ring of these keys.
    pub(crate) fn new(door: Door, keys: Vec<StoredKey>) -> Self {
        // A system without random numbers remembers nothing: every proof is made anew.
        let memory = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        let ring = Self {
            door,
            memory,
            keys: RwLock::new(Keys {
                read_at: None,
                any: false,
                by_id: HashMap::new(),
            }),
            proofs: Semaphore::new(PROOFS),
        };
        ring.replace(keys, None);
        ring
    }

    /// Takes what was read, in place of what was known.
    pub(crate) fn replace(&self, keys: Vec<StoredKey>, read_at: Option<Instant>) {
        let mut known = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let by_id = keys.into_iter().map(|stored| {
            let id = stored.key.id.clone();
            let used = match known.by_id.get(&id) {
                Some(known) => Arc::clone(&known.used),
                None => Arc::new(Used {
                    proved: Mutex::default(),
                    bucket: stored
                        .key
                        .requests_per_minute
                        .map(|limit| Mutex::new(Bucket::new(limit, Instant::now()))),
                }),
            };
            let key = &stored.key;
            let holder = Arc::new(Holder::new(key.name.clone(), key.role, &key.scopes));
            let known = Known {
                stored,
                holder,
                used,
            };
            (id, Arc::new(known))
        });
        let by_id: HashMap<_, _> = by_id.collect();
        known.any = !by_id.is_empty();
        known.by_id = by_id;
        known.read_at = read_at;
    }

    /// Who it is that has this token, `None` being who has none.
    pub(super) async fn authenticate(
        &self,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Caller, ApiError> {
        let (any, stale) = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            let stale = keys.read_at.is_some_and(|at| at.elapsed() >= STALE);
            (keys.any, stale)
        };
        match self.door {
            Door::Open => return Ok(Caller::Local),
            Door::UntilKeys if !any && !stale => return Ok(Caller::Local),
            Door::UntilKeys | Door::Keys => {}
        }
        if stale {
            return Err(ApiError::keys_unknown());
        }
        let Some(token) = token else {
            return Err(ApiError::key("no key was given"));
        };
        let (known, secret) = token::parts(token)
            .and_then(|(id, secret)| Some((self.find(id)?, secret)))
            .ok_or_else(|| ApiError::key("the key is not known here"))?;
        self.prove(&known, token, secret).await?;
        // Only who has the key is told what became of it.
        if known.stored.revoked_at.is_some() {
            return Err(ApiError::key("the key was revoked"));
        }
        if known.stored.key.expires_at.is_some_and(|end| end <= now) {
            return Err(ApiError::key("the key has expired"));
        }
        if let Some(bucket) = &known.used.bucket {
            let taken = held(bucket).take(Instant::now());
            taken.map_err(ApiError::rate_limited)?;
        }
        Ok(Caller::Holder(Arc::clone(&known.holder)))
    }

    fn find(&self, id: &str) -> Option<Arc<Known>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_id.get(id).cloned()
    }

    /// Fails unless the token is the key: by the keyed hash of one that was proved a
    /// short while ago, or by Argon2.
    async fn prove(&self, known: &Known, token: &str, secret: &str) -> Result<(), ApiError> {
        let is_known = || {
            let proved = held(&known.used.proved);
            match (&self.memory, &*proved) {
                (Some(memory), Some((tag, until))) => {
                    Instant::now() < *until
                        && hmac::verify(memory, token.as_bytes(), tag.as_ref()).is_ok()
                }
                _ => false,
            }
        };
        if is_known() {
            return Ok(());
        }
        let place = tokio::time::timeout(PATIENCE, self.proofs.acquire());
        let Ok(Ok(_place)) = place.await else {
            return Err(ApiError::too_many_proofs(BUSY));
        };
        // Others with the same key may have proved it meanwhile.
        if is_known() {
            return Ok(());
        }
        let (secret, kept) = (secret.to_owned(), known.stored.key.secret.clone());
        let proof = tokio::task::spawn_blocking(move || token::verify(&secret, &kept));
        if !proof.await.unwrap_or(false) {
            return Err(ApiError::key("the key is not known here"));
        }
        let tag = self.memory.as_ref();
        let tag = tag.map(|memory| hmac::sign(memory, token.as_bytes()));
        *held(&known.used.proved) = tag.map(|tag| (tag, Instant::now() + PROVED));
        Ok(())
    }
}

/// The locks here guard values that are set whole: a panic leaves nothing half-done.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
