"""Reference numbers for adapters, computed by llama.cpp.

As `families.py`, with an adapter of random weights from `xtask gguf --adapter`.

    pip install llama-cpp-python==0.3.36 numpy
    python scripts/reference/adapters.py > crates/andon-engine/tests/it/reference/adapters.json
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from families import compute

# That of the models: some turn positions otherwise in a shorter one.
CONTEXT = 1024

# Family, kind, tokens, of which the last are compared; the adapter's rank, seed and
# the scale that it is applied with.
CASES = [
    ("llama", "q8_0", 24, 12, 8, 1, 1.0),
    ("llama", "q4_1", 24, 12, 40, 2, 0.5),
    ("qwen2", "q8_0", 24, 12, 8, 1, 1.0),
    ("gemma2", "q8_0", 24, 12, 16, 1, 1.0),
    ("phi3", "q8_0", 24, 12, 8, 1, 1.5),
]


def main():
    cases = []
    for family, kind, count, last, rank, seed, scale in CASES:
        with tempfile.TemporaryDirectory() as folder:
            model, adapter = Path(folder, "model.gguf"), Path(folder, "adapter.gguf")
            for path, options in [
                (model, []),
                (adapter, ["--adapter", str(rank), "--seed", str(seed)]),
            ]:
                options += ["--family", family, "--shape", "tiny", "--kind", kind]
                command = ["cargo", "run", "-q", "-p", "xtask", "--", "gguf", *options]
                subprocess.run([*command, "--out", str(path)], check=True)
            options = {"lora_path": str(adapter), "lora_scale": scale}
            numbers = compute(str(model), CONTEXT, count, last, **options)
        given = {"family": family, "kind": kind, "context": CONTEXT}
        cases.append({**given, "rank": rank, "seed": seed, "scale": scale, **numbers})
        print(family, kind, file=sys.stderr)
    print(json.dumps({"cases": cases}, separators=(",", ":")))


if __name__ == "__main__":
    main()
