"""What a network is trained on, and the device on which a trained one runs."""

import os
from dataclasses import dataclass

import torch

from experiments.command_line.options import Options, check_at_least, counted
from experiments.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class HardwareOptions(Options):
    """What the network is trained on."""

    accelerator: str = "auto"
    """cpu, gpu, mps, ... or auto: the best there is"""
    devices: int = 1
    """devices of a node to train on; -1 = all"""
    nodes: int = 1
    """number of nodes"""
    strategy: str = "auto"
    """how Lightning distributes the work over several devices (auto, ddp, ...)"""

    def check(self) -> None:
        if self.devices != -1:
            check_at_least("devices", self.devices, 1)
        check_at_least("nodes", self.nodes, 1)

    def require_devices(self) -> None:
        """Raises `UserError` if this machine has fewer devices: each gets a process of its own."""
        if torch.cuda.is_available() and self.accelerator in ("auto", "gpu", "cuda"):
            there, what = torch.cuda.device_count(), "GPUs"
        elif self.accelerator in ("auto", "cpu"):
            available = getattr(os, "sched_getaffinity", None)  # not on macOS
            there, what = len(available(0)) if available else os.cpu_count() or 1, "CPU cores"
        else:
            return
        if self.devices > there:
            raise UserError(f"--devices {self.devices}: this machine has {counted(there, what)}")


def choose_device(name: str) -> torch.device:
    """The device called `name` ("cpu", "cuda:1", ...); "auto" is a GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason}; use auto, cpu or cuda") from None
    return device
