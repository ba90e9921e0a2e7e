use andon_learn::answer::*;
use andon_task::answer::*;
use andon_task::digest::Digest;
use andon_task::engine::*;
use andon_task::example::Example;
use andon_task::glossary::Glossary;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Instant;
struct Known(HashMap<String, Vec<f32>>, Identity);
impl Embed for Known {
    fn identity(&self) -> &Identity {
        &self.1
    }
    fn dimensions(&self) -> usize {
        384
    }
    fn count_tokens(&self, t: &str) -> Result<usize, EngineError> {
        Ok(t.len())
    }
    fn embed(&self, t: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        Ok(t.iter().map(|t| self.0[*t].clone()).collect())
    }
}
fn main() {
    let set = std::env::args().nth(1).unwrap();
    let q: Vec<(String, Vec<f32>)> = serde_json::from_str(
        &std::fs::read_to_string(format!("target/questions-{set}.json")).unwrap(),
    )
    .unwrap();
    let enc = Known(
        q.into_iter().collect(),
        Identity {
            name: "k".into(),
            digest: Digest::of(b"k"),
            context_tokens: 256,
        },
    );
    let glossary = Glossary::default();
    let (docs, examples) = if set == "emanual" { emanual() } else { xquad() };
    let docs = docs
        .into_iter()
        .map(|d| {
            let texts: Vec<String> = passages(&d).iter().map(|p| passage_text(&d, p)).collect();
            let headings: Vec<String> = d.sections.iter().map(heading_text).collect();
            let key = Digest::of_parts(texts.iter().chain(&headings).map(|t| t.as_bytes())).short();
            let (p, h) = serde_json::from_str(
                &std::fs::read_to_string(format!("target/answer-{set}-{key}.json"))
                    .unwrap_or("[[],[]]".into()),
            )
            .unwrap();
            (
                d,
                Vectors {
                    passages: p,
                    headings: h,
                },
            )
        })
        .collect();
    let index = Index::new(docs, &glossary);
    let began = Instant::now();
    let clock = || began.elapsed();
    let against = Against {
        index: &index,
        encoder: &enc,
        glossary: &glossary,
    };
    let cases = Cases::read(&examples, against, &clock, &mut |_| {}).unwrap();
    let lesson = Lesson {
        task: "ask",
        accept: 0.0,
        cases: &cases.cases,
        against,
    };
    show(
        "default",
        &evaluate(&lesson, &Learned::default(), &clock).unwrap(),
    );
    let at = began.elapsed();
    show("folds", &cross_validate(&lesson, &clock).unwrap());
    println!("took {:.1?}", began.elapsed() - at);
    // every sixth question has its answer removed: hidden sections, measured on a ranker of the rest
    let folds = hidden_folds(&lesson, &clock);
    println!(
        "removed: declined {:.3} of {} , coverage of others {:.3}, auroc {:.3}",
        folds.0, folds.1, folds.2, folds.3
    );
    if std::env::args().nth(2).is_some() {
        let l = learn(&lesson, &clock).unwrap().learned;
        for (n, x) in [
            ("sections", &l.sections),
            ("spans", &l.spans),
            ("support", &l.support),
        ] {
            println!(
                "{n} means: &{:?}, spreads: &{:?}, weights: &{:?}, bias: {:?}",
                r(&x.means),
                r(&x.spreads),
                r(&x.weights),
                x.bias
            );
        }
        println!("threshold {}", l.threshold);
    }
}
fn r(v: &[f64]) -> Vec<f64> {
    v.iter().map(|x| (x * 10000.0).round() / 10000.0).collect()
}
fn show(name: &str, e: &Evaluation) {
    let f = |e: &Option<andon_learn::interval::Estimate>| {
        e.map_or("-".to_owned(), |e| format!("{:.3}", e.value))
    };
    println!(
        "{name}: n {} hit@1 {} hit@5 {} rouge {} declined {} coverage {} error {} thr {:.2} p50 {:.1} p99 {:.1}",
        e.n,
        f(&e.hit_at_1),
        f(&e.hit_at_5),
        f(&e.rouge_l),
        f(&e.declined),
        f(&e.coverage),
        f(&e.selective_error),
        e.threshold,
        e.p50_ms,
        e.p99_ms
    );
}
fn emanual() -> (Vec<Document>, Vec<Example>) {
    let folder = std::path::PathBuf::from("/work/shared/data/emanual_qa");
    let corpus: Value = serde_json::from_str(
        &std::fs::read_to_string(folder.join("smart_tv_remote_manual_corpus.json")).unwrap(),
    )
    .unwrap();
    let mut text = String::from("# e-Manual\n\n");
    for section in corpus.as_object().unwrap().values() {
        text.push_str(&format!("## {}\n\n", section["title"].as_str().unwrap()));
        for line in section["text"].as_array().unwrap() {
            text.push_str(line.as_str().unwrap());
            text.push('\n');
        }
        text.push('\n');
    }
    let lines = std::fs::read_to_string(folder.join("smart_remote_qa.jsonl")).unwrap();
    let examples = lines.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        Example { input: row["question"].as_str().unwrap().to_owned(), expected: json!({"answer": row["answer"], "sources": [format!("emanual#{}", row["section_path"].as_str().unwrap())]}), id: None, meta: None }
    });
    (
        vec![Document::parse("manuals/emanual.md", text, Form::Markdown)],
        examples.collect(),
    )
}
fn xquad() -> (Vec<Document>, Vec<Example>) {
    let text =
        std::fs::read_to_string("/work/shared/data/xquad_es/xquad.es.articles_01_24.json").unwrap();
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
                examples.push(Example { input: qa["question"].as_str().unwrap().to_owned(), expected: json!({"answer": qa["answers"][0]["text"], "sources": [format!("manuals/a{number}.md#p{at}")]}), id: None, meta: None });
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
