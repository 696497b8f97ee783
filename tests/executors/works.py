"""Work for executors: workers import it by name."""

import os
import signal
from pathlib import Path

import numpy as np

from nearfield_server.executors.encoding import Fault


def squared(number):
    return number * number


def refuses(number):
    if number == 3:
        raise ValueError("three")
    return number


def dies_once(folder, number):
    """Kill the worker the first time that it is asked for 2."""
    mark = Path(folder) / "died"
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def dies_always(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def process(number):
    return os.getpid()


def interrupted(number):
    os.kill(os.getpid(), signal.SIGINT)


def opened(number):
    return [number]


def scaled(held, factor):
    return held[0] * factor


def dies_at_first_step(folder, held, factor):
    mark = Path(folder) / "died"
    if held == [2] and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return held[0] * factor


def dies_at_each_step(held, factor):
    os.kill(os.getpid(), signal.SIGKILL)


def embedder_of_lengths():
    return Lengths()


class Lengths:
    """Vectors of two numbers, and no text of more than ten characters."""

    def embed(self, texts):
        for text in texts:
            yield Fault("INVALID_ARGUMENT", "is too long") if len(text) > 10 else numbers(len(text))

    def close(self):
        pass


def embedder_that_takes_its_node_along(folder, head):
    """Kill the node of the first worker that is on another than `head`, and the worker."""
    import ray  # noqa: PLC0415  in workers of Ray only

    mark = Path(folder) / "died"
    if ray.get_runtime_context().get_node_id() != head and not mark.exists():
        mark.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return Lengths()


def numbers(length):
    return np.array([length, 1], np.float32)


def embedder_that_dies(folder):
    mark = Path(folder) / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Lengths()
