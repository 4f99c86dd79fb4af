"""The exception that means: what the user gave is wrong."""


class InputError(ValueError):
    """The input or the flags are wrong.

    The message is one line that names the file, row or key, what was found and what was expected.
    The command line prints it on stderr and exits with code 2.
    """


class UnwritableError(InputError):
    """The disk is full, or does not let something be written; nothing is wrong with the input."""


class IncompleteError(RuntimeError):
    """Something could not be had from where it is asked for; what was had before stays, and a later run goes on.

    The command line prints the message, one line, on stderr and exits with code 1.
    """


def flag(name: str) -> str:
    """A config's field as a flag is typed: `--tile-size`, and `--from` of `from_`, which is no name in Python."""
    return f"--{name.rstrip('_').replace('_', '-')}"
