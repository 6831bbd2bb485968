"""What a better result costs."""

import numpy as np
from numpy.typing import NDArray

from vision.evaluation.results import Study

COSTS = ("seconds", "seconds_per_image", "parameters", "multiply_adds")


def costs(study: Study, model: str, labels: str) -> dict[str, float]:
    """By name of COSTS, mean over seeds: training time and time per image (0 where there is none),
    parameters, multiply-adds of an image."""
    row = study.row(model, labels)
    speed = row["inference_images_per_second"]
    return {name: float(row[name]) for name in COSTS if name in row} | {
        "seconds_per_image": 1 / speed if speed > 0 else 0.0
    }


def front(cost: NDArray[np.float64], merit: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points no other beats: none costs no more and is better, or costs less and is as good
    (the Pareto front).

    Args:
        cost: less is better, [N].
        merit: more is better, [N].
    """
    cheaper, better = cost[None] <= cost[:, None], merit[None] >= merit[:, None]
    strictly = (cost[None] < cost[:, None]) | (merit[None] > merit[:, None])
    beaten = np.any(cheaper & better & strictly, axis=1)
    return np.asarray(~beaten)
