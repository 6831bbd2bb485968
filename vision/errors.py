"""Errors that a user can act on."""


class UserError(Exception):
    """Bad input. The message names the thing and the way out; stages print it and exit with 1."""
