"""Reference numbers for every family and kind of tensor, computed by llama.cpp.

Writes small models of random weights with `cargo run -p xtask -- gguf`, and prints
JSON: for each its tokens, and after each of the last of them the most probable next
tokens with the negative logarithms of their probabilities, in thousandths.

    pip install llama-cpp-python==0.3.36 numpy
    python scripts/reference/families.py > crates/andon-engine/tests/it/reference/families.json
"""

import json
import subprocess
import sys
import tempfile

import numpy as np
from llama_cpp import Llama

MOST = 24

# Family, kind, context, tokens, of which the last are compared. Gemma's window is of
# 68 tokens, Phi's original context of 256.
CASES = [
    ("llama", "q8_0", 256, 40, 32),
    ("llama", "f32", 256, 16, 12),
    ("llama", "f16", 256, 16, 12),
    ("llama", "bf16", 256, 16, 12),
    ("llama", "q4_0", 256, 16, 12),
    ("llama", "q4_1", 256, 16, 12),
    ("llama", "q5_0", 256, 16, 12),
    ("llama", "q5_1", 256, 16, 12),
    ("llama", "iq4_nl", 256, 16, 12),
    ("llama", "q4_k", 256, 16, 12),
    ("llama", "q5_k", 256, 16, 12),
    ("llama", "q6_k", 256, 16, 12),
    ("llama", "q4_k_m", 1024, 300, 32),
    ("qwen2", "q8_0", 256, 40, 32),
    ("qwen2", "q4_k_m", 256, 16, 12),
    ("gemma2", "q8_0", 256, 160, 32),
    ("gemma2", "f16", 256, 16, 12),
    ("gemma2", "q6_k", 256, 16, 12),
    ("phi3", "q8_0", 256, 40, 32),
    ("phi3", "q8_0", 1024, 300, 32),
    ("phi3", "q4_k_m", 256, 16, 12),
]


def log_softmax(logits):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def compute(path, context, count, last, **options):
    options |= {"n_ctx": context, "n_batch": context, "n_threads": 2, "logits_all": True}
    model = Llama(path, verbose=False, **options)
    assert model.n_ctx() == context
    state, tokens = 1, []
    for _ in range(count):
        state = (state * 48271) % 2147483647
        tokens.append(state % model.n_vocab())
    model.eval(tokens)
    log_probabilities = log_softmax(np.array(model.scores[count - last : count]))
    order = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :MOST]
    return {
        "tokens": tokens,
        "most_probable": order.tolist(),
        "surprisals": [
            [round(-1000 * float(value)) for value in row[ids]]
            for row, ids in zip(log_probabilities, order)
        ],
    }


def main():
    cases = []
    for family, kind, context, count, last in CASES:
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            options = ["--family", family, "--shape", "tiny", "--kind", kind, "--out", file.name]
            subprocess.run(["cargo", "run", "-q", "-p", "xtask", "--", "gguf", *options], check=True)
            numbers = compute(file.name, context, count, last)
        cases.append({"family": family, "kind": kind, "context": context, **numbers})
        print(family, kind, file=sys.stderr)
    print(json.dumps({"cases": cases}, separators=(",", ":")))


if __name__ == "__main__":
    main()
