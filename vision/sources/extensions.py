"""Which files are images, by the ends of their names."""

import posixpath

JPEG = {".jfif", ".jpe", ".jpeg", ".jpg"}
NETPBM = {".pbm", ".pgm", ".pnm", ".ppm"}
EXTENSIONS = {".avif", ".bmp", ".gif", ".jp2", ".png", ".tif", ".tiff", ".webp", *JPEG, *NETPBM}


def is_image(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in EXTENSIONS
