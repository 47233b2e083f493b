"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """Something the user can put right: a file, a folder or an option.

    The message names the offending file or value and says what would be right. The command line
    prints it alone, without a traceback, and exits with status 2.
    """
