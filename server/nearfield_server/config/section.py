"""What the sections of the settings are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = ["MIB", "Count", "File", "Number", "Section"]

MIB = 1 << 20


def _no_switch(value: Any) -> Any:
    # True is 1 to pydantic.
    if isinstance(value, bool):
        msg = "must be a number"
        raise ValueError(msg)  # noqa: TRY004 - what pydantic expects of a validator
    return value


def _not_empty(value: Any) -> Any:
    # Path("") would quietly be the working directory.
    if value == "":
        msg = "must not be empty"
        raise ValueError(msg)
    return value


Count = Annotated[int, BeforeValidator(_no_switch)]
Number = Annotated[float, BeforeValidator(_no_switch)]
File = Annotated[Path, BeforeValidator(_not_empty)]


class Section(BaseModel):
    """Frozen, and without keys that aren't known."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)
