use andon_engine::gguf::Gguf;

use super::check_header;

/// A header of one key, as GGUF has it, and no tensors.
fn header(blocks: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let text = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u64).to_le_bytes());
        file.extend(text.as_bytes());
    };
    file.extend(b"GGUF");
    file.extend(3_u32.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend(2_u64.to_le_bytes());
    text(&mut file, "general.architecture");
    file.extend(8_u32.to_le_bytes());
    text(&mut file, "llama");
    text(&mut file, "llama.block_count");
    file.extend(4_u32.to_le_bytes());
    file.extend(blocks.to_le_bytes());
    file
}

#[test]
fn a_header_that_makes_no_sense_never_reaches_the_library() {
    for blocks in [1, 1000, i32::MAX as u32] {
        let file = header(blocks);
        let gguf = Gguf::parse(&file).expect("a header");
        let error = check_header(&gguf).expect_err("there are no tensors");
        assert!(error.to_string().contains("layers"), "{error}");
    }
}
