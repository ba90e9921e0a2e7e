//! What answers cost, from the prices that a plant gives.

use serde::Deserialize;

const SECONDS_OF_A_YEAR: f64 = 365.25 * 24.0 * 3600.0;

/// `[cost]` of `plant.toml`: the plant's own prices, in one currency.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The currency, as it is to be shown.
    pub currency: String,
    /// A kilowatt-hour.
    #[serde(default)]
    pub kwh: f64,
    /// What the box draws while it works, in watts.
    #[serde(default)]
    pub watts: f64,
    /// The box.
    #[serde(default)]
    pub box_price: f64,
    /// The years that the box is to last.
    #[serde(default = "years")]
    pub box_years: f64,
    /// A million tokens of the cloud that would answer instead.
    pub cloud_million_tokens: Option<f64>,
}

fn years() -> f64 {
    5.0
}

impl Prices {
    /// The key whose value is no price, if there is one.
    pub fn wrong(&self) -> Option<(&'static str, f64)> {
        let cloud = self.cloud_million_tokens.unwrap_or(0.0);
        let prices = [
            ("kwh", self.kwh),
            ("watts", self.watts),
            ("box_price", self.box_price),
            ("cloud_million_tokens", cloud),
        ];
        let is_price = |value: f64| value.is_finite() && value >= 0.0;
        let mut wrong = prices.into_iter().filter(|&(_, value)| !is_price(value));
        let years = self.box_years;
        let lasts = is_price(years) && years > 0.0;
        wrong
            .next()
            .or_else(|| (!lasts).then_some(("box_years", years)))
    }

    /// Electricity and the box for so many seconds of work. The hours in which a
    /// box waits are not counted: they cost the same whatever answers.
    pub fn of_edge(&self, seconds: f64) -> f64 {
        let electricity = self.watts / 1000.0 * self.kwh / 3600.0;
        let hardware = self.box_price / (self.box_years * SECONDS_OF_A_YEAR);
        seconds * (electricity + hardware)
    }

    /// So many tokens in the cloud, where its price is given.
    pub fn of_cloud(&self, tokens: f64) -> Option<f64> {
        let million = self.cloud_million_tokens?;
        Some(tokens / 1e6 * million)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::{Files, Plant};

    #[test]
    fn a_plant_gives_prices_or_names_the_wrong_one() {
        let read = |cost: &str| {
            let text = format!("[cost]\ncurrency = 'EUR'\n{cost}");
            let files = Files::from([("plant.toml".to_owned(), text.into_bytes())]);
            let plant = Plant::parse(&files).map_err(|error| error.to_string())?;
            Ok::<_, String>(plant.settings.cost)
        };
        let found = read("kwh = 0.3\nwatts = 60").unwrap();
        assert_eq!(found.map(|prices| prices.box_years), Some(5.0));
        assert_eq!(
            read("kwh = -1").unwrap_err(),
            "plant.toml: cost.kwh is -1: give a number from 0 on, and years above 0"
        );
        assert!(read("kilowatts = 3").unwrap_err().contains("kilowatts"));
    }

    fn prices() -> Prices {
        Prices {
            currency: "EUR".to_owned(),
            kwh: 0.3,
            watts: 60.0,
            box_price: 2_000.0,
            box_years: 5.0,
            cloud_million_tokens: Some(2.5),
        }
    }

    #[test]
    fn prices_are_added_up() {
        // An hour: 0.06 kWh at 0.30, and a part of the box.
        let hour = prices().of_edge(3600.0);
        assert!(
            (hour - (0.018 + 2_000.0 / (5.0 * 8766.0))).abs() < 1e-9,
            "{hour}"
        );
        assert_eq!(prices().of_cloud(400_000.0), Some(1.0));
    }

    #[test]
    fn what_is_no_price_is_named() {
        assert_eq!(prices().wrong(), None);
        let check = |spoil: &dyn Fn(&mut Prices), key| {
            let mut prices = prices();
            spoil(&mut prices);
            assert_eq!(prices.wrong().map(|(key, _)| key), Some(key));
        };
        check(&|prices| prices.kwh = -0.1, "kwh");
        check(&|prices| prices.box_years = 0.0, "box_years");
        check(&|prices| prices.watts = f64::NAN, "watts");
    }
}
