//! Adapters from GGUF files, as llama.cpp's converter writes them.

use super::layout::Layout;
use super::pair::{Found, Half, Pair, Pairing};
use crate::block;
use crate::error::{LoadError, foreign, unsupported};
use crate::gguf::Gguf;

const ALPHA: &str = "adapter.lora.alpha";
/// Where adapters that begin at certain tokens name these.
const INVOCATION: &str = "adapter.alora.invocation_tokens";

/// All matrices of a file.
pub(super) fn pairs(file: &[u8], layout: &Layout) -> Result<Vec<Pair>, LoadError> {
    let gguf = Gguf::parse(file)?;
    check(&gguf, layout)?;
    // As in llama.cpp: without a strength the product counts as it is.
    let alpha = match gguf.get(ALPHA) {
        None => 0.0,
        Some(_) => gguf.float(ALPHA)? as f32,
    };
    let mut pairing = Pairing::default();
    // In one order, so that a file is refused for one reason.
    let mut names: Vec<&str> = gguf.tensor_names().collect();
    names.sort_unstable();
    for name in names {
        let unknown = || unsupported!("the adapter's tensor '{name}'");
        let (matrix, half) = match name.rsplit_once(".lora_") {
            Some((matrix, "a")) => (matrix, Half::Down),
            Some((matrix, "b")) => (matrix, Half::Up),
            _ => return Err(unknown()),
        };
        let rest = matrix.strip_prefix("blk.").ok_or_else(unknown)?;
        let rest = rest.strip_suffix(".weight").ok_or_else(unknown)?;
        let (layer, part) = rest.split_once('.').ok_or_else(unknown)?;
        let target = layout.gguf_target(part).ok_or_else(unknown)?;
        let place = layout.place(matrix, layer, target)?;
        let tensor = gguf.any_tensor(name)?;
        let found = Found {
            rows: tensor.rows,
            columns: tensor.columns,
            numbers: block::floats(tensor),
        };
        pairing.take(matrix, half, place, found)?;
    }
    pairing.finish(|rank| match alpha == 0.0 {
        true => 1.0,
        false => alpha / rank as f32,
    })
}

/// Makes sure that the file is an adapter, and for models of this kind.
fn check(gguf: &Gguf<'_>, layout: &Layout) -> Result<(), LoadError> {
    let kind = match gguf.get("general.type") {
        None => "model",
        Some(_) => gguf.text("general.type")?,
    };
    if kind != "adapter" {
        return Err(unsupported!(
            "a file of the type '{kind}' as an adapter; 'adapter' is wanted"
        ));
    }
    let kind = gguf.text("adapter.type")?;
    if kind != "lora" {
        return Err(unsupported!(
            "an adapter of the type '{kind}'; this version runs 'lora'"
        ));
    }
    if gguf.get(INVOCATION).is_some() {
        return Err(unsupported!("'{INVOCATION}'"));
    }
    let architecture = gguf.text("general.architecture")?;
    if architecture != layout.architecture {
        return Err(foreign!(
            "it is for the architecture '{architecture}', and the model is of '{}'",
            layout.architecture
        ));
    }
    Ok(())
}
