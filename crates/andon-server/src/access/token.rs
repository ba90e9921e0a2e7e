//! Keys as they are written, and what is kept of them: a salted Argon2id hash.
//!
//! `andon_` is followed by 12 hexadecimal digits, by which the key is found and which
//! are no secret, and by 256 bits that are.

use andon_store::{KeySecret, NewKey};
use andon_task::access::{Role, Scope};
use andon_task::run::Timestamp;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Argon2, password_hash};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};

const PREFIX: &str = "andon_";
const ID_DIGITS: usize = 12;
const SECRET_BYTES: usize = 32;

/// The longest token that is looked at.
const MAX_TOKEN: usize = 100;

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct KeyTerms {
    /// For whom it is.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// What it is held to.
    pub scopes: Vec<Scope>,
    /// The most requests a minute.
    pub requests_per_minute: Option<u32>,
    /// From when on it does not count.
    pub expires_at: Option<Timestamp>,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// The name does not fit a log or a table.
    #[error(
        "the name '{0}' does not do: use 1 to 60 letters, digits, hyphens, dots and underscores"
    )]
    Name(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: try again")]
    Random,
    /// The secret cannot be hashed.
    #[error("the key cannot be hashed: {0}")]
    Hash(password_hash::Error),
}

/// Makes a key: what is to be kept, and the token, which is shown once.
pub fn issue(asked: KeyTerms) -> Result<(NewKey, String), NoKey> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !(1..=60).contains(&asked.name.len()) || !asked.name.chars().all(fits) {
        return Err(NoKey::Name(asked.name.chars().take(80).collect()));
    }
    let id: String = random::<{ ID_DIGITS / 2 }>()?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let secret = URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?);
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(NoKey::Hash)?;
    let hash = Argon2::default()
        .hash_password(secret.as_bytes(), &salt)
        .map_err(NoKey::Hash)?;
    let key = NewKey {
        secret: KeySecret(hash.to_string()),
        name: asked.name,
        role: asked.role,
        scopes: asked.scopes,
        requests_per_minute: asked.requests_per_minute,
        expires_at: asked.expires_at,
        id: id.clone(),
    };
    Ok((key, format!("{PREFIX}{id}_{secret}")))
}

fn random<const N: usize>() -> Result<[u8; N], NoKey> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoKey::Random)?;
    Ok(bytes)
}

/// The two parts of a token: what it is found by, and its secret.
pub(super) fn parts(token: &str) -> Option<(&str, &str)> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    (id.len() == ID_DIGITS && !secret.is_empty()).then_some((id, secret))
}

/// Whether a secret is the one that was hashed. Takes tens of milliseconds.
pub(super) fn verify(secret: &str, kept: &KeySecret) -> bool {
    PasswordHash::new(&kept.0).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(secret.as_bytes(), &hash)
            .is_ok()
    })
}
