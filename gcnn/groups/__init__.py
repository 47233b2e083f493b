"""What moves: sampled groups of transformations, and their action on images and feature maps."""

from gcnn.groups.checking import require_group
from gcnn.groups.group import Group
from gcnn.groups.planar import P4, P4M, SE2, Dihedral, SteerableSE2
from gcnn.groups.scaling import ScaleTranslation
from gcnn.groups.tables import generate

__all__ = [
    "P4",
    "P4M",
    "SE2",
    "Dihedral",
    "Group",
    "ScaleTranslation",
    "SteerableSE2",
    "generate",
    "require_group",
]
