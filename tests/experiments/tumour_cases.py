"""Small examinations in the layouts of the brain-tumour data sets, made on the spot."""

import json

import nibabel as nib
import numpy as np

SHAPE = (22, 24, 20)
AFFINE = np.array([[-2.0, 0, 0, 20], [0, -2.0, 0, 25], [0, 0, 2.0, -18], [0, 0, 0, 1]])
"""First axis to the left, second to posterior, third to superior, as in BraTS."""


def save_nifti(path, values, affine=AFFINE):
    """Write an array as NIfTI; the suffix says whether compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(values), affine), path)
    return path


def ellipsoid(shape, reach):
    """The voxels within an ellipsoid that fills the given share of every axis."""
    axes = [np.linspace(-1, 1, length) / reach for length in shape]
    first, second, third = np.meshgrid(*axes, indexing="ij")
    return first**2 + second**2 + third**2 < 1


def brain(shape=SHAPE, seed=0):
    """Random brightness inside an ellipsoid, 0 outside."""
    values = np.random.default_rng(seed).integers(1, 1000, shape)
    return (values * ellipsoid(shape, 0.9)).astype(np.int16)


def outline(shape=SHAPE, labels=(1, 2, 4)):
    """Boxes of the given labels side by side."""
    values = np.zeros(shape, np.uint8)
    for position, label in enumerate(labels):
        values[8:14, 8 + 2 * position : 10 + 2 * position, 8:14] = label
    return values


def save_brats(
    root,
    name,
    kinds=("flair", "t1", "t1ce", "t2", "seg"),
    separator="_",
    suffix=".nii.gz",
    labels=(1, 2, 4),
    seed=0,
):
    """Write one case of BraTS; its folder."""
    for channel, kind in enumerate(kinds):
        values = outline(labels=labels) if kind == "seg" else brain(seed=[seed, channel])
        save_nifti(root / name / f"{name}{separator}{kind}{suffix}", values)
    return root / name


def save_msd(root, number, channels=4, seed=None):
    """Write one case of Task01 of the Medical Segmentation Decathlon."""
    name = f"BRATS_{number:03d}.nii.gz"
    seed = number if seed is None else seed
    image = np.stack([brain(seed=[seed, channel]) for channel in range(channels)], axis=-1)
    save_nifti(root / "imagesTr" / name, image)
    save_nifti(root / "labelsTr" / name, outline(labels=(1, 2, 3)))
    labels = ["background", "edema", "non-enhancing tumor", "enhancing tumour"]
    table = {
        "modality": dict(zip("0123", ["FLAIR", "T1w", "t1gd", "T2w"], strict=True)),
        "labels": {str(label): name for label, name in enumerate(labels)},
    }
    (root / "dataset.json").write_text(json.dumps(table))
