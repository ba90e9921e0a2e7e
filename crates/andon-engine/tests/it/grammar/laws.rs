//! Numbers within their bounds, texts within their lengths: for all values.

use proptest::prelude::*;

use super::*;

/// A decimal of three places, counted in thousandths.
fn in_full(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let (whole, rest) = (thousandths.abs() / 1000, thousandths.abs() % 1000);
    format!("{sign}{whole}.{rest:03}")
}

/// The same without needless zeros.
fn written(thousandths: i64) -> String {
    let text = in_full(thousandths);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// No wrong number can be written. A right one can, though some of them only with all
/// the places that the schema's own numbers have.
fn check(constraint: &mut Constraint, value: i64, is_right: bool) -> Result<(), TestCaseError> {
    let (short, full) = (written(value), in_full(value));
    let accepted = [accepts(constraint, &short), accepts(constraint, &full)];
    prop_assert!(is_right || accepted == [false; 2], "{} is accepted", short);
    prop_assert!(!is_right || accepted != [false; 2], "{} is refused", short);
    Ok(())
}

fn number(thousandths: i64) -> Value {
    serde_json::from_str(&written(thousandths)).expect("a number")
}

fn thousandths() -> impl Strategy<Value = i64> {
    let whole = (-12_000_i64..12_000).prop_map(|whole| whole * 1000);
    prop_oneof![-2_000_i64..2_000, whole, -9_999_999_i64..9_999_999]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn numbers_keep_their_bounds(
        bounds in (thousandths(), thousandths()),
        excluded in (any::<bool>(), any::<bool>()),
        whole in any::<bool>(),
        values in proptest::collection::vec(thousandths(), 24),
    ) {
        let (low, high) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
        let lower = if excluded.0 { "exclusiveMinimum" } else { "minimum" };
        let upper = if excluded.1 { "exclusiveMaximum" } else { "maximum" };
        let kind = if whole { "integer" } else { "number" };
        let schema = json!({"type": kind, lower: number(low), upper: number(high)});
        let satisfies = |value: i64| {
            let above = if excluded.0 { value > low } else { value >= low };
            let below = if excluded.1 { value < high } else { value <= high };
            above && below && (!whole || value % 1000 == 0)
        };
        let Ok(mut constraint) = GRAMMARS.compile(&Grammar::Json(schema)) else {
            // Nothing lies between.
            prop_assert!(!(low..=high).any(satisfies));
            return Ok(());
        };
        let near = [low - 1, low, low + 1, high - 1, high, high + 1];
        let near = near.into_iter().chain([low / 1000 * 1000, high / 1000 * 1000]);
        for value in values.into_iter().chain(near) {
            check(&mut constraint, value, satisfies(value))?;
        }
    }

    #[test]
    fn multiples_are_multiples(
        of in prop_oneof![1_i64..60, (1_i64..60).prop_map(|whole| whole * 1000)],
        values in proptest::collection::vec(thousandths(), 24),
    ) {
        let schema = json!({"type": "number", "multipleOf": number(of)});
        let Ok(mut constraint) = GRAMMARS.compile(&Grammar::Json(schema)) else {
            // Not exact in double precision; refused.
            return Ok(());
        };
        for value in values.iter().copied().chain(values.iter().map(|value| value / of * of)) {
            check(&mut constraint, value, value % of == 0)?;
        }
    }

    #[test]
    fn lengths_are_counted_in_characters(
        least in 0_usize..6,
        more in 0_usize..6,
        texts in proptest::collection::vec("[aé☕😀\"\\\\ \n]{0,12}", 8),
    ) {
        let schema = json!({"type": "string", "minLength": least, "maxLength": least + more});
        let mut constraint = compile(Grammar::Json(schema));
        for text in texts {
            let fits = (least..=least + more).contains(&text.chars().count());
            let written = json!(text).to_string();
            prop_assert_eq!(accepts(&mut constraint, &written), fits, "{}", written);
        }
    }
}
