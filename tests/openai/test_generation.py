"""Several answers, log-probabilities, tools in a chat's history, responses, reranking,
classes and deadlines, with the ordinary OpenAI client."""

import json
import math
import urllib.error
import urllib.request

import openai
import pytest
from conftest import ENCODER, LANGUAGE_MODEL

ASK = [{"role": "user", "content": "Name three colours of the rainbow."}]


def chat(client, **options):
    options = {"model": LANGUAGE_MODEL, "messages": ASK, "max_tokens": 8, "temperature": 0} | options
    return client.chat.completions.create(**options)


# Several answers


def test_several_answers_are_those_of_the_next_seeds(client):
    drawn = {"temperature": 1.2, "max_tokens": 12}
    reply = chat(client, n=3, seed=5, **drawn)
    alone = [chat(client, seed=seed, **drawn) for seed in (5, 6, 7)]
    assert [c.index for c in reply.choices] == [0, 1, 2]
    assert [c.message.content for c in reply.choices] == [
        a.choices[0].message.content for a in alone
    ]
    assert reply.usage.completion_tokens == sum(a.usage.completion_tokens for a in alone)
    assert reply.usage.prompt_tokens == alone[0].usage.prompt_tokens


def test_several_answers_streamed(client):
    whole = chat(client, n=2, seed=5, temperature=1.0)
    texts = {0: "", 1: ""}
    for chunk in chat(client, n=2, seed=5, temperature=1.0, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == {c.index: c.message.content for c in whole.choices}


# Log-probabilities


def test_log_probabilities_of_a_chat(client):
    reply = chat(client, logprobs=True, top_logprobs=4)
    tokens = reply.choices[0].logprobs.content
    # The token that ends a turn has no text, and is not told.
    assert b"".join(bytes(t.bytes) for t in tokens).decode() == reply.choices[0].message.content
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 4
        # The most probable token is drawn, and stands first.
        assert token.top_logprobs[0].token == token.token
        likely = [math.exp(t.logprob) for t in token.top_logprobs]
        assert likely == sorted(likely, reverse=True)
        assert sum(likely) <= 1.0001


def test_log_probabilities_streamed_are_the_same(client):
    whole = chat(client, logprobs=True, top_logprobs=1).choices[0].logprobs.content
    streamed = []
    for chunk in chat(client, logprobs=True, top_logprobs=1, stream=True):
        for choice in chunk.choices:
            streamed += choice.logprobs.content if choice.logprobs else []
    assert streamed == whole


def test_log_probabilities_of_a_completion(client):
    options = {"model": LANGUAGE_MODEL, "prompt": "One, two, three,", "max_tokens": 6, "temperature": 0}
    choice = client.completions.create(logprobs=3, **options).choices[0]
    told = choice.logprobs
    assert "".join(told.tokens) == choice.text
    assert [choice.text[at] for at in told.text_offset] == [token[0] for token in told.tokens]
    for token, logprob, top in zip(told.tokens, told.token_logprobs, told.top_logprobs):
        assert top[token] == logprob == max(top.values())
        assert 3 <= len(top) <= 4
    # Telling changes nothing.
    assert client.completions.create(**options).choices[0].text == choice.text


# Tools in the history


TOOL = {
    "type": "function",
    "function": {
        "name": "tank_level",
        "description": "The level of a tank in percent",
        "parameters": {
            "type": "object",
            "properties": {"tank": {"type": "string"}},
            "required": ["tank"],
            "additionalProperties": False,
        },
    },
}


def test_a_history_with_calls_and_a_choice_of_none(client):
    messages = [
        {"role": "user", "content": "How full is tank T1?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "tank_level", "arguments": '{"tank": "T1"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "80 percent"},
    ]
    reply = chat(client, messages=messages, tools=[TOOL], tool_choice="none", max_tokens=24)
    assert reply.choices[0].message.tool_calls is None
    assert "80" in reply.choices[0].message.content


def test_a_tool_that_is_not_there_cannot_be_chosen(client):
    choice = {"type": "function", "function": {"name": "other"}}
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, tools=[TOOL], tool_choice=choice)
    assert caught.value.param == "tool_choice"


# Responses


def test_a_response(client):
    response = client.responses.create(
        model=LANGUAGE_MODEL,
        instructions="Answer in one word.",
        input="The capital of France?",
        max_output_tokens=16,
        metadata={"shift": "early"},
        store=False,
    )
    assert response.status in ("completed", "incomplete")
    assert "Paris" in response.output_text
    assert response.output[0].role == "assistant"
    assert response.usage.input_tokens > 0
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.metadata == {"shift": "early"}


def test_a_response_that_is_cut_is_incomplete(client):
    response = client.responses.create(
        model=LANGUAGE_MODEL, input="Tell a long story.", max_output_tokens=3
    )
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 3


def test_a_response_streamed(client):
    asked = {"model": LANGUAGE_MODEL, "input": ASK, "max_output_tokens": 12}
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        events = list(stream)
    final = events[-1].response
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:-1] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == whole.output_text == final.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_a_response_has_no_memory(client):
    for name, value in [
        ("previous_response_id", "resp_1"),
        ("store", True),
        ("background", True),
        ("conversation", "c"),
    ]:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=LANGUAGE_MODEL, input="hi", **{name: value})
        assert caught.value.param == name


# Reranking


def rerank(node, **body):
    request = urllib.request.Request(
        f"{node.url}/v1/rerank",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


@pytest.mark.parametrize("model", [ENCODER, LANGUAGE_MODEL])
def test_documents_are_put_in_order(node, model):
    documents = [
        "The invoice of March is overdue.",
        {"text": "Tighten the bolts of the pump to 25 Nm."},
        "The canteen serves soup today.",
    ]
    asked = {"model": model, "query": "How tight must the pump's bolts be?", "documents": documents}
    reply = rerank(node, return_documents=True, top_n=2, **asked)
    scores = [result["relevance_score"] for result in reply["results"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert reply["usage"]["total_tokens"] > 0
    if model == ENCODER:
        best = reply["results"][0]
        assert best["index"] == 1
        assert best["document"] == {"text": documents[1]["text"]}
    else:
        assert all(0 < score < 1 for score in scores)


# Classes and deadlines


def test_a_class_and_a_deadline_are_taken(client):
    headers = {"x-andon-class": "machine", "x-andon-deadline-ms": "60000"}
    assert chat(client, extra_headers=headers).choices[0].message.content
    assert chat(client, service_tier="flex").choices[0].message.content


def test_a_deadline_that_cannot_be_met_is_refused_or_ended(client):
    story = [{"role": "user", "content": "Tell a very long story about a bottling plant."}]
    with pytest.raises(openai.APIStatusError) as caught:
        chat(client, messages=story, max_tokens=4000, extra_headers={"x-andon-deadline-ms": "40"})
    assert caught.value.status_code in (429, 504)
    assert caught.value.code in ("deadline_too_short", "deadline_passed")
    if caught.value.status_code == 429:
        assert int(caught.value.response.headers["retry-after"]) >= 1


def test_an_unknown_adapter_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, extra_body={"adapter": "no-such"})
    assert caught.value.code == "unknown_adapter"
    with pytest.raises(openai.NotFoundError):
        chat(client, model=f"{LANGUAGE_MODEL}+no-such")
