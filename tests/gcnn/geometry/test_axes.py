"""A matrix along one axis of a tensor, against the sum that it is."""

import pytest
import torch

from gcnn.geometry import along_axis


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -4])
def test_every_entry_is_the_sum_over_its_axis(axis):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    matrix = torch.randn(6, x.shape[axis], dtype=torch.float64)
    letters = "abcd"
    summed = letters[axis]
    expected = torch.einsum(f"{letters},z{summed}->{letters.replace(summed, 'z')}", x, matrix)
    torch.testing.assert_close(along_axis(x, axis, matrix), expected, atol=1e-13, rtol=0)


def test_a_tensor_whose_axes_are_not_in_order_in_memory_gives_the_same():
    x, matrix = torch.randn(5, 4, 3).permute(2, 0, 1), torch.randn(2, 5)
    torch.testing.assert_close(along_axis(x, 1, matrix), along_axis(x.contiguous(), 1, matrix))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_gradients_are_those_of_finite_differences(axis):
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(2, x.shape[axis], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, m: along_axis(x, axis, m), (x, matrix))


def test_an_axis_or_a_matrix_that_does_not_fit_is_refused():
    x = torch.zeros(2, 3)
    with pytest.raises(IndexError, match=r"of shape \(2, 3\) has no axis 2"):
        along_axis(x, 2, torch.eye(3))
    with pytest.raises(ValueError, match=r"axis 1 .* takes a matrix \(m, 3\), got shape \(2, 2\)"):
        along_axis(x, 1, torch.eye(2))
