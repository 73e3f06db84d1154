"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# how long an example takes, or its data, says nothing on a busy machine
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
