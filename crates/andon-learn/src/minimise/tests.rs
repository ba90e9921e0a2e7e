use super::*;

const PATIENCE: Patience = Patience {
    steps: 200,
    tolerance: 1e-4,
};

#[test]
fn finds_the_bottom_of_an_uneven_bowl() {
    let bottom: Vec<f32> = (0..20).map(|i| i as f32 - 7.0).collect();
    let found = minimise(vec![0.0; 20], PATIENCE, |point, slope| {
        let mut value = 1e-3;
        for (i, ((slope, &at), &bottom)) in slope.iter_mut().zip(point).zip(&bottom).enumerate() {
            let steepness = (1 + i) as f32;
            *slope = steepness * (at - bottom);
            value += f64::from(0.5 * steepness * (at - bottom) * (at - bottom));
        }
        value
    });
    for (found, bottom) in found.iter().zip(&bottom) {
        assert!((found - bottom).abs() < 0.01, "{found} for {bottom}");
    }
}

#[test]
fn stays_where_there_is_no_slope() {
    let found = minimise(vec![0.0; 3], PATIENCE, |_, slope| {
        slope.fill(0.0);
        1.0
    });
    assert_eq!(found, [0.0; 3]);
}

#[test]
fn a_dot_product_takes_every_element() {
    let a: Vec<f32> = (0..19).map(|i| i as f32).collect();
    assert_eq!(dot(&a, &a), (0..19).map(|i| f64::from(i * i)).sum::<f64>());
}
