//! Exact binomial probabilities, and what follows from them.

/// The chance of at most `wrong` wrong answers of `n`, if each is wrong with
/// probability `rate`.
pub fn at_most(wrong: usize, n: usize, rate: f64) -> f64 {
    if wrong >= n || rate <= 0.0 {
        return 1.0;
    }
    if rate >= 1.0 {
        return 0.0;
    }
    let odds = (rate / (1.0 - rate)).ln();
    let mut log_chance = n as f64 * (-rate).ln_1p();
    let mut total = log_chance.exp();
    for hits in 1..=wrong {
        log_chance += ((n - hits + 1) as f64 / hits as f64).ln() + odds;
        total += log_chance.exp();
    }
    total.min(1.0)
}

/// The upper end of the one-sided interval of Clopper and Pearson (1934): the
/// largest rate under which so few wrong answers have a chance of `delta`.
pub fn upper_bound(wrong: usize, n: usize, delta: f64) -> f64 {
    if wrong >= n {
        return 1.0;
    }
    let (mut low, mut high) = (wrong as f64 / n as f64, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(wrong, n, middle) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The most wrong answers of `n` that still show a rate of at most `alpha`;
/// `None` where not even none of them does.
pub fn most_wrong(n: usize, alpha: f64, delta: f64) -> Option<usize> {
    let shows = |wrong: usize| at_most(wrong, n, alpha) <= delta;
    if n == 0 || !shows(0) {
        return None;
    }
    // The chance rises with the count, and is above one half at the mean.
    let (mut holds, mut fails) = (0, (n as f64 * alpha).ceil() as usize + 1);
    while fails - holds > 1 {
        let middle = usize::midpoint(holds, fails);
        if shows(middle) {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    Some(holds)
}

/// The fewest answers that show a rate of at most `alpha` if none is wrong.
pub fn fewest(alpha: f64, delta: f64) -> usize {
    (delta.ln() / (-alpha).ln_1p()).ceil().max(1.0) as usize
}

/// The fewest answers that show a rate of at most `alpha` if the share `rate` of
/// them is wrong; `None` where no number that a plant could label does.
pub fn needed(rate: f64, alpha: f64, delta: f64) -> Option<usize> {
    const MOST: usize = 50_000;
    let shows = |n: usize| {
        let wrong = (rate * n as f64).round() as usize;
        most_wrong(n, alpha, delta).is_some_and(|most| wrong <= most)
    };
    let mut high = fewest(alpha, delta);
    let mut low = high - 1;
    while !shows(high) {
        if high >= MOST {
            return None;
        }
        (low, high) = (high, (high + high / 4 + 1).min(MOST));
    }
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if shows(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}
