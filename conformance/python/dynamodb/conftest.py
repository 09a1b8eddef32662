"""The clients and tables that tests of DynamoDB ask for."""

import boto3
import pytest

from dynamodb.support import make_table
from sqs.conftest import settings


@pytest.fixture(scope="session")
def ddb(endpoint):
    """A client of the endpoint under test. boto3 checks the CRC-32 of each answer that carries one."""
    return boto3.client("dynamodb", **settings(endpoint))


@pytest.fixture(scope="session")
def sfn(endpoint):
    """A client of Step Functions at the endpoint under test."""
    return boto3.client("stepfunctions", **settings(endpoint))


@pytest.fixture(scope="session")
def resource(endpoint):
    """The same endpoint with values of Python."""
    return boto3.resource("dynamodb", **settings(endpoint))


@pytest.fixture
def table(ddb):
    """A fresh table with a partition key `pk`."""
    return make_table(ddb)


@pytest.fixture
def ranged(ddb):
    """A fresh table with a partition key `pk` and a sort key `sk`."""
    return make_table(ddb, sk="S")
