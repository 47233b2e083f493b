"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """What the user can put right: one line that names the file or option, and what would do."""
