"""The batches of an upsert that are under way over UpsertStream, without I/O.

Rules:
- The server writes messages in the order in which they come, so points are stored in the order of the rows.
- No two batches with one id are under way: a batch that is sent again never overwrites a later one.
- A message that may succeed later is sent again after a delay, one with refused rows without them.
- After a lost connection all that is unanswered is sent again. A reply is progress; `RetryPolicy.max_attempts`
  connections in a row without one end the upsert with the last error.
"""

from __future__ import annotations

from nearfield._errors import DeadlineExceeded, InternalError, InvalidArgument, NearfieldError
from nearfield._retry import RetryPolicy, next_delay
from nearfield._status import error_of_status
from nearfield._upsert import Batch, UpsertPlan
from nearfield.v1 import search_pb2

__all__ = ["UpsertLine"]

_UNDER_WAY = 4


class UpsertLine:
    """`draw` is random in [0, 1); `seconds_left` None: without a deadline."""

    def __init__(self, plan: UpsertPlan, retry: RetryPolicy) -> None:
        """Tell `plan` what becomes of its batches."""
        self._plan = plan
        self._retry = retry
        self._ids = 0
        self._sent: dict[str, Batch] = {}
        self._attempts: dict[str, int] = {}
        self._fruitless = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is under way."""
        return not self._sent

    def has_room_for(self, batch: Batch) -> bool:
        """Tell whether `batch` may be sent before another is answered."""
        return len(self._sent) < _UNDER_WAY and all(batch.ids.isdisjoint(one.ids) for one in self._sent.values())

    def add(self, batch: Batch) -> search_pb2.UpsertStreamRequest:
        """Give the message of a batch that goes now."""
        self._ids += 1
        self._sent[str(self._ids)] = batch
        return self._message(str(self._ids))

    def on_reply(
        self, reply: search_pb2.UpsertStreamResponse, draw: float
    ) -> tuple[float, search_pb2.UpsertStreamRequest] | None:
        """Take a reply; give what is to be sent again, after how many seconds.

        Raises NearfieldError: what became of the message ends the upsert.
        """
        if (batch := self._sent.get(reply.id)) is None:
            raise InternalError("the server answered a message that wasn't sent, or answered it twice")
        self._fruitless = 0
        if reply.WhichOneof("outcome") == "stored":
            self._plan.accept(batch, reply.stored)
            self._settled(reply.id)
            return None
        error = error_of_status(reply.error)
        if isinstance(error, InvalidArgument):
            self._plan.refused(batch, error)
            if batch.points:
                return 0.0, self._message(reply.id)
            self._settled(reply.id)
            return None
        attempts = self._attempts[reply.id] = self._attempts.get(reply.id, 0) + 1
        delay = next_delay(self._retry, error, attempts=attempts, seconds_left=None, draw=draw)
        if delay is None:
            raise error
        return delay, self._message(reply.id)

    def on_end(self, error: NearfieldError, *, seconds_left: float | None, draw: float) -> float:
        """Give the seconds to wait before connecting again, or raise `error`."""
        attempts = self._fruitless + 1
        if isinstance(error, DeadlineExceeded) and error.reason and seconds_left != 0.0:
            # The server ends streams on which nothing moved for long, for instance while rows were being made.
            delay = 0.0 if attempts < self._retry.max_attempts else None
        else:
            delay = next_delay(self._retry, error, attempts=attempts, seconds_left=seconds_left, draw=draw)
        if delay is None:
            raise error
        self._fruitless = attempts
        return delay

    def unanswered(self) -> list[search_pb2.UpsertStreamRequest]:
        """Give all that is under way, to be sent over a new connection."""
        return [self._message(id_) for id_ in self._sent]

    def _settled(self, id_: str) -> None:
        del self._sent[id_]
        self._attempts.pop(id_, None)

    def _message(self, id_: str) -> search_pb2.UpsertStreamRequest:
        return search_pb2.UpsertStreamRequest(id=id_, upsert=self._plan.request(self._sent[id_]))
