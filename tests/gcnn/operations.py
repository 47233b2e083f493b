"""Counting the operations that go over whole feature maps."""

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Passes(TorchDispatchMode):
    """Collects the names of operations that give as many numbers as a feature map, or more.

    Args:
        size: how many numbers.
    """

    def __init__(self, size):
        super().__init__()
        self.size, self.names = size, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else (result,)
        if not function.is_view and any(
            isinstance(tensor, Tensor) and tensor.numel() >= self.size for tensor in results
        ):
            self.names.append(function.overloadpacket.__name__)
        return result
