"""A device for tests on machines that have none beside the CPU.

Its tensors say that they are elsewhere, and are computed on the CPU. As on a GPU, an operation on
tensors of two places is an error, and whatever makes the CPU wait for the device is written down.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
"""The one device that torch lets a Python class have gradients on."""


@contextlib.contextmanager
def device() -> "Iterator[Counter[str]]":
    """Let there be DEVICE, and have it be what every run is trained on.

    Yields:
        How often the CPU waited for the device, by what for.
    """
    waits: Counter[str] = Counter()
    make_tensor = torch.tensor

    def tensor(data: Any, *, device: Any = None, **options: Any) -> Tensor:
        made = make_tensor(data, **options)
        return made if device is None else made.to(device)

    with (
        _Elsewhere(waits),
        mock.patch("vision.runtime.device_of", return_value=DEVICE),
        # what torch does without asking the tensors, and cannot do there
        mock.patch("torch.tensor", tensor),
        mock.patch("torch.Generator", _Generator),
        mock.patch("torch.autocast", return_value=contextlib.nullcontext()),
    ):
        yield waits


class _Generator(torch.Generator):
    """Draws on the CPU, wherever it is asked to."""

    def __new__(cls, device: Any) -> "_Generator":
        return super().__new__(cls)


class _There(Tensor):
    """A tensor that is elsewhere."""

    here: Tensor
    waits: "Counter[str]"

    @staticmethod
    def __new__(cls, here: Tensor, waits: "Counter[str]") -> "_There":
        made = Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
        )
        made.here, made.waits = here, waits
        return made

    def tolist(self) -> Any:
        self.waits["tolist"] += 1
        return self.here.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("numpy cannot have a tensor of another device: .cpu() first")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Whoever loads it, loads it to the CPU."""
        return self.here.__reduce_ex__(protocol)

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        first = next(x for x in tree_leaves((args, kwargs)) if isinstance(x, _There))
        return _call(first.waits, func, args, kwargs or {})


class _Elsewhere(TorchDispatchMode):
    """Sees the operations that no tensor of DEVICE is part of yet."""

    def __init__(self, waits: "Counter[str]") -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(self.waits, func, args, kwargs or {})


def _call(waits: "Counter[str]", func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Carry an operation out, on the CPU."""

    def here(value: Any) -> Any:
        return value.here if isinstance(value, _There) else value

    def there(value: Any) -> Any:
        return _There(value, waits) if isinstance(value, Tensor) else value

    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    far = [isinstance(x, _There) for x in tensors]
    wanted = kwargs.get("device")
    ends_there = any(far) if wanted is None else torch.device(wanted) == DEVICE
    name = func._schema.name.removeprefix("aten::")
    match name:
        case "_to_copy" | "copy_":
            ends_there = ends_there if name == "_to_copy" else far[0]
            blocking = True not in (kwargs.get("non_blocking"), *args[2:])
            if ends_there != far[-1] and (blocking or not ends_there):
                waits["copy"] += 1
        case "_local_scalar_dense" if any(far):
            waits["item"] += 1
            ends_there = False
        case "index" | "index_put_" if any(far) and not far[0]:
            raise RuntimeError(f"{name}: indices of another device for a tensor on the CPU")
        case "index" | "index_put_" if any(far) and not all(far):
            waits["copy of indices"] += 1
        case _ if any(far) and any(
            x.ndim for x, is_far in zip(tensors, far, strict=True) if not is_far
        ):
            raise RuntimeError(f"{name}: tensors are on the CPU and on another device")
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = func(*tree_map(here, args), **tree_map(here, kwargs))
    if not ends_there:
        return result
    result = tree_map(there, result)
    return return_and_correct_aliasing(func, args, kwargs, result) if any(far) else result
