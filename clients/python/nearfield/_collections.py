"""What a client does with collections as a whole: making, naming and keeping them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, Unpack

import grpc

from nearfield import _search_methods as methods
from nearfield._channel import call_deadline, check_timeout
from nearfield._collection import Collection
from nearfield._deadline import Deadline
from nearfield._errors import InternalError
from nearfield._reembeddings import (
    Reembedding,
    ReembedOptions,
    end_of_reembed,
    reembed_request,
    reembedding_of,
)
from nearfield._search_requests import (
    create_request,
    info_of,
)
from nearfield._search_types import (
    CollectionInfo,
    CollectionOptions,
)
from nearfield._snapshots import OnProgress, Snapshot, end_of_create, end_of_restore, snapshot_of
from nearfield._status import error_of_call
from nearfield._transport import Transport
from nearfield.v1 import search_pb2

__all__ = ["Collections"]

_ReplyT = TypeVar("_ReplyT")


class Collections:
    """What a client does with collections as a whole."""

    _transport: Transport

    def collection(self, name: str, tenant: str = "") -> Collection:
        """Give a handle of a collection or alias, for one tenant; the server isn't asked whether it is there."""
        return Collection(self._transport, name, tenant)

    def create_collection(self, name: str, **options: Unpack[CollectionOptions]) -> Collection:
        """Make a collection. Raises AlreadyExists when there is one, or an alias, of that name.

        Args:
            name: 1 to 64 letters, digits, dots, dashes or underscores.
            **options: see `CollectionOptions`.
        """
        request = create_request(name, options)
        deadline = call_deadline(self._transport.settings, options.get("timeout"))
        self._transport.call(methods.CREATE_COLLECTION, request, deadline)
        return Collection(self._transport, name)

    def collections(self, *, timeout: float | None = None) -> list[CollectionInfo]:
        """List the collections, by name."""
        deadline = call_deadline(self._transport.settings, timeout)
        request = search_pb2.ListCollectionsRequest()
        reply = self._transport.call(methods.LIST_COLLECTIONS, request, deadline)
        return [info_of(one) for one in reply.collections]

    def delete_collection(self, name: str, *, timeout: float | None = None) -> None:
        """Delete a collection with all its points. Raises FailedPrecondition while an alias stands for it."""
        request = search_pb2.DeleteCollectionRequest(collection=name)
        self._transport.call(methods.DELETE_COLLECTION, request, call_deadline(self._transport.settings, timeout))

    def set_collection_alias(self, alias: str, collection: str, *, timeout: float | None = None) -> str:
        """Let `alias` stand for a collection, at once; "" takes it away. Give what it stood for before, or ""."""
        request = search_pb2.SetCollectionAliasRequest(alias=alias, collection=collection)
        deadline = call_deadline(self._transport.settings, timeout)
        return self._transport.call(methods.SET_COLLECTION_ALIAS, request, deadline).previous

    def create_snapshot(
        self,
        collection: str,
        name: str = "",
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> Snapshot:
        """Keep all points of a collection as files where the server keeps snapshots.

        Args:
            collection: its name or alias.
            name: of the snapshot; "": the collection's with the time.
            on_progress: called about once a second.
            timeout: seconds for the whole call; None is no limit. What was begun is removed then.

        Raises:
            AlreadyExists: there is a snapshot of that name.
        """
        request = search_pb2.CreateSnapshotRequest(collection=collection, name=name)
        return self._last(methods.CREATE_SNAPSHOT, request, timeout, partial(end_of_create, on_progress=on_progress))

    def restore_snapshot(
        self,
        snapshot: str,
        collection: str = "",
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> CollectionInfo:
        """Make a new collection from a snapshot, whose files are verified first.

        Args:
            snapshot: its name.
            collection: name of the new collection; "": that of the one that the snapshot was made of.
            on_progress: called about once a second.
            timeout: seconds for the whole call; None is no limit. What was begun is deleted then.

        Raises:
            AlreadyExists: there is a collection of that name.
            DataLoss: a file is damaged.
        """
        request = search_pb2.RestoreSnapshotRequest(snapshot=snapshot, collection=collection)
        return self._last(methods.RESTORE_SNAPSHOT, request, timeout, partial(end_of_restore, on_progress=on_progress))

    def snapshots(self, *, timeout: float | None = None) -> list[Snapshot]:
        """List the snapshots, newest first."""
        deadline = call_deadline(self._transport.settings, timeout)
        reply = self._transport.call(methods.LIST_SNAPSHOTS, search_pb2.ListSnapshotsRequest(), deadline)
        return [snapshot_of(one) for one in reply.snapshots]

    def delete_snapshot(self, name: str, *, timeout: float | None = None) -> None:
        """Delete a snapshot."""
        request = search_pb2.DeleteSnapshotRequest(snapshot=name)
        self._transport.call(methods.DELETE_SNAPSHOT, request, call_deadline(self._transport.settings, timeout))

    def reembed(self, collection: str, **options: Unpack[ReembedOptions]) -> Reembedding:
        """Make a collection anew by another model while the old one serves, then give the new one its aliases.

        It goes on in the server when the caller leaves; the same call again follows it.

        Args:
            collection: its name or alias.
            **options: see `ReembedOptions`.

        Raises:
            AlreadyExists: there is a collection named as the new one.
            FailedPrecondition: there would be nothing new, another one is under way, or a point has no text.
        """
        request = reembed_request(collection, options)
        read = partial(end_of_reembed, options=options)
        return self._last(methods.REEMBED, request, options.get("timeout"), read)

    def reembeddings(self, *, timeout: float | None = None) -> list[Reembedding]:
        """List the re-embeddings under way, and the last that ended, newest first."""
        deadline = call_deadline(self._transport.settings, timeout)
        request = search_pb2.ListReembeddingsRequest()
        reply = self._transport.call(methods.LIST_REEMBEDDINGS, request, deadline)
        return [reembedding_of(one) for one in reply.reembeddings]

    def cancel_reembedding(self, id: str, *, timeout: float | None = None) -> Reembedding:  # noqa: A002
        """End a re-embedding and delete its new collection. Raises FailedPrecondition when it has ended."""
        request = search_pb2.CancelReembeddingRequest(id=id)
        deadline = call_deadline(self._transport.settings, timeout)
        reply = self._transport.call(methods.CANCEL_REEMBEDDING, request, deadline)
        return reembedding_of(reply.reembedding)

    def _last(self, method: Any, request: Any, timeout: float | None, read: Callable[[Any], _ReplyT | None]) -> _ReplyT:
        """Follow a stream of progress to its last message."""
        call = self._transport.start("unary_stream", method, request, Deadline(check_timeout(timeout)).timeout())
        try:
            for message in call:
                if (end := read(message)) is not None:
                    return end
        except grpc.RpcError as failure:
            raise error_of_call(failure) from failure
        finally:
            call.cancel()
        raise InternalError("the stream ended before its result")
