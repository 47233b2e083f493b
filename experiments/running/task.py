"""The segmentation task: a network, its loss, its validation score and its optimiser."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
from monai.inferers.utils import sliding_window_inference
from monai.losses.dice import DiceLoss
from monai.metrics.meandice import compute_dice
from torch import Tensor, nn


class SegmentationTask(pl.LightningModule):
    """Trains `network` to segment: Dice loss plus binary cross-entropy, one sigmoid per channel.

    A sigmoid for each channel, rather than a softmax over them, serves one class and overlapping
    regions alike, in any number of dimensions. The loss is the mean of the soft Dice loss over
    images and channels (Milletari et al., V-Net, 2016) plus the mean binary cross-entropy over
    pixels. AdamW's learning rate falls along half a cosine, to zero after the last epoch.
    Images larger than `window` are validated through overlapping windows of this edge.
    """

    def __init__(
        self,
        network: nn.Module,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        max_epochs: int = 100,
        window: int | None = None,
    ) -> None:
        super().__init__()
        self.network, self.window, self.max_epochs = network, window, max_epochs
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        # Empty masks are common in some data: a zero in both terms of the fraction counts as right.
        self.dice_loss = DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)
        self.cross_entropy = nn.BCEWithLogitsLoss()

    def forward(self, image: Tensor) -> Tensor:
        """Logits `(batch, classes, *space)` of `image` `(batch, channels, *space)`."""
        return self.network(image)

    def loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Dice loss plus cross-entropy, a scalar; in float32 whatever the network computes in."""
        logits = logits.float()
        return self.dice_loss(logits, mask) + self.cross_entropy(logits, mask)

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor:
        """The loss of a batch with `image` `(batch, channels, *space)` and `mask` in {0, 1}."""
        loss = self.loss(self(batch["image"]), batch["mask"])
        self._log({"train/loss": loss}, batch)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        """Logs the loss and the mean Dice per image; an empty mask left empty scores 1."""
        image, mask = batch["image"], batch["mask"]
        if self.window is None or max(image.shape[2:]) <= self.window:
            logits = self(image)
        else:
            edges = [min(self.window, edge) for edge in image.shape[2:]]
            logits = torch.as_tensor(sliding_window_inference(image, edges, 1, self))
        dice = compute_dice((logits > 0).float(), mask, ignore_empty=False).mean()
        self._log({"validation/loss": self.loss(logits, mask)}, batch)
        # One figure fits beside the progress bar of an ordinary terminal.
        self._log({"validation/dice": dice}, batch, shown=True)

    def configure_optimizers(self) -> Any:
        """AdamW, and the cosine stepped once an epoch."""
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )

        def cosine(epoch: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / self.max_epochs)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, cosine)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule}}

    def _log(self, values: dict[str, Tensor], batch: dict[str, Any], shown: bool = False) -> None:
        options: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": True}
        self.log_dict(values, prog_bar=shown, batch_size=len(batch["image"]), **options)
