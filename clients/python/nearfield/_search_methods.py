"""The rpcs of SearchService that this client calls."""

from __future__ import annotations

from nearfield._methods import Method
from nearfield.v1 import search_pb2

__all__ = [
    "BATCH_SEARCH",
    "COUNT",
    "CREATE_COLLECTION",
    "CREATE_SNAPSHOT",
    "DELETE_COLLECTION",
    "DELETE_POINTS",
    "DELETE_SNAPSHOT",
    "FACET",
    "FIND_DUPLICATES",
    "GET_COLLECTION",
    "GET_POINTS",
    "LIST_COLLECTIONS",
    "LIST_SNAPSHOTS",
    "LIST_TENANTS",
    "RECOMMEND",
    "RESTORE_SNAPSHOT",
    "SCROLL",
    "SEARCH",
    "SEARCH_STREAM",
    "SET_COLLECTION_ALIAS",
    "UPDATE_COLLECTION",
    "UPSERT",
    "UPSERT_STREAM",
]

_SERVICE = "/nearfield.v1.SearchService"

CREATE_COLLECTION = Method(
    f"{_SERVICE}/CreateCollection",
    search_pb2.CreateCollectionRequest.SerializeToString,
    search_pb2.CreateCollectionResponse.FromString,
)
GET_COLLECTION = Method(
    f"{_SERVICE}/GetCollection",
    search_pb2.GetCollectionRequest.SerializeToString,
    search_pb2.GetCollectionResponse.FromString,
)
LIST_COLLECTIONS = Method(
    f"{_SERVICE}/ListCollections",
    search_pb2.ListCollectionsRequest.SerializeToString,
    search_pb2.ListCollectionsResponse.FromString,
)
DELETE_COLLECTION = Method(
    f"{_SERVICE}/DeleteCollection",
    search_pb2.DeleteCollectionRequest.SerializeToString,
    search_pb2.DeleteCollectionResponse.FromString,
)
SET_COLLECTION_ALIAS = Method(
    f"{_SERVICE}/SetCollectionAlias",
    search_pb2.SetCollectionAliasRequest.SerializeToString,
    search_pb2.SetCollectionAliasResponse.FromString,
)
UPSERT = Method(f"{_SERVICE}/Upsert", search_pb2.UpsertRequest.SerializeToString, search_pb2.UpsertResponse.FromString)
GET_POINTS = Method(
    f"{_SERVICE}/GetPoints", search_pb2.GetPointsRequest.SerializeToString, search_pb2.GetPointsResponse.FromString
)
DELETE_POINTS = Method(
    f"{_SERVICE}/DeletePoints",
    search_pb2.DeletePointsRequest.SerializeToString,
    search_pb2.DeletePointsResponse.FromString,
)
SCROLL = Method(f"{_SERVICE}/Scroll", search_pb2.ScrollRequest.SerializeToString, search_pb2.ScrollResponse.FromString)
COUNT = Method(f"{_SERVICE}/Count", search_pb2.CountRequest.SerializeToString, search_pb2.CountResponse.FromString)
FACET = Method(f"{_SERVICE}/Facet", search_pb2.FacetRequest.SerializeToString, search_pb2.FacetResponse.FromString)
LIST_TENANTS = Method(
    f"{_SERVICE}/ListTenants",
    search_pb2.ListTenantsRequest.SerializeToString,
    search_pb2.ListTenantsResponse.FromString,
)
SEARCH = Method(f"{_SERVICE}/Search", search_pb2.SearchRequest.SerializeToString, search_pb2.SearchResponse.FromString)
BATCH_SEARCH = Method(
    f"{_SERVICE}/BatchSearch",
    search_pb2.BatchSearchRequest.SerializeToString,
    search_pb2.BatchSearchResponse.FromString,
)
RECOMMEND = Method(
    f"{_SERVICE}/Recommend", search_pb2.RecommendRequest.SerializeToString, search_pb2.RecommendResponse.FromString
)
FIND_DUPLICATES = Method(
    f"{_SERVICE}/FindDuplicates",
    search_pb2.FindDuplicatesRequest.SerializeToString,
    search_pb2.FindDuplicatesResponse.FromString,
)
CREATE_SNAPSHOT = Method(
    f"{_SERVICE}/CreateSnapshot",
    search_pb2.CreateSnapshotRequest.SerializeToString,
    search_pb2.CreateSnapshotResponse.FromString,
)
RESTORE_SNAPSHOT = Method(
    f"{_SERVICE}/RestoreSnapshot",
    search_pb2.RestoreSnapshotRequest.SerializeToString,
    search_pb2.RestoreSnapshotResponse.FromString,
)
LIST_SNAPSHOTS = Method(
    f"{_SERVICE}/ListSnapshots",
    search_pb2.ListSnapshotsRequest.SerializeToString,
    search_pb2.ListSnapshotsResponse.FromString,
)
DELETE_SNAPSHOT = Method(
    f"{_SERVICE}/DeleteSnapshot",
    search_pb2.DeleteSnapshotRequest.SerializeToString,
    search_pb2.DeleteSnapshotResponse.FromString,
)
UPDATE_COLLECTION = Method(
    f"{_SERVICE}/UpdateCollection",
    search_pb2.UpdateCollectionRequest.SerializeToString,
    search_pb2.UpdateCollectionResponse.FromString,
)
UPSERT_STREAM = Method(
    f"{_SERVICE}/UpsertStream",
    search_pb2.UpsertStreamRequest.SerializeToString,
    search_pb2.UpsertStreamResponse.FromString,
)
SEARCH_STREAM = Method(
    f"{_SERVICE}/SearchStream",
    search_pb2.SearchStreamRequest.SerializeToString,
    search_pb2.SearchStreamResponse.FromString,
)
REEMBED = Method(
    f"{_SERVICE}/Reembed",
    search_pb2.ReembedRequest.SerializeToString,
    search_pb2.ReembedResponse.FromString,
)
LIST_REEMBEDDINGS = Method(
    f"{_SERVICE}/ListReembeddings",
    search_pb2.ListReembeddingsRequest.SerializeToString,
    search_pb2.ListReembeddingsResponse.FromString,
)
CANCEL_REEMBEDDING = Method(
    f"{_SERVICE}/CancelReembedding",
    search_pb2.CancelReembeddingRequest.SerializeToString,
    search_pb2.CancelReembeddingResponse.FromString,
)
