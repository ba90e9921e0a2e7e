"""Reference numbers for the Llama family, computed by llama.cpp.

Prints JSON: for each text its tokens, the mean negative log-likelihood of its
tokens after the first, and after every token the most probable next tokens
with the natural logarithms of their probabilities.

    pip install llama-cpp-python==0.3.36 numpy
    python scripts/reference/llama.py MODEL.gguf > crates/andon-engine/tests/it/reference/llama.json
"""

import json
import sys

import numpy as np
from llama_cpp import Llama

MOST = 64

TEXTS = [
    """The filler on line one stopped twice during the night shift. The first stop came at 02:10, when the \
level probe of valve 23 gave no signal for four seconds; the operator wiped the probe and the machine started \
again. The second stop came at 03:45 and lasted twenty minutes. The pressure in the bowl had fallen from 3.2 bar \
to 2.1 bar, because the carbon dioxide supply was set too low after the weekend. The technician raised the supply \
to 6 bar and checked the reducing valve for leaks with soapy water. No leak was found. A worn seal in the starwheel \
gearbox was also noticed: oil had collected under the guard, about half a litre. The seal should be replaced at \
the next planned stop, together with the bearing, which is warm but not noisy. Until then the oil level has to be \
checked at the beginning of every shift. The capper needed no attention. Torque values were between 14 and 17 inch \
pounds, which is within the limits. The labeller lost two hours of good production in the week before because of \
wrinkled labels, and the day shift will try another roll of film. Please keep the old roll in the store, so that \
the supplier can inspect it.""",
    """Before anyone opens the guard of the bottle washer, the machine has to be isolated. Tell the operator of the \
line and stop the washer at its panel. Wait until the carrier chain stands still. Turn the main switch to off, hang \
your own padlock on it and write your name and the time on the tag. Close the steam valve and the caustic valve, lock \
both, and open the drain until the gauge shows no pressure. The caustic bath is kept at eighty degrees and stays hot \
for several hours, so wear the long gloves, the apron and the face shield even when the bath has been drained. Now try \
to start the machine from its panel: nothing may move. Only then remove the four bolts of the guard. Clean the spray \
nozzles with the brass brush, never with a steel wire, because steel scratches the bore and the jet no longer meets \
the mouth of the bottle. When all nozzles are clear, turn the shaft by hand through one full pitch and look at every \
jet. Put the guard back and tighten the bolts crosswise. Remove your lock yourself; nobody else may do it for you. \
Start the washer empty and let it run for five minutes before the first bottles enter. Enter the work in the log with \
the number of nozzles that were blocked.""",
]


def log_softmax(logits):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def main():
    path = sys.argv[1]
    model = Llama(path, n_ctx=1024, n_batch=1024, n_threads=2, logits_all=True, verbose=False)
    texts = []
    for text in TEXTS:
        tokens = model.tokenize(text.encode(), add_bos=False, special=False)
        model.reset()
        model.eval(tokens)
        log_probabilities = log_softmax(np.array(model.scores[: len(tokens)]))
        following = log_probabilities[np.arange(len(tokens) - 1), tokens[1:]]
        order = np.argsort(-log_probabilities, axis=1)[:, :MOST]
        texts.append(
            {
                "text": text,
                "tokens": tokens,
                "mean_negative_log_likelihood": round(float(-following.mean()), 6),
                "most_probable": order.tolist(),
                "log_probabilities": [
                    [round(float(value), 4) for value in row[ids]]
                    for row, ids in zip(log_probabilities, order)
                ],
            }
        )
        if len(sys.argv) > 2:
            np.save(f"{sys.argv[2]}-{len(texts)}.npy", log_probabilities.astype(np.float32))
        print(len(tokens), "tokens", file=sys.stderr)
    json.dump({"texts": texts}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
