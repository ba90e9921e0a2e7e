//! Who gets in: every route and method of the document, with every role and without.

use andon_server::{Door, KeyTerms, Serving, issue, serve_as};
use andon_store::{Page, Store};
use andon_task::access::{Role, Scope};
use andon_task::run::Timestamp;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::node::{Bench, MODEL};

/// The time of the bench's node.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

struct Given<'a> {
    role: Role,
    scopes: &'a [&'a str],
    a_minute: Option<u32>,
    expires_at: Option<Timestamp>,
}

impl Default for Given<'_> {
    fn default() -> Self {
        Self {
            role: Role::Viewer,
            scopes: &[],
            a_minute: None,
            expires_at: None,
        }
    }
}

fn add(store: &Store, name: &str, given: Given<'_>) -> String {
    let scopes = given.scopes.iter();
    let (key, token) = issue(KeyTerms {
        name: name.to_owned(),
        role: given.role,
        scopes: scopes
            .map(|scope| scope.parse::<Scope>().expect("a scope"))
            .collect(),
        requests_per_minute: given.a_minute,
        expires_at: given.expires_at,
    })
    .expect("a key");
    store.add_key(&key, None, NOW).expect("it is kept");
    token
}

fn of(role: Role) -> Given<'static> {
    Given {
        role,
        ..Given::default()
    }
}

/// A request that its handler would take.
fn request(method: &Method, path: &str, token: Option<&str>) -> Request<Body> {
    let path = path.replace("{task}", "failure-code");
    let path = match path.starts_with("/v1/models") {
        true => path.replace("{id}", MODEL),
        false => path.replace("{id}", "1"),
    };
    let body = match path.as_str() {
        "/v1/chat/completions" => {
            json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})
        }
        "/v1/completions" => json!({"model": MODEL, "prompt": "hi", "max_tokens": 2}),
        "/api/records" => json!({"text": "oil leak"}),
        "/api/tasks/failure-code/runs" => json!({"input": "oil leak"}),
        "/api/runs/1/answer" => json!({"answer": "leak"}),
        _ => json!({}),
    };
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, token);
    }
    let request = request.header(header::CONTENT_TYPE, "application/json");
    request
        .body(Body::from(body.to_string()))
        .expect("a request")
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.expect("an answer");
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
    let bytes = to_bytes(response.into_body(), usize::MAX).await;
    let body = serde_json::from_slice(&bytes.expect("a body")).unwrap_or(Value::Null);
    (status, body)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// All routes of the document.
fn routes() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(&andon_server::document()).expect("a document");
    let paths = document["paths"].as_object().expect("paths").iter();
    let routes: Vec<_> = paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys();
            methods.map(|method| {
                let method = method.to_uppercase().parse().expect("a method");
                (method, path.clone())
            })
        })
        .collect();
    assert!(routes.len() > 20, "{}", routes.len());
    routes
}

/// Whether a role may, written down a second time.
fn may(role: Role, method: &Method, path: &str) -> bool {
    let reads = method == Method::GET && path != "/api/audit";
    match role {
        Role::Viewer => reads,
        Role::Operator => reads || (method == Method::POST && !of_engineers(path)),
        Role::Engineer => reads || method == Method::POST,
        Role::Admin => true,
        Role::Machine => {
            path.starts_with("/v1/")
                || matches!(
                    (method.as_str(), path),
                    ("POST", "/api/records" | "/api/tasks/{task}/runs")
                        | (
                            "GET",
                            "/api/tasks"
                                | "/api/assets"
                                | "/health"
                                | "/metrics"
                                | "/api/openapi.json"
                        )
                )
        }
    }
}

/// What changes how tasks are answered, or sends what was given up.
fn of_engineers(path: &str) -> bool {
    matches!(path, "/api/tasks/{task}/rollback" | "/api/queue/{id}/retry")
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "a test says what it measured")]
async fn nobody_gets_through_who_may_not() {
    let bench = Bench::new();
    let store = bench.store();
    let roles = Role::ALL.map(|role| (role, bearer(&add(&store, role.name(), of(role)))));
    let expired = Given {
        expires_at: Some(NOW),
        ..of(Role::Admin)
    };
    let expired = bearer(&add(&store, "expired", expired));
    let revoked = bearer(&add(&store, "revoked", of(Role::Admin)));
    store.revoke_key("revoked", None, NOW).expect("revoked");
    let admin = &roles[3].1;
    // The right key to the last character but one; a whole one that nobody made; another
    // scheme; and what a client sends that has none.
    let nearly = format!("{}{}", &admin[..admin.len() - 1], "-");
    let unknown = format!("Bearer andon_0123456789ab_{}", "A".repeat(43));
    let basic = admin.replace("Bearer", "Basic");
    let wrong: [Option<&str>; 11] = [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer none"),
        Some(&admin["Bearer ".len()..]),
        Some(&nearly),
        Some(&unknown),
        Some(&basic),
        Some(&expired),
        Some(&revoked),
    ];
    let router = bench.router();
    let extra = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
    ]
    .map(|method| method.parse::<Method>().expect("a method"));
    let mut refused = 0;
    for (_, path) in routes() {
        for method in &extra {
            for token in wrong {
                let (status, body) = ask(&router, request(method, &path, token)).await;
                assert_eq!(
                    status,
                    StatusCode::UNAUTHORIZED,
                    "{method} {path} {token:?}"
                );
                if method != Method::HEAD {
                    assert_eq!(body["error"]["code"], "invalid_api_key");
                    assert_eq!(body["error"]["type"], "authentication_error");
                }
                refused += 1;
            }
        }
    }
    let (status, _) = ask(&router, request(&Method::GET, "/no/such/path", None)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let mut forbidden = 0;
    let mut allowed = 0;
    for (method, path) in routes() {
        for (role, token) in &roles {
            let before = bench.node.counts().expect("counts");
            let (status, body) = ask(&router, request(&method, &path, Some(token))).await;
            if may(*role, &method, &path) {
                let denied = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
                assert!(!denied, "{role} {method} {path}: {body}");
                allowed += 1;
            } else {
                assert_eq!(
                    status,
                    StatusCode::FORBIDDEN,
                    "{role} {method} {path}: {body}"
                );
                assert_eq!(body["error"]["code"], "insufficient_role");
                assert_eq!(bench.node.counts().expect("counts"), before);
                forbidden += 1;
            }
        }
        // With a key, a method that the path does not take is named as such.
        let (status, body) = ask(&router, request(&Method::DELETE, &path, Some(admin))).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}: {body}");
    }
    assert!(
        refused > 2000 && forbidden > 20 && allowed > 100,
        "{refused} {forbidden} {allowed}"
    );
    let calls = refused + forbidden;
    println!("{{\"calls_refused_of_all_that_may_not\": {calls}}}");
    // The page has no data, and is how a browser gets to ask for a key.
    let (status, _) = ask(&router, request(&Method::GET, "/", None)).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_preflight_of_another_site_gets_nothing() {
    let router = Bench::new().router();
    let request = Request::options("/v1/chat/completions")
        .header(header::ORIGIN, "https://elsewhere.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .body(Body::empty())
        .expect("a request");
    let response = router.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allows = |name: &header::HeaderName| name.as_str().starts_with("access-control-");
    assert!(!response.headers().keys().any(allows));
}

#[tokio::test]
async fn a_scope_holds_a_key_to_its_tasks() {
    let bench = Bench::new();
    let store = bench.store();
    let scoped = |name, scope| {
        let given = Given {
            scopes: scope,
            ..of(Role::Operator)
        };
        bearer(&add(&store, name, given))
    };
    let own = scoped("own", &["task:failure-code"]);
    let other = scoped("other", &["task:team", "task:critical"]);
    let admin = bearer(&add(&store, "admin", of(Role::Admin)));
    let router = bench.router();
    let check = async |method: Method, path: &str, token: &str, expected: u16| {
        let (status, body) = ask(&router, request(&method, path, Some(token))).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
        if expected == 403 {
            assert_eq!(body["error"]["code"], "insufficient_scope");
        }
        body
    };
    let (get, post) = (Method::GET, Method::POST);
    check(post.clone(), "/api/tasks/{task}/runs", &own, 200).await;
    check(post.clone(), "/api/tasks/{task}/runs", &other, 403).await;
    check(get.clone(), "/api/tasks/{task}/promotions", &own, 200).await;
    check(get.clone(), "/api/tasks/{task}/promotions", &other, 403).await;
    check(get.clone(), "/api/runs/{id}", &own, 200).await;
    check(get.clone(), "/api/runs/{id}", &other, 403).await;
    check(get.clone(), "/api/runs?task=failure-code", &own, 200).await;
    check(get.clone(), "/api/runs?task=failure-code", &other, 403).await;
    check(get.clone(), "/api/runs", &own, 403).await;
    // A record is everybody's; its tasks are not.
    check(get.clone(), "/api/records/{id}", &own, 403).await;
    let ran = check(post.clone(), "/api/records", &own, 200).await;
    assert_eq!(ran["runs"][0]["task"], "failure-code");
    let ran = check(post.clone(), "/api/records", &other, 200).await;
    assert_eq!(ran["runs"], json!([]));
    // Of a task's own name the beginning is not enough, nor is a way around it.
    check(post.clone(), "/api/tasks/failure-code%2f/runs", &other, 403).await;
    check(post.clone(), "/v1/chat/completions", &own, 403).await;
    let inbox = check(get.clone(), "/api/inbox", &own, 200).await;
    assert_eq!(inbox["waiting"], 2);
    assert_eq!(inbox["items"][0]["text"], "oil leak");
    let inbox = check(get.clone(), "/api/inbox", &other, 200).await;
    assert_eq!(
        (&inbox["waiting"], &inbox["items"]),
        (&json!(0), &json!([]))
    );
    check(get.clone(), "/api/inbox?task=failure-code", &other, 403).await;
    check(post.clone(), "/api/runs/{id}/answer", &other, 403).await;
    let settled = check(post.clone(), "/api/runs/{id}/answer", &own, 200).await;
    assert_eq!(settled["settled"]["by"], "own");
    // What is settled waits no more, and the log says who settled it.
    let inbox = check(get.clone(), "/api/inbox", &admin, 200).await;
    assert_eq!(inbox["waiting"], 1);
    let log = check(get.clone(), "/api/audit?act=settlement", &admin, 200).await;
    assert_eq!(log["rows"][0]["who"], "own");
    assert_eq!(log["rows"][0]["detail"]["run"], 1);
    let rows = store
        .audit(&Default::default(), Page::default())
        .expect("rows");
    assert!(!format!("{rows:?}").contains("oil leak"));
}

#[tokio::test]
async fn the_name_of_a_person_stands_behind_that_of_the_key() {
    let bench = Bench::new();
    let token = bearer(&add(&bench.store(), "panel-3", of(Role::Operator)));
    let router = bench.router();
    ask(
        &router,
        request(&Method::POST, "/api/records", Some(&token)),
    )
    .await;
    let body = json!({"answer": "leak", "by": "ana"}).to_string();
    let request = Request::post("/api/runs/1/answer")
        .header(header::AUTHORIZATION, token)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .expect("a request");
    let (status, body) = ask(&router, request).await;
    assert_eq!(
        (status, &body["settled"]["by"]),
        (StatusCode::OK, &json!("panel-3/ana"))
    );
}

#[tokio::test]
async fn requests_of_a_minute_are_counted() {
    let bench = Bench::new();
    let limited = Given {
        a_minute: Some(3),
        ..of(Role::Viewer)
    };
    let token = bearer(&add(&bench.store(), "limited", limited));
    let router = bench.router();
    let ask_once = || request(&Method::GET, "/api/assets", Some(&token));
    for _ in 0..3 {
        assert_eq!(ask(&router, ask_once()).await.0, StatusCode::OK);
    }
    let response = router.clone().oneshot(ask_once()).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = response.headers()[header::RETRY_AFTER]
        .to_str()
        .expect("text")
        .parse()
        .expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    let bytes = to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body");
    let body: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_up_heeds_new_and_revoked_keys_within_two_seconds() {
    let bench = Bench::new();
    let store = bench.store();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = Serving {
        door: Door::UntilKeys,
        ..Serving::default()
    };
    let node = Arc::clone(&bench.node);
    let served = tokio::spawn(serve_as(serving, listener, node, std::future::pending()));
    let status = async |token: Option<&str>| {
        let mut stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("connected");
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let head = format!(
            "GET /api/assets HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n",
            token.unwrap_or_default()
        );
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        text["HTTP/1.1 ".len()..][..3].to_owned()
    };
    let until = async |expected: &str, token: Option<&str>| {
        let began = Instant::now();
        while status(token).await != expected {
            assert!(
                began.elapsed() < Duration::from_secs(2),
                "not yet {expected}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(status(None).await, "200");
    let token = add(&store, "panel", of(Role::Viewer));
    until("401", None).await;
    until("200", Some(&token)).await;
    store.revoke_key("panel", None, NOW).expect("revoked");
    until("401", Some(&token)).await;
    assert_eq!(status(None).await, "401");
    served.abort();
}
