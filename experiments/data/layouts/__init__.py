"""Which files of a folder belong together, layout by layout.

folder, kvasir, clinicdb   images, and masks of the same names
brats                      a folder per case, a file per modality
msd                        any task of the Medical Segmentation Decathlon
nnunet                     the raw format of nnU-Net, images or volumes
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.common.errors import UserError
from experiments.data.cases import Source
from experiments.data.layouts import brats, decathlon, folder, nnunet


def find(layout: str, root: Path, channels: Sequence[str] | None = None) -> Source:
    """The cases of a data set in the folder where it was unpacked.

    Channels are the names of the modalities to use, in this order; None takes all that there are.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder where {layout} was unpacked")
    if layout in folder.LAYOUTS:
        return folder.find(layout, root)
    finders = {"brats": brats.find, "msd": decathlon.find, "nnunet": nnunet.find}
    return finders[layout](root, None if channels is None else brats.modality_names(channels))
