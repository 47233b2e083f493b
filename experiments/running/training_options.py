"""What every training is told: which network, how it is trained, and where it is written."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from experiments.command_line.options import check_at_least, check_positive, check_seed
from experiments.running.hardware import HardwareOptions

FREE = ("root", "workers", "max_minutes", *(field.name for field in fields(HardwareOptions)))
"""Options that may change when a run is continued: where it runs, not what it computes."""


@dataclass(frozen=True, kw_only=True)
class CommonOptions(HardwareOptions):
    """How the networks of a study are trained; a study adds those of its data and its networks."""

    max_epochs: int = 100
    """epochs to train; the learning rate falls along half a cosine over them"""
    steps: int = 0
    """updates of the weights, to which the epochs are fitted; 0: max_epochs says how many"""
    validations: int = 0
    """how often to validate, evenly spread over the training; 0: after every epoch"""
    max_minutes: float = 0.0
    """stop after the first epoch that ends later than this; 0 = no limit"""
    patience: int = 0
    """stop after this many validations without a better Dice; 0 = never"""
    learning_rate: float = 3e-3
    """learning rate of AdamW in the first epoch"""
    weight_decay: float = 1e-2
    """weight decay of AdamW"""
    gradient_clip: float = 1.0
    """largest norm of the gradient; 0 = no clipping"""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """number format of the arithmetic"""

    def check(self) -> None:
        check_at_least("max_epochs", self.max_epochs, 1)
        for name in ("steps", "validations", "max_minutes", "patience", "weight_decay"):
            check_at_least(name, getattr(self, name), 0)
        check_at_least("gradient_clip", self.gradient_clip, 0)
        check_positive("learning_rate", self.learning_rate)

    def schedule(self, batches: int) -> tuple[int, int]:
        """Epochs, rounded up to end with a validation, and from one validation to the next."""
        epochs = math.ceil(self.steps / batches) if self.steps else self.max_epochs
        interval = math.ceil(epochs / self.validations) if self.validations else 1
        return math.ceil(epochs / interval) * interval, interval


@dataclass(frozen=True, kw_only=True)
class TrainOptions(CommonOptions):
    """Train one network, or resume an interrupted training."""

    out: Path
    """folder of this run; rerun with the same options, the training is resumed"""
    network: str
    """name of the network"""
    channels: list[int] | None = None
    """widths of the levels of the network. null: the full widths"""
    seed: int = 0
    """of the split, the first weights, the order of the samples and the augmentation"""

    def check(self) -> None:
        check_seed("seed", self.seed)

    def config(self) -> dict[str, Any]:
        """All options but the folder, as recorded in it."""
        return {name: value for name, value in self.to_dict().items() if name != "out"}
