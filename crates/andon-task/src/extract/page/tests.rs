use super::{Page, shape};

fn tokens(text: &str) -> Vec<&str> {
    Page::new(text)
        .tokens
        .iter()
        .map(|token| &text[token.start..token.end])
        .collect()
}

#[test]
fn divides_into_tokens() {
    assert_eq!(
        tokens("DATE:25/12/2018 (M) RM9.00."),
        ["DATE", ":", "25/12/2018", "(", "M", ")", "RM9.00", "."]
    );
    assert_eq!(tokens("won't <id> A-frame"), ["won't", "<id>", "A-frame"]);
    assert_eq!(tokens(""), Vec::<&str>::new());
}

#[test]
fn divides_lines_into_cells() {
    let page = Page::new("CODE\tPRICE\nA1   9.00\tX\n\nend");
    let cells: Vec<usize> = page.lines.iter().map(|line| line.cells.len()).collect();
    assert_eq!(cells, [2, 3, 0, 1]);
    assert_eq!(page.lines[1].header, Some(0));
}

#[test]
fn ranks_amounts() {
    let page = Page::new("TOTAL 9.00\nCASH 10.00\nCHANGE 1.00\nTOTAL 9.00");
    let ranks: Vec<(usize, usize, bool)> = page
        .amounts
        .iter()
        .map(|a| (a.rank, a.times, a.difference))
        .collect();
    assert_eq!(
        ranks,
        [(1, 2, true), (0, 1, false), (2, 1, true), (1, 2, true)]
    );
}

#[test]
fn shapes_keep_up_to_four_digits() {
    assert_eq!(shape("PJU6A-12345 x"), "A9A-9999 a");
}
