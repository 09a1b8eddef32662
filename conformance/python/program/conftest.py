"""Servers that the program's tests start."""

import endpoint as endpoints
import pytest


@pytest.fixture
def start():
    """A function that starts a server; all are ended after the test."""
    running = []

    def start(*flags):
        running.append(endpoints.start(*map(str, flags)))
        return running[-1]

    yield start
    for server in running:
        server.close()
