from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from nearfield.v1 import embed_pb2 as _embed_pb2
from nearfield.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReadConsistency(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    READ_CONSISTENCY_UNSPECIFIED: _ClassVar[ReadConsistency]
    READ_CONSISTENCY_ONE: _ClassVar[ReadConsistency]
    READ_CONSISTENCY_MAJORITY: _ClassVar[ReadConsistency]
    READ_CONSISTENCY_QUORUM: _ClassVar[ReadConsistency]
    READ_CONSISTENCY_ALL: _ClassVar[ReadConsistency]

class WriteOrdering(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WRITE_ORDERING_UNSPECIFIED: _ClassVar[WriteOrdering]
    WRITE_ORDERING_WEAK: _ClassVar[WriteOrdering]
    WRITE_ORDERING_MEDIUM: _ClassVar[WriteOrdering]
    WRITE_ORDERING_STRONG: _ClassVar[WriteOrdering]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_PROCESS: _ClassVar[Durability]
    DURABILITY_DISK: _ClassVar[Durability]

class VectorQuantization(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VECTOR_QUANTIZATION_UNSPECIFIED: _ClassVar[VectorQuantization]
    VECTOR_QUANTIZATION_NONE: _ClassVar[VectorQuantization]
    VECTOR_QUANTIZATION_INT8: _ClassVar[VectorQuantization]

class FieldType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIELD_TYPE_UNSPECIFIED: _ClassVar[FieldType]
    FIELD_TYPE_KEYWORD: _ClassVar[FieldType]
    FIELD_TYPE_INTEGER: _ClassVar[FieldType]
    FIELD_TYPE_FLOAT: _ClassVar[FieldType]
    FIELD_TYPE_BOOL: _ClassVar[FieldType]
    FIELD_TYPE_DATETIME: _ClassVar[FieldType]
    FIELD_TYPE_GEO: _ClassVar[FieldType]
    FIELD_TYPE_TEXT: _ClassVar[FieldType]

class IndexState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INDEX_STATE_UNSPECIFIED: _ClassVar[IndexState]
    INDEX_STATE_EXACT: _ClassVar[IndexState]
    INDEX_STATE_BUILDING: _ClassVar[IndexState]
    INDEX_STATE_READY: _ClassVar[IndexState]
    INDEX_STATE_FAILED: _ClassVar[IndexState]

class UpsertMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UPSERT_MODE_UNSPECIFIED: _ClassVar[UpsertMode]
    UPSERT_MODE_UPSERT: _ClassVar[UpsertMode]
    UPSERT_MODE_CREATE: _ClassVar[UpsertMode]
    UPSERT_MODE_UPDATE: _ClassVar[UpsertMode]
    UPSERT_MODE_PAYLOAD: _ClassVar[UpsertMode]

class SearchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_MODE_UNSPECIFIED: _ClassVar[SearchMode]
    SEARCH_MODE_DENSE: _ClassVar[SearchMode]
    SEARCH_MODE_KEYWORD: _ClassVar[SearchMode]
    SEARCH_MODE_HYBRID: _ClassVar[SearchMode]

class FusionMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUSION_METHOD_UNSPECIFIED: _ClassVar[FusionMethod]
    FUSION_METHOD_RRF: _ClassVar[FusionMethod]
    FUSION_METHOD_WEIGHTED: _ClassVar[FusionMethod]

class RecommendStrategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECOMMEND_STRATEGY_UNSPECIFIED: _ClassVar[RecommendStrategy]
    RECOMMEND_STRATEGY_AVERAGE_VECTOR: _ClassVar[RecommendStrategy]
    RECOMMEND_STRATEGY_BEST_SCORE: _ClassVar[RecommendStrategy]

class DuplicateGrouping(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DUPLICATE_GROUPING_UNSPECIFIED: _ClassVar[DuplicateGrouping]
    DUPLICATE_GROUPING_STAR: _ClassVar[DuplicateGrouping]
    DUPLICATE_GROUPING_CONNECTED: _ClassVar[DuplicateGrouping]

class DuplicateKeep(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DUPLICATE_KEEP_UNSPECIFIED: _ClassVar[DuplicateKeep]
    DUPLICATE_KEEP_FIRST: _ClassVar[DuplicateKeep]
    DUPLICATE_KEEP_NEWEST: _ClassVar[DuplicateKeep]
    DUPLICATE_KEEP_LONGEST: _ClassVar[DuplicateKeep]
    DUPLICATE_KEEP_MEDOID: _ClassVar[DuplicateKeep]

class ReembedState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REEMBED_STATE_UNSPECIFIED: _ClassVar[ReembedState]
    REEMBED_STATE_COPYING: _ClassVar[ReembedState]
    REEMBED_STATE_SWAPPING: _ClassVar[ReembedState]
    REEMBED_STATE_DONE: _ClassVar[ReembedState]
    REEMBED_STATE_CANCELLED: _ClassVar[ReembedState]
    REEMBED_STATE_FAILED: _ClassVar[ReembedState]
READ_CONSISTENCY_UNSPECIFIED: ReadConsistency
READ_CONSISTENCY_ONE: ReadConsistency
READ_CONSISTENCY_MAJORITY: ReadConsistency
READ_CONSISTENCY_QUORUM: ReadConsistency
READ_CONSISTENCY_ALL: ReadConsistency
WRITE_ORDERING_UNSPECIFIED: WriteOrdering
WRITE_ORDERING_WEAK: WriteOrdering
WRITE_ORDERING_MEDIUM: WriteOrdering
WRITE_ORDERING_STRONG: WriteOrdering
DURABILITY_UNSPECIFIED: Durability
DURABILITY_PROCESS: Durability
DURABILITY_DISK: Durability
VECTOR_QUANTIZATION_UNSPECIFIED: VectorQuantization
VECTOR_QUANTIZATION_NONE: VectorQuantization
VECTOR_QUANTIZATION_INT8: VectorQuantization
FIELD_TYPE_UNSPECIFIED: FieldType
FIELD_TYPE_KEYWORD: FieldType
FIELD_TYPE_INTEGER: FieldType
FIELD_TYPE_FLOAT: FieldType
FIELD_TYPE_BOOL: FieldType
FIELD_TYPE_DATETIME: FieldType
FIELD_TYPE_GEO: FieldType
FIELD_TYPE_TEXT: FieldType
INDEX_STATE_UNSPECIFIED: IndexState
INDEX_STATE_EXACT: IndexState
INDEX_STATE_BUILDING: IndexState
INDEX_STATE_READY: IndexState
INDEX_STATE_FAILED: IndexState
UPSERT_MODE_UNSPECIFIED: UpsertMode
UPSERT_MODE_UPSERT: UpsertMode
UPSERT_MODE_CREATE: UpsertMode
UPSERT_MODE_UPDATE: UpsertMode
UPSERT_MODE_PAYLOAD: UpsertMode
SEARCH_MODE_UNSPECIFIED: SearchMode
SEARCH_MODE_DENSE: SearchMode
SEARCH_MODE_KEYWORD: SearchMode
SEARCH_MODE_HYBRID: SearchMode
FUSION_METHOD_UNSPECIFIED: FusionMethod
FUSION_METHOD_RRF: FusionMethod
FUSION_METHOD_WEIGHTED: FusionMethod
RECOMMEND_STRATEGY_UNSPECIFIED: RecommendStrategy
RECOMMEND_STRATEGY_AVERAGE_VECTOR: RecommendStrategy
RECOMMEND_STRATEGY_BEST_SCORE: RecommendStrategy
DUPLICATE_GROUPING_UNSPECIFIED: DuplicateGrouping
DUPLICATE_GROUPING_STAR: DuplicateGrouping
DUPLICATE_GROUPING_CONNECTED: DuplicateGrouping
DUPLICATE_KEEP_UNSPECIFIED: DuplicateKeep
DUPLICATE_KEEP_FIRST: DuplicateKeep
DUPLICATE_KEEP_NEWEST: DuplicateKeep
DUPLICATE_KEEP_LONGEST: DuplicateKeep
DUPLICATE_KEEP_MEDOID: DuplicateKeep
REEMBED_STATE_UNSPECIFIED: ReembedState
REEMBED_STATE_COPYING: ReembedState
REEMBED_STATE_SWAPPING: ReembedState
REEMBED_STATE_DONE: ReembedState
REEMBED_STATE_CANCELLED: ReembedState
REEMBED_STATE_FAILED: ReembedState

class PointId(_message.Message):
    __slots__ = ("text", "number")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: int
    def __init__(self, text: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class GeoPoint(_message.Message):
    __slots__ = ("latitude", "longitude")
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    latitude: float
    longitude: float
    def __init__(self, latitude: _Optional[float] = ..., longitude: _Optional[float] = ...) -> None: ...

class Payload(_message.Message):
    __slots__ = ("fields", "timestamps", "geo_points")
    class TimestampsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _timestamp_pb2.Timestamp
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class GeoPointsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: GeoPoint
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[GeoPoint, _Mapping]] = ...) -> None: ...
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMPS_FIELD_NUMBER: _ClassVar[int]
    GEO_POINTS_FIELD_NUMBER: _ClassVar[int]
    fields: _struct_pb2.Struct
    timestamps: _containers.MessageMap[str, _timestamp_pb2.Timestamp]
    geo_points: _containers.MessageMap[str, GeoPoint]
    def __init__(self, fields: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., timestamps: _Optional[_Mapping[str, _timestamp_pb2.Timestamp]] = ..., geo_points: _Optional[_Mapping[str, GeoPoint]] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("id", "text", "vector", "payload", "expires_at", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: PointId
    text: str
    vector: bytes
    payload: Payload
    expires_at: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, id: _Optional[_Union[PointId, _Mapping]] = ..., text: _Optional[str] = ..., vector: _Optional[bytes] = ..., payload: _Optional[_Union[Payload, _Mapping]] = ..., expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class KeywordSearch(_message.Message):
    __slots__ = ("language", "k", "b", "average_words", "disabled")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_WORDS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    language: str
    k: float
    b: float
    average_words: float
    disabled: bool
    def __init__(self, language: _Optional[str] = ..., k: _Optional[float] = ..., b: _Optional[float] = ..., average_words: _Optional[float] = ..., disabled: bool = ...) -> None: ...

class HnswOptions(_message.Message):
    __slots__ = ("m", "ef_construct")
    M_FIELD_NUMBER: _ClassVar[int]
    EF_CONSTRUCT_FIELD_NUMBER: _ClassVar[int]
    m: int
    ef_construct: int
    def __init__(self, m: _Optional[int] = ..., ef_construct: _Optional[int] = ...) -> None: ...

class Collection(_message.Message):
    __slots__ = ("name", "model", "model_version", "dimensions", "metric", "keyword_search", "quantization", "hnsw", "payload_indexes", "durability", "ttl", "engine", "created_at", "points", "index_lag", "index_state", "index_message", "disk_bytes", "aliases")
    class PayloadIndexesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FieldType
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FieldType, str]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_SEARCH_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    HNSW_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_INDEXES_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    INDEX_LAG_FIELD_NUMBER: _ClassVar[int]
    INDEX_STATE_FIELD_NUMBER: _ClassVar[int]
    INDEX_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    name: str
    model: str
    model_version: str
    dimensions: int
    metric: _embed_pb2.SimilarityMetric
    keyword_search: KeywordSearch
    quantization: VectorQuantization
    hnsw: HnswOptions
    payload_indexes: _containers.ScalarMap[str, FieldType]
    durability: Durability
    ttl: _duration_pb2.Duration
    engine: str
    created_at: _timestamp_pb2.Timestamp
    points: int
    index_lag: int
    index_state: IndexState
    index_message: str
    disk_bytes: int
    aliases: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., dimensions: _Optional[int] = ..., metric: _Optional[_Union[_embed_pb2.SimilarityMetric, str]] = ..., keyword_search: _Optional[_Union[KeywordSearch, _Mapping]] = ..., quantization: _Optional[_Union[VectorQuantization, str]] = ..., hnsw: _Optional[_Union[HnswOptions, _Mapping]] = ..., payload_indexes: _Optional[_Mapping[str, FieldType]] = ..., durability: _Optional[_Union[Durability, str]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., engine: _Optional[str] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., points: _Optional[int] = ..., index_lag: _Optional[int] = ..., index_state: _Optional[_Union[IndexState, str]] = ..., index_message: _Optional[str] = ..., disk_bytes: _Optional[int] = ..., aliases: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateCollectionRequest(_message.Message):
    __slots__ = ("name", "model", "dimensions", "metric", "keyword_search", "quantization", "hnsw", "payload_indexes", "durability", "ttl")
    class PayloadIndexesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FieldType
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FieldType, str]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_SEARCH_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    HNSW_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_INDEXES_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    name: str
    model: str
    dimensions: int
    metric: _embed_pb2.SimilarityMetric
    keyword_search: KeywordSearch
    quantization: VectorQuantization
    hnsw: HnswOptions
    payload_indexes: _containers.ScalarMap[str, FieldType]
    durability: Durability
    ttl: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., model: _Optional[str] = ..., dimensions: _Optional[int] = ..., metric: _Optional[_Union[_embed_pb2.SimilarityMetric, str]] = ..., keyword_search: _Optional[_Union[KeywordSearch, _Mapping]] = ..., quantization: _Optional[_Union[VectorQuantization, str]] = ..., hnsw: _Optional[_Union[HnswOptions, _Mapping]] = ..., payload_indexes: _Optional[_Mapping[str, FieldType]] = ..., durability: _Optional[_Union[Durability, str]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class GetCollectionRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class GetCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class ListCollectionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCollectionsResponse(_message.Message):
    __slots__ = ("collections",)
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[Collection]
    def __init__(self, collections: _Optional[_Iterable[_Union[Collection, _Mapping]]] = ...) -> None: ...

class UpdateCollectionRequest(_message.Message):
    __slots__ = ("collection", "add_payload_indexes", "drop_payload_indexes", "ttl", "quantization", "durability")
    class AddPayloadIndexesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FieldType
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FieldType, str]] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ADD_PAYLOAD_INDEXES_FIELD_NUMBER: _ClassVar[int]
    DROP_PAYLOAD_INDEXES_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    add_payload_indexes: _containers.ScalarMap[str, FieldType]
    drop_payload_indexes: _containers.RepeatedScalarFieldContainer[str]
    ttl: _duration_pb2.Duration
    quantization: VectorQuantization
    durability: Durability
    def __init__(self, collection: _Optional[str] = ..., add_payload_indexes: _Optional[_Mapping[str, FieldType]] = ..., drop_payload_indexes: _Optional[_Iterable[str]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., quantization: _Optional[_Union[VectorQuantization, str]] = ..., durability: _Optional[_Union[Durability, str]] = ...) -> None: ...

class UpdateCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class DeleteCollectionRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class DeleteCollectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetCollectionAliasRequest(_message.Message):
    __slots__ = ("alias", "collection")
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    alias: str
    collection: str
    def __init__(self, alias: _Optional[str] = ..., collection: _Optional[str] = ...) -> None: ...

class SetCollectionAliasResponse(_message.Message):
    __slots__ = ("previous",)
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    previous: str
    def __init__(self, previous: _Optional[str] = ...) -> None: ...

class UpsertRequest(_message.Message):
    __slots__ = ("collection", "points", "tenant", "mode", "wait", "priority", "ordering")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ORDERING_FIELD_NUMBER: _ClassVar[int]
    collection: str
    points: _containers.RepeatedCompositeFieldContainer[Point]
    tenant: str
    mode: UpsertMode
    wait: bool
    priority: _types_pb2.Priority
    ordering: WriteOrdering
    def __init__(self, collection: _Optional[str] = ..., points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., tenant: _Optional[str] = ..., mode: _Optional[_Union[UpsertMode, str]] = ..., wait: bool = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., ordering: _Optional[_Union[WriteOrdering, str]] = ...) -> None: ...

class UpsertResponse(_message.Message):
    __slots__ = ("stored", "skipped", "version")
    STORED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    stored: int
    skipped: int
    version: int
    def __init__(self, stored: _Optional[int] = ..., skipped: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class UpsertStreamRequest(_message.Message):
    __slots__ = ("id", "upsert", "client_token", "sequence")
    ID_FIELD_NUMBER: _ClassVar[int]
    UPSERT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    upsert: UpsertRequest
    client_token: str
    sequence: int
    def __init__(self, id: _Optional[str] = ..., upsert: _Optional[_Union[UpsertRequest, _Mapping]] = ..., client_token: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class UpsertStreamResponse(_message.Message):
    __slots__ = ("id", "stored", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    stored: UpsertResponse
    error: _status_pb2.Status
    def __init__(self, id: _Optional[str] = ..., stored: _Optional[_Union[UpsertResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class GetPointsRequest(_message.Message):
    __slots__ = ("collection", "ids", "tenant", "select", "consistency")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SELECT_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedCompositeFieldContainer[PointId]
    tenant: str
    select: PointSelection
    consistency: ReadConsistency
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[_Union[PointId, _Mapping]]] = ..., tenant: _Optional[str] = ..., select: _Optional[_Union[PointSelection, _Mapping]] = ..., consistency: _Optional[_Union[ReadConsistency, str]] = ...) -> None: ...

class PointSelection(_message.Message):
    __slots__ = ("include_fields", "exclude_fields", "without_payload", "without_text", "with_vector")
    INCLUDE_FIELDS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELDS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_TEXT_FIELD_NUMBER: _ClassVar[int]
    WITH_VECTOR_FIELD_NUMBER: _ClassVar[int]
    include_fields: _containers.RepeatedScalarFieldContainer[str]
    exclude_fields: _containers.RepeatedScalarFieldContainer[str]
    without_payload: bool
    without_text: bool
    with_vector: bool
    def __init__(self, include_fields: _Optional[_Iterable[str]] = ..., exclude_fields: _Optional[_Iterable[str]] = ..., without_payload: bool = ..., without_text: bool = ..., with_vector: bool = ...) -> None: ...

class GetPointsResponse(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class DeletePointsRequest(_message.Message):
    __slots__ = ("collection", "ids", "filter", "filter_expression", "tenant", "all", "wait", "ordering")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    ORDERING_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedCompositeFieldContainer[PointId]
    filter: Filter
    filter_expression: str
    tenant: str
    all: bool
    wait: bool
    ordering: WriteOrdering
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[_Union[PointId, _Mapping]]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., tenant: _Optional[str] = ..., all: bool = ..., wait: bool = ..., ordering: _Optional[_Union[WriteOrdering, str]] = ...) -> None: ...

class DeletePointsResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class ScrollRequest(_message.Message):
    __slots__ = ("collection", "filter", "filter_expression", "tenant", "select", "page_size", "limit", "cursor", "consistency")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SELECT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    filter: Filter
    filter_expression: str
    tenant: str
    select: PointSelection
    page_size: int
    limit: int
    cursor: str
    consistency: ReadConsistency
    def __init__(self, collection: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., tenant: _Optional[str] = ..., select: _Optional[_Union[PointSelection, _Mapping]] = ..., page_size: _Optional[int] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ..., consistency: _Optional[_Union[ReadConsistency, str]] = ...) -> None: ...

class ScrollResponse(_message.Message):
    __slots__ = ("points", "cursor")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    cursor: str
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class CountRequest(_message.Message):
    __slots__ = ("collection", "filter", "filter_expression", "tenant", "estimate", "consistency")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    filter: Filter
    filter_expression: str
    tenant: str
    estimate: bool
    consistency: ReadConsistency
    def __init__(self, collection: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., tenant: _Optional[str] = ..., estimate: bool = ..., consistency: _Optional[_Union[ReadConsistency, str]] = ...) -> None: ...

class CountResponse(_message.Message):
    __slots__ = ("count", "exact")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    count: int
    exact: bool
    def __init__(self, count: _Optional[int] = ..., exact: bool = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("all_of", "any_of", "negated", "equals", "one_of", "number_range", "time_range", "exists", "prefix", "geo_radius", "geo_box", "words", "ids")
    ALL_OF_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    NEGATED_FIELD_NUMBER: _ClassVar[int]
    EQUALS_FIELD_NUMBER: _ClassVar[int]
    ONE_OF_FIELD_NUMBER: _ClassVar[int]
    NUMBER_RANGE_FIELD_NUMBER: _ClassVar[int]
    TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    GEO_RADIUS_FIELD_NUMBER: _ClassVar[int]
    GEO_BOX_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    all_of: FilterList
    any_of: FilterList
    negated: Filter
    equals: Equals
    one_of: OneOf
    number_range: NumberRange
    time_range: TimeRange
    exists: str
    prefix: Prefix
    geo_radius: GeoRadius
    geo_box: GeoBox
    words: Words
    ids: PointIds
    def __init__(self, all_of: _Optional[_Union[FilterList, _Mapping]] = ..., any_of: _Optional[_Union[FilterList, _Mapping]] = ..., negated: _Optional[_Union[Filter, _Mapping]] = ..., equals: _Optional[_Union[Equals, _Mapping]] = ..., one_of: _Optional[_Union[OneOf, _Mapping]] = ..., number_range: _Optional[_Union[NumberRange, _Mapping]] = ..., time_range: _Optional[_Union[TimeRange, _Mapping]] = ..., exists: _Optional[str] = ..., prefix: _Optional[_Union[Prefix, _Mapping]] = ..., geo_radius: _Optional[_Union[GeoRadius, _Mapping]] = ..., geo_box: _Optional[_Union[GeoBox, _Mapping]] = ..., words: _Optional[_Union[Words, _Mapping]] = ..., ids: _Optional[_Union[PointIds, _Mapping]] = ...) -> None: ...

class FilterList(_message.Message):
    __slots__ = ("filters",)
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    filters: _containers.RepeatedCompositeFieldContainer[Filter]
    def __init__(self, filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...

class FilterValue(_message.Message):
    __slots__ = ("text", "integer", "number", "boolean")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    text: str
    integer: int
    number: float
    boolean: bool
    def __init__(self, text: _Optional[str] = ..., integer: _Optional[int] = ..., number: _Optional[float] = ..., boolean: bool = ...) -> None: ...

class Equals(_message.Message):
    __slots__ = ("field", "value")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    field: str
    value: FilterValue
    def __init__(self, field: _Optional[str] = ..., value: _Optional[_Union[FilterValue, _Mapping]] = ...) -> None: ...

class OneOf(_message.Message):
    __slots__ = ("field", "values")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    field: str
    values: _containers.RepeatedCompositeFieldContainer[FilterValue]
    def __init__(self, field: _Optional[str] = ..., values: _Optional[_Iterable[_Union[FilterValue, _Mapping]]] = ...) -> None: ...

class NumberRange(_message.Message):
    __slots__ = ("field", "gt", "gte", "lt", "lte")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    GT_FIELD_NUMBER: _ClassVar[int]
    GTE_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    LTE_FIELD_NUMBER: _ClassVar[int]
    field: str
    gt: float
    gte: float
    lt: float
    lte: float
    def __init__(self, field: _Optional[str] = ..., gt: _Optional[float] = ..., gte: _Optional[float] = ..., lt: _Optional[float] = ..., lte: _Optional[float] = ...) -> None: ...

class TimeRange(_message.Message):
    __slots__ = ("field", "gt", "gte", "lt", "lte")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    GT_FIELD_NUMBER: _ClassVar[int]
    GTE_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    LTE_FIELD_NUMBER: _ClassVar[int]
    field: str
    gt: _timestamp_pb2.Timestamp
    gte: _timestamp_pb2.Timestamp
    lt: _timestamp_pb2.Timestamp
    lte: _timestamp_pb2.Timestamp
    def __init__(self, field: _Optional[str] = ..., gt: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., gte: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., lt: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., lte: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Prefix(_message.Message):
    __slots__ = ("field", "prefix")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    field: str
    prefix: str
    def __init__(self, field: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class GeoRadius(_message.Message):
    __slots__ = ("field", "center", "meters")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    CENTER_FIELD_NUMBER: _ClassVar[int]
    METERS_FIELD_NUMBER: _ClassVar[int]
    field: str
    center: GeoPoint
    meters: float
    def __init__(self, field: _Optional[str] = ..., center: _Optional[_Union[GeoPoint, _Mapping]] = ..., meters: _Optional[float] = ...) -> None: ...

class GeoBox(_message.Message):
    __slots__ = ("field", "north_west", "south_east")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    NORTH_WEST_FIELD_NUMBER: _ClassVar[int]
    SOUTH_EAST_FIELD_NUMBER: _ClassVar[int]
    field: str
    north_west: GeoPoint
    south_east: GeoPoint
    def __init__(self, field: _Optional[str] = ..., north_west: _Optional[_Union[GeoPoint, _Mapping]] = ..., south_east: _Optional[_Union[GeoPoint, _Mapping]] = ...) -> None: ...

class Words(_message.Message):
    __slots__ = ("field", "words")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    field: str
    words: str
    def __init__(self, field: _Optional[str] = ..., words: _Optional[str] = ...) -> None: ...

class PointIds(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedCompositeFieldContainer[PointId]
    def __init__(self, ids: _Optional[_Iterable[_Union[PointId, _Mapping]]] = ...) -> None: ...

class SearchQuery(_message.Message):
    __slots__ = ("text", "vector", "id", "image")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    text: str
    vector: bytes
    id: PointId
    image: bytes
    def __init__(self, text: _Optional[str] = ..., vector: _Optional[bytes] = ..., id: _Optional[_Union[PointId, _Mapping]] = ..., image: _Optional[bytes] = ...) -> None: ...

class Fusion(_message.Message):
    __slots__ = ("method", "rrf_k", "dense_weight", "keyword_weight", "candidates")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    RRF_K_FIELD_NUMBER: _ClassVar[int]
    DENSE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    method: FusionMethod
    rrf_k: float
    dense_weight: float
    keyword_weight: float
    candidates: int
    def __init__(self, method: _Optional[_Union[FusionMethod, str]] = ..., rrf_k: _Optional[float] = ..., dense_weight: _Optional[float] = ..., keyword_weight: _Optional[float] = ..., candidates: _Optional[int] = ...) -> None: ...

class RerankStage(_message.Message):
    __slots__ = ("model", "candidates")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    model: str
    candidates: int
    def __init__(self, model: _Optional[str] = ..., candidates: _Optional[int] = ...) -> None: ...

class Diversity(_message.Message):
    __slots__ = ("diversity", "candidates")
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    diversity: float
    candidates: int
    def __init__(self, diversity: _Optional[float] = ..., candidates: _Optional[int] = ...) -> None: ...

class GroupBy(_message.Message):
    __slots__ = ("field", "group_size")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    GROUP_SIZE_FIELD_NUMBER: _ClassVar[int]
    field: str
    group_size: int
    def __init__(self, field: _Optional[str] = ..., group_size: _Optional[int] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("collection", "query", "top_k", "offset", "filter", "filter_expression", "tenant", "mode", "fusion", "rerank", "diversity", "group_by", "score_threshold", "select", "explain", "exact", "ef", "priority", "consistency")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SELECT_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    EF_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: SearchQuery
    top_k: int
    offset: int
    filter: Filter
    filter_expression: str
    tenant: str
    mode: SearchMode
    fusion: Fusion
    rerank: RerankStage
    diversity: Diversity
    group_by: GroupBy
    score_threshold: float
    select: PointSelection
    explain: bool
    exact: bool
    ef: int
    priority: _types_pb2.Priority
    consistency: ReadConsistency
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[_Union[SearchQuery, _Mapping]] = ..., top_k: _Optional[int] = ..., offset: _Optional[int] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., tenant: _Optional[str] = ..., mode: _Optional[_Union[SearchMode, str]] = ..., fusion: _Optional[_Union[Fusion, _Mapping]] = ..., rerank: _Optional[_Union[RerankStage, _Mapping]] = ..., diversity: _Optional[_Union[Diversity, _Mapping]] = ..., group_by: _Optional[_Union[GroupBy, _Mapping]] = ..., score_threshold: _Optional[float] = ..., select: _Optional[_Union[PointSelection, _Mapping]] = ..., explain: bool = ..., exact: bool = ..., ef: _Optional[int] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., consistency: _Optional[_Union[ReadConsistency, str]] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("id", "score", "payload", "text", "vector", "version", "scores")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    id: PointId
    score: float
    payload: Payload
    text: str
    vector: bytes
    version: int
    scores: HitScores
    def __init__(self, id: _Optional[_Union[PointId, _Mapping]] = ..., score: _Optional[float] = ..., payload: _Optional[_Union[Payload, _Mapping]] = ..., text: _Optional[str] = ..., vector: _Optional[bytes] = ..., version: _Optional[int] = ..., scores: _Optional[_Union[HitScores, _Mapping]] = ...) -> None: ...

class HitScores(_message.Message):
    __slots__ = ("dense", "dense_rank", "keyword", "keyword_rank", "fused", "rerank", "diversity")
    DENSE_FIELD_NUMBER: _ClassVar[int]
    DENSE_RANK_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_RANK_FIELD_NUMBER: _ClassVar[int]
    FUSED_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    dense: float
    dense_rank: int
    keyword: float
    keyword_rank: int
    fused: float
    rerank: float
    diversity: float
    def __init__(self, dense: _Optional[float] = ..., dense_rank: _Optional[int] = ..., keyword: _Optional[float] = ..., keyword_rank: _Optional[int] = ..., fused: _Optional[float] = ..., rerank: _Optional[float] = ..., diversity: _Optional[float] = ...) -> None: ...

class HitGroup(_message.Message):
    __slots__ = ("value", "hits")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    value: _struct_pb2.Value
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    def __init__(self, value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ...) -> None: ...

class SearchTimings(_message.Message):
    __slots__ = ("embed", "engine", "rank", "rerank", "fetch", "total")
    EMBED_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    FETCH_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    embed: _duration_pb2.Duration
    engine: _duration_pb2.Duration
    rank: _duration_pb2.Duration
    rerank: _duration_pb2.Duration
    fetch: _duration_pb2.Duration
    total: _duration_pb2.Duration
    def __init__(self, embed: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., engine: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., rank: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., rerank: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., fetch: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., total: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("hits", "groups", "exact", "timings")
    HITS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    groups: _containers.RepeatedCompositeFieldContainer[HitGroup]
    exact: bool
    timings: SearchTimings
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[HitGroup, _Mapping]]] = ..., exact: bool = ..., timings: _Optional[_Union[SearchTimings, _Mapping]] = ...) -> None: ...

class BatchSearchRequest(_message.Message):
    __slots__ = ("searches",)
    SEARCHES_FIELD_NUMBER: _ClassVar[int]
    searches: _containers.RepeatedCompositeFieldContainer[SearchRequest]
    def __init__(self, searches: _Optional[_Iterable[_Union[SearchRequest, _Mapping]]] = ...) -> None: ...

class BatchSearchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SearchResponse]
    def __init__(self, results: _Optional[_Iterable[_Union[SearchResponse, _Mapping]]] = ...) -> None: ...

class SearchStreamRequest(_message.Message):
    __slots__ = ("id", "search")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    id: str
    search: SearchRequest
    def __init__(self, id: _Optional[str] = ..., search: _Optional[_Union[SearchRequest, _Mapping]] = ...) -> None: ...

class SearchStreamResponse(_message.Message):
    __slots__ = ("id", "result", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    result: SearchResponse
    error: _status_pb2.Status
    def __init__(self, id: _Optional[str] = ..., result: _Optional[_Union[SearchResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("collection", "positive", "negative", "strategy", "top_k", "offset", "filter", "filter_expression", "tenant", "score_threshold", "select", "priority", "consistency")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SELECT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    positive: _containers.RepeatedCompositeFieldContainer[SearchQuery]
    negative: _containers.RepeatedCompositeFieldContainer[SearchQuery]
    strategy: RecommendStrategy
    top_k: int
    offset: int
    filter: Filter
    filter_expression: str
    tenant: str
    score_threshold: float
    select: PointSelection
    priority: _types_pb2.Priority
    consistency: ReadConsistency
    def __init__(self, collection: _Optional[str] = ..., positive: _Optional[_Iterable[_Union[SearchQuery, _Mapping]]] = ..., negative: _Optional[_Iterable[_Union[SearchQuery, _Mapping]]] = ..., strategy: _Optional[_Union[RecommendStrategy, str]] = ..., top_k: _Optional[int] = ..., offset: _Optional[int] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., tenant: _Optional[str] = ..., score_threshold: _Optional[float] = ..., select: _Optional[_Union[PointSelection, _Mapping]] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., consistency: _Optional[_Union[ReadConsistency, str]] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("hits", "timings")
    HITS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    timings: SearchTimings
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., timings: _Optional[_Union[SearchTimings, _Mapping]] = ...) -> None: ...

class FindDuplicatesRequest(_message.Message):
    __slots__ = ("collection", "filter", "filter_expression", "tenant", "threshold", "grouping", "keep", "max_group", "consistency")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    GROUPING_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    MAX_GROUP_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    filter: Filter
    filter_expression: str
    tenant: str
    threshold: float
    grouping: DuplicateGrouping
    keep: DuplicateKeep
    max_group: int
    consistency: ReadConsistency
    def __init__(self, collection: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., tenant: _Optional[str] = ..., threshold: _Optional[float] = ..., grouping: _Optional[_Union[DuplicateGrouping, str]] = ..., keep: _Optional[_Union[DuplicateKeep, str]] = ..., max_group: _Optional[int] = ..., consistency: _Optional[_Union[ReadConsistency, str]] = ...) -> None: ...

class FindDuplicatesResponse(_message.Message):
    __slots__ = ("kept", "duplicates")
    KEPT_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    kept: PointId
    duplicates: _containers.RepeatedCompositeFieldContainer[Duplicate]
    def __init__(self, kept: _Optional[_Union[PointId, _Mapping]] = ..., duplicates: _Optional[_Iterable[_Union[Duplicate, _Mapping]]] = ...) -> None: ...

class Duplicate(_message.Message):
    __slots__ = ("id", "similarity")
    ID_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    id: PointId
    similarity: float
    def __init__(self, id: _Optional[_Union[PointId, _Mapping]] = ..., similarity: _Optional[float] = ...) -> None: ...

class FacetRequest(_message.Message):
    __slots__ = ("collection", "field", "filter", "filter_expression", "tenant", "limit", "consistency")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    field: str
    filter: Filter
    filter_expression: str
    tenant: str
    limit: int
    consistency: ReadConsistency
    def __init__(self, collection: _Optional[str] = ..., field: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., tenant: _Optional[str] = ..., limit: _Optional[int] = ..., consistency: _Optional[_Union[ReadConsistency, str]] = ...) -> None: ...

class FacetResponse(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[FacetValue]
    def __init__(self, values: _Optional[_Iterable[_Union[FacetValue, _Mapping]]] = ...) -> None: ...

class FacetValue(_message.Message):
    __slots__ = ("value", "count")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    value: FilterValue
    count: int
    def __init__(self, value: _Optional[_Union[FilterValue, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class ListTenantsRequest(_message.Message):
    __slots__ = ("collection", "limit", "after")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    collection: str
    limit: int
    after: str
    def __init__(self, collection: _Optional[str] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class ListTenantsResponse(_message.Message):
    __slots__ = ("tenants",)
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    tenants: _containers.RepeatedCompositeFieldContainer[TenantCount]
    def __init__(self, tenants: _Optional[_Iterable[_Union[TenantCount, _Mapping]]] = ...) -> None: ...

class TenantCount(_message.Message):
    __slots__ = ("tenant", "points")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    points: int
    def __init__(self, tenant: _Optional[str] = ..., points: _Optional[int] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("name", "collection", "created_at", "points", "bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    collection: Collection
    created_at: _timestamp_pb2.Timestamp
    points: int
    bytes: int
    def __init__(self, name: _Optional[str] = ..., collection: _Optional[_Union[Collection, _Mapping]] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., points: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class SnapshotProgress(_message.Message):
    __slots__ = ("points", "total", "bytes")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    points: int
    total: int
    bytes: int
    def __init__(self, points: _Optional[int] = ..., total: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class CreateSnapshotRequest(_message.Message):
    __slots__ = ("collection", "name")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    collection: str
    name: str
    def __init__(self, collection: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class CreateSnapshotResponse(_message.Message):
    __slots__ = ("progress", "snapshot")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    progress: SnapshotProgress
    snapshot: Snapshot
    def __init__(self, progress: _Optional[_Union[SnapshotProgress, _Mapping]] = ..., snapshot: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class RestoreSnapshotRequest(_message.Message):
    __slots__ = ("snapshot", "collection")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    snapshot: str
    collection: str
    def __init__(self, snapshot: _Optional[str] = ..., collection: _Optional[str] = ...) -> None: ...

class RestoreSnapshotResponse(_message.Message):
    __slots__ = ("progress", "collection")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    progress: SnapshotProgress
    collection: Collection
    def __init__(self, progress: _Optional[_Union[SnapshotProgress, _Mapping]] = ..., collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class ListSnapshotsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSnapshotsResponse(_message.Message):
    __slots__ = ("snapshots",)
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    snapshots: _containers.RepeatedCompositeFieldContainer[Snapshot]
    def __init__(self, snapshots: _Optional[_Iterable[_Union[Snapshot, _Mapping]]] = ...) -> None: ...

class DeleteSnapshotRequest(_message.Message):
    __slots__ = ("snapshot",)
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: str
    def __init__(self, snapshot: _Optional[str] = ...) -> None: ...

class DeleteSnapshotResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Reembedding(_message.Message):
    __slots__ = ("id", "source", "target", "aliases", "model", "model_version", "dimensions", "state", "copied", "skipped", "total", "points_per_second", "remaining", "error_reason", "error_message", "started_at", "ended_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COPIED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    POINTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    ERROR_REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    source: str
    target: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    model: str
    model_version: str
    dimensions: int
    state: ReembedState
    copied: int
    skipped: int
    total: int
    points_per_second: float
    remaining: _duration_pb2.Duration
    error_reason: str
    error_message: str
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., source: _Optional[str] = ..., target: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., dimensions: _Optional[int] = ..., state: _Optional[_Union[ReembedState, str]] = ..., copied: _Optional[int] = ..., skipped: _Optional[int] = ..., total: _Optional[int] = ..., points_per_second: _Optional[float] = ..., remaining: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., error_reason: _Optional[str] = ..., error_message: _Optional[str] = ..., started_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReembedRequest(_message.Message):
    __slots__ = ("collection", "model", "dimensions", "metric", "target", "aliases", "keep_aliases", "skip_without_text")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    KEEP_ALIASES_FIELD_NUMBER: _ClassVar[int]
    SKIP_WITHOUT_TEXT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    model: str
    dimensions: int
    metric: _embed_pb2.SimilarityMetric
    target: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    keep_aliases: bool
    skip_without_text: bool
    def __init__(self, collection: _Optional[str] = ..., model: _Optional[str] = ..., dimensions: _Optional[int] = ..., metric: _Optional[_Union[_embed_pb2.SimilarityMetric, str]] = ..., target: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., keep_aliases: bool = ..., skip_without_text: bool = ...) -> None: ...

class ReembedResponse(_message.Message):
    __slots__ = ("reembedding",)
    REEMBEDDING_FIELD_NUMBER: _ClassVar[int]
    reembedding: Reembedding
    def __init__(self, reembedding: _Optional[_Union[Reembedding, _Mapping]] = ...) -> None: ...

class ListReembeddingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListReembeddingsResponse(_message.Message):
    __slots__ = ("reembeddings",)
    REEMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    reembeddings: _containers.RepeatedCompositeFieldContainer[Reembedding]
    def __init__(self, reembeddings: _Optional[_Iterable[_Union[Reembedding, _Mapping]]] = ...) -> None: ...

class CancelReembeddingRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelReembeddingResponse(_message.Message):
    __slots__ = ("reembedding",)
    REEMBEDDING_FIELD_NUMBER: _ClassVar[int]
    reembedding: Reembedding
    def __init__(self, reembedding: _Optional[_Union[Reembedding, _Mapping]] = ...) -> None: ...
