"""The one exception for what the user can mend."""


class UserError(Exception):
    """Bad input. The message is one line that names the value, what is allowed and the remedy.

    Entry points print it without a traceback and exit with status 2.
    """
