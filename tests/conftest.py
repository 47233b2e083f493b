"""Settings of all tests."""

from hypothesis import settings

# How long an example takes says more about the other processes on the machine than about it.
settings.register_profile("gcnn", deadline=None)
settings.load_profile("gcnn")
