"""The device on which a trained network runs."""

import torch

from experiments.common.errors import UserError

__all__ = ["choose_device"]


def choose_device(name: str) -> torch.device:
    """The device called `name` ("cpu", "cuda", "cuda:1", ...); "auto" is a GPU if there is one.

    Raises:
        UserError: there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason}; use auto, cpu or cuda") from None
    return device
