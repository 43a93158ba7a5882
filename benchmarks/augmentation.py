"""Throughput of augmentation: rules, and a masked language model against loops over one sentence at a time.

    python benchmarks/augmentation.py          # two quiet cores: some minutes
    python benchmarks/augmentation.py --quick  # does it run? (its figures mean nothing)

A sentence is augmented when all of its copies are made, 20 by default of both rewriters; ``per_second`` counts such
sentences, and loading models comes before.

Two loops stand beside the rewriter ``masked_lm``, both in plain transformers, one sentence and one masked word at a
time, with the same model, words, stop words and candidates, on the same sentences:

- *every copy*: algorithm 1 of Jiao et al. (2020) as it is written, copy after copy, but kinder: the model is asked
  about a word only where the copy replaces it (the algorithm asks about every word of every copy). The aim rests on it.
- *once a word*: the model is asked about each word once, and all copies draw from what it said. This is as much
  asking as Limbeck does, so what is left is batches, and the scores of the masked word alone in place of all words'.

The model is a MiniLM of six layers under an untrained masked-LM head: speed does not depend on what it guesses. That
all three offer the same candidates is checked, and ``same_candidates`` tells the share of words for which they are (two
scores may be as good as equal). Contenders take turns, round by round; medians over the rounds are compared, with
``load`` (what else the machine did) beside each. LIMBECK_DATA names the folder that holds ``sst5``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import command
from limbeck.core import progress
from limbeck.core.example import Example
from limbeck.models.masked_lm import load_masked_lm
from limbeck.text.letters import is_word
from limbeck.text.tokeniser import load_tokeniser
from limbeck.transfer.candidates import find_slots, replaceable
from limbeck.transfer.rewrites import masked_lm, rules
from results_file import Aim, ResultsFile, Row
from throughput import ENCODER, cores, read

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "augmentation.json"
QUICK = Path("runs/augmentation/quick.json")
RULES, OURS, EVERY_COPY, ONCE = "rules", "masked_lm", "loop, every copy", "loop, once a word"


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        sentences: Augmented by the masked language model: so many of SST-5's training sentences, evenly spaced.
        ruled: Augmented by rules.
        rounds: In which each contender has a turn.
    """

    sentences: int
    ruled: int
    rounds: int


SIZES = {"": Size(sentences=32, ruled=2000, rounds=3), " --quick": Size(sentences=2, ruled=50, rounds=1)}
"""By the flag that asks for it."""


@dataclass(frozen=True)
class Setting:
    """What the contenders share: the model, and how the rewriter is set."""

    model: PreTrainedModel
    tokeniser: PreTrainedTokenizerFast
    settings: masked_lm.Settings
    device: torch.device


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not there yet, then judge the aim."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"a trial, written to {QUICK}")
    options = parser.parse_args(arguments)
    if options.quick:
        QUICK.unlink(missing_ok=True)
    flag = " --quick" if options.quick else ""
    results = ResultsFile(QUICK if options.quick else RESULTS, f"python benchmarks/augmentation.py{flag}")
    torch.set_num_threads(cores())
    with tempfile.TemporaryDirectory() as folder, progress.silently():
        measure(prepare(Path(folder)), SIZES[flag], results)
    command.judged(results, AIMS)


def prepare(folder: Path) -> Setting:
    """The model, left in a folder that the rewriter can name, too."""
    model, tokeniser = load_masked_lm(ENCODER, fresh_head=0), load_tokeniser(ENCODER)
    model.save_pretrained(folder)
    tokeniser.save_pretrained(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.nn.Module.to(model, device)
    return Setting(model, tokeniser, masked_lm.Settings(model=str(folder)), device)


def evenly(examples: Sequence[Example], count: int) -> list[Example]:
    """So many examples, evenly spaced."""
    return [examples[n * len(examples) // count] for n in range(count)]


# ------------------------------------------------------------ contenders


def by_rules(setting: Setting, examples: Sequence[Example]) -> int:
    """How many texts the rules made."""
    return sum(1 for _ in rules.Settings().rewrite(examples))


class Rewriter:
    """The rewriter, its model loaded beforehand."""

    def __init__(self, setting: Setting) -> None:
        self.settings = setting.settings
        self.shards = masked_lm.Shards(setting.settings, None)
        _ = self.shards._sources

    def __call__(self, setting: Setting, examples: Sequence[Example]) -> int:
        """How many copies it made."""
        texts = [example.text for example in examples]
        slots = dict(zip(texts, self.shards.slots(texts), strict=True))
        return sum(1 for example in examples for _ in self.settings.copies_of(example, slots))


def every_copy(setting: Setting, examples: Sequence[Example]) -> int:
    """Copy after copy; the model is asked about each word that is to be replaced."""
    draws, made = np.random.default_rng(0), 0
    for example in examples:
        words = words_of(setting, example.text)
        for _ in range(setting.settings.copies):
            copy = example.text
            for start, end in reversed(words):
                if draws.random() < setting.settings.probability:
                    choices = candidates(setting, example.text, start, end)
                    if choices:
                        copy = copy[:start] + choices[draws.integers(len(choices))] + copy[end:]
            made += 1
    return made


def once_a_word(setting: Setting, examples: Sequence[Example]) -> int:
    """The model is asked about each word once; the copies draw from what it said."""
    draws, made = np.random.default_rng(0), 0
    for example in examples:
        words = words_of(setting, example.text)
        choices = {span: candidates(setting, example.text, *span) for span in words}
        for _ in range(setting.settings.copies):
            copy = example.text
            for start, end in reversed(words):
                some = choices[start, end]
                if some and draws.random() < setting.settings.probability:
                    copy = copy[:start] + some[draws.integers(len(some))] + copy[end:]
            made += 1
    return made


def words_of(setting: Setting, text: str) -> list[tuple[int, int]]:
    """The words of a text that are no stop words and a single piece, in characters."""
    spans = replaceable(text, setting.settings.left_out)
    return [(start, end) for start, end in spans if len(setting.tokeniser.tokenize(text[start:end])) == 1]


@torch.inference_mode()
def candidates(setting: Setting, text: str, start: int, end: int) -> list[str]:
    """What the model guesses where one word is masked, best first."""
    tokeniser, wanted = setting.tokeniser, setting.settings.candidates
    masked = text[:start] + tokeniser.mask_token + text[end:]
    inputs = tokeniser(masked, return_tensors="pt", truncation=True, max_length=setting.settings.max_length)
    places = (inputs.input_ids[0] == tokeniser.mask_token_id).nonzero()
    if not len(places):
        return []  # past the end
    logits = setting.model(**inputs.to(setting.device)).logits[0, int(places[0])]
    ranked = tokeniser.convert_ids_to_tokens(logits.topk(min(20 * wanted, len(logits))).indices.tolist())
    good = [one for one in ranked if is_word(one) and one not in setting.settings.left_out]
    return [one for one in good if one != text[start:end].lower()][:wanted]


def same_candidates(setting: Setting, examples: Sequence[Example]) -> float:
    """Share of the words for which the loops and the rewriter offer the same candidates."""
    texts = [example.text for example in examples]
    shards = masked_lm.Shards(setting.settings, None)
    found = find_slots(texts, *shards._sources, setting.settings.left_out, setting.settings.candidates)
    same = [
        set(slot.candidates) == set(candidates(setting, text, slot.start, slot.end))
        for text, slots in zip(texts, found, strict=True)
        for slot in slots
    ]
    return sum(same) / len(same)


# ------------------------------------------------------------ measuring


def measure(setting: Setting, size: Size, results: ResultsFile) -> None:
    """Rounds in which the contenders take turns, a row each, and the rows that sum them up."""
    sentences = read("train")
    some, many = evenly(sentences, size.sentences), evenly(sentences, size.ruled)
    contenders: dict[str, tuple[Callable[[Setting, Sequence[Example]], int], Sequence[Example]]] = {
        RULES: (by_rules, many),
        OURS: (Rewriter(setting), some),
        ONCE: (once_a_word, some),
        EVERY_COPY: (every_copy, some),
    }
    shared: dict[str, Any] = {"device": setting.device.type, "threads": cores()}
    if results.has(kind="summary", **shared):
        return
    for title in (RULES, OURS, ONCE):  # warm-up; the other loop asks as this one does
        contender, examples = contenders[title]
        contender(setting, examples[:1])
    for number in range(1, size.rounds + 1):
        for title, (contender, examples) in contenders.items():
            place = {"kind": "round", "what": title, "round": number, **shared}
            if not results.has(**place):
                load, started = round(os.getloadavg()[0], 2), time.perf_counter()
                made = contender(setting, examples)
                seconds = time.perf_counter() - started
                told = {"sentences": len(examples), "made": made, "seconds": seconds}
                row = results.append(**place, **told, per_second=len(examples) / seconds, load=load)
                print(
                    f"round {number}, {title}: {row['per_second']:,.2f} sentences/s, load {load}", flush=True
                )
    same = same_candidates(setting, some)
    for row in summaries(results.find(kind="round", **shared)):
        results.append(**row, **shared, **({"same_candidates": same} if row["what"] == OURS else {}))


def summaries(rounds: Sequence[Row]) -> list[Row]:
    """Of each contender the median over the rounds; of the loops also how many times faster the rewriter is."""
    by_title = {
        title: [row for row in rounds if row["what"] == title] for title in dict.fromkeys(map(_what, rounds))
    }
    median = {title: statistics.median(row["per_second"] for row in rows) for title, rows in by_title.items()}
    found = []
    for title, rows in by_title.items():
        row = {
            "kind": "summary",
            "what": title,
            "rounds": len(rows),
            "sentences": rows[0]["sentences"],
            "copies": rows[0]["made"] / rows[0]["sentences"],
            "per_second": median[title],
            "load_most": max(each["load"] for each in rows),
        }
        if title in (EVERY_COPY, ONCE):
            ratios = [
                ours["per_second"] / each["per_second"]
                for ours, each in zip(by_title[OURS], rows, strict=True)
            ]
            row |= {"times_faster": median[OURS] / median[title]}
            row |= {"times_faster_least": min(ratios), "times_faster_most": max(ratios)}
        found.append(row)
    return found


def _what(row: Row) -> str:
    return str(row["what"])


def times_faster(rows: Sequence[Row]) -> float | None:
    """Reads the ratio to the loop over every copy off the row that sums it up."""
    found = (row for row in rows if row["kind"] == "summary" and row["what"] == EVERY_COPY)
    return next((row["times_faster"] for row in found), None)


AIMS = [
    Aim(
        "masked_lm: sentences per second, times the loop's that makes copy after copy",
        times_faster,
        at_least=8,
    )
]

if __name__ == "__main__":
    command.run(main)
