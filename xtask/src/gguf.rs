//! Writes a model file of random weights.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use andon_specimen::{Adapter, Encoder, Family, Kind, Mix, Shape, Specimen, Spelling};
use anyhow::{Context, bail};

/// How the command is called.
pub(crate) const USAGE: &str = "cargo run -p xtask -- gguf --family llama|qwen2|gemma2|phi3|bert|xlm-r --shape tiny|135m|1b|3b --kind q4_0|q8_0|f16|q4_k_m|...[,KIND...] --out FILE [--output] [--seed N] [--adapter RANK]";

/// What was asked for.
#[derive(Debug, Default)]
struct Options {
    family: Option<String>,
    shape: Option<String>,
    kind: Option<String>,
    out: Option<PathBuf>,
    has_output: bool,
    seed: Option<u64>,
    /// The rank of an adapter of the model, which is written in its stead.
    adapter: Option<u16>,
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
                "--adapter" => {
                    let rank = value.parse().ok().filter(|&rank| rank > 0);
                    options.adapter = Some(rank.context("a rank is a number from 1 to 65535")?);
                }
                _ => bail!("'{name}' is no option; usage: {USAGE}"),
            }
        }
        Ok(options)
    }

    /// The encoder that is asked for, if one is.
    fn encoder(&self) -> anyhow::Result<Option<Encoder>> {
        let spelling = match self.family.as_deref() {
            Some("bert") => Spelling::WordPiece,
            Some("xlm-r") => Spelling::Unigram,
            _ => return Ok(None),
        };
        if self.shape.as_deref() != Some("tiny") {
            bail!("encoders are tiny: --shape tiny");
        }
        let kind = match mix(&wanted(&self.kind, "kind")?)? {
            Mix::InTurn(kinds) if kinds.len() == 1 && kinds[0].block() <= 32 => kinds[0],
            _ => bail!("encoders have one kind, with blocks of 32 numbers at most"),
        };
        Ok(Some(Encoder {
            spelling,
            kind,
            seed: self.seed.unwrap_or(1),
        }))
    }

    fn specimen(&self) -> anyhow::Result<Specimen> {
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

fn wanted(value: &Option<String>, name: &str) -> anyhow::Result<String> {
    let value = value.clone();
    value.with_context(|| format!("--{name} is missing; usage: {USAGE}"))
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
    let path = options.out.as_ref();
    let path = path.with_context(|| format!("--out is missing; usage: {USAGE}"))?;
    let cannot_write = || format!("cannot write '{}'", path.display());
    if let Some(encoder) = options.encoder()? {
        return std::fs::write(path, encoder.file().bytes()).with_context(cannot_write);
    }
    let specimen = options.specimen()?;
    let file = File::create(path).with_context(cannot_write)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let written = match options.adapter {
        None => specimen.write(&mut out),
        Some(rank) => {
            let adapter = Adapter {
                seed: specimen.seed,
                of: specimen,
                rank: rank.into(),
                alpha: 2.0 * f32::from(rank),
            };
            out.write_all(&adapter.file().bytes())
        }
    };
    written
        .and_then(|()| out.flush())
        .with_context(cannot_write)
}
