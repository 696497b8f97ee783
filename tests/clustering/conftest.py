"""ClusterService on a real server."""

import urllib.request

import grpc
import numpy as np
import pytest
from cluster_wire import Clusters


@pytest.fixture(scope="session")
def open_clusters():
    """Open a channel to a server: `open_clusters(target)`."""
    channels = []

    def make(target):
        channels.append(grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)]))
        return Clusters(channels[-1])

    yield make
    for channel in channels:
        channel.close()


@pytest.fixture(scope="session")
def clusters(server, open_clusters):
    """The default server's."""
    return open_clusters(server.target)


@pytest.fixture(scope="session")
def blobs():
    """Give rows around so many directions, and which each is of: `blobs(groups, each, width, seed)`."""

    def make(groups, each, width=16, seed=0):
        chance = np.random.default_rng(seed)
        centres = np.linalg.qr(chance.normal(size=(width, width)))[0][:groups]
        labels = np.repeat(np.arange(groups), each)
        rows = centres[labels] + chance.normal(scale=0.05, size=(groups * each, width))
        return rows.astype(np.float32), labels

    return make


@pytest.fixture
def metric_of(server):
    """Read a metric without labels of the default server."""

    def read(name):
        with urllib.request.urlopen(f"http://{server.http}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        (line,) = (one for one in lines if one.startswith(f"{name} "))
        return float(line.split()[1])

    return read
