"""Train one pretrained network further: python -m stages.train_transfer MODEL LABELS SEED."""

from stages import entry, training
from vision.params import Transfer


def main() -> str:
    return training.train_run(Transfer)


if __name__ == "__main__":
    entry.run(main)
