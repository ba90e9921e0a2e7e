//! Pre-tokenizers: text is cut into words before a byte-pair encoding merges
//! within them. Every vocabulary names the one that it was trained with.

use regex::Regex;

use crate::error::{LoadError, damaged, unsupported};
use crate::gguf::Gguf;

/// The end of every contraction, letters, digits, signs, blanks: GPT-2's.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";
const LLAMA3: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
const QWEN2: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
const QWEN35: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";

/// Blanks that a pattern took before a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blanks {
    /// Stay where the pattern put them.
    Kept,
    /// Leave the last of several to what follows: `\s+(?!\S)|\s+` without
    /// looking ahead, so that every search takes linear time.
    Shared,
    /// The same, unless they end in a line feed.
    SharedInLine,
}

/// One pattern: what it finds becomes words, and what lies between.
struct Step {
    pattern: Regex,
    blanks: Blanks,
}

/// A pre-tokenizer.
pub(super) struct Split {
    steps: Vec<Step>,
    takes_whole_words: bool,
    is_of_bytes: bool,
}

impl Split {
    /// The pre-tokenizer that a file names.
    pub(super) fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, LoadError> {
        let key = "tokenizer.ggml.pre";
        match (gguf.text("tokenizer.ggml.model")?, gguf.get(key)) {
            ("gemma4", _) => Self::named("gemma4"),
            (_, None) => Self::named("default"),
            (_, Some(_)) => Self::named(gguf.text(key)?),
        }
    }

    fn named(name: &str) -> Result<Self, LoadError> {
        use Blanks::{Kept, Shared, SharedInLine};
        let steps: &[(&str, Blanks)] = match name {
            "gpt-2" | "mpt" => &[(GPT2, Shared)],
            "smollm" | "starcoder" | "refact" | "command-r" => &[(r"\p{N}", Kept), (GPT2, Shared)],
            "llama-bpe" | "llama3" | "llama-v3" => &[(LLAMA3, SharedInLine)],
            "qwen2" | "deepseek-r1-qwen" => &[(QWEN2, SharedInLine)],
            "qwen35" => &[(QWEN35, SharedInLine)],
            "falcon" => &[
                (r"[\p{P}$+<=>^~|`]+", Kept),
                (GPT2, Shared),
                ("[0-9][0-9][0-9]", Kept),
            ],
            "deepseek-coder" => &[
                (r"[\r\n]", Kept),
                (r"\s?\p{L}+", Kept),
                (r"\s?\p{P}+", Kept),
                (
                    r"[\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}]+",
                    Kept,
                ),
                (r"\p{N}", Kept),
            ],
            "default" => &[
                (r"[\p{P}$+<=>^~|]+", Kept),
                (GPT2, Shared),
                (r"\p{N}+", Kept),
                ("[0-9][0-9][0-9]", Kept),
            ],
            "gemma4" => &[(r"[^\n]+|\n+", Kept)],
            other => {
                return Err(unsupported!(
                    "the pre-tokenizer '{other}'; this version reads 'default', 'gpt-2', 'mpt', 'smollm', 'starcoder', 'refact', 'command-r', 'llama-bpe', 'qwen2', 'deepseek-r1-qwen', 'qwen35', 'falcon', 'deepseek-coder' and 'gemma4'"
                ));
            }
        };
        let step = |&(pattern, blanks): &(&str, Blanks)| {
            let pattern =
                Regex::new(pattern).map_err(|error| damaged!("the pre-tokenizer: {error}"))?;
            Ok(Step { pattern, blanks })
        };
        Ok(Self {
            steps: steps.iter().map(step).collect::<Result<_, LoadError>>()?,
            takes_whole_words: matches!(name, "llama-bpe" | "llama3" | "llama-v3"),
            is_of_bytes: name != "gemma4",
        })
    }

    /// Whether a word that is a token is not merged from its parts.
    pub(super) fn takes_whole_words(&self) -> bool {
        self.takes_whole_words
    }

    /// Whether the vocabulary spells in bytes rather than in characters.
    pub(super) fn is_of_bytes(&self) -> bool {
        self.is_of_bytes
    }

    /// Calls `each` with every word of a text, in order.
    pub(super) fn words(&self, text: &str, each: &mut impl FnMut(&str)) {
        cut(&self.steps, text, each);
    }
}

fn cut(steps: &[Step], text: &str, each: &mut impl FnMut(&str)) {
    let Some((step, others)) = steps.split_first() else {
        if !text.is_empty() {
            each(text);
        }
        return;
    };
    let mut from = 0;
    while let Some(found) = step.pattern.find_at(text, from) {
        let end = found.start() + step.length(found.as_str(), &text[found.end()..]);
        cut(others, &text[from..found.start()], each);
        cut(others, &text[found.start()..end], each);
        from = end;
    }
    cut(others, &text[from..], each);
}

impl Step {
    /// How much of what was found becomes a word. Never nothing.
    fn length(&self, found: &str, after: &str) -> usize {
        let last = found.chars().next_back();
        let is_shared = match self.blanks {
            Blanks::Kept => false,
            Blanks::Shared => true,
            Blanks::SharedInLine => !matches!(last, Some('\r' | '\n')),
        };
        let last = last.map_or(0, char::len_utf8);
        let is_blank = || found.chars().all(char::is_whitespace);
        if is_shared && found.len() > last && !after.is_empty() && is_blank() {
            found.len() - last
        } else {
            found.len()
        }
    }
}
