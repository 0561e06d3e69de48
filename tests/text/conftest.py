"""The toy tokenizers, for the tests of prompts."""

import pytest

from skraee.text.tokenizer import TextTokenizer
from tests.support.tokenizers import ZOO


@pytest.fixture(scope="module")
def zoo():
    """Every toy tokenizer, as Hugging Face's and as skraee's."""
    made = {name: make() for name, make in ZOO.items()}
    return {name: (hf, TextTokenizer.from_hf(hf)) for name, hf in made.items()}


@pytest.fixture(params=ZOO)
def pair(request, zoo):
    return zoo[request.param]
