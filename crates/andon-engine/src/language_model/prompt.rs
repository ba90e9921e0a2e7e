//! What prompts have in common, and how large they are.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use andon_task::engine::Chat;

/// Prompts that begin with the same tokens are of one kind.
const KIND_TOKENS: usize = 32;

/// What a prompt has in common with others of its task: its first tokens.
pub(super) fn kind_of(prompt: &[u32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    prompt[..prompt.len().min(KIND_TOKENS)].hash(&mut hasher);
    hasher.finish()
}

/// Bytes that a chat has at least, however its template writes it.
pub(super) fn bytes_of(chat: &Chat) -> usize {
    let said = chat.messages.iter().map(|message| {
        let calls = message.calls.iter();
        let calls = calls.map(|call| call.arguments.to_string().len());
        message.content.len() + calls.sum::<usize>()
    });
    let tools = chat.tools.iter().map(|tool| {
        let description = tool.description.as_ref().map_or(0, String::len);
        description + tool.parameters.to_string().len()
    });
    said.chain(tools).sum()
}

/// The tokens that all prompts begin with.
pub(super) fn beginning(prompts: &[Vec<u32>]) -> &[u32] {
    let Some((first, others)) = prompts.split_first() else {
        return &[];
    };
    let common = |other: &Vec<u32>| {
        let pairs = first.iter().zip(other);
        pairs.take_while(|(a, b)| a == b).count()
    };
    let shortest = others.iter().map(common).min().unwrap_or(first.len());
    &first[..shortest]
}
