"""A running node with the default models, for the OpenAI client."""

import os
import re
import subprocess
import tempfile
import threading
from dataclasses import dataclass

import openai
import pytest

LANGUAGE_MODEL = "smollm2:135m"
ENCODER = "minilm:l6"
START_SECONDS = 120


@dataclass
class Node:
    """A node and a client that knows nothing of it but its URL."""

    url: str
    client: openai.OpenAI


def _listening(process: subprocess.Popen) -> str:
    """The URL that the node prints when it listens."""
    too_late = threading.Timer(START_SECONDS, process.kill)
    too_late.start()
    try:
        for line in process.stdout:
            found = re.search(r"http://[^\s/]+", line)
            if found:
                return found.group()
    finally:
        too_late.cancel()
    raise RuntimeError(f"the node did not start: exit code {process.wait()}, see its log above")


@pytest.fixture(scope="session")
def node():
    binary = os.environ["ANDON_BIN"]
    with tempfile.TemporaryDirectory() as state:
        process = subprocess.Popen(
            [binary, "up", "--listen", "127.0.0.1:0", "--state", state],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            url = _listening(process)
            # What the node prints later must not fill the pipe.
            threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()
            client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=120)
            yield Node(url, client)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def client(node: Node) -> openai.OpenAI:
    return node.client
