//! The JSON-Schema-Test-Suite. Not part of the repository; the folder of data sets is
//! `ANDON_DATA`, or `../shared/data` beside the checkout.

use super::*;

#[test]
fn explore() {
    for draft in ["draft7", "draft2020-12"] {
        let files = data(&format!("json_schema_test_suite/{draft}.jsonl.gz")).unwrap();
        for file in files {
            for group in file["groups"].as_array().unwrap() {
                let mut schema = group["schema"].clone();
                if let (Value::Object(s), "draft7") = (&mut schema, draft) {
                    s.entry("$schema").or_insert("http://json-schema.org/draft-07/schema#".into());
                }
                let name = format!("{} {}", file["file"], group["description"]);
                match GRAMMARS.compile(&Grammar::Json(schema.clone())) {
                    Err(e) => println!("REFUSED {name}: {e}"),
                    Ok(mut c) => {
                        println!("OK {name}");
                        for test in group["tests"].as_array().unwrap() {
                            let any = spellings(&test["data"]).iter().any(|t| accepts(&mut c, t));
                            if any != test["valid"].as_bool().unwrap() {
                                println!("  {} {name}: {} {} schema {}", if any {"FALSE-ACCEPT"} else {"false-reject"}, test["description"], test["data"], schema);
                            }
                        }
                    }
                }
            }
        }
    }
}
