//! Writes a model file of random weights.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use andon_specimen::{Family, Kind, Mix, Shape, Specimen};
use anyhow::{Context, bail};

/// How the command is called.
pub(crate) const USAGE: &str = "cargo run -p xtask -- gguf --family llama|qwen2|gemma2|phi3 --shape tiny|135m|1b|3b --kind q4_0|q8_0|f16|q4_k_m|...[,KIND...] --out FILE [--output] [--seed N]";

/// What was asked for.
#[derive(Debug, Default)]
struct Options {
    family: Option<String>,
    shape: Option<String>,
    kind: Option<String>,
    out: Option<PathBuf>,
    has_output: bool,
    seed: Option<u64>,
}

impl Options {
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            if name == "--output" {
                options.has_output = true;
                continue;
            }
            let Some(value) = rest.next() else {
                bail!("'{name}' without a value; usage: {USAGE}");
            };
            match name.as_str() {
                "--family" => options.family = Some(value.clone()),
                "--shape" => options.shape = Some(value.clone()),
                "--kind" => options.kind = Some(value.clone()),
                "--out" => options.out = Some(value.into()),
                "--seed" => {
                    let seed = value.parse::<u32>();
                    options.seed = Some(seed.context("a seed is a number below 2^32")?.into());
                }
                _ => bail!("'{name}' is no option; usage: {USAGE}"),
            }
        }
        Ok(options)
    }

    fn specimen(&self) -> anyhow::Result<Specimen> {
        let wanted = |value: &Option<String>, name: &str| {
            let value = value.clone();
            value.with_context(|| format!("--{name} is missing; usage: {USAGE}"))
        };
        let family = wanted(&self.family, "family")?;
        let family = Family::ALL
            .into_iter()
            .find(|known| known.name() == family)
            .with_context(|| format!("there is no family '{family}'; usage: {USAGE}"))?;
        let mix = mix(&wanted(&self.kind, "kind")?)?;
        let mut specimen = Specimen::tiny(family, mix);
        specimen.shape = match wanted(&self.shape, "shape")?.as_str() {
            "tiny" => specimen.shape,
            "135m" => Shape::SMOLLM2_135M,
            "1b" => Shape::LLAMA_1B,
            "3b" => Shape::LLAMA_3B,
            other => bail!("there is no shape '{other}'; usage: {USAGE}"),
        };
        specimen.has_output = self.has_output;
        specimen.seed = self.seed.unwrap_or(specimen.seed);
        if let Some((name, columns, kind)) = specimen.misfit() {
            bail!(
                "the rows of '{name}' have {columns} numbers, which are no whole blocks of {}: take another kind or shape",
                kind.name()
            );
        }
        Ok(specimen)
    }
}

fn mix(names: &str) -> anyhow::Result<Mix> {
    if names == "q4_k_m" {
        return Ok(Mix::Q4KM);
    }
    let kinds = names.split(',').map(|name| {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .with_context(|| format!("there is no kind '{name}'; usage: {USAGE}"))
    });
    Ok(Mix::InTurn(kinds.collect::<anyhow::Result<_>>()?))
}

/// Writes the file that the arguments ask for.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    let specimen = options.specimen()?;
    let path = options
        .out
        .with_context(|| format!("--out is missing; usage: {USAGE}"))?;
    let file = File::create(&path).with_context(|| format!("cannot write '{}'", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    specimen
        .write(&mut out)
        .and_then(|()| out.flush())
        .with_context(|| format!("cannot write '{}'", path.display()))
}
