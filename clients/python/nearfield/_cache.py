"""What is known of the served models, so that not every call asks for the limits again."""

from __future__ import annotations

from nearfield._errors import InvalidArgument, NearfieldError, NotFound, ResourceExhausted
from nearfield._model import Model

__all__ = ["ModelCache", "same_model"]

# A client that runs through names made up by its users must not grow for ever.
_MOST = 256


class ModelCache:
    """Models by the name asked for. Its single steps are atomic under the GIL, so threads may share it."""

    def __init__(self) -> None:
        """Start empty."""
        self._models: dict[str, Model] = {}

    def get(self, name: str) -> Model | None:
        """Give what is known under `name`; "" is the default model."""
        return self._models.get(name)

    def learn(self, name: str, model: Model) -> None:
        """Keep `model`, unless it isn't ready: its width and limits may not be known yet."""
        if model.is_ready:
            if len(self._models) >= _MOST:
                self._models.clear()
            self._models[name] = model

    def clear(self) -> None:
        """Drop all: what names stand for was changed."""
        self._models.clear()

    def forget_after(self, name: str, error: NearfieldError) -> bool:
        """Drop what an error calls into doubt: the server may have been restarted with other models or limits.

        Tells whether the request may have been cut by limits of the past; not where one input is blamed.
        """
        if not isinstance(error, (InvalidArgument, NotFound, ResourceExhausted)) or error.retry_delay is not None:
            return False
        self._models.pop(name, None)
        return not any("[" in path for path, _ in error.field_violations)


def same_model(one: Model, other: Model) -> bool:
    """Tell whether vectors of both may stand in one result."""
    return (one.name, one.version, one.repository_version) == (other.name, other.version, other.repository_version)
