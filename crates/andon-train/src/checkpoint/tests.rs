use candle_core::{DType, Device, Var};

use super::*;

fn parameters() -> Vec<Parameter> {
    let values = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    vec![Parameter {
        values,
        rate: 1.0,
        decay: 0.0,
    }]
}

#[test]
fn only_a_whole_checkpoint_of_the_same_training_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let parameters = parameters();
    let key = Digest::of(b"this one");
    let mut state = Checkpoint::begin(Adam::new(&parameters));
    state.step = 3;
    state.keep(&path, key, &parameters).unwrap();
    let found = load(&path, key).unwrap();
    assert_eq!(found.step, 3);
    assert!(found.restore(&parameters).unwrap());
    assert!(!found.restore(&[]).unwrap());
    assert!(load(&path, Digest::of(b"another one")).is_none());
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 20, 70, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(load(&path, key).is_none(), "{length} bytes");
    }
    let mut spoilt = whole;
    *spoilt.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &spoilt).unwrap();
    assert!(load(&path, key).is_none());
}
