"""Collections of the asyncio client: the same methods and meanings as the blocking ones."""
# ruff: noqa: ASYNC109 - `timeout` is the deadline that travels with the RPC

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from functools import partial
from typing import Any, Literal, TypeVar, Unpack

import grpc

from nearfield import _search_methods as methods
from nearfield._async_transport import AsyncTransport
from nearfield._channel import check_timeout
from nearfield._deadline import Deadline
from nearfield._errors import InternalError, InvalidArgument, NearfieldError
from nearfield._frames import arrow_of, pandas_of
from nearfield._methods import Method
from nearfield._retry import next_delay
from nearfield._rows import iterate_rows
from nearfield._search_requests import (
    Query,
    create_request,
    duplicates_of,
    duplicates_request,
    facet_of,
    filter_fields,
    groups_of,
    hits_of,
    id_messages,
    info_of,
    more_tenants,
    point_of,
    recommend_request,
    scroll_request,
    search_request,
    selection,
    tenants_request,
)
from nearfield._search_types import (
    CollectionInfo,
    CollectionOptions,
    DuplicateGroup,
    FilterLike,
    Group,
    Hit,
    Id,
    Point,
    RecommendOptions,
    ScrollOptions,
    SearchOptions,
    UpsertOptions,
    UpsertResult,
)
from nearfield._snapshots import OnProgress, Snapshot, end_of_create, end_of_restore, snapshot_of
from nearfield._status import error_of_call
from nearfield._upsert import Batch, UpsertPlan
from nearfield.v1 import search_pb2

__all__ = ["AsyncCollection", "AsyncCollections"]

_RequestT = TypeVar("_RequestT")
_ReplyT = TypeVar("_ReplyT")
_IDS_AT_ONCE = 1_000


class AsyncCollection:
    """A collection of a server, seen by one tenant; made by the client's `collection`. It holds no state."""

    def __init__(self, transport: AsyncTransport, name: str, tenant: str = "") -> None:
        """Name it; nothing is asked of the server."""
        self._transport = transport
        self.name = name
        self.tenant = tenant

    def __repr__(self) -> str:
        """Name and tenant."""
        return f"<nearfield.AsyncCollection {self.name!r} tenant={self.tenant!r}>"

    async def info(self, *, timeout: float | None = None) -> CollectionInfo:
        """Tell of the collection as it is now."""
        request = search_pb2.GetCollectionRequest(collection=self.name)
        return info_of((await self._call(methods.GET_COLLECTION, request, timeout)).collection)

    async def upsert(self, rows: Any, **options: Unpack[UpsertOptions]) -> UpsertResult:
        """Store rows, in requests of a bounded size: any number of them takes no more memory than one.

        Args:
            rows: dicts, a pandas or polars data frame, an Arrow table, batch, reader or dataset,
                or an async iterable of dicts.
            **options: see `UpsertOptions`.

        Raises:
            InvalidArgument: a row is refused; the message names it as `rows[number]`. Those before it may be stored.
        """
        plan = UpsertPlan(self.name, self.tenant, options)
        timeout = options.get("timeout")
        if isinstance(rows, AsyncIterable):
            async for row in rows:
                if (batch := plan.add(row)) is not None:
                    await self._send(plan, batch, timeout)
            await self._send(plan, plan.last(), timeout)
        else:
            for batch in plan.batches(iterate_rows(rows, options.get("vector"))):
                await self._send(plan, batch, timeout)
        return plan.result()

    async def search(self, query: Query, **options: Unpack[SearchOptions]) -> list[Hit]:
        """Find the points nearest to a text, a vector, a stored point (`PointId`) or an image; best first."""
        request = search_request(self.name, self.tenant, query, options)
        return hits_of((await self._call(methods.SEARCH, request, options.get("timeout"))).hits)

    async def search_groups(
        self, query: Query, group_by: str, group_size: int = 1, **options: Unpack[SearchOptions]
    ) -> list[Group]:
        """Find the best hits of each value of the payload field `group_by`; `top_k` counts groups."""
        request = search_request(self.name, self.tenant, query, options)
        request.group_by.field, request.group_by.group_size = group_by, group_size
        return groups_of((await self._call(methods.SEARCH, request, options.get("timeout"))).groups)

    async def search_many(self, queries: Iterable[Query], **options: Unpack[SearchOptions]) -> list[list[Hit]]:
        """Search for several at once, up to 256, in one call; a list of hits for each, in order."""
        searches = [search_request(self.name, self.tenant, one, options) for one in queries]
        if not searches:
            return []
        request = search_pb2.BatchSearchRequest(searches=searches)
        reply = await self._call(methods.BATCH_SEARCH, request, options.get("timeout"))
        return [hits_of(one.hits) for one in reply.results]

    async def recommend(
        self, positive: Iterable[Query], negative: Iterable[Query] = (), **options: Unpack[RecommendOptions]
    ) -> list[Hit]:
        """Find points like some examples and unlike others; the examples themselves are left out."""
        request = recommend_request(self.name, self.tenant, (positive, negative), options)
        return hits_of((await self._call(methods.RECOMMEND, request, options.get("timeout"))).hits)

    async def get(self, ids: Iterable[Id], **options: Unpack[ScrollOptions]) -> list[Point]:
        """Give points by id, in the order asked for; those that aren't there are left out. `filter` isn't used."""
        wanted = id_messages(ids)
        select = selection(options)
        found: list[Point] = []
        for start in range(0, len(wanted), _IDS_AT_ONCE):
            request = search_pb2.GetPointsRequest(
                collection=self.name, tenant=self.tenant, ids=wanted[start : start + _IDS_AT_ONCE], select=select
            )
            reply = await self._call(methods.GET_POINTS, request, options.get("timeout"))
            found.extend(point_of(one) for one in reply.points)
        return found

    async def delete(
        self,
        ids: Iterable[Id] = (),
        *,
        filter: FilterLike | None = None,  # noqa: A002 - as everywhere in this client
        all: bool = False,  # noqa: A002 - the protocol's own
        wait: bool = True,
        timeout: float | None = None,
    ) -> int:
        """Delete points by id, by filter, or all of the tenant's; give their number."""
        wanted, deleted = id_messages(ids), 0
        for start in range(0, max(1, len(wanted)), _IDS_AT_ONCE):
            request = search_pb2.DeletePointsRequest(
                collection=self.name,
                tenant=self.tenant,
                ids=wanted[start : start + _IDS_AT_ONCE],
                all=all,
                wait=wait,
                **filter_fields(filter),
            )
            deleted += (await self._call(methods.DELETE_POINTS, request, timeout)).deleted
        return deleted

    async def scroll(self, **options: Unpack[ScrollOptions]) -> AsyncGenerator[Point, None]:
        """Yield all points that match, in the order in which they were first stored.

        A lost connection is made again, as `RetryPolicy` says, and goes on after the last part. Without `timeout` there
        is no deadline.
        """
        request = scroll_request(self.name, self.tenant, options)
        deadline, attempts, done = Deadline(check_timeout(options.get("timeout"))), 0, False
        while not done:
            call = self._transport.start("unary_stream", methods.SCROLL, request, deadline.timeout())
            try:
                async for part in call:
                    attempts, request.cursor, done = 0, part.cursor, not part.cursor
                    for one in part.points:
                        yield point_of(one)
                done = True
            except grpc.RpcError as failure:
                if done:
                    return
                error: NearfieldError = error_of_call(failure)
                attempts += 1
                retry = self._transport.settings.retry
                delay = next_delay(retry, error, attempts=attempts, seconds_left=deadline.left(), draw=0.0)
                if delay is None:
                    raise error from failure
                again_in = delay
            finally:
                call.cancel()
            if not done:
                await self._transport.pause(again_in)

    async def to_arrow(self, **options: Unpack[ScrollOptions]) -> Any:
        """Give the points that match as a pyarrow.Table; all of it is in memory. Raises TypeError for mixed types."""
        return arrow_of([one async for one in self.scroll(**options)])

    async def to_pandas(self, **options: Unpack[ScrollOptions]) -> Any:
        """Give the points that match as a pandas.DataFrame; all of it is in memory."""
        return pandas_of([one async for one in self.scroll(**options)])

    async def find_duplicates(
        self,
        threshold: float = 0.95,
        *,
        grouping: Literal["star", "connected"] = "star",
        keep: Literal["first", "newest", "longest", "medoid"] = "first",
        max_group: int = 1000,
        filter: FilterLike | None = None,  # noqa: A002 - as everywhere in this client
        timeout: float | None = None,
    ) -> AsyncGenerator[DuplicateGroup, None]:
        """Yield groups of points that say the same, each with the one to keep.

        Args:
            threshold: least cosine, in (0, 1].
            grouping: "star": each member is that similar to the kept one; "connected": to some other member.
            keep: the one first stored, last written, with the longest text, or most similar to the others.
            max_group: members of a group at most.
            filter: only points that match.
            timeout: seconds for the whole call; None is no limit.
        """
        request = duplicates_request(self.name, self.tenant, (threshold, grouping, keep, max_group), filter)
        seconds = Deadline(check_timeout(timeout)).timeout()
        call = self._transport.start("unary_stream", methods.FIND_DUPLICATES, request, seconds)
        try:
            async for one in call:
                yield duplicates_of(one)
        except grpc.RpcError as failure:
            raise error_of_call(failure) from failure
        finally:
            call.cancel()

    async def count(
        self,
        filter: FilterLike | None = None,  # noqa: A002 - as everywhere in this client
        *,
        estimate: bool = False,
        timeout: float | None = None,
    ) -> int:
        """Count the points that match; with `estimate` roughly, where that is cheaper."""
        given = filter_fields(filter)
        request = search_pb2.CountRequest(collection=self.name, tenant=self.tenant, estimate=estimate, **given)
        return int((await self._call(methods.COUNT, request, timeout)).count)

    async def facet(
        self,
        field: str,
        *,
        limit: int = 10,
        filter: FilterLike | None = None,  # noqa: A002 - as everywhere in this client
        timeout: float | None = None,
    ) -> list[tuple[str | int | bool, int]]:
        """Give the values of a payload field with the number of points that have each, most frequent first."""
        request = search_pb2.FacetRequest(
            collection=self.name, tenant=self.tenant, field=field, limit=limit, **filter_fields(filter)
        )
        return facet_of(await self._call(methods.FACET, request, timeout))

    async def tenants(self, *, timeout: float | None = None) -> AsyncGenerator[tuple[str, int], None]:
        """Yield the tenants of the collection, by name, with the number of their points; `timeout` is of each call."""
        request: search_pb2.ListTenantsRequest | None = tenants_request(self.name)
        while request is not None:
            found = (await self._call(methods.LIST_TENANTS, request, timeout)).tenants
            for one in found:
                yield one.tenant, one.points
            request = more_tenants(request, found)

    async def _send(self, plan: UpsertPlan, batch: Batch, timeout: float | None) -> None:
        while batch.points:
            try:
                reply = await self._call(methods.UPSERT, plan.request(batch), timeout)
            except InvalidArgument as error:
                plan.refused(batch, error)
            else:
                plan.accept(batch, reply)

    async def _call(self, method: Method[_RequestT, _ReplyT], request: _RequestT, timeout: float | None) -> _ReplyT:
        return await self._transport.call(method, request, _deadline(self._transport, timeout))


class AsyncCollections:
    """What a client does with collections as a whole."""

    _transport: AsyncTransport

    def collection(self, name: str, tenant: str = "") -> AsyncCollection:
        """Give a handle of a collection or alias, for one tenant; the server isn't asked whether it is there."""
        return AsyncCollection(self._transport, name, tenant)

    async def create_collection(self, name: str, **options: Unpack[CollectionOptions]) -> AsyncCollection:
        """Make a collection. Raises AlreadyExists when there is one, or an alias, of that name.

        Args:
            name: 1 to 64 letters, digits, dots, dashes or underscores.
            **options: see `CollectionOptions`.
        """
        request = create_request(name, options)
        deadline = _deadline(self._transport, options.get("timeout"))
        await self._transport.call(methods.CREATE_COLLECTION, request, deadline)
        return AsyncCollection(self._transport, name)

    async def collections(self, *, timeout: float | None = None) -> list[CollectionInfo]:
        """List the collections, by name."""
        deadline = _deadline(self._transport, timeout)
        request = search_pb2.ListCollectionsRequest()
        reply = await self._transport.call(methods.LIST_COLLECTIONS, request, deadline)
        return [info_of(one) for one in reply.collections]

    async def delete_collection(self, name: str, *, timeout: float | None = None) -> None:
        """Delete a collection with all its points. Raises FailedPrecondition while an alias stands for it."""
        request = search_pb2.DeleteCollectionRequest(collection=name)
        await self._transport.call(methods.DELETE_COLLECTION, request, _deadline(self._transport, timeout))

    async def set_collection_alias(self, alias: str, collection: str, *, timeout: float | None = None) -> str:
        """Let `alias` stand for a collection, at once; "" takes it away. Give what it stood for before, or ""."""
        request = search_pb2.SetCollectionAliasRequest(alias=alias, collection=collection)
        deadline = _deadline(self._transport, timeout)
        return (await self._transport.call(methods.SET_COLLECTION_ALIAS, request, deadline)).previous

    async def create_snapshot(
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
        return await self._last(
            methods.CREATE_SNAPSHOT, request, timeout, partial(end_of_create, on_progress=on_progress)
        )

    async def restore_snapshot(
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
        return await self._last(
            methods.RESTORE_SNAPSHOT, request, timeout, lambda one: end_of_restore(one, on_progress)
        )

    async def snapshots(self, *, timeout: float | None = None) -> list[Snapshot]:
        """List the snapshots, newest first."""
        deadline = _deadline(self._transport, timeout)
        reply = await self._transport.call(methods.LIST_SNAPSHOTS, search_pb2.ListSnapshotsRequest(), deadline)
        return [snapshot_of(one) for one in reply.snapshots]

    async def delete_snapshot(self, name: str, *, timeout: float | None = None) -> None:
        """Delete a snapshot."""
        request = search_pb2.DeleteSnapshotRequest(snapshot=name)
        await self._transport.call(methods.DELETE_SNAPSHOT, request, _deadline(self._transport, timeout))

    async def _last(
        self, method: Any, request: Any, timeout: float | None, read: Callable[[Any], _ReplyT | None]
    ) -> _ReplyT:
        """Follow a stream of progress to its last message."""
        call = self._transport.start("unary_stream", method, request, Deadline(check_timeout(timeout)).timeout())
        try:
            async for message in call:
                if (end := read(message)) is not None:
                    return end
        except grpc.RpcError as failure:
            raise error_of_call(failure) from failure
        finally:
            call.cancel()
        raise InternalError("the stream ended before its result")


def _deadline(transport: AsyncTransport, timeout: float | None) -> Deadline:
    return Deadline(transport.settings.timeout if timeout is None else check_timeout(timeout))
