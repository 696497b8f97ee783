from google.longrunning import operations_pb2 as _operations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from nearfield.v1 import search_pb2 as _search_pb2
from nearfield.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClusterMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLUSTER_METHOD_UNSPECIFIED: _ClassVar[ClusterMethod]
    CLUSTER_METHOD_KMEANS: _ClassVar[ClusterMethod]
    CLUSTER_METHOD_DENSITY: _ClassVar[ClusterMethod]
    CLUSTER_METHOD_AGGLOMERATIVE: _ClassVar[ClusterMethod]

class Linkage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINKAGE_UNSPECIFIED: _ClassVar[Linkage]
    LINKAGE_AVERAGE: _ClassVar[Linkage]
    LINKAGE_COMPLETE: _ClassVar[Linkage]
    LINKAGE_SINGLE: _ClassVar[Linkage]
    LINKAGE_WARD: _ClassVar[Linkage]

class ClusteringState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLUSTERING_STATE_UNSPECIFIED: _ClassVar[ClusteringState]
    CLUSTERING_STATE_QUEUED: _ClassVar[ClusteringState]
    CLUSTERING_STATE_RUNNING: _ClassVar[ClusteringState]
    CLUSTERING_STATE_DONE: _ClassVar[ClusteringState]
    CLUSTERING_STATE_FAILED: _ClassVar[ClusteringState]
    CLUSTERING_STATE_CANCELLED: _ClassVar[ClusteringState]

class ClusterChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLUSTER_CHANGE_UNSPECIFIED: _ClassVar[ClusterChange]
    CLUSTER_CHANGE_CONTINUED: _ClassVar[ClusterChange]
    CLUSTER_CHANGE_NEW: _ClassVar[ClusterChange]
    CLUSTER_CHANGE_SPLIT: _ClassVar[ClusterChange]
    CLUSTER_CHANGE_MERGED: _ClassVar[ClusterChange]
    CLUSTER_CHANGE_GONE: _ClassVar[ClusterChange]

class DuplicateLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DUPLICATE_LEVEL_UNSPECIFIED: _ClassVar[DuplicateLevel]
    DUPLICATE_LEVEL_STRICT: _ClassVar[DuplicateLevel]
    DUPLICATE_LEVEL_NORMAL: _ClassVar[DuplicateLevel]
    DUPLICATE_LEVEL_LOOSE: _ClassVar[DuplicateLevel]

class DuplicateKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DUPLICATE_KIND_UNSPECIFIED: _ClassVar[DuplicateKind]
    DUPLICATE_KIND_UNIQUE: _ClassVar[DuplicateKind]
    DUPLICATE_KIND_EXACT: _ClassVar[DuplicateKind]
    DUPLICATE_KIND_NEAR: _ClassVar[DuplicateKind]

class ProjectionMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROJECTION_METHOD_UNSPECIFIED: _ClassVar[ProjectionMethod]
    PROJECTION_METHOD_PCA: _ClassVar[ProjectionMethod]
    PROJECTION_METHOD_PACMAP: _ClassVar[ProjectionMethod]
    PROJECTION_METHOD_UMAP: _ClassVar[ProjectionMethod]
    PROJECTION_METHOD_TSNE: _ClassVar[ProjectionMethod]

class ClassifierMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLASSIFIER_METHOD_UNSPECIFIED: _ClassVar[ClassifierMethod]
    CLASSIFIER_METHOD_LOGISTIC: _ClassVar[ClassifierMethod]
    CLASSIFIER_METHOD_RIDGE: _ClassVar[ClassifierMethod]
    CLASSIFIER_METHOD_CENTROID: _ClassVar[ClassifierMethod]
CLUSTER_METHOD_UNSPECIFIED: ClusterMethod
CLUSTER_METHOD_KMEANS: ClusterMethod
CLUSTER_METHOD_DENSITY: ClusterMethod
CLUSTER_METHOD_AGGLOMERATIVE: ClusterMethod
LINKAGE_UNSPECIFIED: Linkage
LINKAGE_AVERAGE: Linkage
LINKAGE_COMPLETE: Linkage
LINKAGE_SINGLE: Linkage
LINKAGE_WARD: Linkage
CLUSTERING_STATE_UNSPECIFIED: ClusteringState
CLUSTERING_STATE_QUEUED: ClusteringState
CLUSTERING_STATE_RUNNING: ClusteringState
CLUSTERING_STATE_DONE: ClusteringState
CLUSTERING_STATE_FAILED: ClusteringState
CLUSTERING_STATE_CANCELLED: ClusteringState
CLUSTER_CHANGE_UNSPECIFIED: ClusterChange
CLUSTER_CHANGE_CONTINUED: ClusterChange
CLUSTER_CHANGE_NEW: ClusterChange
CLUSTER_CHANGE_SPLIT: ClusterChange
CLUSTER_CHANGE_MERGED: ClusterChange
CLUSTER_CHANGE_GONE: ClusterChange
DUPLICATE_LEVEL_UNSPECIFIED: DuplicateLevel
DUPLICATE_LEVEL_STRICT: DuplicateLevel
DUPLICATE_LEVEL_NORMAL: DuplicateLevel
DUPLICATE_LEVEL_LOOSE: DuplicateLevel
DUPLICATE_KIND_UNSPECIFIED: DuplicateKind
DUPLICATE_KIND_UNIQUE: DuplicateKind
DUPLICATE_KIND_EXACT: DuplicateKind
DUPLICATE_KIND_NEAR: DuplicateKind
PROJECTION_METHOD_UNSPECIFIED: ProjectionMethod
PROJECTION_METHOD_PCA: ProjectionMethod
PROJECTION_METHOD_PACMAP: ProjectionMethod
PROJECTION_METHOD_UMAP: ProjectionMethod
PROJECTION_METHOD_TSNE: ProjectionMethod
CLASSIFIER_METHOD_UNSPECIFIED: ClassifierMethod
CLASSIFIER_METHOD_LOGISTIC: ClassifierMethod
CLASSIFIER_METHOD_RIDGE: ClassifierMethod
CLASSIFIER_METHOD_CENTROID: ClassifierMethod

class ClusterOptions(_message.Message):
    __slots__ = ("method", "k", "min_k", "max_k", "seed", "distance_threshold", "linkage", "target_clusters", "min_cluster_size", "noise_level", "assign_noise", "nearest_items", "labels", "previous")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    MIN_K_FIELD_NUMBER: _ClassVar[int]
    MAX_K_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    LINKAGE_FIELD_NUMBER: _ClassVar[int]
    TARGET_CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    MIN_CLUSTER_SIZE_FIELD_NUMBER: _ClassVar[int]
    NOISE_LEVEL_FIELD_NUMBER: _ClassVar[int]
    ASSIGN_NOISE_FIELD_NUMBER: _ClassVar[int]
    NEAREST_ITEMS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    method: ClusterMethod
    k: int
    min_k: int
    max_k: int
    seed: int
    distance_threshold: float
    linkage: Linkage
    target_clusters: int
    min_cluster_size: int
    noise_level: float
    assign_noise: bool
    nearest_items: int
    labels: ClusterLabelOptions
    previous: str
    def __init__(self, method: _Optional[_Union[ClusterMethod, str]] = ..., k: _Optional[int] = ..., min_k: _Optional[int] = ..., max_k: _Optional[int] = ..., seed: _Optional[int] = ..., distance_threshold: _Optional[float] = ..., linkage: _Optional[_Union[Linkage, str]] = ..., target_clusters: _Optional[int] = ..., min_cluster_size: _Optional[int] = ..., noise_level: _Optional[float] = ..., assign_noise: bool = ..., nearest_items: _Optional[int] = ..., labels: _Optional[_Union[ClusterLabelOptions, _Mapping]] = ..., previous: _Optional[str] = ...) -> None: ...

class ClusterLabelOptions(_message.Message):
    __slots__ = ("disabled", "keywords", "max_words", "languages", "stop_words", "names")
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    MAX_WORDS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    STOP_WORDS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    disabled: bool
    keywords: int
    max_words: int
    languages: _containers.RepeatedScalarFieldContainer[str]
    stop_words: _containers.RepeatedScalarFieldContainer[str]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, disabled: bool = ..., keywords: _Optional[int] = ..., max_words: _Optional[int] = ..., languages: _Optional[_Iterable[str]] = ..., stop_words: _Optional[_Iterable[str]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class ClusterEmbedding(_message.Message):
    __slots__ = ("model", "input_type", "dimensions", "truncate")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    model: str
    input_type: _types_pb2.InputType
    dimensions: int
    truncate: _types_pb2.Truncate
    def __init__(self, model: _Optional[str] = ..., input_type: _Optional[_Union[_types_pb2.InputType, str]] = ..., dimensions: _Optional[int] = ..., truncate: _Optional[_Union[_types_pb2.Truncate, str]] = ...) -> None: ...

class ClusterItems(_message.Message):
    __slots__ = ("inputs", "vectors", "ids")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    vectors: _types_pb2.Matrix
    ids: _containers.RepeatedCompositeFieldContainer[_search_pb2.PointId]
    def __init__(self, inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., vectors: _Optional[_Union[_types_pb2.Matrix, _Mapping]] = ..., ids: _Optional[_Iterable[_Union[_search_pb2.PointId, _Mapping]]] = ...) -> None: ...

class ClusterCollection(_message.Message):
    __slots__ = ("collection", "tenant", "filter", "filter_expression", "consistency")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    tenant: str
    filter: _search_pb2.Filter
    filter_expression: str
    consistency: _search_pb2.ReadConsistency
    def __init__(self, collection: _Optional[str] = ..., tenant: _Optional[str] = ..., filter: _Optional[_Union[_search_pb2.Filter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., consistency: _Optional[_Union[_search_pb2.ReadConsistency, str]] = ...) -> None: ...

class ClusterRequest(_message.Message):
    __slots__ = ("options", "embedding", "items", "collection", "ttl")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    options: ClusterOptions
    embedding: ClusterEmbedding
    items: ClusterItems
    collection: ClusterCollection
    ttl: _duration_pb2.Duration
    def __init__(self, options: _Optional[_Union[ClusterOptions, _Mapping]] = ..., embedding: _Optional[_Union[ClusterEmbedding, _Mapping]] = ..., items: _Optional[_Union[ClusterItems, _Mapping]] = ..., collection: _Optional[_Union[ClusterCollection, _Mapping]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ClusterResponse(_message.Message):
    __slots__ = ("clustering", "clusters", "assignments")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    clustering: Clustering
    clusters: ClusterPage
    assignments: AssignmentPage
    def __init__(self, clustering: _Optional[_Union[Clustering, _Mapping]] = ..., clusters: _Optional[_Union[ClusterPage, _Mapping]] = ..., assignments: _Optional[_Union[AssignmentPage, _Mapping]] = ...) -> None: ...

class ClusterStreamRequest(_message.Message):
    __slots__ = ("options", "items")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    options: ClusterStreamOptions
    items: ClusterItems
    def __init__(self, options: _Optional[_Union[ClusterStreamOptions, _Mapping]] = ..., items: _Optional[_Union[ClusterItems, _Mapping]] = ...) -> None: ...

class ClusterStreamOptions(_message.Message):
    __slots__ = ("options", "embedding", "ttl")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    options: ClusterOptions
    embedding: ClusterEmbedding
    ttl: _duration_pb2.Duration
    def __init__(self, options: _Optional[_Union[ClusterOptions, _Mapping]] = ..., embedding: _Optional[_Union[ClusterEmbedding, _Mapping]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ClusterStreamResponse(_message.Message):
    __slots__ = ("progress", "failure", "clustering", "clusters", "assignments")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    progress: ClusteringProgress
    failure: ClusterItemFailure
    clustering: Clustering
    clusters: ClusterPage
    assignments: AssignmentPage
    def __init__(self, progress: _Optional[_Union[ClusteringProgress, _Mapping]] = ..., failure: _Optional[_Union[ClusterItemFailure, _Mapping]] = ..., clustering: _Optional[_Union[Clustering, _Mapping]] = ..., clusters: _Optional[_Union[ClusterPage, _Mapping]] = ..., assignments: _Optional[_Union[AssignmentPage, _Mapping]] = ...) -> None: ...

class ClusterItemFailure(_message.Message):
    __slots__ = ("index", "status")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    index: int
    status: _status_pb2.Status
    def __init__(self, index: _Optional[int] = ..., status: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class StartClusteringRequest(_message.Message):
    __slots__ = ("options", "collection", "ttl")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    options: ClusterOptions
    collection: ClusterCollection
    ttl: _duration_pb2.Duration
    def __init__(self, options: _Optional[_Union[ClusterOptions, _Mapping]] = ..., collection: _Optional[_Union[ClusterCollection, _Mapping]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchClusteringRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WatchClusteringResponse(_message.Message):
    __slots__ = ("progress",)
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    progress: ClusteringProgress
    def __init__(self, progress: _Optional[_Union[ClusteringProgress, _Mapping]] = ...) -> None: ...

class ClusteringProgress(_message.Message):
    __slots__ = ("id", "state", "stage", "fraction", "remaining", "items", "error", "attempts", "created_at", "ended_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: ClusteringState
    stage: str
    fraction: float
    remaining: _duration_pb2.Duration
    items: int
    error: _status_pb2.Status
    attempts: int
    created_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[ClusteringState, str]] = ..., stage: _Optional[str] = ..., fraction: _Optional[float] = ..., remaining: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., items: _Optional[int] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., attempts: _Optional[int] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Clustering(_message.Message):
    __slots__ = ("id", "options", "collection", "model", "model_version", "dimensions", "items", "dropped", "noise", "clusters", "layer", "layers", "merges", "trials", "quality", "lineage", "warnings", "stage_seconds", "peak_memory_bytes", "created_at", "expires_at")
    class StageSecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    MERGES_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    STAGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    options: ClusterOptions
    collection: str
    model: str
    model_version: str
    dimensions: int
    items: int
    dropped: int
    noise: int
    clusters: int
    layer: int
    layers: _containers.RepeatedCompositeFieldContainer[ClusterLayer]
    merges: _containers.RepeatedCompositeFieldContainer[ClusterMerge]
    trials: _containers.RepeatedCompositeFieldContainer[ClusterTrial]
    quality: ClusterQuality
    lineage: _containers.RepeatedCompositeFieldContainer[ClusterLineage]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    stage_seconds: _containers.ScalarMap[str, float]
    peak_memory_bytes: int
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., options: _Optional[_Union[ClusterOptions, _Mapping]] = ..., collection: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., dimensions: _Optional[int] = ..., items: _Optional[int] = ..., dropped: _Optional[int] = ..., noise: _Optional[int] = ..., clusters: _Optional[int] = ..., layer: _Optional[int] = ..., layers: _Optional[_Iterable[_Union[ClusterLayer, _Mapping]]] = ..., merges: _Optional[_Iterable[_Union[ClusterMerge, _Mapping]]] = ..., trials: _Optional[_Iterable[_Union[ClusterTrial, _Mapping]]] = ..., quality: _Optional[_Union[ClusterQuality, _Mapping]] = ..., lineage: _Optional[_Iterable[_Union[ClusterLineage, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., stage_seconds: _Optional[_Mapping[str, float]] = ..., peak_memory_bytes: _Optional[int] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ClusterLayer(_message.Message):
    __slots__ = ("clusters", "noise_share", "silhouette", "persistence", "parents")
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    NOISE_SHARE_FIELD_NUMBER: _ClassVar[int]
    SILHOUETTE_FIELD_NUMBER: _ClassVar[int]
    PERSISTENCE_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    clusters: int
    noise_share: float
    silhouette: float
    persistence: float
    parents: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, clusters: _Optional[int] = ..., noise_share: _Optional[float] = ..., silhouette: _Optional[float] = ..., persistence: _Optional[float] = ..., parents: _Optional[_Iterable[int]] = ...) -> None: ...

class ClusterMerge(_message.Message):
    __slots__ = ("left", "right", "distance", "size")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    left: int
    right: int
    distance: float
    size: int
    def __init__(self, left: _Optional[int] = ..., right: _Optional[int] = ..., distance: _Optional[float] = ..., size: _Optional[int] = ...) -> None: ...

class ClusterTrial(_message.Message):
    __slots__ = ("k", "silhouette")
    K_FIELD_NUMBER: _ClassVar[int]
    SILHOUETTE_FIELD_NUMBER: _ClassVar[int]
    k: int
    silhouette: float
    def __init__(self, k: _Optional[int] = ..., silhouette: _Optional[float] = ...) -> None: ...

class ClusterQuality(_message.Message):
    __slots__ = ("silhouette", "sample", "dbcv", "cohesion")
    SILHOUETTE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    DBCV_FIELD_NUMBER: _ClassVar[int]
    COHESION_FIELD_NUMBER: _ClassVar[int]
    silhouette: float
    sample: int
    dbcv: float
    cohesion: float
    def __init__(self, silhouette: _Optional[float] = ..., sample: _Optional[int] = ..., dbcv: _Optional[float] = ..., cohesion: _Optional[float] = ...) -> None: ...

class ClusterLineage(_message.Message):
    __slots__ = ("change", "previous", "current", "overlap")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    change: ClusterChange
    previous: int
    current: int
    overlap: float
    def __init__(self, change: _Optional[_Union[ClusterChange, str]] = ..., previous: _Optional[int] = ..., current: _Optional[int] = ..., overlap: _Optional[float] = ...) -> None: ...

class ClusterPage(_message.Message):
    __slots__ = ("offset", "clusters", "centroids")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    CENTROIDS_FIELD_NUMBER: _ClassVar[int]
    offset: int
    clusters: _containers.RepeatedCompositeFieldContainer[ClusterInfo]
    centroids: _types_pb2.Matrix
    def __init__(self, offset: _Optional[int] = ..., clusters: _Optional[_Iterable[_Union[ClusterInfo, _Mapping]]] = ..., centroids: _Optional[_Union[_types_pb2.Matrix, _Mapping]] = ...) -> None: ...

class ClusterInfo(_message.Message):
    __slots__ = ("id", "size", "name", "name_similarity", "keywords", "medoid", "nearest", "cohesion", "radius", "silhouette")
    ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAME_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    MEDOID_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    COHESION_FIELD_NUMBER: _ClassVar[int]
    RADIUS_FIELD_NUMBER: _ClassVar[int]
    SILHOUETTE_FIELD_NUMBER: _ClassVar[int]
    id: int
    size: int
    name: str
    name_similarity: float
    keywords: _containers.RepeatedCompositeFieldContainer[ClusterKeyword]
    medoid: ClusterItem
    nearest: _containers.RepeatedCompositeFieldContainer[ClusterItem]
    cohesion: float
    radius: float
    silhouette: float
    def __init__(self, id: _Optional[int] = ..., size: _Optional[int] = ..., name: _Optional[str] = ..., name_similarity: _Optional[float] = ..., keywords: _Optional[_Iterable[_Union[ClusterKeyword, _Mapping]]] = ..., medoid: _Optional[_Union[ClusterItem, _Mapping]] = ..., nearest: _Optional[_Iterable[_Union[ClusterItem, _Mapping]]] = ..., cohesion: _Optional[float] = ..., radius: _Optional[float] = ..., silhouette: _Optional[float] = ...) -> None: ...

class ClusterKeyword(_message.Message):
    __slots__ = ("term", "weight")
    TERM_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    term: str
    weight: float
    def __init__(self, term: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class ClusterItem(_message.Message):
    __slots__ = ("index", "id", "text", "similarity")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    index: int
    id: _search_pb2.PointId
    text: str
    similarity: float
    def __init__(self, index: _Optional[int] = ..., id: _Optional[_Union[_search_pb2.PointId, _Mapping]] = ..., text: _Optional[str] = ..., similarity: _Optional[float] = ...) -> None: ...

class AssignmentPage(_message.Message):
    __slots__ = ("offset", "ids", "clusters", "strengths", "nearest", "layers", "positions")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    STRENGTHS_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    offset: int
    ids: _containers.RepeatedCompositeFieldContainer[_search_pb2.PointId]
    clusters: bytes
    strengths: bytes
    nearest: bytes
    layers: _containers.RepeatedScalarFieldContainer[bytes]
    positions: bytes
    def __init__(self, offset: _Optional[int] = ..., ids: _Optional[_Iterable[_Union[_search_pb2.PointId, _Mapping]]] = ..., clusters: _Optional[bytes] = ..., strengths: _Optional[bytes] = ..., nearest: _Optional[bytes] = ..., layers: _Optional[_Iterable[bytes]] = ..., positions: _Optional[bytes] = ...) -> None: ...

class GetClusteringRequest(_message.Message):
    __slots__ = ("id", "without_assignments")
    ID_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    without_assignments: bool
    def __init__(self, id: _Optional[str] = ..., without_assignments: bool = ...) -> None: ...

class GetClusteringResponse(_message.Message):
    __slots__ = ("clustering", "clusters", "assignments")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    clustering: Clustering
    clusters: ClusterPage
    assignments: AssignmentPage
    def __init__(self, clustering: _Optional[_Union[Clustering, _Mapping]] = ..., clusters: _Optional[_Union[ClusterPage, _Mapping]] = ..., assignments: _Optional[_Union[AssignmentPage, _Mapping]] = ...) -> None: ...

class ListClusteringsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListClusteringsResponse(_message.Message):
    __slots__ = ("clusterings", "limits")
    CLUSTERINGS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    clusterings: _containers.RepeatedCompositeFieldContainer[Clustering]
    limits: ClusterLimits
    def __init__(self, clusterings: _Optional[_Iterable[_Union[Clustering, _Mapping]]] = ..., limits: _Optional[_Union[ClusterLimits, _Mapping]] = ...) -> None: ...

class ClusterLimits(_message.Message):
    __slots__ = ("max_items", "max_agglomerative_items", "max_memory_bytes", "max_ttl", "default_ttl", "max_kept")
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    MAX_AGGLOMERATIVE_ITEMS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_TTL_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TTL_FIELD_NUMBER: _ClassVar[int]
    MAX_KEPT_FIELD_NUMBER: _ClassVar[int]
    max_items: int
    max_agglomerative_items: int
    max_memory_bytes: int
    max_ttl: _duration_pb2.Duration
    default_ttl: _duration_pb2.Duration
    max_kept: int
    def __init__(self, max_items: _Optional[int] = ..., max_agglomerative_items: _Optional[int] = ..., max_memory_bytes: _Optional[int] = ..., max_ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., default_ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., max_kept: _Optional[int] = ...) -> None: ...

class DeleteClusteringRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteClusteringResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AssignRequest(_message.Message):
    __slots__ = ("id", "items", "dry_run")
    ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    id: str
    items: ClusterItems
    dry_run: bool
    def __init__(self, id: _Optional[str] = ..., items: _Optional[_Union[ClusterItems, _Mapping]] = ..., dry_run: bool = ...) -> None: ...

class AssignResponse(_message.Message):
    __slots__ = ("clusters", "nearest", "strengths", "distances", "drift")
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    STRENGTHS_FIELD_NUMBER: _ClassVar[int]
    DISTANCES_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    clusters: bytes
    nearest: bytes
    strengths: bytes
    distances: bytes
    drift: ClusterDrift
    def __init__(self, clusters: _Optional[bytes] = ..., nearest: _Optional[bytes] = ..., strengths: _Optional[bytes] = ..., distances: _Optional[bytes] = ..., drift: _Optional[_Union[ClusterDrift, _Mapping]] = ...) -> None: ...

class ClusterDrift(_message.Message):
    __slots__ = ("assigned", "far", "window", "far_share", "drift_ratio", "recluster_due")
    ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    FAR_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    FAR_SHARE_FIELD_NUMBER: _ClassVar[int]
    DRIFT_RATIO_FIELD_NUMBER: _ClassVar[int]
    RECLUSTER_DUE_FIELD_NUMBER: _ClassVar[int]
    assigned: int
    far: int
    window: int
    far_share: float
    drift_ratio: float
    recluster_due: bool
    def __init__(self, assigned: _Optional[int] = ..., far: _Optional[int] = ..., window: _Optional[int] = ..., far_share: _Optional[float] = ..., drift_ratio: _Optional[float] = ..., recluster_due: bool = ...) -> None: ...

class DeduplicateRequest(_message.Message):
    __slots__ = ("options", "items")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    options: DeduplicateOptions
    items: DeduplicateItems
    def __init__(self, options: _Optional[_Union[DeduplicateOptions, _Mapping]] = ..., items: _Optional[_Union[DeduplicateItems, _Mapping]] = ...) -> None: ...

class DeduplicateOptions(_message.Message):
    __slots__ = ("embedding", "level", "threshold", "collection", "collection_only", "compare_all", "lexical_check")
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_ONLY_FIELD_NUMBER: _ClassVar[int]
    COMPARE_ALL_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_CHECK_FIELD_NUMBER: _ClassVar[int]
    embedding: ClusterEmbedding
    level: DuplicateLevel
    threshold: float
    collection: ClusterCollection
    collection_only: bool
    compare_all: bool
    lexical_check: bool
    def __init__(self, embedding: _Optional[_Union[ClusterEmbedding, _Mapping]] = ..., level: _Optional[_Union[DuplicateLevel, str]] = ..., threshold: _Optional[float] = ..., collection: _Optional[_Union[ClusterCollection, _Mapping]] = ..., collection_only: bool = ..., compare_all: bool = ..., lexical_check: bool = ...) -> None: ...

class DeduplicateItems(_message.Message):
    __slots__ = ("id", "items")
    ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    id: str
    items: ClusterItems
    def __init__(self, id: _Optional[str] = ..., items: _Optional[_Union[ClusterItems, _Mapping]] = ...) -> None: ...

class DeduplicateResponse(_message.Message):
    __slots__ = ("id", "result", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    result: DeduplicateResult
    error: _status_pb2.Status
    def __init__(self, id: _Optional[str] = ..., result: _Optional[_Union[DeduplicateResult, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class DeduplicateResult(_message.Message):
    __slots__ = ("verdicts", "threshold", "unique")
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[DuplicateVerdict]
    threshold: float
    unique: int
    def __init__(self, verdicts: _Optional[_Iterable[_Union[DuplicateVerdict, _Mapping]]] = ..., threshold: _Optional[float] = ..., unique: _Optional[int] = ...) -> None: ...

class DuplicateVerdict(_message.Message):
    __slots__ = ("kind", "point", "index", "in_collection", "similarity", "error")
    KIND_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    IN_COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    kind: DuplicateKind
    point: _search_pb2.PointId
    index: int
    in_collection: bool
    similarity: float
    error: _status_pb2.Status
    def __init__(self, kind: _Optional[_Union[DuplicateKind, str]] = ..., point: _Optional[_Union[_search_pb2.PointId, _Mapping]] = ..., index: _Optional[int] = ..., in_collection: bool = ..., similarity: _Optional[float] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class ProjectRequest(_message.Message):
    __slots__ = ("options", "items")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    options: ProjectOptions
    items: ClusterItems
    def __init__(self, options: _Optional[_Union[ProjectOptions, _Mapping]] = ..., items: _Optional[_Union[ClusterItems, _Mapping]] = ...) -> None: ...

class ProjectOptions(_message.Message):
    __slots__ = ("method", "components", "seed", "neighbors", "embedding", "collection", "ttl", "projection")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    PROJECTION_FIELD_NUMBER: _ClassVar[int]
    method: ProjectionMethod
    components: int
    seed: int
    neighbors: int
    embedding: ClusterEmbedding
    collection: ClusterCollection
    ttl: _duration_pb2.Duration
    projection: str
    def __init__(self, method: _Optional[_Union[ProjectionMethod, str]] = ..., components: _Optional[int] = ..., seed: _Optional[int] = ..., neighbors: _Optional[int] = ..., embedding: _Optional[_Union[ClusterEmbedding, _Mapping]] = ..., collection: _Optional[_Union[ClusterCollection, _Mapping]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., projection: _Optional[str] = ...) -> None: ...

class ProjectResponse(_message.Message):
    __slots__ = ("progress", "failure", "projection", "coordinates")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROJECTION_FIELD_NUMBER: _ClassVar[int]
    COORDINATES_FIELD_NUMBER: _ClassVar[int]
    progress: ClusteringProgress
    failure: ClusterItemFailure
    projection: Projection
    coordinates: CoordinatePage
    def __init__(self, progress: _Optional[_Union[ClusteringProgress, _Mapping]] = ..., failure: _Optional[_Union[ClusterItemFailure, _Mapping]] = ..., projection: _Optional[_Union[Projection, _Mapping]] = ..., coordinates: _Optional[_Union[CoordinatePage, _Mapping]] = ...) -> None: ...

class Projection(_message.Message):
    __slots__ = ("id", "method", "components", "seed", "neighbors", "collection", "model", "model_version", "dimensions", "items", "dropped", "trustworthiness", "warnings", "stage_seconds", "peak_memory_bytes", "created_at", "expires_at")
    class StageSecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    TRUSTWORTHINESS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    STAGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    method: ProjectionMethod
    components: int
    seed: int
    neighbors: int
    collection: str
    model: str
    model_version: str
    dimensions: int
    items: int
    dropped: int
    trustworthiness: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    stage_seconds: _containers.ScalarMap[str, float]
    peak_memory_bytes: int
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., method: _Optional[_Union[ProjectionMethod, str]] = ..., components: _Optional[int] = ..., seed: _Optional[int] = ..., neighbors: _Optional[int] = ..., collection: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., dimensions: _Optional[int] = ..., items: _Optional[int] = ..., dropped: _Optional[int] = ..., trustworthiness: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ..., stage_seconds: _Optional[_Mapping[str, float]] = ..., peak_memory_bytes: _Optional[int] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CoordinatePage(_message.Message):
    __slots__ = ("offset", "ids", "coordinates", "positions")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    COORDINATES_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    offset: int
    ids: _containers.RepeatedCompositeFieldContainer[_search_pb2.PointId]
    coordinates: _types_pb2.Matrix
    positions: bytes
    def __init__(self, offset: _Optional[int] = ..., ids: _Optional[_Iterable[_Union[_search_pb2.PointId, _Mapping]]] = ..., coordinates: _Optional[_Union[_types_pb2.Matrix, _Mapping]] = ..., positions: _Optional[bytes] = ...) -> None: ...

class GetProjectionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetProjectionResponse(_message.Message):
    __slots__ = ("projection", "coordinates")
    PROJECTION_FIELD_NUMBER: _ClassVar[int]
    COORDINATES_FIELD_NUMBER: _ClassVar[int]
    projection: Projection
    coordinates: CoordinatePage
    def __init__(self, projection: _Optional[_Union[Projection, _Mapping]] = ..., coordinates: _Optional[_Union[CoordinatePage, _Mapping]] = ...) -> None: ...

class ListProjectionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProjectionsResponse(_message.Message):
    __slots__ = ("projections",)
    PROJECTIONS_FIELD_NUMBER: _ClassVar[int]
    projections: _containers.RepeatedCompositeFieldContainer[Projection]
    def __init__(self, projections: _Optional[_Iterable[_Union[Projection, _Mapping]]] = ...) -> None: ...

class DeleteProjectionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteProjectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TrainClassifierRequest(_message.Message):
    __slots__ = ("options", "examples")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    options: TrainClassifierOptions
    examples: LabelledItems
    def __init__(self, options: _Optional[_Union[TrainClassifierOptions, _Mapping]] = ..., examples: _Optional[_Union[LabelledItems, _Mapping]] = ...) -> None: ...

class TrainClassifierOptions(_message.Message):
    __slots__ = ("name", "method", "seed", "embedding", "collection", "label_field", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    method: ClassifierMethod
    seed: int
    embedding: ClusterEmbedding
    collection: ClusterCollection
    label_field: str
    description: str
    def __init__(self, name: _Optional[str] = ..., method: _Optional[_Union[ClassifierMethod, str]] = ..., seed: _Optional[int] = ..., embedding: _Optional[_Union[ClusterEmbedding, _Mapping]] = ..., collection: _Optional[_Union[ClusterCollection, _Mapping]] = ..., label_field: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class LabelledItems(_message.Message):
    __slots__ = ("items", "labels")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    items: ClusterItems
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Union[ClusterItems, _Mapping]] = ..., labels: _Optional[_Iterable[str]] = ...) -> None: ...

class TrainClassifierResponse(_message.Message):
    __slots__ = ("classifier",)
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    classifier: Classifier
    def __init__(self, classifier: _Optional[_Union[Classifier, _Mapping]] = ...) -> None: ...

class Classifier(_message.Message):
    __slots__ = ("name", "version", "method", "labels", "model", "model_version", "dimensions", "examples", "accuracy", "macro_f1", "folds", "trials", "min_similarity", "description", "warnings", "seed", "created_at", "input_type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    MACRO_F1_FIELD_NUMBER: _ClassVar[int]
    FOLDS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    MIN_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    method: ClassifierMethod
    labels: _containers.RepeatedCompositeFieldContainer[ClassifierLabel]
    model: str
    model_version: str
    dimensions: int
    examples: int
    accuracy: float
    macro_f1: float
    folds: int
    trials: _containers.RepeatedCompositeFieldContainer[ClassifierTrial]
    min_similarity: float
    description: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    seed: int
    created_at: _timestamp_pb2.Timestamp
    input_type: _types_pb2.InputType
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., method: _Optional[_Union[ClassifierMethod, str]] = ..., labels: _Optional[_Iterable[_Union[ClassifierLabel, _Mapping]]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., dimensions: _Optional[int] = ..., examples: _Optional[int] = ..., accuracy: _Optional[float] = ..., macro_f1: _Optional[float] = ..., folds: _Optional[int] = ..., trials: _Optional[_Iterable[_Union[ClassifierTrial, _Mapping]]] = ..., min_similarity: _Optional[float] = ..., description: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., seed: _Optional[int] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., input_type: _Optional[_Union[_types_pb2.InputType, str]] = ...) -> None: ...

class ClassifierLabel(_message.Message):
    __slots__ = ("label", "examples", "precision", "recall")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    label: str
    examples: int
    precision: float
    recall: float
    def __init__(self, label: _Optional[str] = ..., examples: _Optional[int] = ..., precision: _Optional[float] = ..., recall: _Optional[float] = ...) -> None: ...

class ClassifierTrial(_message.Message):
    __slots__ = ("method", "regularization", "macro_f1")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REGULARIZATION_FIELD_NUMBER: _ClassVar[int]
    MACRO_F1_FIELD_NUMBER: _ClassVar[int]
    method: ClassifierMethod
    regularization: float
    macro_f1: float
    def __init__(self, method: _Optional[_Union[ClassifierMethod, str]] = ..., regularization: _Optional[float] = ..., macro_f1: _Optional[float] = ...) -> None: ...

class GetClassifierRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetClassifierResponse(_message.Message):
    __slots__ = ("classifier",)
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    classifier: Classifier
    def __init__(self, classifier: _Optional[_Union[Classifier, _Mapping]] = ...) -> None: ...

class ListClassifiersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListClassifiersResponse(_message.Message):
    __slots__ = ("classifiers",)
    CLASSIFIERS_FIELD_NUMBER: _ClassVar[int]
    classifiers: _containers.RepeatedCompositeFieldContainer[Classifier]
    def __init__(self, classifiers: _Optional[_Iterable[_Union[Classifier, _Mapping]]] = ...) -> None: ...

class DeleteClassifierRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteClassifierResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class ExportClassifierRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ExportClassifierResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ImportClassifierRequest(_message.Message):
    __slots__ = ("name", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    data: bytes
    def __init__(self, name: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class ImportClassifierResponse(_message.Message):
    __slots__ = ("classifier",)
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    classifier: Classifier
    def __init__(self, classifier: _Optional[_Union[Classifier, _Mapping]] = ...) -> None: ...
