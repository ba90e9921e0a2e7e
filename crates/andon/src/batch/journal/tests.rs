use std::io::Write;

use andon_task::digest::Digest;

use super::{Journal, Key, Made};

fn key(tasks: &[&str]) -> Key {
    Key {
        input: Digest::of(b"file"),
        tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
        columns: (vec![0], None, Vec::new()),
    }
}

fn made(text: &str) -> Vec<Made> {
    vec![Made::Error(text.to_owned())]
}

#[test]
fn what_was_done_is_known_after_any_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.part");
    let mut journal = Journal::open(&path, &key(&["a"])).unwrap();
    journal.keep(0, made("zero")).unwrap();
    journal.keep(2, made("two")).unwrap();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut journal = Journal::open(&path, &key(&["a"])).unwrap();
        let lines = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(journal.done.len(), lines.saturating_sub(1), "{cut}");
        journal.keep(7, made("seven")).unwrap();
        drop(journal);
        let journal = Journal::open(&path, &key(&["a"])).unwrap();
        assert_eq!(journal.done[&7], made("seven"), "{cut}");
    }
}

#[test]
fn a_journal_of_something_else_is_refused_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.part");
    drop(Journal::open(&path, &key(&["a"])).unwrap());
    let before = std::fs::read(&path).unwrap();
    let Err(error) = Journal::open(&path, &key(&["b"])) else {
        panic!("it is opened");
    };
    assert!(format!("{error:#}").contains("another batch"), "{error:#}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "something else").unwrap();
    let Err(error) = Journal::open(&path, &key(&["a"])) else {
        panic!("it is opened");
    };
    assert!(format!("{error:#}").contains("no journal"), "{error:#}");
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.part");
    let _held = Journal::open(&path, &key(&["a"])).unwrap();
    assert!(Journal::open(&path, &key(&["a"])).is_err());
}
