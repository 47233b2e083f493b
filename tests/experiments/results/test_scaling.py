"""The scale study: right scores by both protocols, and 1 where a network commutes with scaling."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from torch import Tensor

from experiments.data.cases import Sample
from experiments.results.frames import TRUTH
from experiments.tumour.scaling import commutation, measure_scaling, zoom_mask
from gcnn.geometry import zoom

PROTOCOLS = ("resampled", "spacing")


def volume(name: str = "case", radius: float = 9.0, spacing: float = 1.0) -> Sample:
    """A bright ball in a grey one in air, and its mask; both about the centre of the grid."""
    shape = (32, 36, 40)
    axes = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * spacing for n in shape), indexing="ij")
    distance = np.sqrt(sum(a**2 for a in axes))
    rng = np.random.default_rng(0)
    image = np.where(distance < 15, 1.0 + 0.01 * rng.standard_normal(shape), 0.0)
    image[distance < radius] += 4.0
    affine = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0], dtype=torch.float64))
    mask = torch.from_numpy((distance < radius)[None].astype(np.uint8))
    return Sample(name, MetaTensor(torch.from_numpy(image[None]).float(), affine), mask)


def bright(image: Tensor) -> Tensor:
    """Marks what is bright, wherever and however large it is."""
    return torch.sigmoid(8 * (image[:1] - image.max() / 3))


def small(image: Tensor) -> Tensor:
    """Marks a ball of one size in voxels about the centre, whatever it sees."""
    axes = [torch.arange(n) - (n - 1) / 2 for n in image.shape[1:]]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    return torch.sigmoid(9.0 - distance)[None]


def measure(segment: Any, *volumes: Sample, spacing: float = 1.0, scales: Any = (0.7, 1.0)) -> Any:
    return measure_scaling(segment, volumes, ["whole"], spacing, scales)[0]


def values(table: pd.DataFrame, protocol: str, metric: str) -> list[float]:
    """Of one metric at every scale and case."""
    chosen = table[(table["protocol"] == protocol) & (table["metric"] == metric)]
    return chosen["value"].tolist()


def test_a_network_that_sees_brightness_alone_is_as_good_at_every_scale() -> None:
    table = measure(bright, volume(), scales=(0.7, 0.9, 1.0))
    for protocol in PROTOCOLS:
        dice = values(table, protocol, "dice")
        assert min(dice) > 0.93 and dice[2] > 0.99
    assert min(values(table, "commutation", "agreement")) > 0.96


def test_a_network_that_knows_one_size_loses_as_the_ratio_of_the_volumes_says() -> None:
    table = measure(small, volume())
    lost = 2 * 0.7**3 / (1 + 0.7**3)
    for protocol in PROTOCOLS:
        assert values(table, protocol, "dice") == pytest.approx([lost, 1.0], abs=0.04)
    assert values(table, "commutation", "agreement")[0] == pytest.approx(lost, abs=0.04)
    # It marks all of the smaller ball and more, or less than all of the larger one.
    assert values(table, "resampled", "recall") == pytest.approx([1.0, 1.0], abs=0.01)
    assert values(table, "resampled", "precision") == pytest.approx([0.7**3, 1.0], abs=0.04)


def test_distances_are_in_millimetres_of_the_scaled_and_of_the_original_patient() -> None:
    table = measure(small, volume(), scales=(0.7,))
    resampled, spacing = (values(table, p, "hausdorff_95")[0] for p in PROTOCOLS)
    assert resampled == pytest.approx(9 - 0.7 * 9, abs=0.8)
    assert spacing == pytest.approx(9 / 0.7 - 9, abs=0.8)


def test_the_spacing_protocol_compares_on_the_voxels_of_the_volume_as_it_came() -> None:
    seen: list[tuple[int, ...]] = []

    def watching(image: Tensor) -> Tensor:
        seen.append(tuple(image.shape))
        return bright(image)

    table = measure(watching, volume(), spacing=2.0, scales=(0.5, 1.0))
    # The head has 30 voxels of 1 mm, seen at 2 mm and at 4 mm.
    assert sorted(seen) == [(1, 8, 8, 8), (1, 9, 9, 9), (1, 15, 15, 15)]
    assert values(table, "spacing", "dice")[1] > 0.95


def test_there_is_a_row_for_every_case_scale_protocol_and_metric() -> None:
    cases = [volume("a", 5.0), volume("b", 9.0)]
    table, frames = measure_scaling(bright, cases, ["whole"], 1.0, (0.8, 1.0))
    counts = table.groupby(["protocol", "metric"])[["case", "at"]].apply(
        lambda rows: len(rows.drop_duplicates())
    )
    assert set(counts) == {4}
    assert len(counts) == 2 * 7 + 3
    assert frames.case == "a" and len(frames.pictures) == 2 * len(frames.sliders["slice"])
    assert frames.said[frames.start].startswith("scale 1, slice at ")


@pytest.mark.parametrize("scale", [0.5, 1.5, 4.0])
def test_frames_show_the_same_places_of_the_patient_at_every_scale(scale: float) -> None:
    frames = measure_scaling(bright, [volume()], ["whole"], 1.0, (1.0, scale))[1]
    ends = [index for index, said in enumerate(frames.said) if said.startswith(f"scale {scale:g},")]
    outlined = [
        any(colour == TRUTH for _, colour in frames.pictures[i].getcolors(1 << 16)) for i in ends
    ]
    # The ball is in the middle of the head; larger than the frame, it has no outline.
    assert not outlined[0] and not outlined[-1]
    assert any(outlined) or scale == 4


def test_nothing_found_of_what_is_there_and_an_absent_region_are_told_apart() -> None:
    empty = volume("empty", radius=0.0)
    table = measure(torch.zeros_like, volume(), empty)
    found = table[(table["metric"] == "found") & (table["protocol"] == "spacing")]
    assert (found["value"] == 0).all()
    assert dict(zip(found["case"], found["present"], strict=True)) == {"case": True, "empty": False}
    assert all(map(math.isnan, values(table, "commutation", "agreement")))


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.0])
def test_probabilities_that_scale_with_the_volume_commute(factor: float) -> None:
    still = bright(volume().values)
    found = commutation(zoom(still, factor, dim=3).clamp(0, 1), still, factor)
    assert found["error"].item() == pytest.approx(0, abs=1e-6) and found["agreement"].item() == 1
    assert (found["floor"].item() == 0) == (factor == 1) and found["floor"].item() < 0.12


def test_the_error_of_a_network_that_finds_nothing_at_one_scale_is_two() -> None:
    still = bright(volume().values)
    found = commutation(torch.zeros_like(zoom(still, 0.8, dim=3)), still, 0.8)
    assert found["error"].item() == pytest.approx(2.0) and found["agreement"].item() == 0


def test_the_volume_of_a_scaled_ball_is_that_of_the_smaller_ball() -> None:
    axis = torch.arange(48) - 23.5
    squares = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    ball = (squares <= 15.0**2).to(torch.uint8)[None]
    scaled = zoom_mask(ball, 0.8)
    assert scaled.dtype == torch.uint8 and set(scaled.unique().tolist()) == {0, 1}
    assert scaled.sum().item() == pytest.approx(4 / 3 * math.pi * 12.0**3, rel=0.02)


def test_nested_masks_stay_nested() -> None:
    generator = torch.Generator().manual_seed(0)
    outer = (torch.rand(1, 16, 16, 16, generator=generator) > 0.4).to(torch.uint8)
    inner = outer * (torch.rand(1, 16, 16, 16, generator=generator) > 0.4).to(torch.uint8)
    assert bool((zoom_mask(inner, 0.7) <= zoom_mask(outer, 0.7)).all())


def test_a_volume_without_a_mask_is_refused() -> None:
    bare = Sample("case", volume().image, None)
    with pytest.raises(ValueError, match="case has no segmentation"):
        measure(bright, bare)
