//! Bytes to begin with: small files of every family.

use andon_specimen::{Encoder, Family, File, Kind, Mix, Specimen, Spelling};

const TEXT: &[u8] = "the pump is <|im_end|> leaking\n\u{7}é 12 </s>".as_bytes();

/// Language models.
pub(crate) fn models() -> Vec<Vec<u8>> {
    language_models().iter().map(File::bytes).collect()
}

/// Encoders.
pub(crate) fn encoders() -> Vec<Vec<u8>> {
    encoder_files().iter().map(File::bytes).collect()
}

/// The length of a text, the text, and a model with nothing but its vocabulary.
pub(crate) fn tokenizers() -> Vec<Vec<u8>> {
    let with_text = |mut file: File| {
        file.tensors.clear();
        let length = TEXT.len() as u16;
        [&length.to_le_bytes(), TEXT, &file.bytes()].concat()
    };
    let files = language_models().into_iter().chain(encoder_files());
    files.map(with_text).collect()
}

fn language_models() -> Vec<File> {
    let kinds = [Kind::Q8_0, Kind::Q4_1, Kind::F16];
    let tiny = |family| Specimen::tiny(family, Mix::InTurn(kinds.to_vec())).file();
    Family::ALL.map(tiny).into()
}

fn encoder_files() -> Vec<File> {
    let file = |spelling| {
        let kind = Kind::Q8_0;
        let encoder = Encoder {
            spelling,
            kind,
            seed: 1,
        };
        encoder.file()
    };
    [Spelling::WordPiece, Spelling::Unigram].map(file).into()
}
