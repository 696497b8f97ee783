"""One stream's state, without I/O: what to send next, what a reply means, what to yield. The clients drive it.

Rules:
- A credit is one input. An input holds its credit from `add` until its result is taken, so that a million inputs take
  the memory of a window of them, whatever is slow: the model, the network or the consumer.
- Inputs are packed into messages. A message goes when it is full, when nothing else is under way, or when no input
  will follow: packs grow with the load, and a lone input never waits for company.
- Every input gets exactly one result. A message that fails for what is in it is sent again input by input, so that only
  the culprit's result is an error; one that may succeed later is sent again as it is, after a delay.
- After a lost connection exactly the unanswered messages are sent again. A reply is progress;
  `RetryPolicy.max_attempts` connections in a row without one end the stream with the last error.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import grpc

from nearfield._cache import same_model
from nearfield._convert_vectors import Embedded, EmbedForm, embedded_of
from nearfield._errors import Aborted, DeadlineExceeded, InternalError, InvalidArgument, NearfieldError, remapped
from nearfield._inputs import Item, make_item
from nearfield._model import Model
from nearfield._retry import RetryPolicy, is_retryable, next_delay
from nearfield._split import Budget, Fill
from nearfield._status import error_of_status
from nearfield._types import StreamResult
from nearfield.v1 import embed_pb2

__all__ = ["StreamState"]

_WINDOW_BYTES = 8 * 2**20
_EXCHANGED = "the model was exchanged while the stream ran: send again what has no result yet"
# Sending the inputs singly can't help: these don't depend on what is in the message. Nor does an overload, which
# more messages would only make worse.
_NOBODYS_FAULT = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


@dataclass(slots=True)
class _Message:
    """Inputs sent together; `positions` are theirs in the caller's iterable."""

    id: str
    positions: list[int] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    attempts: int = 0

    def request(self) -> embed_pb2.EmbedStreamRequest:
        return embed_pb2.EmbedStreamRequest(id=self.id, inputs=[item.message() for item in self.items])


class StreamState:
    """Not safe for threads: the caller holds a lock. `now` is monotonic seconds, `draw` random in [0, 1)."""

    def __init__(self, budget: Budget, retry: RetryPolicy, *, window: int, ordered: bool, form: EmbedForm) -> None:
        """Hold at most `window` inputs, packed by `budget`; replies have to be of `form`."""
        self._budget = budget
        self._form = form
        self._came_from: tuple[str, int] | None = None
        self._model: Model | None = None
        self._retry = retry
        self._window = window
        self._ordered = ordered
        self._closed = False
        self._added = 0
        self._taken = 0
        self._ids = 0
        self._unresolved_inputs = 0
        self._unresolved_bytes = 0
        self._open = _Message("")
        self._fill = Fill(budget)
        self._sendable: deque[_Message] = deque()
        self._delayed: list[tuple[float, _Message]] = []
        self._sent: dict[str, _Message] = {}
        self._ready: dict[int, StreamResult] = {}
        self._fruitless = 0

    def __repr__(self) -> str:
        """Where the inputs are."""
        return (
            f"<StreamState added={self._added} taken={self._taken} packing={len(self._open.items)}"
            f" sendable={len(self._sendable)} delayed={len(self._delayed)} sent={len(self._sent)}"
            f" ready={len(self._ready)}{' closed' if self._closed else ''}>"
        )

    @property
    def wants_input(self) -> bool:
        """Whether there is credit for one more input."""
        inputs = self._added - self._taken
        return not self._closed and inputs < self._window and self._unresolved_bytes < _WINDOW_BYTES

    @property
    def has_sendable(self) -> bool:
        """Whether `next_message` has something now, delayed messages aside."""
        return bool(self._sendable or (self._open.items and (self._closed or not self._sent)))

    @property
    def has_unresolved(self) -> bool:
        """Whether some input has no result yet."""
        return self._unresolved_inputs > 0

    @property
    def has_results(self) -> bool:
        """Whether `take` has a result now."""
        return self._taken in self._ready if self._ordered else bool(self._ready)

    @property
    def is_done(self) -> bool:
        """Whether every input's result was taken and no input will follow."""
        return self._closed and self._taken == self._added

    def add(self, value: object) -> None:
        """Take the next input. One that no server could take gets its error at once."""
        position, self._added = self._added, self._added + 1
        field_path = f"inputs[{position}]"
        try:
            # Read here, where a file that is gone fails its own input only, not in the thread that sends.
            item = make_item(value, field_path)
            item.check_size(field_path, self._budget.image_bytes)
            item = item.loaded(field_path)
        except InvalidArgument as error:
            self._ready[position] = StreamResult(index=position, error=error)
            return
        self._unresolved_inputs += 1
        self._unresolved_bytes += item.size_bytes
        if not self._fill.takes(item):
            self._seal()
        self._fill.add(item)
        self._open.positions.append(position)
        self._open.items.append(item)
        if self._fill.inputs >= self._budget.inputs:
            self._seal()

    def close(self) -> None:
        """Know that no input will follow."""
        self._closed = True

    def next_message(self, now: float) -> embed_pb2.EmbedStreamRequest | None:
        """Give what to send now, and count it as under way; None: nothing yet."""
        while self._delayed and self._delayed[0][0] <= now:
            self._sendable.append(self._delayed.pop(0)[1])
        if not self._sendable and self.has_sendable:
            self._seal()
        if not self._sendable:
            return None
        message = self._sendable.popleft()
        self._sent[message.id] = message
        return message.request()

    def wake_in(self, now: float) -> float | None:
        """Give the seconds until a delayed message is due; None: there is none."""
        return max(0.0, self._delayed[0][0] - now) if self._delayed else None

    def on_connect(self, model: Model) -> None:
        """Know the model that a new connection will reach, which stays with it.

        Raises Aborted when results came from another version of it: replies name models, not versions.
        """
        if not model.is_ready:
            return  # it isn't known yet; the connection will end at once
        if self._model is not None and self._came_from is not None and not same_model(self._model, model):
            raise Aborted(_EXCHANGED)
        self._model = model

    def on_reply(self, reply: embed_pb2.EmbedStreamResponse, *, now: float, draw: float) -> None:
        """Take a reply. Raises InternalError when it answers nothing that was sent, Aborted from another model."""
        message = self._sent.pop(reply.id, None)
        if message is None:
            raise InternalError("the server answered a message that wasn't sent, or answered it twice")
        self._fruitless = 0
        if reply.WhichOneof("outcome") == "result":
            self._succeed(message, reply.result)
        else:
            self._fail(message, error_of_status(reply.error), now, draw)

    def on_disconnect(self, error: NearfieldError, *, seconds_left: float | None, draw: float) -> float:
        """Give the seconds to wait before connecting again, or raise `error`; unanswered messages will be resent."""
        idle_close = isinstance(error, DeadlineExceeded) and bool(error.reason) and seconds_left != 0.0
        if idle_close:
            # The server ends streams on which nothing moved for long, for instance since the consumer was busy.
            delay = 0.0 if self._fruitless < self._retry.max_attempts - 1 else None
        else:
            attempts = self._fruitless + 1
            delay = next_delay(self._retry, error, attempts=attempts, seconds_left=seconds_left, draw=draw)
        if delay is None:
            raise error
        self._fruitless += 1
        self._sendable.extendleft(reversed(self._sent.values()))
        self._sent.clear()
        return delay

    def take(self) -> StreamResult | None:
        """Give a result to yield, and its credit back; None: there is none yet."""
        if not self.has_results:
            return None
        result = self._ready.pop(self._taken if self._ordered else next(iter(self._ready)))
        self._taken += 1
        return result

    def _seal(self) -> None:
        self._open.id = self._next_id()
        self._sendable.append(self._open)
        self._open, self._fill = _Message(""), Fill(self._budget)

    def _next_id(self) -> str:
        self._ids += 1
        return str(self._ids)

    def _succeed(self, message: _Message, reply: embed_pb2.EmbedResponse) -> None:
        result, form = embedded_of(reply, len(message.items), self._form), self._form
        if self._came_from not in {None, result.source}:
            # After a reconnect, for instance. Vectors of two models in one result would be worth nothing.
            raise Aborted(_EXCHANGED)
        self._came_from = result.source
        rows, counts, cut = result.rows.copy(), result.token_counts.tolist(), result.truncated.tolist()
        for index, (position, item) in enumerate(zip(message.positions, message.items, strict=True)):
            if not form.is_plain:
                self._resolve(_outcome(result, form, index, position), item)
                continue
            plain = StreamResult(index=position, embedding=rows[index], token_count=counts[index], truncated=cut[index])
            self._resolve(plain, item)

    def _fail(self, message: _Message, error: NearfieldError, now: float, draw: float) -> None:
        message.attempts += 1
        # The stream's own deadline ends everything, so that a delay needn't fit in it here.
        delay = next_delay(self._retry, error, attempts=message.attempts, seconds_left=None, draw=draw)
        if delay is not None:
            self._delayed.append((now + delay, message))
            self._delayed.sort(key=lambda entry: entry[0])
        elif len(message.items) > 1 and error.code not in _NOBODYS_FAULT and not is_retryable(error):
            pairs = zip(message.positions, message.items, strict=True)
            singles = [_Message(self._next_id(), [position], [item]) for position, item in pairs]
            self._sendable.extendleft(reversed(singles))
        else:
            blamed = remapped(error, message.positions)
            for position, item in zip(message.positions, message.items, strict=True):
                self._resolve(StreamResult(index=position, error=blamed), item)

    def _resolve(self, result: StreamResult, item: Item) -> None:
        self._unresolved_inputs -= 1
        self._unresolved_bytes -= item.size_bytes
        self._ready[result.index] = result


def _outcome(result: Embedded, form: EmbedForm, index: int, position: int) -> StreamResult:
    """Give the result of one input of a reply that has more than a vector per input."""
    part = result.rows_of(index, per_chunk=form.is_per_chunk)
    rows = result.rows[part].copy()
    return StreamResult(
        index=position,
        embedding=(rows if form.is_per_chunk else rows[0]) if form.dense else None,
        token_count=int(result.token_counts[part].sum()),
        truncated=bool(result.truncated[part].any()),
        sparse=result.sparse.one(index) if result.sparse is not None else None,
        multi=result.multi.one(index) if result.multi is not None else None,
        chunks=tuple(replace(one, input_index=position) for one in result.chunks if one.input_index == index),
    )
