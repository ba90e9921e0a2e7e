//! The sizes of a model.

/// The sizes of a model, whatever its family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Layers.
    pub layers: usize,
    /// Numbers in a token's state.
    pub width: usize,
    /// Numbers between the products of a feed-forward block.
    pub inner: usize,
    /// Heads of the queries.
    pub queries: usize,
    /// Heads of keys and values.
    pub keys: usize,
    /// Numbers in a head.
    pub head: usize,
    /// Tokens of the vocabulary; where it is less, the smallest that there is.
    pub vocabulary: usize,
    /// Tokens of a context.
    pub context: usize,
    /// The base of the rotary angles.
    pub rope_base: f32,
    /// Whether the angles of a Llama are scaled, as those of Llama 3.2 are.
    pub has_scaled_angles: bool,
}

impl Shape {
    /// For tests: a file of some hundred kilobytes at most.
    pub const TINY: Self = Self {
        layers: 2,
        width: 64,
        inner: 96,
        queries: 4,
        keys: 2,
        head: 16,
        vocabulary: 0,
        context: 1024,
        rope_base: 10_000.0,
        has_scaled_angles: false,
    };

    /// As [`Shape::TINY`], with rows that are whole blocks of every kind.
    pub const TINY_256: Self = Self {
        width: 256,
        inner: 512,
        head: 64,
        has_scaled_angles: true,
        ..Self::TINY
    };

    /// That of SmolLM2 135M.
    pub const SMOLLM2_135M: Self = Self {
        layers: 30,
        width: 576,
        inner: 1536,
        queries: 9,
        keys: 3,
        head: 64,
        vocabulary: 49_152,
        context: 8192,
        rope_base: 100_000.0,
        has_scaled_angles: false,
    };

    /// That of Llama 3.2 1B.
    pub const LLAMA_1B: Self = Self {
        layers: 16,
        width: 2048,
        inner: 8192,
        queries: 32,
        keys: 8,
        head: 64,
        vocabulary: 128_256,
        context: 131_072,
        rope_base: 500_000.0,
        has_scaled_angles: true,
    };

    /// That of Llama 3.2 3B.
    pub const LLAMA_3B: Self = Self {
        layers: 28,
        width: 3072,
        inner: 8192,
        queries: 24,
        keys: 8,
        head: 128,
        ..Self::LLAMA_1B
    };

    /// Numbers of a token's queries.
    pub fn query_width(&self) -> usize {
        self.queries * self.head
    }

    /// Numbers of a token's keys, and of its values.
    pub fn key_width(&self) -> usize {
        self.keys * self.head
    }
}
