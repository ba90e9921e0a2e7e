//! Functions of single numbers that the compiler can vectorise.

/// `e` to the power of `x`, to some 2e-7 of itself; 0 for what is too small.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding it rounds a small number to a whole one.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.3);
    let whole = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    // The logarithm of two in two parts, so that the rest is exact.
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let mut sum = 1.987_569_2e-4;
    for term in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_66,
        0.5,
    ] {
        sum = sum * rest + term;
    }
    let fraction = sum * rest * rest + rest + 1.0;
    let power = f32::from_bits(((whole as i32 + 127) << 23) as u32);
    fraction * power
}

/// The logistic function.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// The error function, to 2e-7 (Abramowitz and Stegun 1964, 7.1.26).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let mut sum = 1.061_405_4;
    for term in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = sum * t + term;
    }
    (1.0 - sum * t * exp(-size * size)).copysign(x)
}
