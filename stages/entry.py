"""How every stage starts and ends."""

import errno
import os
import sys
from collections.abc import Callable

from vision.errors import Stopped, UserError

TERMINATED = 143
"""What a shell reports of a process ended by SIGTERM."""


def run(main: Callable[[], str]) -> None:
    """Run a stage's `main` and print the line it returns, which says what it made.

    Bad input (`UserError`), a full disk and a file that may not be read or written become one
    message on stderr and exit code 1, without a traceback.
    """
    try:
        made = main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if "requested and" in str(error):  # NumPy's, of an array half written, without an errno
            sys.exit(f"error: {os.strerror(errno.ENOSPC)} ({error})")
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        place = "" if error.filename is None else f"{error.filename}: "
        sys.exit(f"error: {place}{error.strerror or error}")
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(TERMINATED)
    print(made)
