"""Made-up translated text, and the pieces learnt from it; also what a process of its own learns."""

from functools import cache

import pytest

from limbeck.core.example import Example
from limbeck.core.sources import Vocabulary
from limbeck.text.subwords import Subwords

NOUNS = [("house", "Haus"), ("dog", "Hund"), ("child", "Kind"), ("road", "Straße"), ("door", "Tür")]
EXAMPLES = [
    Example(f"{n}{m}", f"The {a} is near the {c}, isn't it?", targets=(f"Das „{b}“ ist nahe: {d} {n}{m}.",))
    for n, (a, b) in enumerate(NOUNS)
    for m, (c, d) in enumerate(NOUNS)
]


@cache
def learnt(model, joint, size=340):
    if model == "unigram":
        pytest.importorskip("sentencepiece", reason="an extra: pip install 'limbeck[translation]'")
    return Subwords.learn(EXAMPLES, Vocabulary(model=model, joint=joint, size=size))
