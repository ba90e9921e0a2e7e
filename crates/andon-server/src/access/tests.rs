use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use andon_store::StoredKey;
use andon_task::access::Role;
use andon_task::run::Timestamp;
use serde_json::Value;

use super::rate::Bucket;
use super::table::{Least, RULES};
use super::{Caller, Door, KeyRing, KeyTerms, issue, token};

#[test]
fn every_route_of_the_document_has_a_rule_and_no_other() {
    let document: Value = serde_json::from_str(&crate::document()).expect("a document");
    let paths = document["paths"].as_object().expect("paths");
    let mut documented: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    // The page, which is no part of the API.
    documented.insert(("GET".to_owned(), "/".to_owned()));
    let ruled: BTreeSet<(String, String)> = RULES
        .iter()
        .map(|rule| (rule.method.to_owned(), rule.path.to_owned()))
        .collect();
    assert_eq!(documented, ruled);
    assert_eq!(ruled.len(), RULES.len(), "a route has two rules");
    let open: Vec<&str> = RULES
        .iter()
        .filter(|rule| rule.least == Least::Anyone)
        .map(|rule| rule.path)
        .collect();
    assert_eq!(open, ["/"]);
}

#[test]
fn a_bucket_holds_a_minutes_worth_and_fills_evenly() {
    let began = Instant::now();
    let mut bucket = Bucket::new(60, began);
    for _ in 0..60 {
        bucket.take(began).expect("a full bucket");
    }
    let wait = bucket.take(began).expect_err("an empty one");
    assert!((wait.as_secs_f64() - 1.0).abs() < 1e-6, "{wait:?}");
    bucket
        .take(began + Duration::from_secs(1))
        .expect("one more");
    bucket
        .take(began + Duration::from_secs(1))
        .expect_err("no two");
}

fn key(name: &str) -> (StoredKey, String) {
    let asked = KeyTerms {
        name: name.to_owned(),
        role: Role::Operator,
        scopes: Vec::new(),
        requests_per_minute: None,
        expires_at: Some(Timestamp(100)),
    };
    let (key, token) = issue(asked).expect("a key");
    let stored = StoredKey {
        key,
        added_at: Timestamp(0),
        revoked_at: None,
    };
    (stored, token)
}

#[tokio::test]
async fn keys_are_proved_once_and_known_again_quickly() {
    let (stored, token) = key("panel");
    let ring = KeyRing::new(Door::Keys, vec![stored.clone()]);
    let ask = async |token: Option<&str>, now| match ring.authenticate(token, now).await {
        Ok(Caller::Holder(holder)) => holder.name.clone(),
        Ok(Caller::Local) => "local".to_owned(),
        Err(error) => error.message().to_owned(),
    };
    let now = Timestamp(1);
    assert_eq!(ask(Some(&token), now).await, "panel");
    let began = Instant::now();
    for _ in 0..1000 {
        assert_eq!(ask(Some(&token), now).await, "panel");
    }
    // Argon2 alone would take a thousand times tens of milliseconds.
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let (id, _) = token::parts(&token).expect("a token");
    let guessed = format!("andon_{id}_{}", "A".repeat(43));
    for wrong in ["", "x", &guessed, &token[..token.len() - 1]] {
        let said = ask(Some(wrong), now).await;
        assert!(
            said.starts_with("the key is not known here"),
            "{wrong}: {said}"
        );
    }
    assert!(ask(None, now).await.starts_with("no key was given"));
    assert!(
        ask(Some(&token), Timestamp(100))
            .await
            .starts_with("the key has expired")
    );
    let revoked = StoredKey {
        revoked_at: Some(Timestamp(2)),
        ..stored
    };
    ring.replace(vec![revoked], None);
    assert!(
        ask(Some(&token), now)
            .await
            .starts_with("the key was revoked")
    );
}

#[tokio::test]
async fn the_door_shuts_with_the_first_key_and_stays_shut() {
    let enter = async |door, keys: Vec<StoredKey>, read_at: Option<Instant>| {
        let ring = KeyRing::new(door, keys.clone());
        ring.replace(keys, read_at);
        ring.authenticate(None, Timestamp(1)).await.is_ok()
    };
    let (stored, _) = key("panel");
    let revoked = StoredKey {
        revoked_at: Some(Timestamp(1)),
        ..stored
    };
    assert!(enter(Door::UntilKeys, Vec::new(), None).await);
    assert!(!enter(Door::UntilKeys, vec![revoked.clone()], None).await);
    assert!(!enter(Door::Keys, Vec::new(), None).await);
    assert!(enter(Door::Open, vec![revoked], None).await);
    // Where the keys cannot be read, nobody knows whether there are any.
    let long_ago = Instant::now()
        .checked_sub(Duration::from_secs(60))
        .expect("a time");
    assert!(!enter(Door::UntilKeys, Vec::new(), Some(long_ago)).await);
}

#[test]
fn names_that_do_not_fit_are_refused() {
    for wrong in ["", "two words", "a/b", &"x".repeat(61)] {
        let asked = KeyTerms {
            name: wrong.to_owned(),
            role: Role::Viewer,
            scopes: Vec::new(),
            requests_per_minute: None,
            expires_at: None,
        };
        assert!(issue(asked).is_err(), "{wrong}");
    }
}
