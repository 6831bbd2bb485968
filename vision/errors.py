"""Errors that a user can act on."""


class UserError(Exception):
    """Bad input. The message names the thing and the way out; stages print it and exit with 1."""


class Stopped(Exception):  # noqa: N818 - not an error
    """Work was asked to stop and has saved where it stands; stages exit with 143."""
