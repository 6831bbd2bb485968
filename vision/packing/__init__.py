"""Images of any source into the packed arrays of vision.prepared, in bounded memory.

Pixels go to one scratch file as they are decoded. What is kept in memory of each image is its
name, label, digest, size and place, and from these everything is decided: the order, the split,
the duplicates. Then each split's array is written row by row.
"""

from vision.packing.pack import pack, pack_test

__all__ = ["pack", "pack_test"]
