"""The schema of params.yaml, and the only reader of it.

Every key is checked before any work starts: an unknown key, a missing one or a value of the wrong
kind is refused with its place in the file and, where there is one, the nearest known key.
"""

from vision.params.data import Data
from vision.params.evaluation import Corruption, Corruptions
from vision.params.models import Finetune, HeadRecipe, Model, Scratch, Transfer, phases
from vision.params.networks import ARGUMENTS, CNN, NETS
from vision.params.optim import (
    SGD,
    Adam,
    Constant,
    Cosine,
    Linear,
    Muon,
    OneCycle,
    Optimizer,
    Plateau,
    Step,
)
from vision.params.reader import Loader, check, load
from vision.params.recipe import Augment, Recipe
from vision.params.runtime import Runtime
from vision.params.section import Section
from vision.params.study import Labels, Params, Run

__all__ = [
    "ARGUMENTS",
    "CNN",
    "NETS",
    "SGD",
    "Adam",
    "Augment",
    "Constant",
    "Corruption",
    "Corruptions",
    "Cosine",
    "Data",
    "Finetune",
    "HeadRecipe",
    "Labels",
    "Linear",
    "Loader",
    "Model",
    "Muon",
    "OneCycle",
    "Optimizer",
    "Params",
    "Plateau",
    "Recipe",
    "Run",
    "Runtime",
    "Scratch",
    "Section",
    "Step",
    "Transfer",
    "check",
    "load",
    "phases",
]
