"""The one exception that a person at the terminal is meant to see."""


class InputError(Exception):
    """Bad input: the message is one line that says what is wrong and how to mend it; exit code 2."""
