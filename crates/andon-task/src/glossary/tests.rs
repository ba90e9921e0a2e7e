use proptest::prelude::*;

use super::*;
use crate::plant::{Files, Plant};

const TERMS: &str = "\
term,meaning,lang
bomba,pump,es
bba,pump,es
gote*,drips,es
gotera,leak in the roof,es
no abre*,does not open,es
abre*,opens,es
no,not,es
se para sol*,stops by itself,es
válv*,valve,es
e-stop,emergency stop,en
";

#[test]
fn terms_become_their_meanings() {
    let glossary = Glossary::parse(TERMS).unwrap();
    let check = |text: &str, expected: &str| {
        assert_eq!(glossary.translate(text), expected, "{text}");
        assert_eq!(glossary.read(text).text(), expected, "{text}");
    };
    check("BOMBA 3: goteando!", "pump 3: drips!");
    check("la bba gotea", "la pump drips");
    // A whole word is more precise than a stem, more words than fewer.
    check("gotera", "leak in the roof");
    check("no abren, no sube", "does not open, not sube");
    check("la puerta abre", "la puerta opens");
    check("se para sola; se para", "stops by itself; se para");
    // Accents, case and what stands between the words.
    check("VALVULAS válvula va\u{301}lvula", "valve valve valve");
    check("E STOP, e-stop", "emergency stop, emergency stop");
    // Words only, never parts of them.
    check("bombas nodo", "bombas nodo");
    check("", "");
    check("\0 ½ *", "\0 ½ *");
}

#[test]
fn a_text_without_terms_is_not_copied() {
    let translates = |glossary: &Glossary| {
        let text = "pump hot";
        matches!(glossary.translate(text), Cow::Borrowed(same) if same == text)
    };
    assert!(translates(&Glossary::parse(TERMS).unwrap()));
    assert!(translates(&Glossary::default()));
}

#[test]
fn the_digest_is_that_of_terms_and_meanings() {
    let digest = |text: &str| Glossary::parse(text).unwrap().digest();
    let plain = digest("term,meaning\nbba,pump\nfuga,leak");
    assert_eq!(
        plain,
        digest("lang,meaning,term\nes,leak,FUGA\nes,pump,bba")
    );
    assert_ne!(plain, digest("term,meaning\nbba,pump\nfuga,leaks"));
    assert_ne!(plain, digest("term,meaning\nbba,pump\nfug*,leak"));
    assert_eq!(digest("term,meaning"), Glossary::default().digest());
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_line() {
    let check = |glossary: &str, expected: &str| {
        let files = Files::from([("glossary.csv".to_owned(), glossary.into())]);
        let error = Plant::parse(&files).unwrap_err();
        assert_eq!(error.to_string(), format!("glossary.csv: {expected}"));
    };
    check(
        "term,meaning\nbba,pump\n,leak",
        "line 3: the term is empty: write a word or a few",
    );
    check(
        "term,meaning\n-,leak",
        "line 2: the term is empty: write a word or a few",
    );
    check(
        "term,meaning\nfuga,",
        "line 2: the term 'fuga' has no meaning: write one or remove the line",
    );
    check(
        "term,meaning\nválvula,valve\nfuga,leak\nVALVULA,valve",
        "line 4: the term 'VALVULA' stands already in line 2: remove one of them",
    );
    for term in ["*", "go*ta", "\u{301}*", "fuga *", "fu**"] {
        check(
            &format!("term,meaning\n{term},leak"),
            &format!(
                "line 2: the '*' in '{term}' does not end a word: write it behind the stem, as in 'leak*'"
            ),
        );
    }
    check(
        "term,meaning,note\nfuga,leak,x",
        "line 1: unknown column 'note': the columns are term, meaning and lang",
    );
    check(
        "term\nfuga",
        "line 1: there is no column 'meaning': the first line must be term,meaning or term,meaning,lang",
    );
    check(
        "",
        "line 1: there is no column 'term': the first line must be term,meaning or term,meaning,lang",
    );
    check(
        "term,meaning\nbba,pump\nfuga,leak,es,x",
        "line 3: CSV error: record 2 (line: 3, byte: 22): found record with 4 fields, but the previous record has 2 fields",
    );
}

proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC{0,80}", term in "[a-c]{1,3}\\*?( [a-c]{1,2}\\*?)?") {
        let glossary = Glossary::parse(&format!("term,meaning\n{term},M")).unwrap();
        glossary.translate(&text);
        let plain = term.replace('*', "");
        prop_assert_eq!(glossary.translate(&plain), "M");
    }
}
