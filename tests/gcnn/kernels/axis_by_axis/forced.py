"""Either way to evaluate a convolution, whatever it costs."""

import dataclasses
import math
from contextlib import ExitStack, contextmanager
from unittest import mock

from gcnn.kernels.axis_by_axis.choice import Problem
from gcnn.kernels.axis_by_axis.evaluation import AxisByAxis
from gcnn.kernels.axis_by_axis.plan import make_plan
from gcnn.layers.convolution import Convolution


def _refuse(*_):
    raise AssertionError("a dense filter was built")


@contextmanager
def by_axes(expanded=None, thickness=None):
    """Axis by axis; building a dense filter fails.

    Args:
        expanded: how many axes come before the mixing of channels, if not the cheapest number.
        thickness: of tiles, if not the best.
    """
    with ExitStack() as stack:

        def replace(owner, name, function):
            stack.enter_context(mock.patch.object(owner, name, function))

        replace(AxisByAxis, "plan", lambda _, problem: make_plan(problem, problem.cheapest()))
        replace(Problem, "dense", lambda *_: math.inf)
        replace(Convolution, "filters", _refuse)
        if expanded is not None:
            replace(Problem, "by_axes", lambda _, way: abs(len(way.trees[0].axes) - expanded))
        if thickness is not None:
            original = Problem.way

            def thin(problem, *axes):
                tile = (thickness,) * len(problem.size)
                return dataclasses.replace(original(problem, *axes), tile=tile, samples=1)

            replace(Problem, "way", thin)
        yield


@contextmanager
def dense_filters():
    """With dense filters."""
    with mock.patch.object(AxisByAxis, "plan", return_value=None):
        yield


EITHER_WAY = {"by axes": by_axes, "dense": dense_filters}
