"""What all tests share."""

from hypothesis import HealthCheck, settings

# How long an example takes, or its making, is the machine's affair: no test asserts a time.
settings.register_profile("rawlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rawlab")
