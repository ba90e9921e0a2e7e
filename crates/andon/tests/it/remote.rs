//! A node whose language model is that of another node.

use std::fs;
use std::path::Path;
use std::process::Child;

use serde_json::{Value, json};

use crate::models::run;
use crate::node::Home;
use crate::state::up_with;

/// A node that ends with the test.
struct Up {
    child: Child,
    url: String,
    home: Home,
}

impl Up {
    fn start(home: Home, arguments: &[&str]) -> Self {
        let (child, url) = up_with(&home, arguments);
        Self { child, url, home }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

fn ask(url: &str, more: Value) -> Value {
    let mut body = json!({
        "model": "smollm2:135m",
        "messages": [{"role": "user", "content": "Why does a bearing squeal?"}],
        "max_tokens": 12,
        "temperature": 0.8,
        "seed": 5,
    });
    let more = more.as_object().expect("fields");
    body.as_object_mut().expect("fields").extend(more.clone());
    let mut answer = ureq::post(&format!("{url}/v1/chat/completions"))
        .content_type("application/json")
        .send(body.to_string())
        .expect("an answer");
    let text = answer.body_mut().read_to_string().expect("a text");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_node_answers_with_the_language_model_of_another() {
    let first = Up::start(Home::new(), &[]);
    let address = format!("{}/v1#smollm2:135m", first.url);
    let home = Home::new();
    run(&home, &["learn", "failure"], b"").succeeded();
    let second = Up::start(home, &["--language-model", &address]);
    let schema = json!({"type": "object", "properties": {"cause": {"enum": ["wear", "dirt"]}},
        "required": ["cause"], "additionalProperties": false});
    let named = json!({"name": "cause", "schema": schema});
    let check = |more: Value, places: &[&str]| {
        let (own, remote) = (ask(&first.url, more.clone()), ask(&second.url, more));
        for at in places {
            assert_eq!(remote.pointer(at), own.pointer(at), "{remote} {own}");
            assert!(
                own.pointer(at).is_some_and(|found| !found.is_null()),
                "{own}"
            );
        }
        (own, remote)
    };
    let (text, tokens) = ("/choices/0/message/content", "/usage/completion_tokens");
    check(
        json!({"response_format": {"type": "json_schema", "json_schema": named}}),
        &[text],
    );
    check(
        json!({"structured_outputs": {"choice": ["wear and tear", "dirt"]}}),
        &[text],
    );
    check(
        json!({"structured_outputs": {"regex": "[a-z]{4,8}!"}}),
        &[text],
    );
    let logprob = "/choices/0/logprobs/content/0/top_logprobs/1/logprob";
    check(
        json!({"logprobs": true, "top_logprobs": 2}),
        &[text, logprob],
    );
    let (own, remote) = check(json!({}), &[text, tokens, "/choices/0/finish_reason"]);
    // It is not the digest of the weights, which only their holder can take.
    assert_ne!(remote["system_fingerprint"], own["system_fingerprint"]);

    // A head answers as ever; labels that need the model are not guessed.
    let arguments = ["run", "failure", "oil drips", "--language-model", &address];
    run(&second.home, &arguments, b"").succeeded();
    let bare = Home::new();
    run(&bare, &arguments, b"").failed(&["cannot weigh labels", "train a head"]);
}

#[test]
fn an_address_or_a_key_that_cannot_be_is_refused() {
    let home = Home::new();
    let check = |arguments: &[&str], code: i32, part: &str| {
        let ended = run(
            &home,
            &[&["run", "failure", "oil"], arguments].concat(),
            b"",
        );
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    };
    check(
        &["--language-model", "http://8.8.8.8/v1"],
        2,
        "beyond loopback",
    );
    check(&["--language-model", "smollm2:135m"], 2, "is no address");
    let nobody = ["--language-model", "http://127.0.0.1:1/v1"];
    check(
        &nobody,
        1,
        "the server at http://127.0.0.1:1/v1 cannot be used",
    );
    let check_key = |file: &Path, part: &str| {
        let file = file.to_str().expect("UTF-8");
        let arguments = [&nobody[..], &["--language-model-key-file", file]].concat();
        check(&arguments, 1, part);
    };
    fs::write(home.beside("plant/key"), "secret").expect("writable");
    check_key(&home.beside("plant/key"), "lies in the plant's directory");
    check_key(Path::new("/nowhere/key"), "cannot read the key");
    fs::write(home.beside("key"), "two words").expect("writable");
    check_key(&home.beside("key"), "what no header can carry");
}
