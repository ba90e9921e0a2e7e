use axum::body::Body;
use axum::http::Request;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::node::{Bench, ask, get, post};

#[tokio::test]
async fn a_record_its_repeat_and_its_closing() {
    let router = Bench::new().router();
    let note = json!({"text": "oil leak at the filler", "asset": "F1", "meta": {"lang": "en"}});
    assert_snapshot!(post(&router, "/api/records", note.to_string()).await);
    let again = json!({"text": "Oil leak, at filler", "asset": "F1"});
    assert_snapshot!(post(&router, "/api/records", again.to_string()).await);
    let elsewhere = json!({"text": "oil leak at the filler", "asset": "C2", "tasks": []});
    assert_snapshot!(post(&router, "/api/records", elsewhere.to_string()).await);
    assert_snapshot!(post(&router, "/api/records/1/close", "").await);
    assert_snapshot!(get(&router, "/api/records?open=true&asset=F1").await);
    assert_snapshot!(get(&router, "/api/records/2").await);
}

#[tokio::test]
async fn control_characters_are_kept_as_they_came() {
    let router = Bench::new().router();
    let text = "be\u{0}lt\u{7}\u{1b}[31m slips\u{202e}";
    let body = json!({"text": text, "meta": {"\u{0}": "\u{0}"}, "tasks": []});
    let answer = post(&router, "/api/records", body.to_string()).await;
    assert!(answer.starts_with("200"), "{answer}");
    let kept = get(&router, "/api/records/1").await;
    let kept: Value = serde_json::from_str(&kept["200 OK".len()..]).expect("JSON");
    assert_eq!(kept["record"]["text"], text);
    assert_eq!(kept["record"]["meta"]["\u{0}"], "\u{0}");
}

#[tokio::test]
async fn runs_over_a_text_and_over_a_record() {
    let router = Bench::new().router();
    let path = "/api/tasks/failure-code/runs";
    let body = json!({"input": "a jam jam", "asset": "C2"});
    assert_snapshot!(post(&router, path, body.to_string()).await);
    assert_snapshot!(post(&router, path, json!({"record": 1}).to_string()).await);
    assert_snapshot!(get(&router, "/api/runs?route=human&limit=1").await);
    assert_snapshot!(get(&router, "/api/runs/1").await);
}

#[tokio::test]
async fn a_task_that_fails_does_not_lose_the_record() {
    let router = Bench::new().router();
    let long = "word ".repeat(200);
    assert_snapshot!(post(&router, "/api/records", json!({"text": long}).to_string()).await);
    assert_snapshot!(get(&router, "/api/records?limit=1").await);
}

#[tokio::test]
async fn tasks_assets_and_health() {
    let router = Bench::new().router();
    assert_snapshot!(get(&router, "/api/tasks").await);
    assert_snapshot!(get(&router, "/api/assets").await);
    assert_snapshot!(get(&router, "/health").await);
}

#[tokio::test]
async fn metrics_count_by_pattern() {
    let router = Bench::new().router();
    let body = json!({"input": "a jam", "asset": "C2"}).to_string();
    post(&router, "/api/tasks/failure-code/runs", body).await;
    get(&router, "/api/records/99").await;
    get(&router, "/nowhere").await;
    let text = get(&router, "/metrics").await;
    let lines = [
        "andon_http_request_duration_seconds_count{method=\"POST\",route=\"/api/tasks/{task}/runs\",status=\"200\"} 1",
        "andon_http_request_duration_seconds_count{method=\"GET\",route=\"/api/records/{id}\",status=\"404\"} 1",
        "andon_http_request_duration_seconds_count{method=\"GET\",route=\"unknown\",status=\"404\"} 1",
        "andon_runs_total{route=\"human\"} 1",
        "andon_records_total 1",
        "andon_open_records 1",
        "andon_requests_in_flight 0",
    ];
    for line in lines {
        assert!(text.contains(line), "no '{line}' in:\n{text}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let router = Bench::new().router();
    let request = Request::get("/").body(Body::empty()).expect("a request");
    let page = ask(&router, request).await;
    assert!(page.starts_with("200 OK"));
    for elsewhere in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "the page has '{elsewhere}'");
    }
}

#[test]
fn the_document_covers_every_route() {
    let document: Value = serde_json::from_str(&andon_server::document()).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let listed: Vec<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_snapshot!(listed.join("\n"));
}

#[tokio::test]
async fn a_person_answers_a_run() {
    let router = Bench::new().router();
    let body = json!({"input": "a jam jam", "asset": "C2"}).to_string();
    post(&router, "/api/tasks/failure-code/runs", body).await;
    let path = "/api/runs/1/answer";
    let answer = json!({"answer": "leak", "by": "ana"}).to_string();
    assert_snapshot!(post(&router, path, answer).await);
    let none = post(&router, path, json!({"answer": null}).to_string()).await;
    assert!(none.contains("\"answer\": null"), "{none}");
    for wrong in [
        json!({"answer": "fire"}),
        json!({"by": "ana"}),
        json!({"answer": "leak", "by": ""}),
    ] {
        let refused = post(&router, path, wrong.to_string()).await;
        assert!(refused.starts_with("400"), "{refused}");
    }
    let missing = post(&router, "/api/runs/9/answer", r#"{"answer": null}"#).await;
    assert!(missing.starts_with("404"), "{missing}");
    let open = get(&router, "/api/runs?unsettled=true").await;
    assert!(open.contains("\"runs\": []"), "{open}");
}

#[tokio::test]
async fn nothing_is_certified_or_promoted_at_first() {
    let router = Bench::new().router();
    let shown = get(&router, "/api/tasks/failure-code/certificate").await;
    assert_eq!(shown, "200 OK\n{\n  \"certificate\": null\n}");
    let shown = get(&router, "/api/tasks/failure-code/promotions").await;
    assert_eq!(shown, "200 OK\n{\n  \"promotions\": []\n}");
    let missing = get(&router, "/api/tasks/nothing/certificate").await;
    assert!(missing.starts_with("404"), "{missing}");
}

#[tokio::test]
async fn what_waits_is_listed_likeliest_critical_first() {
    let router = Bench::new().router();
    for text in ["leak leak leak", "jam jam", "noise leak"] {
        let body = json!({"text": text, "tasks": ["failure-code"]}).to_string();
        post(&router, "/api/records", body).await;
    }
    let texts = async |query: &str| {
        let shown = get(&router, &format!("/api/inbox{query}")).await;
        let inbox: Value = serde_json::from_str(&shown["200 OK".len()..]).expect("JSON");
        let items = inbox["items"].as_array().expect("items");
        let critical: Vec<f64> = items
            .iter()
            .map(|item| item["critical"].as_f64().expect("a share"))
            .collect();
        let texts: Vec<String> = items
            .iter()
            .map(|item| item["text"].as_str().expect("a text").to_owned())
            .collect();
        (texts, critical)
    };
    let (urgent, critical) = texts("").await;
    assert_eq!(urgent[0], "leak leak leak");
    assert!(critical.is_sorted_by(|a, b| a >= b), "{critical:?}");
    let (newest, _) = texts("?order=newest&limit=2").await;
    assert_eq!(newest, ["noise leak", "jam jam"]);
    assert!(
        get(&router, "/api/inbox?order=oldest")
            .await
            .starts_with("400")
    );
    // What is answered waits no more.
    post(
        &router,
        "/api/runs/1/answer",
        json!({"answer": "leak"}).to_string(),
    )
    .await;
    assert_eq!(texts("").await.0.len(), 2);
}
