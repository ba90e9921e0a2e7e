"""Reference vectors for encoders in GGUF files, computed by llama.cpp.

Writes small encoders of random weights with `cargo run -p xtask -- gguf`, and prints
JSON: for each the tokens and the vector of some texts.

    pip install llama-cpp-python==0.3.36
    python scripts/reference/encoders.py > crates/andon-engine/tests/it/reference/encoders.json
"""

import json
import subprocess
import sys
import tempfile

from llama_cpp import Llama

CASES = [("bert", "f32"), ("bert", "q8_0"), ("bert", "q4_0"), ("xlm-r", "f16"), ("xlm-r", "q8_0")]
TEXTS = ["the pump is leaking oil", "valve 7, 2 leaks.", "a", "the filler stopped, and the oil is in the valve"]


def main():
    cases = []
    for family, kind in CASES:
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            options = ["--family", family, "--shape", "tiny", "--kind", kind, "--out", file.name]
            subprocess.run(["cargo", "run", "-q", "-p", "xtask", "--", "gguf", *options], check=True)
            model = Llama(file.name, embedding=True, n_ctx=64, n_threads=1, verbose=False)
            texts = []
            for text in TEXTS:
                tokens = model.tokenize(text.encode(), add_bos=True, special=False)
                vector = [round(x, 5) for x in model.embed(text, normalize=True)]
                texts.append({"text": text, "tokens": tokens, "vector": vector})
        cases.append({"family": family, "kind": kind, "texts": texts})
        print(family, kind, file=sys.stderr)
    print(json.dumps({"cases": cases}, separators=(",", ":")))


if __name__ == "__main__":
    main()
