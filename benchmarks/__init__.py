"""This project's engine against what a user would otherwise write: `python -m benchmarks`.

Ratios are medians over runs in alternation, each side in a process of its own. It needs torch,
torchvision and timm; what else is missing (data, weights, dvclive) leaves out the benches that
want it, and the table says so.
"""
