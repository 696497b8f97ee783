"""A stream's options, checked, and what follows from them and the server's limits. No I/O."""

from __future__ import annotations

from nearfield import _convert
from nearfield._convert_vectors import embed_form
from nearfield._embed_jobs import embed_size
from nearfield._model import Model
from nearfield._options import StreamOptions
from nearfield._retry import RetryPolicy
from nearfield._split import model_budget, stream_budget
from nearfield._stream import StreamState
from nearfield.v1 import embed_pb2

__all__ = ["StreamPlan"]

_BATCH_SIZE = 32
# Where the server doesn't say, and at most what it says: more only takes memory.
_WINDOW_INPUTS = 256
_LARGEST_WINDOW_INPUTS = 4_096


class StreamPlan:
    """How to stream, whatever the model."""

    def __init__(self, options: StreamOptions) -> None:
        """Raises TypeError, ValueError or InvalidArgument for options that are wrong whatever the model."""
        fields = _convert.option_fields(options, StreamOptions, but=("batch_size", "window", "ordered"))
        self._batch_size = _at_least_one("batch_size", options.get("batch_size"))
        self._window = _at_least_one("window", options.get("window"))
        self.model_name = options.get("model", "")
        self.ordered = options.get("ordered", False)
        self._options = options
        self.hello = embed_pb2.EmbedStreamRequest(options=embed_pb2.EmbedStreamOptions(ordered=self.ordered, **fields))
        """First message of every connection: options and no inputs, which gets no reply."""

    def start(self, model: Model, retry: RetryPolicy) -> StreamState:
        """Begin within `model`'s limits."""
        form = embed_form(self._options)
        whole = model_budget(model, embed_size(model, form, self._options.get("dimensions")), form.chunking)
        budget = stream_budget(whole, min(self._batch_size or _BATCH_SIZE, self._window or _LARGEST_WINDOW_INPUTS))
        published = min(model.limits.stream_window_inputs or _WINDOW_INPUTS, _LARGEST_WINDOW_INPUTS)
        # Two messages at least, so that one is on its way while the other is worked on.
        window = self._window or max(2 * budget.inputs, published)
        return StreamState(budget, retry, window=window, ordered=self.ordered, form=form)


def _at_least_one(option: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ValueError(f"{option} is {value}; it must be at least 1, or None")
    return value
