use super::{Columns, Mapping, MappingError};

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn columns_are_found_by_name() {
    let mapping = Mapping {
        text: columns(&["short text", "Long Text"]),
        asset: Some("Equipment".to_owned()),
        meta: columns(&["Order"]),
    };
    let table = columns(&["Order", "Equipment", "Short text ", "Long text"]);
    let placed = mapping.place(&table).unwrap();
    let expected = Columns {
        text: vec![2, 3],
        asset: Some(1),
        meta: vec![0],
    };
    assert_eq!(placed, expected);
    let error = mapping.place(&columns(&["Order", "Text"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no column 'short text': the columns are Order, Text"
    );
}

#[test]
fn the_text_may_be_guessed() {
    let nothing = Mapping::default();
    let guessed = |names: &[&str]| nothing.place(&columns(names)).map(|placed| placed.text);
    assert_eq!(guessed(&["anything"]).unwrap(), [0]);
    assert_eq!(guessed(&["id", "Note"]).unwrap(), [1]);
    assert!(matches!(
        guessed(&["id", "who"]),
        Err(MappingError::NoText { .. })
    ));
}
