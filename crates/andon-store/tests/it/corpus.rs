use andon_store::{StoredDocument, StoredVectors};
use andon_task::digest::Digest;

use crate::Fixture;

fn document(text: &str) -> StoredDocument {
    StoredDocument {
        path: "manuals/a.md".to_owned(),
        digest: Digest::of(text.as_bytes()),
        reader: 1,
        text: text.to_owned(),
        problem: None,
    }
}

fn vectors() -> StoredVectors {
    StoredVectors {
        key: Digest::of(b"key"),
        bytes: vec![1, 2, 3],
    }
}

#[test]
fn a_document_and_its_vectors_outlive_a_restart() {
    let fixture = Fixture::new();
    let kept = document("Take 25 N·m.");
    fixture.store.keep_document(&kept).expect("kept");
    fixture
        .store
        .keep_vectors(&kept.path, vectors())
        .expect("kept");
    let fixture = fixture.reopen();
    let store = &fixture.store;
    assert_eq!(
        store.document(&kept.path).expect("a read"),
        Some(kept.clone())
    );
    assert_eq!(store.vectors(&kept.path).expect("a read"), Some(vectors()));
    assert_eq!(store.document_paths().expect("a listing"), [kept.path]);
}

#[test]
fn vectors_go_with_the_text_that_they_are_of() {
    let Fixture { store, directory } = Fixture::new();
    let old = document("old");
    store.keep_document(&old).expect("kept");
    store.keep_vectors(&old.path, vectors()).expect("kept");
    store.keep_document(&document("new")).expect("kept");
    assert_eq!(store.vectors(&old.path).expect("a read"), None);

    store
        .forget_documents(vec![old.path.clone()])
        .expect("forgotten");
    assert_eq!(store.document(&old.path).expect("a read"), None);
    // Whoever was still making its vectors does no harm.
    store
        .keep_vectors(&old.path, vectors())
        .expect("passed over");
    assert_eq!(store.vectors(&old.path).expect("a read"), None);
    drop(directory);
}
