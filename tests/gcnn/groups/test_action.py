"""The action on images and on feature maps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcnn import groups
from tests.gcnn.cases import CLOSED, SCALED, SCALES, WITHOUT_PRODUCTS, Blobs, cube, exact_elements

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 5))
P4, P4M, C8 = groups.P4(), groups.P4M(), groups.SE2(8)
EXACT = (P4, P4M, groups.SE2(4), cube())


def features(group, *size, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, group.order, *size, generator=generator, dtype=dtype)


@given(size=SIZES, quarters=st.integers(0, 3))
def test_turning_a_feature_map_by_90_degrees_rolls_the_orientations(size, quarters):
    f = features(P4, *size)
    expected = torch.rot90(f, quarters, (-2, -1)).roll(quarters, dims=2)
    assert torch.equal(P4.act(f, quarters), expected)


@given(size=SIZES, quarters=st.integers(0, 3))
def test_turning_an_image_by_90_degrees_is_rot90(size, quarters):
    image = features(P4, *size)[:, :, 0]
    expected = torch.rot90(image, quarters, (-2, -1))
    assert torch.equal(P4.act(image, quarters), expected)
    assert torch.equal(C8.act(image, 2 * quarters), expected)


@given(size=SIZES)
def test_mirroring_a_feature_map_flips_space_and_swaps_turns_with_mirrored_turns(size):
    f = features(P4M, *size)
    # The left-right mirror m takes turn r_k to m r_k = r_-k m: element 4 + (-k mod 4), and back.
    mirror = 4
    sources = [4, 7, 6, 5, 0, 3, 2, 1]
    assert torch.equal(P4M.act(f, mirror), f[:, :, sources].flip(-1))


@settings(max_examples=60)
@given(
    group=st.sampled_from(EXACT),
    elements=st.tuples(st.integers(0, 23), st.integers(0, 23)),
    size=st.tuples(*(st.integers(1, 4),) * 3),
    on_features=st.booleans(),
)
def test_the_action_is_a_homomorphism_on_any_shape(group, elements, size, on_features):
    one, other = (element % group.order for element in elements)
    f = features(group, *size[: group.dim])
    f = f if on_features else f[:, :, 0]
    both = group.act(group.act(f, other), one)
    assert torch.equal(both, group.act(f, int(group.product[one, other])))


@pytest.mark.parametrize("group", CLOSED, ids=repr)
def test_the_identity_moves_nothing(group):
    f = features(group, *(3,) * group.dim)
    assert torch.equal(group.act(f, group.identity), f)


@pytest.mark.parametrize("group", CLOSED, ids=repr)
def test_an_exact_element_and_its_inverse_undo_each_other(group):
    f = features(group, *range(3, 3 + group.dim))
    for element in exact_elements(group):
        moved = group.act(f, element)
        assert torch.equal(group.act(moved, int(group.inverse[element])), f)


@pytest.mark.parametrize("group", [*CLOSED, SCALED, *SCALES, WITHOUT_PRODUCTS], ids=repr)
def test_every_slice_of_a_feature_map_moves_as_an_image_from_the_element_before(group):
    f = features(group, *(5,) * group.dim)
    for h in range(group.order):
        moved = group.act(f, h, "linear")
        for target in range(group.order):
            before = torch.linalg.inv(group.matrices[h]) @ group.matrices[target]
            source = [
                k for k, m in enumerate(group.matrices) if torch.allclose(m, before, atol=1e-6)
            ]
            expected = group.act(f[:, :, source[0]], h, "linear") if source else 0 * f[:, :, 0]
            torch.testing.assert_close(moved[:, :, target], expected, atol=1e-12, rtol=0)


def test_scaling_up_moves_features_to_coarser_scales_and_brings_zeros_from_outside():
    f = features(SCALED, 5, 5)
    moved = SCALED.act(f, 1, "nearest")
    assert not moved[:, :, 0].any()
    assert torch.equal(moved[:, :, 1], SCALED.act(f[:, :, 0], 1, "nearest"))
    assert torch.equal(moved[:, :, 2], SCALED.act(f[:, :, 1], 1, "nearest"))


def test_turning_between_the_grid_angles_is_accurate_on_smooth_images():
    blobs, group = Blobs(), groups.SE2(12)
    turned, inside = blobs.image(30), blobs.disc()
    error = ((group.act(blobs.image(), 1) - turned) * inside).norm() / (turned * inside).norm()
    assert error < 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("element", [1, 2])
def test_the_action_keeps_the_dtype(dtype, element):
    f = features(C8, 6, 6).to(dtype)
    assert C8.act(f, element).dtype == dtype


INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
SCALING = groups.ScaleTranslation([1.0, 0.8])


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("group", [C8, SCALING, groups.Dihedral(3)], ids=repr)
def test_integers_move_as_floating_point_does_and_are_rounded(dtype, group):
    values = (120 * features(group, 7, 7)).round()
    expected = group.act(values, 1).round().clamp(min=torch.iinfo(dtype).min, max=127)
    moved = group.act(values.to(dtype), 1)
    assert moved.dtype == dtype
    assert torch.equal(moved.double().clamp(max=127), expected)
    assert moved.any()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_splines_that_overshoot_stay_at_the_ends_of_a_dtype(dtype):
    limits = torch.iinfo(dtype)
    image = torch.full((1, 1, 9, 9), limits.min, dtype=torch.float64).to(dtype)
    image[..., 3:6, 3:6] = torch.tensor(limits.max, dtype=dtype)
    exact = image.double()
    moved, overshooting = C8.act(image, 1), C8.act(exact, 1)
    assert overshooting.max() > exact.max() and overshooting.min() < exact.min()
    span = float(limits.max) - float(limits.min)
    expected = overshooting.clamp(float(limits.min), float(limits.max))
    assert (moved.double() - expected).abs().max() <= max(0.5, 1e-12 * span)


@pytest.mark.parametrize("dtype", [*INTEGERS, torch.bool, torch.complex128])
def test_exact_elements_are_exact_in_any_dtype(dtype):
    values = 2 * features(P4, 3, 4)
    f = values > 1 if dtype == torch.bool else (100 * values).to(dtype)
    expected = torch.rot90(f, 1, (-2, -1)).roll(1, dims=2)
    assert torch.equal(P4.act(f, 1), expected)
    assert torch.equal(groups.SE2(4).act(f, 1), expected)


@pytest.mark.parametrize("group", [C8, SCALING], ids=repr)
def test_masks_move_to_the_nearest_pixel(group):
    mask = features(group, 7, 7) > 0.5
    moved = group.act(mask, 1)
    assert moved.dtype == torch.bool and moved.any()
    assert torch.equal(moved, group.act(mask.double(), 1, "nearest") > 0.5)


@pytest.mark.parametrize("group", [C8, SCALING], ids=repr)
def test_complex_features_move_by_their_parts(group):
    real, imaginary = features(group, 5, 6), features(group, 5, 6).flip(-1)
    moved = group.act(torch.complex(real, imaginary), 1)
    torch.testing.assert_close(moved.real, group.act(real, 1))
    torch.testing.assert_close(moved.imag, group.act(imaginary, 1))


def test_the_action_is_differentiable():
    image = features(C8, 3, 4)[:1, :1, 0].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: C8.act(x, 1), (image,))
    f = features(P4, 2, 3)[:1, :1].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: P4.act(x, 1), (f,))


def test_an_empty_batch_stays_empty():
    assert P4.act(torch.zeros(0, 3, 4, 5, 6), 1).shape == (0, 3, 4, 6, 5)


def test_negative_elements_count_from_the_end():
    f = features(P4, 3, 4)
    assert torch.equal(P4.act(f, -1), P4.act(f, 3))
