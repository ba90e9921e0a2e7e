use super::*;

fn target(position: usize, token: u32, among: &[u32]) -> Target {
    Target {
        position,
        token,
        among: Some(among.to_vec()),
    }
}

#[test]
fn a_label_is_learnt_where_labels_part() {
    let labels = [vec![5, 6, 9], vec![5, 7, 8, 9], vec![4, 9]];
    let lesson = Lesson::label(&[1, 2], &labels, 1).unwrap();
    assert_eq!(lesson.tokens, [1, 2, 5]);
    let expected = [target(1, 5, &[4, 5]), target(2, 7, &[6, 7])];
    assert_eq!(lesson.targets, expected);
    let lesson = Lesson::label(&[1, 2], &labels, 2).unwrap();
    assert_eq!(lesson.tokens, [1, 2]);
    assert_eq!(lesson.targets, [target(1, 4, &[4, 5])]);
}

#[test]
fn what_cannot_be_learnt_is_refused() {
    assert!(Lesson::label(&[1], &[vec![5, 9]], 0).is_err());
    assert!(Lesson::label(&[], &[vec![5], vec![6]], 0).is_err());
    assert!(Lesson::label(&[1], &[vec![5], vec![6]], 2).is_err());
    assert!(Lesson::answer(&[1], &[], &[]).is_err());
    assert!(Lesson::answer(&[1], &[5], &[false]).is_err());
    assert!(Lesson::answer(&[], &[5], &[true]).is_err());
}

#[test]
fn the_beginning_ends_before_the_first_choice() {
    let labels = [vec![5, 9], vec![6, 9]];
    let lesson = |prompt: &[u32]| Lesson::label(prompt, &labels, 0).unwrap();
    let lessons = [lesson(&[1, 2, 3, 4]), lesson(&[1, 2, 8])];
    assert_eq!(beginning(lessons.iter()), 2);
    let same = [lesson(&[1, 2, 3]), lesson(&[1, 2, 3])];
    assert_eq!(beginning(same.iter()), 2);
    assert_eq!(beginning([].iter()), 0);
}

#[test]
fn what_a_grammar_forces_is_read_and_not_learnt() {
    let lesson = Lesson::answer(&[1, 2], &[5, 6, 7, 8], &[false, true, true, false]).unwrap();
    assert_eq!(lesson.tokens, [1, 2, 5, 6]);
    let learnt: Vec<_> = lesson
        .targets
        .iter()
        .map(|t| (t.position, t.token))
        .collect();
    assert_eq!(learnt, [(2, 6), (3, 7)]);
}
