"""Errors that a user can act on."""


class UserError(Exception):
    """Bad input. The message names the thing and the way out; stages print it and exit with 1."""


class Stopped(BaseException):
    """Work was asked to stop and has saved where it stands; stages exit with 143. Like a
    KeyboardInterrupt, it is no library's to catch."""
