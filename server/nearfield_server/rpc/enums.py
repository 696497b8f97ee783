"""The enums of the protos and of the server, side by side. A test holds them complete."""

from __future__ import annotations

from typing import Any

from nearfield.v1 import cluster_pb2, embed_pb2, model_pb2, search_pb2, types_pb2
from nearfield_server.core.classifiers.nouns import Method as ClassifierMethod
from nearfield_server.core.clustering.jobs import JobState
from nearfield_server.core.clustering.nouns import Change, Linkage, Method
from nearfield_server.core.dedup.nouns import Kind, Level
from nearfield_server.core.projection.nouns import Way
from nearfield_server.core.reembeddings import ReembedState
from nearfield_server.core.search_calls import (
    DuplicateGrouping,
    DuplicateKeep,
    FusionMethod,
    RecommendStrategy,
    SearchMode,
)
from nearfield_server.types import (
    ChunkPooling,
    DType,
    Durability,
    FieldType,
    IndexState,
    InputType,
    ModelState,
    OutputKind,
    Pooling,
    Priority,
    ReadConsistency,
    SimilarityMetric,
    Truncate,
    UpsertMode,
    VectorQuantization,
    WriteOrdering,
)

__all__ = [
    "CHUNK_POOLINGS",
    "CLASSIFIER_METHODS",
    "CLUSTER_CHANGES",
    "CLUSTER_METHODS",
    "CLUSTER_STATES",
    "DTYPES",
    "DUPLICATE_GROUPINGS",
    "DUPLICATE_KEEPS",
    "DURABILITIES",
    "FIELD_TYPES",
    "FUSION_METHODS",
    "INDEX_STATES",
    "INPUT_TYPES",
    "LINKAGES",
    "METRICS",
    "OUTPUTS",
    "POOLINGS",
    "PRIORITIES",
    "PROJECTION_METHODS",
    "QUANTIZATIONS",
    "READ_CONSISTENCIES",
    "RECOMMEND_STRATEGIES",
    "REEMBED_STATES",
    "SEARCH_MODES",
    "STATES",
    "TO_CLASSIFIER_METHOD",
    "TO_CLUSTER_METHOD",
    "TO_DTYPE",
    "TO_DURABILITY",
    "TO_FIELD_TYPE",
    "TO_INPUT_TYPE",
    "TO_LINKAGE",
    "TO_METRIC",
    "TO_OUTPUT",
    "TO_PROJECTION_METHOD",
    "TO_QUANTIZATION",
    "TRUNCATES",
    "UPSERT_MODES",
    "WRITE_ORDERINGS",
]

DTYPES: dict[int, DType] = {
    types_pb2.DTYPE_FLOAT32: DType.FLOAT32,
    types_pb2.DTYPE_FLOAT16: DType.FLOAT16,
    types_pb2.DTYPE_INT8: DType.INT8,
    types_pb2.DTYPE_UINT8: DType.UINT8,
    types_pb2.DTYPE_BINARY: DType.BINARY,
    types_pb2.DTYPE_UBINARY: DType.UBINARY,
}
INPUT_TYPES: dict[int, InputType] = {
    types_pb2.INPUT_TYPE_QUERY: InputType.QUERY,
    types_pb2.INPUT_TYPE_DOCUMENT: InputType.DOCUMENT,
    types_pb2.INPUT_TYPE_CLASSIFICATION: InputType.CLASSIFICATION,
    types_pb2.INPUT_TYPE_CLUSTERING: InputType.CLUSTERING,
}
TRUNCATES: dict[int, Truncate] = {
    types_pb2.TRUNCATE_NONE: Truncate.NONE,
    types_pb2.TRUNCATE_START: Truncate.START,
    types_pb2.TRUNCATE_END: Truncate.END,
}
PRIORITIES: dict[int, Priority] = {
    types_pb2.PRIORITY_INTERACTIVE: Priority.INTERACTIVE,
    types_pb2.PRIORITY_BULK: Priority.BULK,
}
METRICS: dict[int, SimilarityMetric] = {
    embed_pb2.SIMILARITY_METRIC_COSINE: SimilarityMetric.COSINE,
    embed_pb2.SIMILARITY_METRIC_DOT: SimilarityMetric.DOT,
    embed_pb2.SIMILARITY_METRIC_EUCLIDEAN: SimilarityMetric.EUCLIDEAN,
}
STATES: dict[ModelState, model_pb2.ModelState] = {
    ModelState.LOADING: model_pb2.MODEL_STATE_LOADING,
    ModelState.READY: model_pb2.MODEL_STATE_READY,
    ModelState.DEGRADED: model_pb2.MODEL_STATE_DEGRADED,
    ModelState.FAILED: model_pb2.MODEL_STATE_FAILED,
    ModelState.UNLOADING: model_pb2.MODEL_STATE_UNLOADING,
    ModelState.UNLOADED: model_pb2.MODEL_STATE_UNLOADED,
    ModelState.IDLE: model_pb2.MODEL_STATE_IDLE,
}
POOLINGS: dict[Pooling, model_pb2.Pooling] = {
    Pooling.MEAN: model_pb2.POOLING_MEAN,
    Pooling.CLS: model_pb2.POOLING_CLS,
    Pooling.LAST_TOKEN: model_pb2.POOLING_LAST_TOKEN,
    Pooling.MAX: model_pb2.POOLING_MAX,
}
OUTPUTS: dict[int, OutputKind] = {
    types_pb2.OUTPUT_KIND_DENSE: OutputKind.DENSE,
    types_pb2.OUTPUT_KIND_SPARSE: OutputKind.SPARSE,
    types_pb2.OUTPUT_KIND_MULTI: OutputKind.MULTI,
    types_pb2.OUTPUT_KIND_SCORES: OutputKind.SCORES,
}
CHUNK_POOLINGS: dict[int, ChunkPooling] = {
    types_pb2.CHUNK_POOLING_NONE: ChunkPooling.NONE,
    types_pb2.CHUNK_POOLING_MEAN: ChunkPooling.MEAN,
}
TO_OUTPUT: dict[OutputKind, Any] = {value: key for key, value in OUTPUTS.items()}
TO_DTYPE: dict[DType, Any] = {value: key for key, value in DTYPES.items()}
TO_METRIC: dict[SimilarityMetric, Any] = {value: key for key, value in METRICS.items()}
DURABILITIES: dict[int, Durability] = {
    search_pb2.DURABILITY_PROCESS: Durability.PROCESS,
    search_pb2.DURABILITY_DISK: Durability.DISK,
}
QUANTIZATIONS: dict[int, VectorQuantization] = {
    search_pb2.VECTOR_QUANTIZATION_NONE: VectorQuantization.NONE,
    search_pb2.VECTOR_QUANTIZATION_INT8: VectorQuantization.INT8,
}
FIELD_TYPES: dict[int, FieldType] = {
    search_pb2.FIELD_TYPE_KEYWORD: FieldType.KEYWORD,
    search_pb2.FIELD_TYPE_INTEGER: FieldType.INTEGER,
    search_pb2.FIELD_TYPE_FLOAT: FieldType.FLOAT,
    search_pb2.FIELD_TYPE_BOOL: FieldType.BOOL,
    search_pb2.FIELD_TYPE_DATETIME: FieldType.DATETIME,
    search_pb2.FIELD_TYPE_GEO: FieldType.GEO,
    search_pb2.FIELD_TYPE_TEXT: FieldType.TEXT,
}
UPSERT_MODES: dict[int, UpsertMode] = {
    search_pb2.UPSERT_MODE_UPSERT: UpsertMode.UPSERT,
    search_pb2.UPSERT_MODE_CREATE: UpsertMode.CREATE,
    search_pb2.UPSERT_MODE_UPDATE: UpsertMode.UPDATE,
    search_pb2.UPSERT_MODE_PAYLOAD: UpsertMode.PAYLOAD,
}
SEARCH_MODES: dict[int, SearchMode] = {
    search_pb2.SEARCH_MODE_DENSE: SearchMode.DENSE,
    search_pb2.SEARCH_MODE_KEYWORD: SearchMode.KEYWORD,
    search_pb2.SEARCH_MODE_HYBRID: SearchMode.HYBRID,
}
FUSION_METHODS: dict[int, FusionMethod] = {
    search_pb2.FUSION_METHOD_RRF: FusionMethod.RRF,
    search_pb2.FUSION_METHOD_WEIGHTED: FusionMethod.WEIGHTED,
}
RECOMMEND_STRATEGIES: dict[int, RecommendStrategy] = {
    search_pb2.RECOMMEND_STRATEGY_AVERAGE_VECTOR: RecommendStrategy.AVERAGE_VECTOR,
    search_pb2.RECOMMEND_STRATEGY_BEST_SCORE: RecommendStrategy.BEST_SCORE,
}
DUPLICATE_GROUPINGS: dict[int, DuplicateGrouping] = {
    search_pb2.DUPLICATE_GROUPING_STAR: DuplicateGrouping.STAR,
    search_pb2.DUPLICATE_GROUPING_CONNECTED: DuplicateGrouping.CONNECTED,
}
DUPLICATE_KEEPS: dict[int, DuplicateKeep] = {
    search_pb2.DUPLICATE_KEEP_FIRST: DuplicateKeep.FIRST,
    search_pb2.DUPLICATE_KEEP_NEWEST: DuplicateKeep.NEWEST,
    search_pb2.DUPLICATE_KEEP_LONGEST: DuplicateKeep.LONGEST,
    search_pb2.DUPLICATE_KEEP_MEDOID: DuplicateKeep.MEDOID,
}
INDEX_STATES: dict[IndexState, search_pb2.IndexState] = {
    IndexState.EXACT: search_pb2.INDEX_STATE_EXACT,
    IndexState.BUILDING: search_pb2.INDEX_STATE_BUILDING,
    IndexState.READY: search_pb2.INDEX_STATE_READY,
    IndexState.FAILED: search_pb2.INDEX_STATE_FAILED,
}
REEMBED_STATES: dict[ReembedState, search_pb2.ReembedState] = {
    ReembedState.COPYING: search_pb2.REEMBED_STATE_COPYING,
    ReembedState.SWAPPING: search_pb2.REEMBED_STATE_SWAPPING,
    ReembedState.DONE: search_pb2.REEMBED_STATE_DONE,
    ReembedState.CANCELLED: search_pb2.REEMBED_STATE_CANCELLED,
    ReembedState.FAILED: search_pb2.REEMBED_STATE_FAILED,
}
READ_CONSISTENCIES: dict[int, ReadConsistency] = {
    search_pb2.READ_CONSISTENCY_ONE: ReadConsistency.ONE,
    search_pb2.READ_CONSISTENCY_MAJORITY: ReadConsistency.MAJORITY,
    search_pb2.READ_CONSISTENCY_QUORUM: ReadConsistency.QUORUM,
    search_pb2.READ_CONSISTENCY_ALL: ReadConsistency.ALL,
}
WRITE_ORDERINGS: dict[int, WriteOrdering] = {
    search_pb2.WRITE_ORDERING_WEAK: WriteOrdering.WEAK,
    search_pb2.WRITE_ORDERING_MEDIUM: WriteOrdering.MEDIUM,
    search_pb2.WRITE_ORDERING_STRONG: WriteOrdering.STRONG,
}
TO_DURABILITY: dict[Durability, Any] = {value: key for key, value in DURABILITIES.items()}
TO_FIELD_TYPE: dict[FieldType, Any] = {value: key for key, value in FIELD_TYPES.items()}
TO_QUANTIZATION: dict[VectorQuantization, Any] = {value: key for key, value in QUANTIZATIONS.items()}
CLUSTER_METHODS: dict[int, Method] = {
    cluster_pb2.CLUSTER_METHOD_KMEANS: Method.KMEANS,
    cluster_pb2.CLUSTER_METHOD_DENSITY: Method.DENSITY,
    cluster_pb2.CLUSTER_METHOD_AGGLOMERATIVE: Method.AGGLOMERATIVE,
}
LINKAGES: dict[int, Linkage] = {
    cluster_pb2.LINKAGE_AVERAGE: Linkage.AVERAGE,
    cluster_pb2.LINKAGE_COMPLETE: Linkage.COMPLETE,
    cluster_pb2.LINKAGE_SINGLE: Linkage.SINGLE,
    cluster_pb2.LINKAGE_WARD: Linkage.WARD,
}
CLUSTER_CHANGES: dict[Change, cluster_pb2.ClusterChange] = {
    Change.CONTINUED: cluster_pb2.CLUSTER_CHANGE_CONTINUED,
    Change.NEW: cluster_pb2.CLUSTER_CHANGE_NEW,
    Change.SPLIT: cluster_pb2.CLUSTER_CHANGE_SPLIT,
    Change.MERGED: cluster_pb2.CLUSTER_CHANGE_MERGED,
    Change.GONE: cluster_pb2.CLUSTER_CHANGE_GONE,
}
CLUSTER_STATES: dict[JobState, cluster_pb2.ClusteringState] = {
    JobState.QUEUED: cluster_pb2.CLUSTERING_STATE_QUEUED,
    JobState.RUNNING: cluster_pb2.CLUSTERING_STATE_RUNNING,
    JobState.DONE: cluster_pb2.CLUSTERING_STATE_DONE,
    JobState.FAILED: cluster_pb2.CLUSTERING_STATE_FAILED,
    JobState.CANCELLED: cluster_pb2.CLUSTERING_STATE_CANCELLED,
}
TO_CLUSTER_METHOD: dict[Method, Any] = {value: key for key, value in CLUSTER_METHODS.items()}
TO_LINKAGE: dict[Linkage, Any] = {value: key for key, value in LINKAGES.items()}
PROJECTION_METHODS: dict[int, Way] = {
    cluster_pb2.PROJECTION_METHOD_PCA: Way.PCA,
    cluster_pb2.PROJECTION_METHOD_PACMAP: Way.PACMAP,
    cluster_pb2.PROJECTION_METHOD_UMAP: Way.UMAP,
    cluster_pb2.PROJECTION_METHOD_TSNE: Way.TSNE,
}
TO_PROJECTION_METHOD: dict[Way, Any] = {value: key for key, value in PROJECTION_METHODS.items()}
DUPLICATE_LEVELS: dict[int, Level] = {
    cluster_pb2.DUPLICATE_LEVEL_STRICT: Level.STRICT,
    cluster_pb2.DUPLICATE_LEVEL_NORMAL: Level.NORMAL,
    cluster_pb2.DUPLICATE_LEVEL_LOOSE: Level.LOOSE,
}
DUPLICATE_KINDS: dict[Kind, cluster_pb2.DuplicateKind] = {
    Kind.UNIQUE: cluster_pb2.DUPLICATE_KIND_UNIQUE,
    Kind.EXACT: cluster_pb2.DUPLICATE_KIND_EXACT,
    Kind.NEAR: cluster_pb2.DUPLICATE_KIND_NEAR,
}
CLASSIFIER_METHODS: dict[int, ClassifierMethod] = {
    cluster_pb2.CLASSIFIER_METHOD_LOGISTIC: ClassifierMethod.LOGISTIC,
    cluster_pb2.CLASSIFIER_METHOD_RIDGE: ClassifierMethod.RIDGE,
    cluster_pb2.CLASSIFIER_METHOD_CENTROID: ClassifierMethod.CENTROID,
}
TO_CLASSIFIER_METHOD: dict[ClassifierMethod, Any] = {value: key for key, value in CLASSIFIER_METHODS.items()}
TO_INPUT_TYPE: dict[InputType, Any] = {value: key for key, value in INPUT_TYPES.items()}
