"""What is learned: classes or a number. Losses and the score by which models are chosen."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vision.params import Recipe
from vision.prepared import Manifest

REGRESSION_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    "huber": F.huber_loss,
}


@dataclass(frozen=True)
class Task:
    """Classification (outputs are logits [N, K], targets int64 [N], score is accuracy) or
    regression (outputs [N, 1] and targets [N] standardised, score is MAE in the target's unit)."""

    kind: str
    outputs: int
    target_mean: float = 0.0
    target_std: float = 1.0
    weights: Tensor | None = None
    """Of each class in the training loss, float32 [K], 1 on average over the training images."""

    @property
    def classification(self) -> bool:
        return self.kind == "classification"

    def mixed(self, targets: Tensor, share: Tensor) -> Tensor:
        """Targets of images that are mixed with the one before them in the batch.

        Args:
            share: of the other image, float32 [B].

        Returns:
            Probabilities float32 [B, K], or numbers float32 [B].
        """
        if self.classification:
            targets = F.one_hot(targets, self.outputs).float()
            share = share[:, None]
        return torch.lerp(targets, targets.roll(1, 0), share)

    def balanced(self, targets: Tensor) -> "Task":
        """The same, with classes weighted by the inverse of their share in `targets`, int64 [N]."""
        counts = torch.bincount(targets, minlength=self.outputs)
        present = (counts > 0).sum()
        weights = len(targets) / (present * counts.clamp(min=1)).float()
        return replace(self, weights=weights)

    def training_loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        """Mean loss of a batch, a scalar with gradient; targets may be mixed ones."""
        if not self.classification:
            return REGRESSION_LOSSES[recipe.loss or "l2"](outputs[:, 0], targets)
        smoothing = recipe.label_smoothing
        if self.weights is None:
            return F.cross_entropy(outputs, targets, label_smoothing=smoothing)
        # torch's own weights make what label smoothing gives to rare classes count many times, and
        # its mean divides by the batch's weights, which parts of a batch differ in
        losses = F.cross_entropy(outputs, targets, reduction="none", label_smoothing=smoothing)
        mixed = targets.is_floating_point()
        return (losses * (targets @ self.weights if mixed else self.weights[targets])).mean()

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        """As in training, without label smoothing and class weights."""
        plain = recipe.model_copy(update={"label_smoothing": 0.0})
        return replace(self, weights=None).training_loss(outputs, targets, plain)

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Accuracy (0..1) or mean absolute error (in the target's unit), a scalar."""
        if self.classification:
            return (outputs.argmax(1) == targets).float().mean()
        return (outputs[:, 0] - targets).abs().mean() * self.target_std

    def merit(self, score: float, loss: float) -> tuple[float, float]:
        """A key that is larger for the better model: by score, and by loss among equals."""
        return (score if self.classification else -score), -loss

    def in_unit(self, outputs: Tensor) -> Tensor:
        """Logits as they are; numbers in the target's unit."""
        return outputs if self.classification else outputs * self.target_std + self.target_mean


def of(manifest: Manifest) -> Task:
    """The task of a prepared data set."""
    if manifest.task == "classification":
        return Task("classification", len(manifest.classes))
    assert manifest.target_mean is not None
    assert manifest.target_std is not None
    return Task("regression", 1, manifest.target_mean, manifest.target_std)
