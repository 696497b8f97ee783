"""Texts to vectors in the worker itself, without a server: for machines that do nothing else.

The same plan, tokens, graph and finish as the server's, hence the same vectors. The model is loaded once in a process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nearfield_server.core.plan import Plan, make_plan
from nearfield_server.encoder.loader import LoadedEncoder, load
from nearfield_server.encoder.tokenizer import TextOptions
from nearfield_server.errors import BackendFailure, InvalidInput
from nearfield_server.types import EmbedOptions, InputType, Tokens
from nearfield_server.vectors.finish import finish

__all__ = ["Embedder", "EncoderHere", "Fault", "LocalEmbedder", "Vector"]

Vector = npt.NDArray[Any]

_TEXTS = 512
_CPU_TOKENS, _GPU_TOKENS = 512, 16_384
"""Padded tokens of a batch: on a CPU more only pads more."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one text."""

    code: str
    message: str


class Embedder(Protocol):
    """What embeds the texts of a shard."""

    def embed(self, texts: Sequence[str]) -> Iterator[Vector | Fault]:
        """Yield a vector, or what is wrong, for each text in order. Whatever is raised is no fault of a text."""
        ...

    def close(self) -> None:
        """Let go what was opened."""
        ...


@dataclass(frozen=True, slots=True)
class EncoderHere:
    """Opens an encoder in the worker. `folder` holds the model, by the same path on every machine."""

    name: str
    folder: Path
    options: EmbedOptions
    device: str = "auto"

    def __call__(self) -> LocalEmbedder:
        """Load the model, or take the one that is loaded already."""
        return LocalEmbedder(_loaded(self.name, self.folder, self.device), self.options)


@lru_cache(maxsize=1)
def _loaded(name: str, folder: Path, device: str) -> LoadedEncoder:
    return load(name, folder, device=device)


class LocalEmbedder:
    """Implements `Embedder` with a model of this process."""

    def __init__(self, loaded: LoadedEncoder, options: EmbedOptions) -> None:
        """Use a loaded model. Raises `InvalidInput` for options that it can't do."""
        self._loaded = loaded
        self._options = options
        self._plan: Plan = make_plan(loaded.spec, options, (), None)
        self._budget = _CPU_TOKENS if loaded.device.startswith("cpu") else _GPU_TOKENS
        self._text_options = TextOptions(
            prompt=self._plan.prompt,
            truncate=options.truncate,
            special_tokens_as_text=options.special_tokens_as_text,
            as_query=options.input_type is InputType.QUERY,
        )

    def embed(self, texts: Sequence[str]) -> Iterator[Vector | Fault]:
        """Embed some hundred at a time, sorted by length within these."""
        for start in range(0, len(texts), _TEXTS):
            yield from self._some(texts[start : start + _TEXTS])

    def close(self) -> None:
        """Keep the model: the process's next shard needs it too."""

    def _some(self, texts: Sequence[str]) -> list[Vector | Fault]:
        found: list[Vector | Fault] = []
        tokens: list[tuple[int, Tokens]] = []
        for at, one in enumerate(self._tokens(texts)):
            # A place for the vector, until there is one.
            found.append(one if isinstance(one, Fault) else Fault("INTERNAL", "not embedded; this is a bug"))
            if isinstance(one, Tokens):
                tokens.append((at, one))
        tokens.sort(key=lambda pair: len(pair[1]))
        for batch in self._batches(tokens):
            for (at, _), row in zip(batch, self._loaded.encoder([one for _, one in batch]), strict=True):
                found[at] = self._finished(row.dense)
        return found

    def _tokens(self, texts: Sequence[str]) -> Sequence[Tokens | Fault]:
        try:
            return self._loaded.tokenizer.encode(texts, self._text_options)
        except InvalidInput:
            return [self._own_tokens(text) for text in texts]

    def _own_tokens(self, text: str) -> Tokens | Fault:
        try:
            return self._loaded.tokenizer.encode([text], self._text_options)[0]
        except InvalidInput as error:
            return Fault("INVALID_ARGUMENT", error.violations[0].description)

    def _batches(self, tokens: Sequence[tuple[int, Tokens]]) -> Iterator[list[tuple[int, Tokens]]]:
        batch: list[tuple[int, Tokens]] = []
        for at, one in tokens:
            if batch and (len(batch) + 1) * len(one) > self._budget:
                yield batch
                batch = []
            batch.append((at, one))
        if batch:
            yield batch

    def _finished(self, dense: npt.NDArray[np.float32] | None) -> Vector | Fault:
        assert dense is not None  # noqa: S101  dense vectors were asked for
        plan, spec = self._plan, self._loaded.spec
        try:
            vectors, _ = finish(
                dense[None],
                dimensions=plan.dimensions,
                normalize=plan.normalize,
                dtype=self._options.dtype,
                quantization_range=spec.quantization_range,
            )
        except BackendFailure as error:
            return Fault("INTERNAL", error.message)
        return np.asarray(vectors[0])
