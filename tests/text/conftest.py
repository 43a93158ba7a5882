"""What the tests of this room share: an ear for progress, and a tiny tokeniser with special tokens."""

import json

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from text.translated import EXAMPLES


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


@pytest.fixture(scope="session")
def marian(tmp_path_factory):
    """A Marian tokeniser, which has a sentencepiece model for each language and no fast version."""
    sentencepiece = pytest.importorskip(
        "sentencepiece", reason="an extra: pip install 'limbeck[translation]'"
    )
    from transformers import MarianConfig, MarianTokenizer

    folder = tmp_path_factory.mktemp("marian")
    pieces = ["</s>", "<unk>"]
    for side, texts in (("source", [e.text for e in EXAMPLES]), ("target", [e.targets[0] for e in EXAMPLES])):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_prefix=str(folder / side),
            vocab_size=60,
            hard_vocab_limit=False,
            minloglevel=2,
        )
        model = (folder / f"{side}.model").rename(folder / f"{side}.spm")
        found = sentencepiece.SentencePieceProcessor(model_file=str(model))
        pieces += [found.id_to_piece(number) for number in range(3, len(found))]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, "<pad>"]))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    files = {"source_spm": "source.spm", "target_spm": "target.spm", "vocab": "vocab.json"}
    saved = folder / "saved"
    paths = {key: str(folder / name) for key, name in files.items()}
    MarianTokenizer(**paths, source_lang="en", target_lang="de").save_pretrained(saved)
    MarianConfig(vocab_size=len(vocabulary), pad_token_id=len(vocabulary) - 1).save_pretrained(saved)
    return saved
