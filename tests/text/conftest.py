"""What the tests of this room share: an ear for progress, and a tiny tokeniser with special tokens."""

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from limbeck.core import progress


class Listener(progress.Reporter):
    def __init__(self):
        self.warnings: list[str] = []
        self.said: list[str] = []

    def warn(self, text, **facts):
        self.warnings.append(text)

    def say(self, text, **facts):
        self.said.append(text)


@pytest.fixture
def listener():
    ours = Listener()
    progress.use(ours)
    yield ours
    progress.use(progress.Reporter())


@pytest.fixture
def pieces():
    """A tokeniser of word pieces as BERT's, which wraps sentences in two special tokens."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "good", "film", "##s", ",", "."]
    backend = Tokenizer(models.WordPiece({name: n for n, name in enumerate(names)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
