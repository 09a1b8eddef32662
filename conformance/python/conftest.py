"""What every service's tests share: the endpoint under test and its clock."""

import os

import endpoint as endpoints
import pytest


@pytest.fixture(scope="session")
def endpoint():
    """The endpoint under test: POSTHASTE_ENDPOINT, or a fresh POSTHASTE_BIN in memory with a virtual clock."""
    if url := os.environ.get("POSTHASTE_ENDPOINT"):
        yield endpoints.Endpoint(url)
        return
    if "POSTHASTE_BIN" not in os.environ:
        pytest.exit("set POSTHASTE_ENDPOINT to a running endpoint, or POSTHASTE_BIN to a program to start", 2)
    started = endpoints.start("--in-memory", "--virtual-clock")
    yield started
    started.close()


@pytest.fixture(scope="session")
def strict_endpoint():
    """A fresh endpoint that keeps every limit of AWS, also those that only slow a developer down."""
    if "POSTHASTE_BIN" not in os.environ:
        pytest.skip("needs POSTHASTE_BIN to start an endpoint with --strict")
    started = endpoints.start("--in-memory", "--virtual-clock", "--strict")
    yield started
    started.close()


@pytest.fixture(scope="session")
def offered_clock(endpoint):
    clock = endpoints.Clock(endpoint)
    return clock if clock.offered() else None


@pytest.fixture
def clock(offered_clock):
    """The endpoint's clock; tests that need one are skipped (and counted) where there is none."""
    if not offered_clock:
        pytest.skip("this endpoint has no clock that can be moved")
    return offered_clock
