"""The exception for errors that the user can correct."""


class InputError(Exception):
    """Bad input. The message is one line that says what is wrong and what to do; commands exit with code 2."""
