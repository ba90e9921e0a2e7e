//! Beginnings of prompts on disk: keys and values that need not be computed again
//! after a restart.
//!
//! A file holds one beginning under the digest of everything that shaped it: the
//! model's file, adapter and scale, how numbers are computed, the tokens. It ends with a SHA-256 of
//! all that it holds. A file that is damaged, or somebody else's, is as good as
//! none.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use andon_task::digest::Digest;

use crate::adapter::Variant;

const MAGIC: &[u8; 8] = b"ANDONKV\x02";

/// Which arithmetic gave the numbers. It changes whenever a kernel or a decoder
/// gives other bits than before.
const ARITHMETIC: &[u8] = concat!("andon ", env!("CARGO_PKG_VERSION"), " 2").as_bytes();

/// Files that are kept; the oldest go.
const MOST_FILES: usize = 64;

/// A folder of beginnings, for one model.
#[derive(Debug)]
pub(crate) struct Prefixes {
    folder: PathBuf,
    model: Digest,
}

impl Prefixes {
    pub(crate) fn new(folder: PathBuf, model: Digest) -> Self {
        Self { folder, model }
    }

    /// The content of the blocks of a beginning, if its file is there and sound.
    pub(crate) fn load(&self, variant: Variant, tokens: &[u32]) -> Option<Vec<u8>> {
        let key = self.key(variant, tokens);
        let path = self.path(key);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a saved prefix cannot be read");
                return None;
            }
        };
        let content = content_of(&bytes, key);
        if content.is_none() {
            tracing::warn!(
                path = %path.display(),
                "a saved prefix is damaged or another's: it is ignored and computed anew"
            );
        }
        content
    }

    /// Writes the content of the blocks of a beginning, whole or not at all.
    pub(crate) fn save(
        &self,
        variant: Variant,
        tokens: &[u32],
        content: &[u8],
    ) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let key = self.key(variant, tokens);
        let path = self.path(key);
        let mut bytes = Vec::with_capacity(MAGIC.len() + 64 + content.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(content);
        let sum = Digest::of(&bytes);
        bytes.extend_from_slice(sum.as_bytes());
        let begun = path.with_extension(format!("begun-{}", std::process::id()));
        let mut file = std::fs::File::create(&begun)?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| std::fs::rename(&begun, &path)) {
            // What was begun is of no use; the error that counts is the first.
            drop(std::fs::remove_file(&begun));
            return Err(error);
        }
        self.sweep()
    }

    /// Removes the oldest files beyond those that are kept.
    fn sweep(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if is_prefix(&entry.path()) {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        let surplus = files.len().saturating_sub(MOST_FILES);
        for (_, path) in &files[..surplus] {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    /// What shaped the numbers.
    fn key(&self, variant: Variant, tokens: &[u32]) -> Digest {
        let tokens: Vec<u8> = tokens
            .iter()
            .flat_map(|token| token.to_le_bytes())
            .collect();
        let model = self.model.as_bytes().as_slice();
        Digest::of_parts([ARITHMETIC, model, &variant.bytes(), &tokens])
    }

    fn path(&self, key: Digest) -> PathBuf {
        self.folder.join(format!("{key}.prefix"))
    }
}

fn is_prefix(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "prefix")
}

/// What a file holds, if it is whole and under this key.
fn content_of(bytes: &[u8], key: Digest) -> Option<Vec<u8>> {
    let (rest, sum) = bytes.split_last_chunk::<32>()?;
    let after_magic = rest.strip_prefix(MAGIC)?;
    let content = after_magic.strip_prefix(key.as_bytes())?;
    (Digest::of(rest).as_bytes() == sum).then(|| content.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Variant = Variant::ALONE;

    fn folder(of: &str) -> (PathBuf, Prefixes) {
        let folder = std::env::temp_dir().join(format!("andon-{of}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        let prefixes = Prefixes::new(folder.clone(), Digest::of(b"model"));
        (folder, prefixes)
    }

    #[test]
    fn what_is_saved_is_found_by_its_own_tokens_and_model_alone() {
        let (folder, prefixes) = folder("found");
        let content: Vec<u8> = (0..=250).collect();
        prefixes.save(ALONE, &[1, 2, 3], &content).expect("saved");
        assert_eq!(prefixes.load(ALONE, &[1, 2, 3]), Some(content));
        assert_eq!(prefixes.load(ALONE, &[1, 2, 4]), None);
        let other = Prefixes::new(folder.clone(), Digest::of(b"another model"));
        assert_eq!(other.load(ALONE, &[1, 2, 3]), None);
        let adapter = Digest::of(b"adapter");
        let (whole, half) = (Variant::new(adapter, 1.0), Variant::new(adapter, 0.5));
        assert_eq!(prefixes.load(whole, &[1, 2, 3]), None);
        prefixes.save(whole, &[1, 2, 3], &[7; 8]).expect("saved");
        assert_eq!(prefixes.load(whole, &[1, 2, 3]), Some(vec![7; 8]));
        assert_eq!(prefixes.load(half, &[1, 2, 3]), None);
        assert_ne!(prefixes.load(ALONE, &[1, 2, 3]), Some(vec![7; 8]));
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_file_with_one_flipped_bit_or_cut_short_is_ignored() {
        let (folder, prefixes) = folder("damaged");
        prefixes.save(ALONE, &[7; 16], &[5; 64]).expect("saved");
        let path = prefixes.path(prefixes.key(ALONE, &[7; 16]));
        let sound = std::fs::read(&path).expect("read");
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bytes).expect("written");
            assert_eq!(prefixes.load(ALONE, &[7; 16]), None, "byte {at}");
            std::fs::write(&path, &sound[..at]).expect("written");
            assert_eq!(prefixes.load(ALONE, &[7; 16]), None, "cut at {at}");
        }
        std::fs::write(&path, &sound).expect("written");
        assert_eq!(prefixes.load(ALONE, &[7; 16]), Some(vec![5; 64]));
        // Another's file under this name.
        prefixes.save(ALONE, &[8; 16], &[6; 64]).expect("saved");
        std::fs::copy(prefixes.path(prefixes.key(ALONE, &[8; 16])), &path).expect("copied");
        assert_eq!(prefixes.load(ALONE, &[7; 16]), None);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
