"""What a feature map holds at a place: the numbers along axis 2, and how an element mixes them."""

from gcnn.fields.field import Field
from gcnn.fields.regular import Regular
from gcnn.fields.trivial import Trivial

__all__ = ["Field", "Regular", "Trivial"]
