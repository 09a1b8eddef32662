"""How the tests run the aws command: as a shell would, against the endpoint under test."""

import json
import os
import subprocess

import forked
import pytest


class Shell:
    """Runs command lines in bash with `aws` on the path and nothing of the user's own configuration."""

    def __init__(self, endpoint, aws, home):
        self.endpoint = endpoint
        self.environment = {
            "PATH": f"{aws}:{os.environ['PATH']}",
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, script, check=True, **environment):
        """The finished process of a bash script."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done

    def aws(self, words, check=True):
        """One `aws sqs` command against the endpoint; its answer as JSON (None where it printed nothing)."""
        done = self.run(f"aws --endpoint-url={self.endpoint} sqs {words}", check)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, words):
        """What one `aws sqs` command complains of."""
        done = self.run(f"aws --endpoint-url={self.endpoint} sqs {words}", check=False)
        assert done.returncode != 0, f"{words} succeeded: {done.stdout}"
        return done.stderr


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    url = os.environ.get("POSTHASTE_ENDPOINT")
    if not url:
        pytest.exit("set POSTHASTE_ENDPOINT, or run under conformance/with-server", 2)
    folder = tmp_path_factory.mktemp("aws")
    with forked.start(folder) as process:
        yield Shell(url.rstrip("/"), folder, tmp_path_factory.mktemp("home"))
        process.terminate()
