//! Measures answers on public data sets: `cargo run --example answer -- emanual|xquad`.
//! `usual` prints the ranker that the binary brings, learned from the demo plant and xquad.
//! The data are those of `ANDON_DATA`, the encoder that of `ANDON_HOME`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use andon_engine::{Encoder, EncoderFiles};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_learn::answer::{
    Against, Cases, Evaluation, Lesson, cross_validate, evaluate, evaluate_without_answers, learn,
    learn_in_general,
};
use andon_task::answer::{
    Document, Form, Index, Learned, Vector, Vectors, heading_text, passage_text, passages,
};
use andon_task::digest::Digest;
use andon_task::engine::Embed;
use andon_task::example::Example;
use andon_task::glossary::Glossary;
use andon_task::plant::{Files, Plant};
use serde_json::{Value, json};

fn main() {
    let what = std::env::args().nth(1).unwrap_or_else(|| "emanual".into());
    let (documents, examples) = match what.as_str() {
        "emanual" => emanual(),
        "xquad" => xquad(),
        "usual" => {
            let (mut documents, mut examples) = xquad();
            let plant = demo();
            for (path, bytes) in &plant.documents {
                let text = String::from_utf8_lossy(bytes).into_owned();
                documents.push(Document::parse(path, text, Form::Markdown));
            }
            // The demo's questions are few and like those of plants: they count three times.
            for _ in 0..3 {
                examples.extend(plant.expected["ask"].iter().cloned());
            }
            (documents, examples)
        }
        other => panic!("no data set '{other}'"),
    };
    let encoder = encoder();
    let glossary = match what.as_str() {
        "usual" => demo().glossary,
        _ => Glossary::default(),
    };
    let began = Instant::now();
    let clock = || began.elapsed();
    let with_vectors = documents.into_iter().map(|document| {
        let vectors = vectors(&encoder, &document, &what, &glossary);
        (document, vectors)
    });
    let index = Index::new(with_vectors.collect(), &glossary);
    println!(
        "{} sections, indexed in {:.1?}",
        index.len(),
        began.elapsed()
    );
    let against = Against {
        index: &index,
        encoder: &encoder,
        glossary: &glossary,
    };
    let cases = Cases::read(&examples, against, &clock, &mut |_| {}).unwrap();
    println!("{} cases, {} lost", cases.cases.len(), cases.lost.len());
    for lost in cases.lost.iter().take(10) {
        println!("  lost {lost}");
    }
    let lesson = Lesson {
        cases: &cases.cases,
        ..lesson_of(against)
    };
    if what == "usual" {
        print(&learn_in_general(&lesson));
        return;
    }
    show(
        "default",
        &evaluate(&lesson, &Learned::default(), &clock).unwrap(),
    );
    let at = began.elapsed();
    show("learned, folds", &cross_validate(&lesson, &clock).unwrap());
    println!("took {:.1?}", began.elapsed() - at);
    // Every sixth question is asked with its answer taken out of the documents.
    let (mut held_out, mut rest) = (Vec::new(), Vec::new());
    for (at, case) in cases.cases.into_iter().enumerate() {
        match at % 6 {
            0 => held_out.push(case),
            _ => rest.push(case),
        }
    }
    let learned = learn(
        &Lesson {
            cases: &rest,
            ..lesson_of(against)
        },
        &clock,
    )
    .unwrap()
    .learned;
    let lesson = Lesson {
        cases: &held_out,
        ..lesson_of(against)
    };
    show("held out", &evaluate(&lesson, &learned, &clock).unwrap());
    show(
        "answers taken out",
        &evaluate_without_answers(&lesson, &learned, &clock).unwrap(),
    );
}

/// A ranker as `andon-task::answer::usual` writes it.
fn print(learned: &Learned) {
    let of = |values: &[f64]| {
        values
            .iter()
            .map(|v| format!("{v:.4}, "))
            .collect::<String>()
    };
    let parts = [
        ("sections", &learned.sections),
        ("spans", &learned.spans),
        ("support", &learned.support),
    ];
    for (name, linear) in parts {
        println!("{name}: Linear {{");
        println!("means: vec![{}],", of(&linear.means));
        println!("spreads: vec![{}],", of(&linear.spreads));
        println!("weights: vec![{}],", of(&linear.weights));
        println!("bias: {:.4},\n}},", linear.bias);
    }
    println!("threshold: {:.4},", learned.threshold);
}

fn demo() -> Plant {
    fn read(root: &Path, folder: &Path, files: &mut Files) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(root, &path, files);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plants/demo");
    let mut files = Files::new();
    read(&root, &root, &mut files);
    Plant::parse(&files).unwrap()
}

fn lesson_of(against: Against<'_>) -> Lesson<'_> {
    Lesson {
        task: "ask",
        accept: 0.0,
        cases: &[],
        against,
    }
}

fn show(name: &str, evaluation: &Evaluation) {
    let figure = |e: &Option<andon_learn::interval::Estimate>| {
        e.map_or("-".to_owned(), |e| format!("{:.3}", e.value))
    };
    println!(
        "{name}: n {} hit@1 {} hit@5 {} rouge {} declined {} coverage {} error {} threshold {:.2} p50 {:.1} ms p99 {:.1} ms",
        evaluation.n,
        figure(&evaluation.hit_at_1),
        figure(&evaluation.hit_at_5),
        figure(&evaluation.rouge_l),
        figure(&evaluation.declined),
        figure(&evaluation.coverage),
        figure(&evaluation.selective_error),
        evaluation.threshold,
        evaluation.p50_ms,
        evaluation.p99_ms
    );
}

fn data() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    std::env::var_os("ANDON_DATA").map_or_else(|| beside.into(), PathBuf::from)
}

fn emanual() -> (Vec<Document>, Vec<Example>) {
    let folder = data().join("emanual_qa");
    let corpus =
        std::fs::read_to_string(folder.join("smart_tv_remote_manual_corpus.json")).unwrap();
    let corpus: Value = serde_json::from_str(&corpus).unwrap();
    let mut text = String::from("# e-Manual\n\n");
    for section in corpus.as_object().unwrap().values() {
        text.push_str(&format!("## {}\n\n", section["title"].as_str().unwrap()));
        for line in section["text"].as_array().unwrap() {
            text.push_str(line.as_str().unwrap());
            text.push('\n');
        }
        text.push('\n');
    }
    let document = Document::parse("manuals/emanual.md", text, Form::Markdown);
    let lines = std::fs::read_to_string(folder.join("smart_remote_qa.jsonl")).unwrap();
    let examples = lines.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let source = format!("emanual#{}", row["section_path"].as_str().unwrap());
        Example {
            input: row["question"].as_str().unwrap().to_owned(),
            expected: json!({"answer": row["answer"], "sources": [source]}),
            id: None,
            meta: None,
        }
    });
    (vec![document], examples.collect())
}

fn xquad() -> (Vec<Document>, Vec<Example>) {
    let text =
        std::fs::read_to_string(data().join("xquad_es/xquad.es.articles_01_24.json")).unwrap();
    let set: Value = serde_json::from_str(&text).unwrap();
    let (mut documents, mut examples) = (Vec::new(), Vec::new());
    for (number, article) in set["data"].as_array().unwrap().iter().enumerate() {
        let mut text = String::new();
        for (at, paragraph) in article["paragraphs"].as_array().unwrap().iter().enumerate() {
            let context = paragraph["context"]
                .as_str()
                .unwrap()
                .replace('\u{feff}', "");
            text.push_str(&format!("## P{at}\n\n{context}\n\n"));
            for qa in paragraph["qas"].as_array().unwrap() {
                examples.push(Example {
                    input: qa["question"].as_str().unwrap().to_owned(),
                    expected: json!({"answer": qa["answers"][0]["text"], "sources": [format!("manuals/a{number}.md#p{at}")]}),
                    id: None,
                    meta: None,
                });
            }
        }
        documents.push(Document::parse(
            &format!("manuals/a{number}.md"),
            text,
            Form::Markdown,
        ));
    }
    (documents, examples)
}

fn encoder() -> Encoder {
    let home = PathBuf::from(std::env::var_os("ANDON_HOME").expect("ANDON_HOME"));
    let files = EncoderFiles::within(&home.join("models/minilm-l6"));
    let kernels = std::sync::Arc::new(Kernels::new(Isa::detect(), 1));
    Encoder::load("minilm:l6", &files, kernels).unwrap()
}

/// Vectors take minutes to make: kept between runs beside the build.
fn vectors(encoder: &Encoder, document: &Document, set: &str, glossary: &Glossary) -> Vectors {
    let read = |text: String| glossary.read(&text).text().to_owned();
    let texts: Vec<String> = passages(document)
        .iter()
        .map(|p| read(passage_text(document, p)))
        .collect();
    let headings: Vec<String> = document
        .sections
        .iter()
        .map(|s| read(heading_text(s)))
        .collect();
    let key = Digest::of_parts(texts.iter().chain(&headings).map(|t| t.as_bytes())).short();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../target/answer-{set}-{key}.json"));
    if let Ok(text) = std::fs::read_to_string(&path) {
        let (passages, headings) = serde_json::from_str(&text).unwrap();
        return Vectors { passages, headings };
    }
    let embed = |texts: &[String]| -> Vec<Vector> {
        texts
            .chunks(8)
            .flat_map(|chunk| {
                let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
                encoder.embed(&chunk).unwrap()
            })
            .map(|vector| Vector::of(&vector))
            .collect()
    };
    let began = Instant::now();
    let made = Vectors {
        passages: embed(&texts),
        headings: embed(&headings),
    };
    let took: Duration = began.elapsed();
    println!(
        "{} passages and {} headings in {took:.1?}",
        texts.len(),
        headings.len()
    );
    std::fs::write(
        path,
        serde_json::to_string(&(&made.passages, &made.headings)).unwrap(),
    )
    .unwrap();
    made
}
