"""The smallest study that has everything: two nets, a transfer, a few hundred real digits."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.images import class_files, write_folder

ROOT = Path(__file__).parents[1]

STUDY: dict[str, Any] = yaml.safe_load("""
study: tiny
data:
  source: digits
  path: data/source
  image_size: 12
  extra_tests: {phone: phone}
seeds: [0]
labels_per_class: [all]
scratch: [simple_cnn, resnet20]
transfer: [finetuned]
models:
  simple_cnn: {net: simple_cnn, epochs: 2, optimizer: {name: adam, lr: 0.002}}
  resnet20: {net: resnet20, epochs: 1, optimizer: {name: sgd, lr: 0.1}}
  finetuned:
    backbone: backbones/resnet20_cifar10_jpeg
    head: {epochs: 5, optimizer: {name: adam, lr: 0.01}}
    finetune: {layers: 0.3, epochs: 1, optimizer: {name: sgd, lr: 0.05}}
evaluation:
  views: plain
  corruptions: {images: 40, kinds: [contrast], strengths: [5]}
runtime: {device: cpu}
""")


def write_study(folder: Path, study: dict[str, Any]) -> None:
    """Put params.yaml and what a study needs beside it into a folder."""
    (folder / "params.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    for name in ("source", "extra"):
        (folder / "data" / name).mkdir(parents=True, exist_ok=True)
    if "extra_tests" in study["data"]:
        write_folder(folder / "phone", class_files(("3", "7"), each=4))
    backbones = folder / "backbones"
    if not backbones.exists():
        shutil.copytree(ROOT / "backbones", backbones)
