"""What a user would otherwise write: the training loop of a tutorial, with torchvision."""

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.processes import synchronize
from vision.nets import BODIES
from vision.params import SGD, Scratch
from vision.prepared import Manifest

WORKERS = 2


def images_per_second(folder: Path, manifest: Manifest, model: Scratch, seed: int) -> float:
    """Speed of one epoch in fp32 over the images of a folder, with the model's net, optimizer and
    augmentation (its crop and flip).

    The first batch, for which the workers start, is not counted.
    """
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomCrop(
                (manifest.height, manifest.width), model.augment.crop, padding_mode="reflect"
            ),
            v2.RandomHorizontalFlip(0.5 if model.augment.flip else 0.0),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(manifest.mean, manifest.std),
        ]
    )
    loader = DataLoader(
        ImageFolder(str(folder), transform),
        model.batch_size,
        shuffle=True,
        num_workers=WORKERS,
        pin_memory=device.type == "cuda",
        drop_last=True,
    )
    body = BODIES[model.net](3, manifest.height, manifest.width)
    net = nn.Sequential(body, nn.LazyLinear(len(manifest.classes))).to(device)
    choice = model.optimizer
    assert isinstance(choice, SGD)
    optimizer = torch.optim.SGD(
        net.parameters(),
        choice.lr,
        choice.momentum,
        weight_decay=choice.weight_decay,
        nesterov=choice.nesterov,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, choice.lr, total_steps=len(loader) + 1
    )
    net.train()
    for step, (images, labels) in enumerate(loader):
        if step == 1:
            synchronize(device)
            started = time.perf_counter()
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    synchronize(device)
    return (len(loader) - 1) * model.batch_size / (time.perf_counter() - started)
