//! What a step computes, as a function of what there is to compute.

/// How many tokens of each sequence a step computes: every sequence that only
/// needs its next token gets it, then the others in their order share what is
/// left of `budget`. The first of the others always gets at least one, so that
/// nothing waits for ever.
pub fn plan(left: &[usize], budget: usize) -> Vec<usize> {
    let decoding = left.iter().filter(|&&tokens| tokens == 1).count();
    let mut room = budget.saturating_sub(decoding).max(1);
    left.iter()
        .map(|&tokens| {
            if tokens == 1 {
                return 1;
            }
            let share = tokens.min(room);
            room -= share;
            share
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::plan;

    fn check(left: &[usize], budget: usize, expected: &[usize]) {
        assert_eq!(plan(left, budget), expected, "{left:?} within {budget}");
    }

    #[test]
    fn next_tokens_come_first_and_prompts_share_the_rest() {
        check(&[], 8, &[]);
        check(&[1, 1], 8, &[1, 1]);
        check(&[20], 8, &[8]);
        check(&[20, 1], 8, &[7, 1]);
        check(&[3, 20, 1], 8, &[3, 4, 1]);
        check(&[5, 5, 5], 8, &[5, 3, 0]);
        check(&[1, 1, 1, 9], 2, &[1, 1, 1, 1]);
    }
}
