"""One warm server for maps, its stub, and unit rows in groups."""

import grpc
import numpy as np
import pytest

import nearfield
from nearfield.v1 import cluster_pb2_grpc


def groups(count, seed=0, width=16, centres=4):
    """Unit rows in so many groups, and the group of each."""
    random = np.random.default_rng(seed)
    of = random.integers(0, centres, count)
    rows = random.normal(size=(count, width)) + 6 * np.eye(centres, width)[of]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), of


@pytest.fixture(scope="session")
def make_groups():
    return groups


@pytest.fixture(scope="session")
def map_server(start_server):
    """A server of maps, whose worker stays warm."""
    return start_server(cluster={"threads": 2, "idle_seconds": 600.0})


@pytest.fixture
def maps(map_server):
    with nearfield.Client(map_server.target, timeout=60) as client:
        yield client


@pytest.fixture
def map_stub(map_server):
    with grpc.insecure_channel(map_server.target) as channel:
        yield cluster_pb2_grpc.ClusterServiceStub(channel)
