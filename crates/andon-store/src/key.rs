//! API keys: who may call, as what, and until when. The key itself is not here.

use andon_task::access::{Role, Scope};
use andon_task::audit::Act;
use andon_task::run::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use crate::audit;
use crate::error::Error;
use crate::json as text;
use crate::store::Store;

/// A key to keep.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What the key itself begins with.
    pub id: String,
    /// For whom it is: no two keys in use have the same.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// What it is held to; empty: everything that the role may do.
    pub scopes: Vec<Scope>,
    /// The most requests a minute.
    pub requests_per_minute: Option<u32>,
    /// The salted hash of its secret, as a PHC string.
    pub secret: KeySecret,
    /// From when on it does not count.
    pub expires_at: Option<Timestamp>,
}

/// The salted hash of a key's secret. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(pub String);

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

/// A key as the store keeps it.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// What was given.
    pub key: NewKey,
    /// When it was made.
    pub added_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl Store {
    /// Keeps a new key, made by `by`.
    pub fn add_key(&self, key: &NewKey, by: Option<&str>, at: Timestamp) -> Result<(), Error> {
        let (key, by) = (key.clone(), by.map(str::to_owned));
        let scopes = text::encode("scopes", &key.scopes)?;
        self.write_audited(move |connection| {
            if in_use(connection, &key.name)?.is_some() {
                return Err(Error::KeyExists(key.name.clone()).into());
            }
            connection
                .prepare_cached(
                    "INSERT INTO api_key (id, name, role, scopes, requests_per_minute, secret,
                                          added_at, expires_at)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    key.id,
                    key.name,
                    key.role.name(),
                    scopes,
                    key.requests_per_minute,
                    key.secret.0,
                    at.0,
                    key.expires_at.map(|at| at.0),
                ])?;
            let detail = json!({
                "key": key.name,
                "id": key.id,
                "role": key.role,
                "scopes": key.scopes,
                "requests_per_minute": key.requests_per_minute,
                "expires_at": key.expires_at.map(|at| at.to_string()),
            });
            let row = audit::append(connection, Act::KeyAdded, by.as_deref(), at, &detail)?;
            Ok(((), row))
        })
    }

    /// Revokes the key of this name that is in use.
    pub fn revoke_key(&self, name: &str, by: Option<&str>, at: Timestamp) -> Result<(), Error> {
        let (name, by) = (name.to_owned(), by.map(str::to_owned));
        self.write_audited(move |connection| {
            let id = in_use(connection, &name)?.ok_or_else(|| Error::NoKey(name.clone()))?;
            connection
                .prepare_cached("UPDATE api_key SET revoked_at = ? WHERE id = ?")?
                .execute(params![at.0, id])?;
            let detail = json!({ "key": name, "id": id });
            let row = audit::append(connection, Act::KeyRevoked, by.as_deref(), at, &detail)?;
            Ok(((), row))
        })
    }

    /// All keys that were ever made, in the order of their making.
    pub fn keys(&self) -> Result<Vec<StoredKey>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, role, scopes, requests_per_minute, secret, added_at,
                        expires_at, revoked_at
                 FROM api_key ORDER BY rowid",
            )?;
            let keys = statement.query_map([], read)?;
            Ok(keys.collect::<Result<_, _>>()?)
        })
    }
}

fn in_use(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT id FROM api_key WHERE name = ? AND revoked_at IS NULL")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    let time = |column| {
        row.get::<_, Option<i64>>(column)
            .map(|at| at.map(Timestamp))
    };
    Ok(StoredKey {
        key: NewKey {
            id: row.get("id")?,
            name: row.get("name")?,
            role: text::parse(row, "role")?,
            scopes: text::decode(row, "scopes")?,
            requests_per_minute: row.get("requests_per_minute")?,
            secret: KeySecret(row.get("secret")?),
            expires_at: time("expires_at")?,
        },
        added_at: Timestamp(row.get("added_at")?),
        revoked_at: time("revoked_at")?,
    })
}
