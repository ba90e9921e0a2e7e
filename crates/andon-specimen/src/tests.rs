use crate::{Family, Kind, Mix, Specimen};

#[test]
fn what_is_written_is_the_file() {
    for family in Family::ALL {
        for mix in [Mix::Q4KM, Mix::InTurn(vec![Kind::Q8_0, Kind::F16])] {
            let specimen = Specimen::tiny(family, mix);
            assert_eq!(specimen.misfit(), None);
            let mut written = Vec::new();
            specimen.write(&mut written).expect("memory takes it");
            assert!(written == specimen.file().bytes(), "{family:?}");
        }
    }
}

#[test]
fn random_blocks_stay_within_their_spread() {
    for kind in Kind::ALL {
        let mut specimen = Specimen::tiny(Family::Llama, Mix::InTurn(vec![kind]));
        specimen.has_output = true;
        let numbers = specimen.file().numbers("output").expect("an output");
        let spread = 4.0 / (specimen.shape.width as f64).sqrt();
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let deviation = (numbers.iter().map(|x| x * x).sum::<f64>() / count).sqrt();
        // That of numbers that are evenly spread is 0.58.
        assert!(
            (0.5..0.65).contains(&(deviation / spread)),
            "{kind:?}: {deviation}"
        );
        assert!(mean.abs() < spread / 10.0, "{kind:?}: {mean}");
    }
}
