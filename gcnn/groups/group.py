"""The abstract group: a sampled set of transformations, its tables and its action."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gcnn.fields import Field, Regular
from gcnn.filters import Basis, Pixels
from gcnn.geometry import find, ordinary_tensors, transform
from gcnn.groups.tables import elements_of, pairwise_relative, seen_elements, table


class Group:
    """`R^d ⋊ H`: the translations of a grid and a sampled set `H` that fixes its centre.

    A new group is its matrices and a basis for its filters; the tables and the action follow.

    >>> from gcnn.geometry import mirror
    >>> from gcnn.groups import generate
    >>> left_right = Group(generate(mirror()), name="Mirror()")
    >>> left_right.order, left_right.product.tolist()
    (2, [[0, 1], [1, 0]])

    `H` may also be a finite window of an infinite group, such as scalings. Products that leave the
    window are then marked -1 in the tables. `interacting` and `outside` are for such windows: a
    group convolution then computes an element from its neighbours instead of from all elements.

    Args:
        matrices: `(|H|, d, d)`, or a list of `(d, d)` matrices: the elements, acting on
            `(x, y[, z])` about the centre of the grid. Elements keep this order.
        basis: what filters on this group are made of, unless a layer is told otherwise.
        name: how the group is printed; a call that rebuilds it is a good choice.
        interacting: `(M, d, d)`, the relative elements m through which elements interact: in a
            group convolution, element h sees the elements `h m`. All unless given.
        outside: what an element sees where `h m` leaves the window: "zero" features, a copy of
            the nearest element ("replicate"), or, with "valid", the convolution only computes
            the elements that see none such. Needs `interacting`.
        field: what axis 2 of a feature map holds; `fields.Regular`, one number for each element,
            unless given. With another, the elements are a quadrature of a larger group.

    Attributes:
        dim: d, the dimension of space.
        order: |H|.
        matrices: `(|H|, d, d)` float64.
        inverse: `(|H|,)`, the index of `h⁻¹`, or -1.
        product: `(|H|, |H|)`, the Cayley table: the index of `h h'`, or -1.
        relative: `(|H|, |H|)`, the index of `h⁻¹ h'` among `relative_matrices`, or -1 where the
            elements do not interact.
        relative_matrices: `(M, d, d)`: the matrices themselves if `H` is a group.
        sources: `(|H|, M)`, the index of the element that h sees through m: that of `h m`, or,
            outside the window, the nearest or -1.
        outputs: `(|H'|,)`, the elements that a group convolution computes: all, unless `outside`
            is "valid".

    Raises:
        ValueError: matrices that are not square, real, finite, invertible and distinct; an unknown
            `outside`, one without `interacting`, or a window too small for it.
    """

    @ordinary_tensors()
    def __init__(
        self,
        matrices: Tensor | Sequence[Tensor],
        basis: Basis | None = None,
        name: str | None = None,
        *,
        interacting: Tensor | None = None,
        outside: str = "zero",
        field: Field | None = None,
    ) -> None:
        self.matrices = elements_of(matrices)
        self.order, self.dim = self.matrices.shape[:2]
        self.field = Regular(self.matrices) if field is None else field
        if field is not None and interacting is not None:
            raise ValueError("interacting needs one number for each element, so no field")
        self.basis = Pixels() if basis is None else basis
        self.name = name or f"{type(self).__name__}(order={self.order}, dim={self.dim})"
        inverse = torch.linalg.inv(self.matrices)
        self.inverse = find(inverse, self.matrices)
        self.product = table(self.matrices, self.matrices, among=self.matrices)
        self.interacting, self.outside = interacting, outside
        if interacting is None:
            if outside != "zero":
                raise ValueError(
                    f"outside={outside!r} needs interacting: without, every element sees all that "
                    "are in the window"
                )
            self.relative, self.relative_matrices = pairwise_relative(self.matrices)
        else:
            self.interacting = self.relative_matrices = elements_of(interacting)
            self.relative = table(inverse, self.matrices, among=self.relative_matrices)
        self.sources = seen_elements(self.matrices, self.relative_matrices, outside)
        self.outputs = torch.arange(self.order)
        if outside == "valid":
            self.outputs = self.outputs[(self.sources >= 0).all(dim=1)]
        if not len(self.outputs):
            raise ValueError(
                f"no element of {self.name} has all its {len(self.relative_matrices)} neighbours "
                'in the window; use more elements, or another way than "valid" to treat its ends'
            )

    @property
    def target(self) -> Group:
        """The window on which the output of a group convolution lives; itself, unless "valid"."""
        if len(self.outputs) == self.order:
            return self
        return self._restricted(self.outputs)

    def _restricted(self, elements: Tensor) -> Group:
        """The window of some of the elements, which treats its ends in the same way."""
        return Group(
            self.matrices[elements],
            self.basis,
            f"{self.name}[{elements.tolist()}]",
            interacting=self.interacting,
            outside=self.outside,
        )

    @property
    @ordinary_tensors()
    def identity(self) -> int:
        """The index of the element that moves nothing, -1 if there is none."""
        return int(find(torch.eye(self.dim, dtype=torch.float64)[None], self.matrices)[0])

    @property
    def is_closed(self) -> bool:
        """Whether `H` is a group, not only a window of one."""
        return bool((self.product >= 0).all() and (self.inverse >= 0).all())

    def act(self, features: Tensor, element: int, interpolation: str = "cubic") -> Tensor:
        """Move an image, `(h·f)(x) = f(h⁻¹x)`, or a feature map, `(h·f)(h', x) = f(h⁻¹h', h⁻¹x)`.

        Args:
            features: `(batch, channels, *space)` or `(batch, channels, |H|, *space)`.
            element: index of h in `matrices`.
            interpolation: "nearest", "linear", "cubic" or "quintic", for elements that do not map
                the grid onto itself; those that do are exact.

        Returns:
            A tensor of the same kind and dtype (integers are rounded, of masks the nearest pixel
            is taken); where h⁻¹h' is outside a window, zero.

        Raises:
            IndexError: no such element.
            ValueError: the tensor is neither an image nor a feature map on this group.
        """
        if not -self.order <= element < self.order:
            raise IndexError(f"{self} has the elements 0 to {self.order - 1}, got {element}")
        if not self.is_image(features):
            features = self.field.move(features, self.matrices[element])
        return transform(features, self.matrices[element], interpolation)

    def is_image(self, features: Tensor) -> bool:
        """True for `(batch, channels, *space)`, False for `(batch, channels, |H|, *space)`.

        Raises:
            ValueError: the tensor is neither.
        """
        if features.ndim == self.dim + 2:
            return True
        if features.ndim == self.dim + 3 and features.shape[2] == self.field.size:
            return False
        raise ValueError(
            f"{self} acts on images (batch, channels, *{self.dim} of space) and on feature maps "
            f"(batch, channels, {self.field.size}, *{self.dim} of space), not on a tensor of shape "
            f"{tuple(features.shape)}"
        )

    def _key(self) -> tuple[object, ...]:
        neighbours = None if self.interacting is None else self.relative_matrices.tolist()
        return self.matrices.tolist(), self.basis, self.field, neighbours, self.outside

    def __eq__(self, other: object) -> bool:
        """Whether the same elements, basis, field and neighbours make layers the same."""
        return self is other or (isinstance(other, Group) and self._key() == other._key())

    def __hash__(self) -> int:
        return hash((self.order, self.dim, self.basis))

    def __repr__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: dict[int, object]) -> Group:
        # A group never changes, so copies of a network share it.
        return self
