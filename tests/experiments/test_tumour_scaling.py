"""The scale study: right scores by both protocols, and 1 where a network commutes with scaling."""

import math

import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from torch import Tensor

from experiments.data.cases import Sample
from experiments.tumour.commutation import commutation
from experiments.tumour.scaling import (
    MEAN,
    METRICS,
    PROTOCOLS,
    CaseScore,
    scale_study,
    score,
    statistics_of,
    zoom_mask,
)
from gcnn.geometry import zoom


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


def test_a_network_that_sees_brightness_alone_is_as_good_at_every_scale() -> None:
    study = scale_study(bright, [volume()], ["whole"], 1.0, (0.7, 0.9, 1.0))
    for protocol in PROTOCOLS:
        dice = [row[0] for row in study.values(protocol, "dice")["whole"]]
        assert min(dice) > 0.93
        assert dice[2] > 0.99
    assert min(row[0].agreement for row in study.commutations) > 0.96


def test_a_network_that_knows_one_size_loses_as_the_ratio_of_the_volumes_says() -> None:
    study = scale_study(small, [volume()], ["whole"], 1.0, (0.7, 1.0))
    lost = 2 * 0.7**3 / (1 + 0.7**3)
    for protocol in PROTOCOLS:
        dice = [row[0] for row in study.values(protocol, "dice")["whole"]]
        assert dice == pytest.approx([lost, 1.0], abs=0.04)
    assert study.commutations[0][0].agreement == pytest.approx(lost, abs=0.04)


def test_distances_are_in_millimetres_of_the_scaled_and_of_the_original_patient() -> None:
    coarse = volume(radius=18.0 / 2, spacing=2.0 / 2)
    study = scale_study(small, [coarse], ["whole"], 1.0, (0.7,))
    resampled, spacing = (study.values(p, "hausdorff_95")["whole"][0][0] for p in PROTOCOLS)
    assert resampled == pytest.approx(9 - 0.7 * 9, abs=0.8)
    assert spacing == pytest.approx(9 / 0.7 - 9, abs=0.8)


def test_the_spacing_protocol_compares_on_the_voxels_of_the_volume_as_it_came() -> None:
    seen: list[tuple[int, ...]] = []

    def watching(image: Tensor) -> Tensor:
        seen.append(tuple(image.shape))
        return bright(image)

    fine = volume()
    study = scale_study(watching, [fine], ["whole"], 2.0, (0.5, 1.0))
    # The head has 30 voxels of 1 mm, seen at 2 mm and at 4 mm.
    assert seen == [(1, 15, 15, 15), (1, 9, 9, 9), (1, 8, 8, 8)]
    assert study.values("spacing", "dice")["whole"][1][0] > 0.95


def test_scores_are_kept_by_case_and_scale_and_region() -> None:
    cases = [volume("a", 5.0), volume("b", 9.0)]
    ticks: list[None] = []
    study = scale_study(bright, cases, ["whole"], 1.0, (0.8, 1.0), lambda: ticks.append(None))
    plain = study.to_dict()
    assert plain["images"] == ["a", "b"] and plain["scales"] == [0.8, 1.0]
    assert len(ticks) == 4
    for protocol in PROTOCOLS:
        part = plain["protocols"][protocol]
        assert set(part["values"]) == set(METRICS)
        rows = part["values"]["dice"]["whole"]
        assert np.shape(rows) == (2, 2) and rows == part["values"]["dice"][MEAN]
        assert part["statistics"]["dice"]["whole"][0]["mean"] == pytest.approx(np.mean(rows[0]))
        assert part["missed"] == {"whole": [0, 0]}
    assert np.shape(plain["equivariance"]["values"]["error"]) == (2, 2)


def test_a_tumour_of_which_nothing_was_found_is_counted() -> None:
    study = scale_study(torch.zeros_like, [volume()], ["whole"], 1.0, (0.9, 1.0))
    assert study.missed("resampled") == study.missed("spacing") == {"whole": [1, 1]}
    assert math.isnan(study.commutations[0][0].agreement)
    statistics = study.to_dict()["equivariance"]["statistics"]["agreement"]
    assert statistics[0]["mean"] is None


def test_regions_are_scored_apart_and_averaged() -> None:
    truth = torch.zeros(2, 4, 4, 4)
    truth[:, 1:3] = 1
    probability = truth * 0.9
    probability[1, 2] = 0.1
    found = score(probability, truth, (1.0, 1.0, 1.0))
    assert found.values["dice"] == pytest.approx((1.0, 2 * 16 / (16 + 32)))
    assert found.mean("dice") == pytest.approx((1 + 2 / 3) / 2)
    assert found.values["soft_dice"][0] == pytest.approx(2 * 0.9 / 1.9)
    assert found == CaseScore(found.values, (True, True), (True, True))


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.0])
def test_probabilities_that_scale_with_the_volume_commute(factor: float) -> None:
    still = bright(volume().values)
    found = commutation(zoom(still, factor, dim=3).clamp(0, 1), still, factor)
    assert found.error == pytest.approx(0, abs=1e-6) and found.agreement == 1
    assert (found.floor == 0) == (factor == 1) and found.floor < 0.12


def test_the_error_of_a_network_that_finds_nothing_at_one_scale_is_two() -> None:
    still = bright(volume().values)
    found = commutation(torch.zeros_like(zoom(still, 0.8, dim=3)), still, 0.8)
    assert found.error == pytest.approx(2.0) and found.agreement == 0


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


def test_what_cannot_be_studied_is_refused() -> None:
    with pytest.raises(ValueError, match="name at least one"):
        scale_study(bright, [volume()], ["whole"], 1.0, ())
    with pytest.raises(ValueError, match=r"scales \[0.0\]"):
        scale_study(bright, [volume()], ["whole"], 1.0, (0.0,))
    one = volume()
    bare = Sample(one.name, one.image, None)
    with pytest.raises(ValueError, match="case has no segmentation"):
        scale_study(bright, [bare], ["whole"], 1.0)


def test_statistics_leave_out_what_is_unknown() -> None:
    found = statistics_of([1.0, math.nan, 3.0])
    assert (found["mean"], found["minimum"], found["maximum"]) == (2.0, 1.0, 3.0)
    assert found["std"] == pytest.approx(math.sqrt(2))
    assert statistics_of([math.nan])["median"] is None
