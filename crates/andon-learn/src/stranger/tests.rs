use super::*;

#[test]
fn a_twentieth_stays_below_the_level() {
    // The third label is the one for strangers: what its logit was does not count.
    let logits: Vec<[f32; 3]> = (0..100).map(|text| [text as f32, -1.0, 500.0]).collect();
    assert_eq!(level(logits.iter().map(<[f32; 3]>::as_slice), 2), 5.0);
    assert_eq!(level(std::iter::empty(), 2), 0.0);
}
