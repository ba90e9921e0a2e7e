"""The ordinary OpenAI client against a node: only the URL is different.

ANDON_BIN names the binary, ANDON_HOME the directory with the default models.
"""

import json
import math
import re
import time
import urllib.request

import openai
import pytest
from conftest import ENCODER, LANGUAGE_MODEL

ASK = [{"role": "user", "content": "Name three colours of the rainbow."}]


def health(node):
    with urllib.request.urlopen(f"{node.url}/health", timeout=60) as response:
        return json.load(response)


def metric(node, line_start):
    with urllib.request.urlopen(f"{node.url}/metrics", timeout=60) as response:
        text = response.read().decode()
    found = re.search(rf"^{re.escape(line_start)} (\S+)$", text, re.MULTILINE)
    return float(found.group(1))


def test_the_node_is_ready(node):
    assert health(node)["status"] == "ready"


# Chat


def test_chat(client):
    reply = client.chat.completions.create(
        model=LANGUAGE_MODEL, messages=ASK, max_tokens=24, temperature=0
    )
    choice = reply.choices[0]
    assert reply.object == "chat.completion"
    assert choice.message.role == "assistant"
    assert choice.message.content.strip()
    assert choice.finish_reason in ("stop", "length")
    assert reply.usage.prompt_tokens > 0
    assert 0 < reply.usage.completion_tokens <= 24
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_the_same_request_gets_the_same_answer(client):
    def ask(**options):
        reply = client.chat.completions.create(
            model=LANGUAGE_MODEL, messages=ASK, max_tokens=16, **options
        )
        return reply.choices[0].message.content

    assert ask() == ask()
    assert ask(temperature=0.9, seed=7) == ask(temperature=0.9, seed=7)


def test_chat_with_parts_and_a_developer_message(client):
    reply = client.chat.completions.create(
        model=LANGUAGE_MODEL,
        messages=[
            {"role": "developer", "content": "Answer in one word."},
            {"role": "user", "content": [{"type": "text", "text": "The capital of France?"}]},
        ],
        max_completion_tokens=8,
    )
    assert "Paris" in reply.choices[0].message.content


def test_chat_streamed_with_usage(client):
    stream = client.chat.completions.create(
        model=LANGUAGE_MODEL,
        messages=ASK,
        max_tokens=24,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    whole = client.chat.completions.create(
        model=LANGUAGE_MODEL, messages=ASK, max_tokens=24, temperature=0
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert finishes[-1] == whole.choices[0].finish_reason
    assert set(finishes[:-1]) == {None}
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({c.id for c in chunks}) == 1


def test_stop_text_is_not_part_of_the_answer(client):
    free = client.chat.completions.create(
        model=LANGUAGE_MODEL, messages=ASK, max_tokens=24, temperature=0
    )
    text = free.choices[0].message.content
    stop = text.split()[2]
    stopped = client.chat.completions.create(
        model=LANGUAGE_MODEL, messages=ASK, max_tokens=24, temperature=0, stop=stop
    )
    assert stopped.choices[0].message.content == text[: text.index(stop)]
    assert stopped.choices[0].finish_reason == "stop"


# Completions


def test_completion_whole_and_streamed(client):
    options = {"model": LANGUAGE_MODEL, "prompt": "One, two, three,", "max_tokens": 8, "temperature": 0}
    whole = client.completions.create(**options)
    pieces = [c.choices[0].text for c in client.completions.create(**options, stream=True)]
    assert whole.object == "text_completion"
    assert "four" in whole.choices[0].text
    assert "".join(pieces) == whole.choices[0].text
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 8


# Embeddings


def test_embeddings_base64_and_float(client):
    texts = ["the conveyor belt slips", "slipping belt on the conveyor", "invoice is overdue"]
    # Without a format the client asks for base64 and decodes it.
    base64 = client.embeddings.create(model=ENCODER, input=texts)
    floats = client.embeddings.create(model=ENCODER, input=texts, encoding_format="float")
    assert [d.index for d in base64.data] == [0, 1, 2]
    for one, other in zip(base64.data, floats.data):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert len(one.embedding) == 384
        assert math.hypot(*one.embedding) == pytest.approx(1, abs=1e-3)
    vectors = [d.embedding for d in floats.data]

    def cosine(a, b):
        return sum(x * y for x, y in zip(vectors[a], vectors[b]))

    assert cosine(0, 1) > 0.7 > cosine(0, 2)
    assert floats.usage.prompt_tokens > 0
    one = client.embeddings.create(model=ENCODER, input=texts[0])
    assert one.data[0].embedding == base64.data[0].embedding


# Models


def test_models(client):
    ids = [model.id for model in client.models.list()]
    assert ids == [LANGUAGE_MODEL, ENCODER]
    assert client.models.retrieve(ENCODER).owned_by == "andon"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"


# Decisions


def test_decisions(client):
    note = "Oil is running out of the gearbox of conveyor 2, big puddle on the floor."
    decision = client.decisions.create(
        model=LANGUAGE_MODEL,
        input=note,
        questions=[
            {"type": "predicate", "name": "leak", "instructions": "Something leaks."},
            {
                "type": "choice",
                "instructions": "What is the note about?",
                "choices": [
                    {"value": "oil leak", "description": "a machine loses oil"},
                    {"value": "label misprint"},
                    {"value": True},
                    {"value": False},
                ],
            },
            {
                "type": "score",
                "name": "urgency",
                "instructions": "How urgent is it?",
                "levels": [{"label": "low"}, {"label": "medium"}, {"label": "very high"}],
            },
        ],
    )
    predicate, choice, score = decision.answers
    assert decision.model == LANGUAGE_MODEL
    assert (predicate.type, predicate.name) == ("predicate", "leak")
    assert 0 < predicate.probability < 1
    assert [p.value for p in choice.probabilities] == ["oil leak", "label misprint", True, False]
    assert sum(p.probability for p in choice.probabilities) == pytest.approx(1)
    best = max(choice.probabilities, key=lambda p: p.probability)
    assert choice.choice == best.value
    assert 0 <= choice.confidence <= 1
    assert [(p.label, p.value) for p in score.probabilities] == [("low", 0), ("medium", 1), ("very high", 2)]
    expected = sum(p.value * p.probability for p in score.probabilities)
    assert score.score == pytest.approx(expected)
    assert decision.usage.input_tokens > 0
    assert decision.usage.total_tokens == decision.usage.input_tokens + decision.usage.output_tokens


def test_decisions_read_json_and_messages(client):
    question = {"type": "predicate", "instructions": "The temperature is above 90 degrees."}
    ask = {"model": LANGUAGE_MODEL, "questions": [question]}
    part = {"type": "input_json", "data": {"machine": "M4", "temperature": 97}}
    message = {"role": "user", "content": [{"type": "input_text", "text": "Reading:"}, part]}
    first = client.decisions.create(input=[message], **ask)
    again = client.decisions.create(input=[message], **ask)
    assert first.answers[0].probability == again.answers[0].probability


def test_systemone(node):
    body = {
        "model": LANGUAGE_MODEL,
        "state": {"note": "belt slips"},
        "questions": {
            "urgent": {"type": "noul", "instructions": "Is it urgent?"},
            "part": {"type": "choice", "instructions": "Which part?", "criteria": {"belt": None, "pump": "moves fluid"}},
        },
    }
    request = urllib.request.Request(
        f"{node.url}/v1/systemone",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answers = json.load(response)["answers"]
    assert 0 < answers["urgent"]["noul"] < 1
    assert sum(answers["part"]["probabilities"].values()) == pytest.approx(1)


# Errors


def test_a_prompt_that_does_not_fit_is_refused_with_both_counts(client):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                model=LANGUAGE_MODEL,
                messages=[{"role": "user", "content": "word " * 20_000}],
                stream=stream,
            )
        error = caught.value
        assert error.code == "context_length_exceeded"
        counts = [int(n) for n in re.findall(r"\d{4,}", error.message)]
        assert max(counts) > 20_000
        assert len(counts) >= 2


def test_an_embedding_that_does_not_fit_is_refused(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=ENCODER, input="word " * 2_000)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    "name, value",
    [
        ("functions", [{"name": "f"}]),
        ("function_call", "auto"),
        ("reasoning_effort", "high"),
        ("logit_bias", {"5": 1}),
    ],
)
def test_what_matters_and_is_not_done_is_refused(client, name, value):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=LANGUAGE_MODEL, messages=ASK, **{name: value})
    assert caught.value.code == "unsupported_parameter"
    assert caught.value.param == name


def test_harmless_fields_are_accepted(client):
    client.chat.completions.create(
        model=LANGUAGE_MODEL,
        messages=ASK,
        max_tokens=1,
        user="panel-3",
        store=False,
        metadata={"shift": "early"},
        safety_identifier="s",
        prompt_cache_key="k",
    )


def test_unknown_models_are_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=ASK)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=LANGUAGE_MODEL, input="x")


def test_token_arrays_are_refused(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=ENCODER, input=[[1, 2, 3]])
    assert caught.value.param == "input"


# Life


def test_a_client_that_leaves_stops_its_generation(node):
    in_flight = "andon_requests_in_flight"
    stream = node.client.chat.completions.create(
        model=LANGUAGE_MODEL,
        messages=[{"role": "user", "content": "Tell a very long story about a bottling plant."}],
        max_tokens=4_000,
        temperature=1.0,
        seed=1,
        stream=True,
    )
    for _, _chunk in zip(range(3), stream):
        pass
    assert metric(node, in_flight) >= 1
    stream.close()
    left_at = time.monotonic()
    while metric(node, in_flight) > 0:
        assert time.monotonic() - left_at < 5, "the generation goes on without its client"
        time.sleep(0.02)
    assert health(node)["status"] == "ready"
