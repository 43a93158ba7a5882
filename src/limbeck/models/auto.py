"""Making transformers know Limbeck's students, whichever of the two is imported first, and importing neither.

``AutoConfig`` and the ``AutoModelFor...`` classes each live in a module of transformers. Where that
module is loaded already, the students are registered at once; else a finder on ``sys.meta_path`` waits for
it, and registers them as soon as it is loaded. (Names of modules are strings here, so that ``import limbeck``
stays light.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

CONFIGS = "limbeck.models.configs"
STUDENTS = {
    "BiLSTMConfig": ("limbeck.models.bilstm", "BiLSTMForSequenceClassification"),
    "BiLSTMTaggerConfig": ("limbeck.models.taggers.bilstm", "BiLSTMForTokenClassification"),
    "ForestConfig": ("limbeck.models.forest", "ForestForSequenceClassification"),
    "InatConfig": ("limbeck.models.translators.inat", "InatForSeq2SeqLM"),
    "InsertionConfig": ("limbeck.models.translators.insertion", "InsertionForSeq2SeqLM"),
    "LevenshteinConfig": ("limbeck.models.translators.levenshtein", "LevenshteinForSeq2SeqLM"),
    "MasktConfig": ("limbeck.models.translators.maskt", "MasktForSeq2SeqLM"),
    "SiameseConfig": ("limbeck.models.siamese", "SiameseForSequenceClassification"),
    "StaticConfig": ("limbeck.models.static", "StaticForSequenceClassification"),
    "TransformerTaggerConfig": ("limbeck.models.taggers.transformer", "TransformerForTokenClassification"),
    "VanillaConfig": ("limbeck.models.translators.vanilla", "VanillaForSeq2SeqLM"),
}
"""Configuration class to module and class of the model."""


def register() -> None:
    """Tell transformers' Auto classes about all students, now; calling it again does no harm."""
    for module in AFTER:
        import_module(module)
    register_configs()
    register_models()


def register_when_imported() -> None:
    """Register with what transformers has loaded, and with the rest when it is loaded."""
    for module, action in AFTER.items():
        if module in sys.modules:
            action()
    if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


def register_configs() -> None:
    """Tell ``AutoConfig`` about the students' configurations."""
    auto = import_module("transformers.models.auto.configuration_auto")
    for name in STUDENTS:
        config = getattr(import_module(CONFIGS), name)
        auto.AutoConfig.register(config.model_type, config, exist_ok=True)


def register_models() -> None:
    """Tell the Auto class of each student's task about it; without PyTorch, nothing.

    What a model's class says after its last ``For`` names the Auto class: ``AutoModelForTokenClassification``, say.
    """
    if find_spec("torch") is None:
        return
    auto = import_module("transformers.models.auto.modeling_auto")
    for name, (module, model) in STUDENTS.items():
        config = getattr(import_module(CONFIGS), name)
        auto_class = getattr(auto, f"AutoModelFor{model.rpartition('For')[2]}")
        auto_class.register(config, getattr(import_module(module), model), exist_ok=True)


AFTER: dict[str, Callable[[], None]] = {
    "transformers.models.auto.configuration_auto": register_configs,
    "transformers.models.auto.modeling_auto": register_models,
}
"""Module of transformers to what is registered after it is loaded."""


class _AfterImport(MetaPathFinder):
    """Lets others find a module, and has something done once it is executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in AFTER:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_then_register(module: ModuleType) -> None:
            execute(module)
            AFTER[fullname]()

        # The loader is made anew for every spec, so nobody else sees this one's method.
        spec.loader.exec_module = execute_then_register  # type: ignore[method-assign]
        return spec
