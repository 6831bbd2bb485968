"""Train one network from random weights: python -m stages.train_scratch MODEL LABELS SEED."""

from stages import entry, training
from vision.params import Scratch


def main() -> str:
    return training.train_run(Scratch)


if __name__ == "__main__":
    entry.run(main)
