"""Collections of the asyncio client: the same methods and meanings as the blocking ones."""
# ruff: noqa: ASYNC109 - `timeout` is the deadline that travels with the RPC

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from functools import partial
from typing import Any, Literal, TypeVar, Unpack

import grpc

from nearfield import _search_methods as methods
from nearfield._async_transport import AsyncTransport
from nearfield._async_upsert import AsyncUpsert
from nearfield._channel import call_deadline, check_timeout
from nearfield._deadline import Deadline
from nearfield._errors import NearfieldError
from nearfield._frames import arrow_of, pandas_of
from nearfield._methods import Method
from nearfield._retry import next_delay
from nearfield._rows import iterate_rows
from nearfield._search_requests import (
    Query,
    consistency_number,
    duplicates_of,
    duplicates_request,
    facet_of,
    filter_fields,
    groups_of,
    hits_of,
    id_messages,
    info_of,
    more_tenants,
    ordering_number,
    point_of,
    recommend_request,
    scroll_request,
    search_request,
    selection,
    tenants_request,
    update_request,
)
from nearfield._search_stream import SearchStreamResult, async_results
from nearfield._search_types import (
    CollectionInfo,
    DuplicateGroup,
    FilterLike,
    Group,
    Hit,
    Id,
    Ordering,
    Point,
    RecommendOptions,
    ScrollOptions,
    SearchOptions,
    UpdateOptions,
    UpsertOptions,
    UpsertResult,
)
from nearfield._status import error_of_call
from nearfield._upsert import UpsertPlan
from nearfield.v1 import search_pb2

__all__ = ["AsyncCollection"]

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

    async def update(self, **options: Unpack[UpdateOptions]) -> CollectionInfo:
        """Change payload indexes, time to live, quantisation or durability; see `UpdateOptions`."""
        request = update_request(self.name, options)
        return info_of((await self._call(methods.UPDATE_COLLECTION, request, options.get("timeout"))).collection)

    async def upsert(self, rows: Any, **options: Unpack[UpsertOptions]) -> UpsertResult:
        """Store rows, over one stream where there are many: any number of them takes the memory of a few batches.

        Args:
            rows: dicts, a pandas or polars data frame, an Arrow table, batch, reader or dataset,
                or an async iterable of dicts.
            **options: see `UpsertOptions`.

        Raises:
            InvalidArgument: a row is refused; the message names it as `rows[number]`. Others may be stored.
        """
        plan = UpsertPlan(self.name, self.tenant, options)
        upsert = AsyncUpsert(self._transport, plan, options.get("timeout"))
        await upsert.run(rows if isinstance(rows, AsyncIterable) else iterate_rows(rows, options.get("vector")))
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

    def search_stream(
        self, queries: Iterable[Query] | AsyncIterable[Query], **options: Unpack[SearchOptions]
    ) -> AsyncGenerator[SearchStreamResult, None]:
        """Search for any number of queries over one call, many at a time; results come as they are ready.

        A failed search is a result with its `error` and touches no other. The connection isn't made again where it is
        lost: what has no result yet may be asked for once more.

        Args:
            queries: an iterable or async iterable; taken as results are.
            **options: see `SearchOptions`; `timeout` is of the whole call, None is no limit.
        """
        make = partial(search_request, self.name, self.tenant, options=options)
        return async_results(self._transport, queries, make, options.get("timeout"))

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
                collection=self.name,
                tenant=self.tenant,
                ids=wanted[start : start + _IDS_AT_ONCE],
                select=select,
                consistency=consistency_number(options),
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
        ordering: Ordering | None = None,
        timeout: float | None = None,
    ) -> int:
        """Delete points by id, by filter, or all of the tenant's; give their number. `ordering` as for `upsert`."""
        wanted, deleted = id_messages(ids), 0
        for start in range(0, max(1, len(wanted)), _IDS_AT_ONCE):
            request = search_pb2.DeletePointsRequest(
                collection=self.name,
                tenant=self.tenant,
                ids=wanted[start : start + _IDS_AT_ONCE],
                all=all,
                wait=wait,
                ordering=ordering_number(ordering),
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

    async def _call(self, method: Method[_RequestT, _ReplyT], request: _RequestT, timeout: float | None) -> _ReplyT:
        return await self._transport.call(method, request, call_deadline(self._transport.settings, timeout))
