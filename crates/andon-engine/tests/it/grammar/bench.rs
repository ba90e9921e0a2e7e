//! The sets of maskbench. Not part of the repository; the folder of data sets is
//! `ANDON_DATA`, or `../shared/data` beside the checkout.

use super::*;
use std::time::Instant;

#[test]
fn explore() {
    let t = Instant::now();
    LazyLock::force(&TOKENIZER);
    println!("tokenizer {:?}", t.elapsed());
    let t = Instant::now();
    LazyLock::force(&GRAMMARS);
    println!("grammars {:?}", t.elapsed());
    let (mut n, mut refused, mut valid, mut ok, mut invalid, mut bad) = (0,0,0,0,0,0);
    let mut compile = vec![];
    let mut masks = vec![];
    for set in ["Github_trivial", "Glaiveai2K", "Github_easy"] {
        for line in data(&format!("jsonschemabench/maskbench_{set}.jsonl.gz")).unwrap() {
            n += 1;
            let t = Instant::now();
            let r = GRAMMARS.compile(&Grammar::Json(line["schema"].clone()));
            compile.push(t.elapsed());
            match r {
                Err(e) => { refused += 1; println!("REFUSED {}: {e}", line["id"]); }
                Ok(mut c) => {
                    let mut mask = Mask::default();
                    for test in line["tests"].as_array().unwrap() {
                        let v = test["valid"].as_bool().unwrap();
                        let any = spellings(&test["data"]).iter().take(50).any(|t| accepts(&mut c, t));
                        if v { valid += 1; ok += any as usize; } else { invalid += 1; bad += any as usize; }
                        if any != v {
                            println!("  {} {}: {} schema {}", if any {"FALSE-ACCEPT"} else {"false-reject"}, line["id"], test["data"], line["schema"]);
                        }
                        if v && any && masks.len() < 30000 {
                            let mut taken = 0;
                            for tok in TOKENIZER.encode(&spellings(&test["data"])[0], Controls::Text) {
                                let t = Instant::now();
                                c.mask(&mut mask).unwrap();
                                masks.push(t.elapsed());
                                if c.accept_all(&[tok]).unwrap() == 0 { break; }
                                taken += 1;
                            }
                            c.roll_back(taken).unwrap();
                        }
                    }
                }
            }
        }
    }
    compile.sort(); masks.sort();
    println!("schemas {n} refused {refused}; valid {valid} accepted {ok}; invalid {invalid} accepted {bad}");
    println!("compile p50 {:?} p99 {:?} max {:?}", compile[n/2], compile[n*99/100], compile[n-1]);
    println!("mask p50 {:?} p99 {:?} max {:?} n {}", masks[masks.len()/2], masks[masks.len()*99/100], masks.last(), masks.len());
}
