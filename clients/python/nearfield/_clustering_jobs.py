"""Jobs that cluster collections: the requests, and following one over lost connections, without I/O."""

from __future__ import annotations

from google.longrunning import operations_pb2

from nearfield._cluster_replies import job_of, job_of_operation
from nearfield._cluster_types import ClusteringJob
from nearfield._errors import NearfieldError
from nearfield._retry import RetryPolicy, draw, next_delay
from nearfield.v1 import cluster_pb2

__all__ = ["OPERATIONS", "JobPages", "JobWatch", "result_of"]

OPERATIONS = "operations/"
_PAGE = 500


class JobWatch:
    """What is known of a job that is watched, and how many connections failed since."""

    def __init__(self, retry: RetryPolicy) -> None:
        """Begin with nothing."""
        self._retry = retry
        self._failed = 0
        self._has_ended = False

    @property
    def has_ended(self) -> bool:
        """Whether the job is over."""
        return self._has_ended

    def accept(self, reply: cluster_pb2.WatchClusteringResponse) -> ClusteringJob:
        """Take what arrived, which is progress."""
        self._failed = 0
        job = job_of(reply.progress)
        self._has_ended = job.has_ended
        return job

    def lost(self, error: NearfieldError, seconds_left: float | None) -> float:
        """Give the seconds to wait before connecting again. Raises `error` when that is hopeless."""
        self._failed += 1
        delay = next_delay(self._retry, error, attempts=self._failed, seconds_left=seconds_left, draw=draw())
        if delay is None:
            raise error
        return delay


class JobPages:
    """All jobs, page by page."""

    def __init__(self) -> None:
        """Begin with the first page."""
        self.jobs: list[ClusteringJob] = []
        self._token: str | None = ""

    def request(self) -> operations_pb2.ListOperationsRequest | None:
        """Make the next request; None: there is no further page."""
        if self._token is None:
            return None
        return operations_pb2.ListOperationsRequest(
            name=OPERATIONS.rstrip("/"), page_size=_PAGE, page_token=self._token
        )

    def accept(self, reply: operations_pb2.ListOperationsResponse) -> None:
        """Take a page."""
        self.jobs += map(job_of_operation, reply.operations)
        self._token = reply.next_page_token or None


def result_of(job: ClusteringJob | None, id_: str) -> None:
    """Raise the error that a job ended with, if any."""
    if job is None:
        raise AssertionError(f"this is a bug: the watch of job {id_} ended before its end")
    if job.error is not None:
        raise job.error
