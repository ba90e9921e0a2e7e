"""Answers that are held to a schema, a choice, an expression or the call of a tool, with
the ordinary OpenAI client."""

import json
import re
from typing import Literal

import openai
import pytest
from conftest import LANGUAGE_MODEL
from pydantic import BaseModel

NOTE = "Oil is running out of the gearbox of conveyor 2, big puddle on the floor, 3 litres."
ASK = [{"role": "user", "content": f"Which machine, and what happened? {NOTE}"}]


class Finding(BaseModel):
    machine: str
    kind: Literal["leak", "noise", "jam"]
    litres: int


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "tank_level",
            "description": "The level of a tank in percent",
            "parameters": {
                "type": "object",
                "properties": {"tank": {"type": "string", "maxLength": 12}},
                "required": ["tank"],
                "additionalProperties": False,
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "close_valve",
            "parameters": {
                "type": "object",
                "properties": {"valve": {"enum": ["V1", "V2"]}},
                "required": ["valve"],
                "additionalProperties": False,
            },
        },
    },
]


def chat(client, **options):
    options = {"model": LANGUAGE_MODEL, "messages": ASK, "max_tokens": 96} | options
    return client.chat.completions.create(**options)


# Formats


def test_a_schema(client):
    reply = client.chat.completions.parse(
        model=LANGUAGE_MODEL, messages=ASK, max_tokens=96, response_format=Finding
    )
    choice = reply.choices[0]
    assert choice.finish_reason == "stop"
    assert isinstance(choice.message.parsed, Finding)


def test_a_schema_drawn_and_streamed(client):
    options = {"temperature": 1.5, "seed": 3}
    schema = {"name": "finding", "schema": Finding.model_json_schema(), "strict": True}
    options["response_format"] = {"type": "json_schema", "json_schema": schema}
    whole = chat(client, **options).choices[0]
    text = "".join(
        chunk.choices[0].delta.content or "" for chunk in chat(client, stream=True, **options)
    )
    assert text == whole.message.content
    if whole.finish_reason == "stop":
        Finding.model_validate_json(text)


def test_an_answer_that_is_cut_says_so(client):
    reply = chat(client, max_tokens=3, response_format={"type": "json_object"})
    assert reply.choices[0].finish_reason == "length"


def test_a_choice_an_expression_and_a_completion(client):
    choices = ["leak", "noise", "a jam"]
    reply = chat(client, extra_body={"structured_outputs": {"choice": choices}})
    assert reply.choices[0].message.content in choices
    assert reply.choices[0].finish_reason == "stop"
    reply = chat(client, extra_body={"structured_outputs": {"regex": "[A-Z]{2}-[0-9]{3}"}})
    assert re.fullmatch("[A-Z]{2}-[0-9]{3}", reply.choices[0].message.content)
    completion = client.completions.create(
        model=LANGUAGE_MODEL,
        prompt="The note is about a",
        max_tokens=16,
        extra_body={"structured_outputs": {"choice": choices}},
    )
    assert completion.choices[0].text in choices


def test_a_schema_that_cannot_be_enforced_is_refused(client):
    schema = {"type": "object", "properties": {"a": {"type": "no-such-type"}}}
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            chat(
                client,
                stream=stream,
                response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
            )
        assert caught.value.code == "unsupported_grammar"


def test_a_response_with_a_schema(client):
    response = client.responses.parse(
        model=LANGUAGE_MODEL, input=ASK, max_output_tokens=96, text_format=Finding
    )
    assert response.status == "completed"
    assert isinstance(response.output_parsed, Finding)


# Tools


def check_call(name, arguments):
    arguments = json.loads(arguments)
    if name == "tank_level":
        assert list(arguments) == ["tank"] and isinstance(arguments["tank"], str)
    else:
        assert name == "close_valve" and arguments["valve"] in ("V1", "V2")


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "close_valve"}}]
)
def test_a_call_that_is_required(client, choice):
    reply = chat(client, tools=TOOLS, tool_choice=choice).choices[0]
    assert reply.finish_reason == "tool_calls"
    assert reply.message.content is None
    (call,) = reply.message.tool_calls
    check_call(call.function.name, call.function.arguments)
    if choice != "required":
        assert call.function.name == "close_valve"


def test_a_call_streamed(client):
    whole = chat(client, tools=TOOLS, tool_choice="required").choices[0].message.tool_calls[0]
    chunks = list(chat(client, tools=TOOLS, tool_choice="required", stream=True))
    deltas = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices[0].delta.tool_calls]
    assert deltas[0].id and deltas[0].function.name == whole.function.name
    assert all(d.id is None and d.function.name is None for d in deltas[1:])
    assert "".join(d.function.arguments for d in deltas) == whole.function.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_free_choice_is_a_call_or_words(client):
    for question in ("What is the level of tank T1?", "Say hello."):
        messages = [{"role": "user", "content": question}]
        reply = chat(client, messages=messages, tools=TOOLS).choices[0]
        assert "<tool_call>" not in (reply.message.content or "")
        for call in reply.message.tool_calls or []:
            if reply.finish_reason == "tool_calls":
                check_call(call.function.name, call.function.arguments)


def test_a_whole_round_with_a_tool(client):
    messages = [{"role": "user", "content": "How full is tank T1?"}]
    asked = chat(client, messages=messages, tools=TOOLS, tool_choice="required").choices[0].message
    messages += [
        asked.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "80 percent"},
    ]
    reply = chat(client, messages=messages, tools=TOOLS, tool_choice="none")
    assert reply.choices[0].message.content


def test_a_call_in_a_response_and_its_output(client):
    tools = [{"type": "function", **tool["function"], "strict": True} for tool in TOOLS]
    asked = {"model": LANGUAGE_MODEL, "max_output_tokens": 96, "tools": tools}
    question = [{"role": "user", "content": "How full is tank T1?"}]
    with client.responses.stream(input=question, tool_choice="required", **asked) as stream:
        kinds = [event.type for event in stream]
        first = stream.get_final_response()
    assert "response.function_call_arguments.delta" in kinds
    assert "response.function_call_arguments.done" in kinds
    (call,) = first.output
    assert call.type == "function_call"
    check_call(call.name, call.arguments)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "80 percent"}
    items = question + [call.model_dump(exclude_none=True), output]
    second = client.responses.create(input=items, tool_choice="none", **asked)
    assert second.output_text
