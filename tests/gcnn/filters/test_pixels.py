"""Pixels as a basis: permutations on the grid's own angles, bilinear weights elsewhere."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcnn import groups
from gcnn.filters import Pixels
from gcnn.geometry import mirror, rotation, transform
from tests.gcnn.cases import CLOSED, SCALED, Largest, cube, exact_elements


def deltas(kernel_size, dim=2):
    count = kernel_size**dim
    return torch.eye(count, dtype=torch.float64).unflatten(-1, (kernel_size,) * dim)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_quarter_turns_and_mirrors_permute_the_pixels(kernel_size):
    moved = Pixels().move(groups.P4M().matrices, kernel_size)
    f = deltas(kernel_size)
    assert moved.shape == (kernel_size**2, 8, kernel_size, kernel_size)
    for k in range(4):
        assert torch.equal(moved[:, k], torch.rot90(f, k, (-2, -1)))
        assert torch.equal(moved[:, 4 + k], torch.rot90(f.flip(-1), k, (-2, -1)))


@pytest.mark.parametrize("group", CLOSED, ids=repr)
def test_the_operator_of_an_exact_element_is_a_sparse_permutation(group):
    for element in exact_elements(group):
        operator = Pixels().operator(group.matrices[element], 3)
        assert operator.is_sparse
        dense = operator.to_dense()
        assert torch.equal(dense, dense.round())
        assert dense.sum(0).eq(1).all() and dense.sum(1).eq(1).all()
        assert operator._nnz() == 3**group.dim


@settings(max_examples=15)
@given(
    degrees=st.floats(1, 359),
    scale=st.floats(0.5, 2),
    kernel_size=st.integers(2, 5),
    mirrored=st.booleans(),
)
def test_other_matrices_weigh_the_pixels_around_bilinearly(degrees, scale, kernel_size, mirrored):
    matrix = scale * rotation(degrees) @ (mirror() if mirrored else rotation(0))
    operator = Pixels().operator(matrix, kernel_size).to_dense()
    inverse = np.linalg.inv(matrix.numpy())
    centre = (kernel_size - 1) / 2
    for row, column in itertools.product(range(kernel_size), repeat=2):
        x, y = inverse @ [column - centre, centre - row]
        r, c = centre - y, centre + x
        expected = [
            max(0, 1 - abs(r - i)) * max(0, 1 - abs(c - j)) / scale**2
            for i, j in itertools.product(range(kernel_size), repeat=2)
        ]
        found = operator[row * kernel_size + column].tolist()
        assert found == pytest.approx(expected, abs=1e-9)


def test_the_operator_has_at_most_four_entries_a_row():
    dense = Pixels().operator(rotation(30), 7).to_dense()
    assert (dense != 0).sum(dim=1).max() <= 4


def test_scaling_divides_by_the_determinant():
    moved = Pixels().move(SCALED.matrices, 5)
    middle = moved.shape[-1] // 2
    centre = moved[12, :, middle, middle]
    assert centre.tolist() == pytest.approx([1, 1 / 1.5**2, 1 / 2.25**2])


@pytest.mark.parametrize(("kernel_size", "count"), [(3, 5), (5, 13), (7, 29)])
def test_a_disc_keeps_the_pixels_inside_it(kernel_size, count):
    half = kernel_size // 2
    inside = [
        math.hypot(i, j) <= half for i, j in itertools.product(range(-half, half + 1), repeat=2)
    ]
    assert sum(inside) == count
    disc = Pixels(disc=True).move(groups.P4().matrices, kernel_size)
    assert torch.equal(disc, Pixels().move(groups.P4().matrices, kernel_size)[inside])


@pytest.mark.parametrize("kernel_size", [3, 4, 5, 7])
def test_a_disc_stays_inside_the_kernel_at_any_angle_and_corners_do_not(kernel_size):
    matrices = groups.Dihedral(16).matrices
    window = torch.nn.functional.pad(torch.ones(kernel_size, kernel_size), (3,) * 4).bool()
    wide = Pixels().move(matrices, kernel_size + 6)[window.flatten()]
    lost = wide.masked_fill(window, 0).sum(dim=(2, 3)).amax(dim=1)
    kept = Pixels(disc=True).move(matrices[:1], kernel_size).flatten(1).argmax(dim=1)
    assert lost[kept].max() < 0.05
    assert lost[0] > 0.3


@pytest.mark.parametrize("group", [*CLOSED, SCALED], ids=repr)
@pytest.mark.parametrize("kernel_size", [1, 2, 5])
def test_moving_the_pixels_is_moving_images_of_one_pixel(group, kernel_size):
    moved = Pixels().move(group.matrices, kernel_size)
    grown = (moved.shape[-1] - kernel_size) // 2
    images = torch.nn.functional.pad(deltas(kernel_size, group.dim), (grown,) * (2 * group.dim))
    for h, matrix in enumerate(group.matrices):
        expected = transform(images, matrix, "linear") / torch.linalg.det(matrix).abs()
        # An enlarged kernel is as many pixels wider as it takes for its outermost ones.
        scale = float(torch.linalg.det(matrix).abs()) ** (1 / group.dim)
        out = grown - math.ceil(max(scale - 1, 0) * (kernel_size - 1) / 2 - 1e-9)
        inside = (..., *(slice(out, moved.shape[-1] - out),) * group.dim)
        torch.testing.assert_close(moved[:, h][inside], expected[inside], atol=1e-12, rtol=0)
        assert moved[:, h].abs().sum() == pytest.approx(float(moved[:, h][inside].abs().sum()))


@pytest.mark.parametrize(
    ("group", "kernel_size", "reason"),
    [
        (groups.P4(), 1001, r"1002001 pixels, .* 4 elements .*: 29,\d+\.\d GiB, .* at most 107,"),
        (groups.SE2(8), 201, r"40401 pixels, .* 8 elements .* use at most 90, or a basis of fewer"),
        (cube(), 31, r"29791 pixels, .* 24 elements .* use at most 16,"),
    ],
    ids=repr,
)
def test_a_kernel_that_no_memory_holds_is_refused_with_one_that_fits(group, kernel_size, reason):
    with Largest() as largest, pytest.raises(ValueError, match=reason):
        Pixels().sample(group.matrices, kernel_size)
    assert largest.numbers <= 4 * group.matrices.numel()


def test_what_builds_the_moved_pixels_is_no_larger_than_they_are():
    with Largest() as largest:
        moved = Pixels().move(groups.P4().matrices, 31)
    assert largest.numbers == moved.numel()


def test_voxels_serve_the_cube():
    moved = Pixels().move(cube().matrices, 3)
    assert moved.shape == (27, 24, 3, 3, 3)
    assert torch.equal(moved.flatten(2).sum(-1), torch.ones(27, 24, dtype=torch.float64))


@pytest.mark.parametrize("kernel_size", [0, -1, 3.0, True, "3", (3, 3)])
def test_a_kernel_size_must_be_a_positive_integer(kernel_size):
    with pytest.raises(ValueError, match="kernel_size must be a positive integer, got"):
        Pixels().sample(groups.P4().matrices, kernel_size)


def test_equal_bases_share_what_was_sampled():
    matrices = groups.SE2(8).matrices
    assert Pixels().sample(matrices, 3) is Pixels().sample(matrices.clone(), 3)
    assert Pixels().sample(matrices, 3) is not Pixels(disc=True).sample(matrices, 3)
    assert not Pixels().sample(matrices, 3).requires_grad


@pytest.mark.parametrize("disc", [False, True])
@pytest.mark.parametrize("others", [(), (0.6,), (1.9, 1.3)])
def test_what_a_scale_sees_does_not_depend_on_the_others(others, disc):
    basis, scales = Pixels(disc), (1.0, 1.5)
    alone = basis.sample(_scalings(*scales), 5)
    listed = basis.sample(_scalings(*scales, *others), 5)[:, :2]
    grown = (listed.shape[-1] - alone.shape[-1]) // 2
    inside = slice(grown, grown + alone.shape[-1])
    assert torch.equal(listed[..., inside, inside], alone)
    assert listed.abs().sum() == pytest.approx(float(alone.abs().sum()))


def test_an_enlarged_filter_gets_a_larger_window_and_keeps_its_integral():
    # A filter that is constant inside and fades out: its sum is that of its integral.
    filter_ = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    filter_ = (filter_[:, None] * filter_).flatten()
    functions = Pixels().sample(_scalings(1.0, 2.0, 3.0), 5)
    assert functions.shape == (25, 3, 13, 13)
    sums = torch.einsum("k,khxy->h", filter_, functions)
    torch.testing.assert_close(sums, sums[:1].expand(3))


def _scalings(*scales):
    return torch.tensor(scales, dtype=torch.float64)[:, None, None] * torch.eye(2).double()
