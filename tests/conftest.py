"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes says more about the other processes on the machine than about it, and
# how many are passed over says nothing about those that are not.
settings.register_profile(
    "gcnn", deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)
settings.load_profile("gcnn")
