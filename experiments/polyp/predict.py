"""Masks for a folder of images, by a trained network, at the size of the images."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track
from torch import nn
from torch.nn import functional

from experiments.common.errors import UserError
from experiments.common.files import write_atomically
from experiments.common.inference import probabilities
from experiments.data.images import SUFFIXES, Pixels, read_image
from experiments.polyp.pictures import PREDICTION, tinted
from experiments.running.checkpoints import load_network
from experiments.running.hardware import choose_device

__all__ = ["predict_folder", "predict_mask"]


def predict_folder(
    checkpoint: Path | str,
    images: Path | str,
    out: Path | str,
    overwrite: bool = False,
    device: str = "auto",
) -> list[Path]:
    """Writes `<name>_mask.png` (0 and 255) and `<name>_overlay.png` for every image of a folder.

    Args:
        checkpoint: a run folder or a checkpoint file.
        images: a folder with images of any size.
        out: where to write; made if it is not there.
        overwrite: replace files of an earlier prediction.
        device: cpu, cuda, ... or auto.

    Returns:
        The masks written.

    Raises:
        UserError: there is nothing to do, a file would be overwritten or, after all others are
            done, some image could not be read; each is named on stderr as it comes.
    """
    images, out = Path(images), Path(out)
    files = _find(images)
    _check_targets(files, images, out, overwrite)
    where = choose_device(device)
    network, options = load_network(checkpoint)
    network.to(where)
    written: list[Path] = []
    failed: list[Path] = []
    for file in track(files, "predicting", transient=True, disable=not sys.stdout.isatty()):
        try:
            pixels = read_image(file)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            failed.append(file)
            continue
        mask = predict_mask(network, pixels, int(options["size"]), where)
        mask_file, overlay_file = _targets(file, out)
        write_atomically(overlay_file, _png(_overlay(pixels, mask)))
        write_atomically(mask_file, _png(mask.astype(np.uint8) * 255))
        written.append(mask_file)
    if failed:
        raise UserError(
            f"{len(failed)} of {len(files)} images could not be read "
            f"({', '.join(file.name for file in failed)}); the masks of the others are in {out}"
        )
    return written


def predict_mask(
    network: nn.Module, image: Pixels, size: int, device: torch.device
) -> NDArray[np.bool_]:
    """The mask (H, W) of an image (H, W, 3) of any size.

    The image is resized to the `size` of the training just as the training images were; the
    probabilities are brought back to (H, W), linearly, before they are cut at one half.
    """
    small = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    batch = torch.from_numpy(np.asarray(small).copy()).movedim(-1, 0)[None].float() / 255
    probability = probabilities(network, batch.to(device))
    full = functional.interpolate(probability, image.shape[:2], mode="bilinear", antialias=True)
    mask: NDArray[np.bool_] = (full[0, 0] > 0.5).cpu().numpy()
    return mask


def _find(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of images")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file())
    if not files:
        raise UserError(f"{folder} holds no images ({', '.join(SUFFIXES)})")
    return files


def _targets(file: Path, out: Path) -> tuple[Path, Path]:
    return out / f"{file.stem}_mask.png", out / f"{file.stem}_overlay.png"


def _check_targets(files: Sequence[Path], images: Path, out: Path, overwrite: bool) -> None:
    """Everything that can go wrong with the output is found before anything is written."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a folder for the masks")
    if out.resolve() == images.resolve():
        raise UserError(f"{out} is the folder of the images: name another one for the masks")
    sources: dict[Path, Path] = {}
    for file in files:
        for target in _targets(file, out):
            if target in sources:
                raise UserError(
                    f"{sources[target]} and {file} would both be written to {target}: rename one"
                )
            sources[target] = file
            if target.exists() and not overwrite:
                raise UserError(
                    f"{target} is there already: name another folder, or add --overwrite true"
                )


def _overlay(image: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    width = max(1, round(min(mask.shape) / 200))
    pixels: Pixels = np.rint(255 * tinted(image / 255, mask, PREDICTION, width)).astype(np.uint8)
    return pixels


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
