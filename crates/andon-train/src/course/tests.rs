use candle_core::{DType, Device, Var};

use super::*;

/// Learns one number: the mean of its examples.
struct Mean {
    examples: Vec<f32>,
    held_out: Vec<f32>,
    parameters: Vec<Parameter>,
}

impl Mean {
    fn new(examples: &[f32], held_out: &[f32]) -> Self {
        let values = Var::zeros(1, DType::F32, &Device::Cpu).unwrap();
        Self {
            examples: examples.to_vec(),
            held_out: held_out.to_vec(),
            parameters: vec![Parameter {
                values,
                rate: 1.0,
                decay: 0.0,
            }],
        }
    }

    fn value(&self) -> f32 {
        self.parameters[0].values.to_vec1::<f32>().unwrap()[0]
    }
}

impl Trainee for Mean {
    fn examples(&self) -> usize {
        self.examples.len()
    }

    fn held_out(&self) -> usize {
        self.held_out.len()
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn loss(&self, indices: &[usize], purpose: Purpose) -> Result<Tensor> {
        let from = match purpose {
            Purpose::Learn { .. } => &self.examples,
            Purpose::Measure => &self.held_out,
        };
        let numbers: Vec<f32> = indices.iter().map(|&index| from[index]).collect();
        let numbers = Tensor::from_vec(numbers, indices.len(), &Device::Cpu)?;
        let value = self.parameters[0].values.as_tensor();
        numbers.broadcast_sub(value)?.sqr()?.mean_all()
    }
}

fn schedule(epochs: usize) -> Schedule {
    Schedule {
        epochs,
        batch: 4,
        rate: 0.05,
        patience: 2,
        seed: 3,
    }
}

fn key() -> Digest {
    Digest::of(b"a training")
}

const EXAMPLES: [f32; 10] = [1.0, 2.0, 3.0, 1.5, 2.5, 2.0, 1.0, 3.0, 2.2, 1.8];

#[test]
fn it_learns() {
    let mean = Mean::new(&EXAMPLES, &[]);
    let go_on = &mut |_: Progress| ControlFlow::Continue(());
    let history = run(&mean, &schedule(60), key(), None, go_on).unwrap();
    assert_eq!(history.len(), 60);
    assert!((mean.value() - 2.0).abs() < 0.1, "{}", mean.value());
    assert!(history[59].loss < history[0].loss);
}

#[test]
fn it_ends_when_held_out_examples_get_worse_and_keeps_the_best() {
    let mean = Mean::new(&EXAMPLES, &[0.6, 0.6]);
    let go_on = &mut |_: Progress| ControlFlow::Continue(());
    let history = run(&mean, &schedule(60), key(), None, go_on).unwrap();
    assert!(history.len() < 60, "{}", history.len());
    let best = history.iter().filter_map(|epoch| epoch.held_out);
    let best = best.fold(f64::INFINITY, f64::min);
    let found = measure(&mean, &schedule(60)).unwrap().unwrap();
    assert_eq!(found, best);
}

#[test]
fn what_is_interrupted_ends_as_if_it_were_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let resume = Some(Resume {
        path: &path,
        every: 2,
    });
    let whole = Mean::new(&EXAMPLES, &[2.1]);
    let go_on = &mut |_: Progress| ControlFlow::Continue(());
    let history = run(&whole, &schedule(7), key(), None, go_on).unwrap();
    for most in [1, 4, 5, 11] {
        let mut steps = 0;
        let stop = &mut |_: Progress| {
            steps += 1;
            match steps == most {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let first = Mean::new(&EXAMPLES, &[2.1]);
        let error = run(&first, &schedule(7), key(), resume, stop).unwrap_err();
        assert!(matches!(error, TrainError::Stopped));
        assert!(path.exists());
        let second = Mean::new(&EXAMPLES, &[2.1]);
        let mut seen = 0;
        let count = &mut |_: Progress| {
            seen += 1;
            ControlFlow::Continue(())
        };
        let resumed = run(&second, &schedule(7), key(), resume, count).unwrap();
        assert_eq!(resumed, history);
        assert_eq!(second.value().to_bits(), whole.value().to_bits());
        assert_eq!(seen + most, 3 * history.len());
        assert!(!path.exists(), "a training that has ended leaves nothing");
    }
}

#[test]
fn a_loss_that_is_no_number_ends_it_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let resume = Some(Resume {
        path: &path,
        every: 1,
    });
    let mean = Mean::new(&[1.0, 2.0, f32::NAN, 1.0, 1.0, 1.0, 1.0, 1.0], &[]);
    let go_on = &mut |_: Progress| ControlFlow::Continue(());
    let error = run(&mean, &schedule(3), key(), resume, go_on).unwrap_err();
    assert!(
        matches!(error, TrainError::Diverged { epoch: 1, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("nothing is kept"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gone").join("checkpoint");
    let resume = Some(Resume {
        path: &path,
        every: 1,
    });
    let mean = Mean::new(&EXAMPLES, &[]);
    let go_on = &mut |_: Progress| ControlFlow::Continue(());
    let error = run(&mean, &schedule(3), key(), resume, go_on).unwrap_err();
    assert!(error.to_string().contains("free some space"), "{error}");
}

#[test]
fn the_rate_rises_and_falls() {
    let schedule = schedule(10);
    let rates: Vec<f64> = (0..100).map(|step| rate(&schedule, step, 100)).collect();
    assert!(rates[..10].is_sorted());
    assert!(rates[10..].iter().rev().is_sorted());
    assert!(
        rates
            .iter()
            .all(|&rate| rate > 0.0 && rate <= schedule.rate)
    );
}
