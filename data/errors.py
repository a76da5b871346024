"""Errors that a user can put right."""


class UserError(Exception):
    """One clear sentence that names the file or key at fault and the way out.

    The command line prints it on stderr, without a traceback, and exits with 1.
    """


class CorruptImage(UserError):
    """One image cannot be used; `data.on_error="skip"` leaves it out and counts it."""
