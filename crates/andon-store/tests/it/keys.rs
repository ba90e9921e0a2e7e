use andon_store::{Error, KeySecret, NewKey};
use andon_task::access::{Role, Scope};
use andon_task::run::Timestamp;

use crate::Fixture;

fn key(id: &str, name: &str) -> NewKey {
    NewKey {
        id: id.to_owned(),
        name: name.to_owned(),
        role: Role::Operator,
        scopes: vec![Scope::Task("failure-code".to_owned())],
        requests_per_minute: Some(60),
        secret: KeySecret("$argon2id$…".to_owned()),
        expires_at: Some(Timestamp(9)),
    }
}

#[test]
fn keys_are_kept_and_revoked_by_name() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store
        .add_key(&key("1", "panel"), Some("ana"), Timestamp(1))
        .expect("a key");
    let again = store.add_key(&key("2", "panel"), None, Timestamp(2));
    assert!(matches!(again, Err(Error::KeyExists(_))));
    store
        .revoke_key("panel", Some("ana"), Timestamp(3))
        .expect("revoked");
    let twice = store.revoke_key("panel", None, Timestamp(4));
    assert!(matches!(twice, Err(Error::NoKey(_))));
    // The name is free again, and the old key stays in the list.
    store
        .add_key(&key("3", "panel"), None, Timestamp(5))
        .expect("a key");
    let fixture = fixture.reopen();
    let keys = fixture.store.keys().expect("keys");
    let shown: Vec<_> = keys
        .iter()
        .map(|key| (key.key.id.as_str(), key.revoked_at.map(|at| at.0)))
        .collect();
    assert_eq!(shown, [("1", Some(3)), ("3", None)]);
    assert_eq!(keys[1].key.scopes, key("3", "panel").scopes);
    assert_eq!(keys[1].key.requests_per_minute, Some(60));
    assert!(!format!("{keys:?}").contains("argon2id"));
    let log = fixture.store.audit(&Default::default(), Default::default());
    let acts: Vec<String> = log.expect("rows").into_iter().map(|row| row.act).collect();
    assert_eq!(acts, ["key_added", "key_revoked", "key_added"]);
}
