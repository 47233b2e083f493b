"""The U-Net of escnn and e2cnn: our `models.UNet`, layer by layer, in their modules."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class PeerUNet(nn.Module):
    """Images (B, 3, H, W) -> logits (B, 1, H, W).

    Args:
        modules: the `nn` module of the library.
        convolution: from (type, type, kernel size) to a padded convolution.
        levels: field types from fine to coarse.
        image: the type of the image.
    """

    def __init__(
        self, modules: Any, convolution: Callable[..., Any], levels: list[Any], image: Any
    ) -> None:
        super().__init__()
        self._modules_of_peer, self._convolution, self._image = modules, convolution, image
        first = levels[0]
        self.lift = self._unit(image, first)
        self.encoder, self.down = nn.ModuleList(), nn.ModuleList()
        self.decoder, self.up = nn.ModuleList(), nn.ModuleList()
        previous = first
        for level, inner in enumerate(levels):
            if level:
                self.down.append(modules.PointwiseMaxPool(previous, 2))
            self.encoder.append(self._level(previous, inner))
            previous = inner
        for inner in reversed(levels[:-1]):
            self.up.append(modules.R2Upsampling(previous, 2, align_corners=False))
            self.decoder.append(self._level(inner + previous, inner))
            previous = inner
        self.project = modules.GroupPooling(first)
        self.head = nn.Conv2d(self.project.out_type.size, 1, 1)

    def _unit(self, source: Any, target: Any) -> Any:
        modules = self._modules_of_peer
        return modules.SequentialModule(
            self._convolution(source, target, 3),
            modules.InnerBatchNorm(target),
            modules.ReLU(target, inplace=False),
        )

    def _level(self, source: Any, target: Any) -> Any:
        modules = self._modules_of_peer
        return modules.SequentialModule(self._unit(source, target), self._unit(target, target))

    def forward(self, images: Tensor) -> Tensor:
        modules = self._modules_of_peer
        x = self.lift(modules.GeometricTensor(images, self._image))
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(self.down[level - 1](x) if level else x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(modules.tensor_directsum([skips.pop(), up(x)]))
        logits: Tensor = self.head(self.project(x).tensor)
        return logits
