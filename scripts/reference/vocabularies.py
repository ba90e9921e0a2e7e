#!/usr/bin/env python3
"""Vocabularies and the tokens that llama.cpp gives with them.

    vocabularies.py SDIST FOLDER
        Unpacks llama.cpp's own vocabularies and test vectors from the source
        distribution of llama-cpp-python 0.3.36 (`pip download --no-deps
        --no-binary :all: llama-cpp-python==0.3.36`; a file, or the folder that
        it was unpacked to), and writes more vectors with the library. The
        engine's tests read the folder that ANDON_VOCABULARIES names.

    vocabularies.py --fixtures FILE
        Trains small vocabularies of every kind on this repository's own pages
        and writes them with texts and tokens, for the tests that always run.

Needs llama-cpp-python 0.3.36, and for the fixtures tokenizers.
"""

import argparse
import json
import random
import shutil
import struct
import sys
import tarfile
import tempfile
import unicodedata
from pathlib import Path

import llama_cpp

MARK = "\n__ggml_vocab_test__\n"

# In llama.cpp's folder, and read by Andon.
NAMES = [
    "baichuan", "bert-bge", "command-r", "deepseek-coder", "falcon", "gemma-4", "gpt-2",
    "gpt-neox", "llama-bpe", "llama-spm", "mpt", "nomic-bert-moe", "phi-3", "qwen2", "qwen35",
    "refact", "starcoder",
]

PIECES = [
    " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\u00a0", "\u3000", "a", "the pump",
    "LEAKING", "it's", "I'LL", "don't", "'", "''", "0", "12", "345", "2026-11-20", "3.14",
    "½", "²", "Ⅷ", "é", "e\u0301", "Ä", "ß", "ñandú", "İ", "ı", "Σ", "ς", "ǅ", "ŀ", "ﬁ", "Ａ",
    "，", "。", "「", "中文", "日本語", "ひらがな", "한국어", "ไทย", "हिन्दी", "العربية",
    "עברית", "Привет", "Ελλάδα", "🦙", "👩‍🚒", "🇩🇪", "☃️", "✅", "°C", "±", "µm", "€", "$", "#",
    "##", "...", "…", "--", "—", "(", ")", "[x]", "{}", "<", ">", "<<", "=", "==", "+", "^", "~",
    "`", "|", "\\", "/", "//", "_", "__", "&amp;", "@", "%", "!", "!!!", "?", ":", ";", "\u200b",
    "\u200d", "\ufeff", "\u0001", "\u007f", "\u0085", "\u2028", "\ufffd", "\u2581", "𝒜", "𠮷",
    "\u0e33", "\u1e9b\u0323", "Ω", "Å", "http://a.b/c?d=e", "def f(x):\n    return x\n", "xyzzy",
]


class Oracle:
    """llama.cpp on the vocabulary of a file."""

    def __init__(self, path):
        self.model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model._model.model)

    def tokens(self, text, add_special=False):
        data = text.encode()
        room = 4 * len(data) + 64
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(
            self.vocabulary, data, len(data), buffer, room, add_special, False
        )
        assert count >= 0, text
        return list(buffer[:count])


def more_texts(seed):
    """Texts that are put together from awkward pieces."""
    draw = random.Random(seed)
    texts = ["".join(draw.choices(PIECES, k=draw.randint(1, 24))) for _ in range(400)]
    texts += [" ".join(draw.choices(PIECES, k=draw.randint(1, 24))) for _ in range(200)]
    texts += [draw.choice(PIECES) * draw.randint(1, 60) for _ in range(200)]
    planes = [(0x20, 0x7F), (0x80, 0x250), (0x250, 0x3000), (0x3000, 0xD7FF), (0xE000, 0x1FFFF)]
    for _ in range(200):
        low, high = draw.choice(planes)
        texts.append("".join(chr(draw.randrange(low, high)) for _ in range(draw.randint(1, 20))))
    return [text for text in texts if "__ggml" not in text]


def is_kept_by_bert(text):
    """Whether llama.cpp loses nothing of a text in BERT's normalisation: it drops
    vowel signs, and all but the first letter of a Hangul syllable."""
    decomposed = unicodedata.normalize("NFD", text)
    return not any(
        unicodedata.category(c) in ("Mc", "Me") or "\u1100" <= c <= "\u11ff" for c in decomposed
    )


def unpack(sdist, folder):
    folder.mkdir(parents=True, exist_ok=True)
    if sdist.is_dir():
        for path in sdist.glob("vendor/llama.cpp/models/ggml-vocab-*"):
            shutil.copy(path, folder)
    else:
        with tarfile.open(sdist) as archive:
            for member in archive:
                if "/models/ggml-vocab-" in member.name and member.isfile():
                    with archive.extractfile(member) as source:
                        (folder / Path(member.name).name).write_bytes(source.read())
    for name in NAMES:
        path = folder / f"ggml-vocab-{name}.gguf"
        oracle = Oracle(path)
        texts = more_texts(name)
        if name == "bert-bge":
            texts = list(filter(is_kept_by_bert, texts))
        (folder / f"{path.name}.more.inp").write_text(MARK.join(texts), newline="")
        lines = (" ".join(map(str, oracle.tokens(text))) for text in texts)
        (folder / f"{path.name}.more.out").write_text("\n".join(lines))
        print(name)


def charsmap(replacements):
    """A table of replaced texts in SentencePiece's form: a double array, in which
    the child for a byte lies at index ^ offset ^ byte, and the texts."""
    texts, places = b"", {}
    for text in sorted(set(replacements.values())):
        places[text] = len(texts)
        texts += text.encode() + b"\0"
    trie = {}
    for source, target in replacements.items():
        at = trie
        for byte in source.encode():
            at = at.setdefault(byte, {})
        at[0] = places[target]
    nodes, labels, starts = {0: 0}, {0: 0}, {0}

    def place(children, index):
        start = 1
        # A node's label names no parent, so that no two may begin at one place.
        while start in starts or any(start ^ byte in nodes for byte in children):
            start += 1
        starts.add(start)
        nodes.update({start ^ byte: 0 for byte in children})
        nodes[index] = labels[index] | (index ^ start) << 10 | (0 in children) << 8
        for byte, child in children.items():
            labels[start ^ byte] = byte
            if byte == 0:
                nodes[start] = 1 << 31 | child
            else:
                place(child, start ^ byte)

    place(trie, 0)
    array = b"".join(struct.pack("<I", nodes.get(at, 1 << 31)) for at in range((max(nodes) | 255) + 1))
    return struct.pack("<I", len(array)) + array + texts


def trained():
    """The metadata of small vocabularies of every kind."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    root = Path(__file__).parents[2]
    corpus = [(root / name).read_text() for name in ("README.md", "ARCHITECTURE.md")]
    corpus += [text for text in PIECES for _ in range(2)]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]

    def train(model, trainer, pre_tokenizer, normalizer=None):
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizer
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.train_from_iterator(corpus, trainer)
        state = json.loads(tokenizer.to_str())["model"]
        return state["vocab"], [" ".join(pair) for pair in state.get("merges", [])]

    def metadata(model, tokens, kinds, **others):
        values = {"model": model, "tokens": tokens, "token_type": kinds, **others}
        return {f"tokenizer.ggml.{key}": value for key, value in values.items()}

    quiet = {"show_progress": False}
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=560, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **quiet
    )
    vocabulary, merges = train(models.BPE(), trainer, level)
    words = sorted(vocabulary, key=vocabulary.get)
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *words, "[PAD]", "  \n"]
    kinds = [3, 3, 3, *[1] * len(words), 4, 4]
    # A token that no merge gives: some pre-tokenizers take it as a whole word.
    tokens, kinds = [*tokens, "ĠpumpĠ", "xyzzy"], [*kinds, 1, 1]
    for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2", "falcon", "default"]:
        yield pre, metadata(
            "gpt2", tokens, kinds, pre=pre, merges=merges, bos_token_id=1, eos_token_id=2
        )

    space = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    trainer = trainers.BpeTrainer(vocab_size=480, max_token_length=8, limit_alphabet=120, **quiet)
    vocabulary, merges = train(models.BPE(), trainer, pre_tokenizers.Sequence([space, pre_tokenizers.Punctuation()]))
    words = sorted(vocabulary, key=vocabulary.get)
    runs = ["\n\n", "\n\n\n", "  ", "   ", "    ", "<table>"]
    words = [word for word in words if word not in runs]
    ends = ["<start_of_turn>", "<end_of_turn>"]
    tokens = ["<unk>", "<s>", "</s>", *bytes_, *runs, *ends, *words]
    kinds = [2, 3, 3, *[6] * 256, *[4] * len(runs), 3, 3, *[1] * len(words)]
    # Longer tokens come of later merges; single characters are scored last.
    scores = [0.0] * (len(tokens) - len(words))
    ranks = {pair.replace(" ", ""): rank for rank, pair in enumerate(merges)}
    scores += [-float(ranks.get(word, len(words))) // 2 for word in words]
    shared = {"scores": scores, "unknown_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    yield "spm", metadata("llama", tokens, kinds, **shared, add_bos_token=True)
    yield "gemma", metadata("llama", tokens, kinds, **shared, add_space_prefix=False)
    yield "gemma4", metadata("gemma4", tokens, kinds, **shared, merges=merges)

    trainer = trainers.UnigramTrainer(vocab_size=420, unk_token="<unk>", special_tokens=["<unk>"], **quiet)
    pieces, _ = train(models.Unigram(), trainer, pre_tokenizers.Metaspace())
    pieces = [[piece, score] for piece, score in pieces if piece != "<unk>"]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *[piece for piece, _ in pieces], "<mask>", "<table>"]
    table = charsmap({
        "\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\u200b": "", "\u200d": "",
        "ﬁ": "fi", "Ａ": "A", "½": "1⁄2", "²": "2", "Ⅷ": "VIII", "…": "...", "e\u0301": "é",
        "Ω": "Ω", "Å": "Å",
    })
    yield "unigram", metadata(
        "t5", tokens, [3, 3, 3, 2, *[1] * len(pieces), 3, 4],
        scores=[0.0] * 4 + [score for _, score in pieces] + [0.0, 0.0],
        bos_token_id=0, eos_token_id=2, unknown_token_id=3, add_bos_token=True, add_eos_token=True,
        add_space_prefix=True, remove_extra_whitespaces=True, precompiled_charsmap=list(table),
    )

    trainer = trainers.WordPieceTrainer(vocab_size=420, limit_alphabet=150, **quiet)
    bert = pre_tokenizers.BertPreTokenizer()
    vocabulary, _ = train(models.WordPiece(), trainer, bert, normalizers.BertNormalizer())
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [word for word in sorted(vocabulary, key=vocabulary.get) if word not in specials]
    words = [word[2:] if word.startswith("##") else f"\u2581{word}" for word in words]
    yield "wordpiece", metadata(
        "bert", [*specials, *words], [3] * 5 + [1] * len(words),
        # llama.cpp wants the first under another key than files have.
        unknown_token_id=1, bos_token_id=2, cls_token_id=2, seperator_token_id=3,
    )


def write_gguf(path, metadata):
    """A file of this metadata alone."""

    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def typed(key, value):
        if isinstance(value, list):
            kinds = {"scores": (6, "<f"), "token_type": (5, "<i"), "precompiled_charsmap": (0, "<B")}
            kind, form = kinds.get(key.rsplit(".")[-1], (8, None))
            items = (struct.pack(form, item) if form else text(item) for item in value)
            return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(items)
        if isinstance(value, bool):
            return struct.pack("<IB", 7, value)
        if isinstance(value, int):
            return struct.pack("<II", 4, value)
        return struct.pack("<I", 8) + text(value)

    metadata = {"general.architecture": "llama", **metadata}
    entries = b"".join(text(key) + typed(key, value) for key, value in metadata.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + entries)


def write_fixtures(file):
    texts = [text for text in more_texts("fixtures") if len(text) < 60][::6] + PIECES[:40:3]
    texts += ["the pump is leaking oil\n\n\non the  floor   <table>", "a" * 100, " " * 33, ""]
    texts = [text for text in texts if is_kept_by_bert(text)]
    fixtures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, metadata in trained():
            path = Path(folder) / f"{name}.gguf"
            write_gguf(path, metadata)
            oracle = Oracle(path)
            fixtures[name] = {
                "metadata": metadata,
                "tokens": [oracle.tokens(text) for text in texts],
                "closed": oracle.tokens(texts[0], add_special=True),
            }
    content = {"texts": texts, "vocabularies": fixtures}
    file.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fixtures", type=Path)
    parser.add_argument("sdist", type=Path, nargs="?")
    parser.add_argument("folder", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.fixtures:
        write_fixtures(arguments.fixtures)
    elif arguments.folder:
        unpack(arguments.sdist, arguments.folder)
    else:
        parser.error("give SDIST and FOLDER, or --fixtures FILE")


if __name__ == "__main__":
    sys.exit(main())
