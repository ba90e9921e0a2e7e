#!/usr/bin/env python3
"""all-MiniLM-L6-v2 in float32 numpy: the reference for the engine's encoder.

    minilm.py MODEL_DIR < texts.jsonl > vectors.jsonl
        Reads one JSON string a line (or an object with "input"), prints its
        vector of unit length as a JSON list, in the same order.

    minilm.py MODEL_DIR --reference FILE
        Writes the texts of TEXTS with their token ids and vectors, for the
        engine's tests.

MODEL_DIR holds model.safetensors and tokenizer.json. Needs numpy and
tokenizers. Truncation and padding of the tokenizer are switched off: a text
that is longer than the model's positions is an error.
"""

import argparse
import json
import struct
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

LAYERS = 6
HEADS = 12
EPSILON = 1e-12

TEXTS = [
    "pump leaking",
    "Bearing on CNV-204 drive end running hot, 92 °C at the housing, grease looks burnt.",
    "cap torque low on heads 3, 7 and 11 -- 12.4 in-lb against 15-19",
    "E-STOP pressed at palletiser; line down!!! nobody knows why",
    "HMI frozen again",
    "filler bowl level hunting +/-15 mm since the 06:00 CIP",
    "vlv stuk half opn, wont close frm panel",
    "No failure: swept under the conveyor and topped up the glue hopper.",
    "replace v-belts on FD fan #2 (2x SPB 2240)",
    "VFD fault F0011 / overtemp, reset ok x3",
    "steam trap passing?? condensate return very hot, see photo IMG_2281.jpg",
    "date code unreadable on approx. 1/20 bottles; print head cleaned, no change",
    "fuga de aceite en el reductor de la cinta 3",
    "La llenadora se para sola cada diez minutos, sin alarma en pantalla.",
    "el motor de la bomba de jarabe está muy caliente, ¿se cambia el rodamiento?",
    "ruido extraño en la etiquetadora; vibración fuerte al arrancar",
    "sensor inductivo roto, señal intermitente (máquina 12) – mañana llega el repuesto",
    "ATASCO DE BOTELLAS EN LA ENTRADA DEL TÚNEL, 2ª vez en el turno",
    "presión baja: 4,2 bar en vez de 6",
    "niño, jamón, pingüino, añejo, cigüeñal",
    "a",
    "?!... --- ###",
    "CO₂ purity 99.87 % · naïve façade · 5 µm filter · Ø 32 · ½\" BSP",
    (
        "Shift report, line 2, night. Started at 22:10 after the format change to the "
        "half litre bottle; the guide rails at the infeed had been left at the old width and "
        "we lost about twenty minutes on fallen bottles before anybody noticed. At 23:40 the "
        "filler tripped on low bowl pressure. The regulator on the CO2 skid was hunting between "
        "two and four bar, so we ran on bypass until the electrician had cleaned the positioner. "
        "From 01:15 the capper threw loose caps on heads five and nine; both friction discs are "
        "glazed and want replacing, the parts are on the bench. Then the labeller lost its date "
        "code twice, the second time with a communication fault towards the line controller, "
        "and came back after a cold restart of the gateway. Grease leak at the gearbox of the "
        "accumulation table is worse than last week, there is a tray under it now. Please do not "
        "start the washer before somebody has looked at the guard switch of the rear door, it "
        "can be pushed open while the carrier chain is running."
    ),
]


class Encoder:
    """The encoder, from the files of a model folder."""

    def __init__(self, folder: Path):
        self.weights = read_safetensors(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def embed(self, texts: list[str]) -> np.ndarray:
        """One row of unit length a text. Texts of one length share a batch, so
        nothing is padded."""
        tokens = [self.tokens(text) for text in texts]
        by_length: dict[int, list[int]] = {}
        for index, ids in enumerate(tokens):
            by_length.setdefault(len(ids), []).append(index)
        vectors = np.empty((len(texts), 384), dtype=np.float32)
        for indices in by_length.values():
            for start in range(0, len(indices), 32):
                batch = indices[start : start + 32]
                vectors[batch] = self.forward(np.array([tokens[i] for i in batch]))
        return vectors

    def forward(self, ids: np.ndarray) -> np.ndarray:
        batch, length = ids.shape
        positions = self.weights["embeddings.position_embeddings.weight"]
        if length > len(positions):
            raise ValueError(f"a text has {length} tokens, the model holds {len(positions)}")
        hidden = (
            self.weights["embeddings.word_embeddings.weight"][ids]
            + positions[:length]
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self.norm(hidden, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            attended = self.linear(
                self.attend(hidden, name), f"{name}.attention.output.dense"
            )
            hidden = self.norm(hidden + attended, f"{name}.attention.output.LayerNorm")
            inner = gelu(self.linear(hidden, f"{name}.intermediate.dense"))
            hidden = self.norm(
                hidden + self.linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm"
            )
        mean = hidden.mean(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def attend(self, hidden: np.ndarray, name: str) -> np.ndarray:
        batch, length, width = hidden.shape

        def heads(part: str) -> np.ndarray:
            rows = self.linear(hidden, f"{name}.attention.self.{part}")
            return rows.reshape(batch, length, HEADS, width // HEADS).swapaxes(1, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(width // HEADS))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        return (scores @ value).swapaxes(1, 2).reshape(batch, length, width)

    def linear(self, rows: np.ndarray, name: str) -> np.ndarray:
        return rows @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, rows: np.ndarray, name: str) -> np.ndarray:
        centred = rows - rows.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
        return (
            centred / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        )


def gelu(x: np.ndarray) -> np.ndarray:
    """The exact GELU; erf by Abramowitz and Stegun 7.1.26, |error| < 1.5e-7."""
    z = np.abs(x) / np.float32(np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(factor)) * t
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return x * (1 + erf) / 2


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            continue
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[start:end], dtype="<f4").reshape(entry["shape"])
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--reference", type=Path, help="write the reference file instead")
    arguments = parser.parse_args()
    encoder = Encoder(arguments.model)
    if arguments.reference:
        entries = [
            {
                "text": text,
                "tokens": encoder.tokens(text),
                "vector": [round(float(x), 6) for x in vector],
            }
            for text, vector in zip(TEXTS, encoder.embed(TEXTS))
        ]
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        arguments.reference.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        return
    lines = [json.loads(line) for line in sys.stdin if line.strip()]
    texts = [line["input"] if isinstance(line, dict) else line for line in lines]
    for vector in encoder.embed(texts):
        print(json.dumps([round(float(x), 6) for x in vector]))


if __name__ == "__main__":
    main()
