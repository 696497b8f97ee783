from google.protobuf import duration_pb2 as _duration_pb2
from google.rpc import status_pb2 as _status_pb2
from nearfield.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InputWarningReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_WARNING_REASON_UNSPECIFIED: _ClassVar[InputWarningReason]
    INPUT_WARNING_REASON_NO_TOKENS: _ClassVar[InputWarningReason]

class SimilarityMetric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIMILARITY_METRIC_UNSPECIFIED: _ClassVar[SimilarityMetric]
    SIMILARITY_METRIC_COSINE: _ClassVar[SimilarityMetric]
    SIMILARITY_METRIC_DOT: _ClassVar[SimilarityMetric]
    SIMILARITY_METRIC_EUCLIDEAN: _ClassVar[SimilarityMetric]
INPUT_WARNING_REASON_UNSPECIFIED: InputWarningReason
INPUT_WARNING_REASON_NO_TOKENS: InputWarningReason
SIMILARITY_METRIC_UNSPECIFIED: SimilarityMetric
SIMILARITY_METRIC_COSINE: SimilarityMetric
SIMILARITY_METRIC_DOT: SimilarityMetric
SIMILARITY_METRIC_EUCLIDEAN: SimilarityMetric

class EmbedRequest(_message.Message):
    __slots__ = ("model", "inputs", "input_type", "prompt_name", "truncate", "dimensions", "normalize", "output_dtype", "priority", "special_tokens_as_text", "outputs", "chunking")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NAME_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DTYPE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_AS_TEXT_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKING_FIELD_NUMBER: _ClassVar[int]
    model: str
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    input_type: _types_pb2.InputType
    prompt_name: str
    truncate: _types_pb2.Truncate
    dimensions: int
    normalize: bool
    output_dtype: _types_pb2.DType
    priority: _types_pb2.Priority
    special_tokens_as_text: bool
    outputs: _containers.RepeatedScalarFieldContainer[_types_pb2.OutputKind]
    chunking: _types_pb2.Chunking
    def __init__(self, model: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., input_type: _Optional[_Union[_types_pb2.InputType, str]] = ..., prompt_name: _Optional[str] = ..., truncate: _Optional[_Union[_types_pb2.Truncate, str]] = ..., dimensions: _Optional[int] = ..., normalize: bool = ..., output_dtype: _Optional[_Union[_types_pb2.DType, str]] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., special_tokens_as_text: bool = ..., outputs: _Optional[_Iterable[_Union[_types_pb2.OutputKind, str]]] = ..., chunking: _Optional[_Union[_types_pb2.Chunking, _Mapping]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("model", "embeddings", "token_counts", "truncated", "timings", "quantization", "warnings", "sparse", "multi", "chunks", "cached_rows")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    MULTI_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    CACHED_ROWS_FIELD_NUMBER: _ClassVar[int]
    model: str
    embeddings: _types_pb2.Matrix
    token_counts: _containers.RepeatedScalarFieldContainer[int]
    truncated: _containers.RepeatedScalarFieldContainer[bool]
    timings: Timings
    quantization: _types_pb2.Quantization
    warnings: _containers.RepeatedCompositeFieldContainer[InputWarning]
    sparse: _types_pb2.SparseMatrix
    multi: _types_pb2.MultiMatrix
    chunks: _containers.RepeatedCompositeFieldContainer[_types_pb2.Chunk]
    cached_rows: int
    def __init__(self, model: _Optional[str] = ..., embeddings: _Optional[_Union[_types_pb2.Matrix, _Mapping]] = ..., token_counts: _Optional[_Iterable[int]] = ..., truncated: _Optional[_Iterable[bool]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., quantization: _Optional[_Union[_types_pb2.Quantization, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[InputWarning, _Mapping]]] = ..., sparse: _Optional[_Union[_types_pb2.SparseMatrix, _Mapping]] = ..., multi: _Optional[_Union[_types_pb2.MultiMatrix, _Mapping]] = ..., chunks: _Optional[_Iterable[_Union[_types_pb2.Chunk, _Mapping]]] = ..., cached_rows: _Optional[int] = ...) -> None: ...

class InputWarning(_message.Message):
    __slots__ = ("index", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: InputWarningReason
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[_Union[InputWarningReason, str]] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("tokenize", "queue", "compute", "total")
    TOKENIZE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    tokenize: _duration_pb2.Duration
    queue: _duration_pb2.Duration
    compute: _duration_pb2.Duration
    total: _duration_pb2.Duration
    def __init__(self, tokenize: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., queue: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., compute: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., total: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class EmbedStreamOptions(_message.Message):
    __slots__ = ("model", "input_type", "prompt_name", "truncate", "dimensions", "normalize", "output_dtype", "priority", "special_tokens_as_text", "ordered", "outputs", "chunking")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NAME_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DTYPE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_AS_TEXT_FIELD_NUMBER: _ClassVar[int]
    ORDERED_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKING_FIELD_NUMBER: _ClassVar[int]
    model: str
    input_type: _types_pb2.InputType
    prompt_name: str
    truncate: _types_pb2.Truncate
    dimensions: int
    normalize: bool
    output_dtype: _types_pb2.DType
    priority: _types_pb2.Priority
    special_tokens_as_text: bool
    ordered: bool
    outputs: _containers.RepeatedScalarFieldContainer[_types_pb2.OutputKind]
    chunking: _types_pb2.Chunking
    def __init__(self, model: _Optional[str] = ..., input_type: _Optional[_Union[_types_pb2.InputType, str]] = ..., prompt_name: _Optional[str] = ..., truncate: _Optional[_Union[_types_pb2.Truncate, str]] = ..., dimensions: _Optional[int] = ..., normalize: bool = ..., output_dtype: _Optional[_Union[_types_pb2.DType, str]] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., special_tokens_as_text: bool = ..., ordered: bool = ..., outputs: _Optional[_Iterable[_Union[_types_pb2.OutputKind, str]]] = ..., chunking: _Optional[_Union[_types_pb2.Chunking, _Mapping]] = ...) -> None: ...

class EmbedStreamRequest(_message.Message):
    __slots__ = ("id", "inputs", "options")
    ID_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    id: str
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    options: EmbedStreamOptions
    def __init__(self, id: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., options: _Optional[_Union[EmbedStreamOptions, _Mapping]] = ...) -> None: ...

class EmbedStreamResponse(_message.Message):
    __slots__ = ("id", "result", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    result: EmbedResponse
    error: _status_pb2.Status
    def __init__(self, id: _Optional[str] = ..., result: _Optional[_Union[EmbedResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class EmbedSparseRequest(_message.Message):
    __slots__ = ("model", "inputs", "input_type", "prompt_name", "truncate", "priority", "special_tokens_as_text", "max_terms", "return_terms")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NAME_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_AS_TEXT_FIELD_NUMBER: _ClassVar[int]
    MAX_TERMS_FIELD_NUMBER: _ClassVar[int]
    RETURN_TERMS_FIELD_NUMBER: _ClassVar[int]
    model: str
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    input_type: _types_pb2.InputType
    prompt_name: str
    truncate: _types_pb2.Truncate
    priority: _types_pb2.Priority
    special_tokens_as_text: bool
    max_terms: int
    return_terms: bool
    def __init__(self, model: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., input_type: _Optional[_Union[_types_pb2.InputType, str]] = ..., prompt_name: _Optional[str] = ..., truncate: _Optional[_Union[_types_pb2.Truncate, str]] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., special_tokens_as_text: bool = ..., max_terms: _Optional[int] = ..., return_terms: bool = ...) -> None: ...

class EmbedSparseResponse(_message.Message):
    __slots__ = ("model", "embeddings", "terms", "token_counts", "truncated", "timings", "warnings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    embeddings: _types_pb2.SparseMatrix
    terms: _containers.RepeatedScalarFieldContainer[str]
    token_counts: _containers.RepeatedScalarFieldContainer[int]
    truncated: _containers.RepeatedScalarFieldContainer[bool]
    timings: Timings
    warnings: _containers.RepeatedCompositeFieldContainer[InputWarning]
    def __init__(self, model: _Optional[str] = ..., embeddings: _Optional[_Union[_types_pb2.SparseMatrix, _Mapping]] = ..., terms: _Optional[_Iterable[str]] = ..., token_counts: _Optional[_Iterable[int]] = ..., truncated: _Optional[_Iterable[bool]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[InputWarning, _Mapping]]] = ...) -> None: ...

class EmbedMultiRequest(_message.Message):
    __slots__ = ("model", "inputs", "input_type", "truncate", "dimensions", "normalize", "output_dtype", "priority", "special_tokens_as_text")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DTYPE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_AS_TEXT_FIELD_NUMBER: _ClassVar[int]
    model: str
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    input_type: _types_pb2.InputType
    truncate: _types_pb2.Truncate
    dimensions: int
    normalize: bool
    output_dtype: _types_pb2.DType
    priority: _types_pb2.Priority
    special_tokens_as_text: bool
    def __init__(self, model: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., input_type: _Optional[_Union[_types_pb2.InputType, str]] = ..., truncate: _Optional[_Union[_types_pb2.Truncate, str]] = ..., dimensions: _Optional[int] = ..., normalize: bool = ..., output_dtype: _Optional[_Union[_types_pb2.DType, str]] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., special_tokens_as_text: bool = ...) -> None: ...

class EmbedMultiResponse(_message.Message):
    __slots__ = ("model", "embeddings", "token_counts", "truncated", "timings", "quantization", "warnings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    embeddings: _types_pb2.MultiMatrix
    token_counts: _containers.RepeatedScalarFieldContainer[int]
    truncated: _containers.RepeatedScalarFieldContainer[bool]
    timings: Timings
    quantization: _types_pb2.Quantization
    warnings: _containers.RepeatedCompositeFieldContainer[InputWarning]
    def __init__(self, model: _Optional[str] = ..., embeddings: _Optional[_Union[_types_pb2.MultiMatrix, _Mapping]] = ..., token_counts: _Optional[_Iterable[int]] = ..., truncated: _Optional[_Iterable[bool]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., quantization: _Optional[_Union[_types_pb2.Quantization, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[InputWarning, _Mapping]]] = ...) -> None: ...

class RerankRequest(_message.Message):
    __slots__ = ("model", "query", "documents", "top_n", "raw_scores", "return_documents", "truncate", "priority", "special_tokens_as_text")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    TOP_N_FIELD_NUMBER: _ClassVar[int]
    RAW_SCORES_FIELD_NUMBER: _ClassVar[int]
    RETURN_DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_AS_TEXT_FIELD_NUMBER: _ClassVar[int]
    model: str
    query: str
    documents: _containers.RepeatedScalarFieldContainer[str]
    top_n: int
    raw_scores: bool
    return_documents: bool
    truncate: _types_pb2.Truncate
    priority: _types_pb2.Priority
    special_tokens_as_text: bool
    def __init__(self, model: _Optional[str] = ..., query: _Optional[str] = ..., documents: _Optional[_Iterable[str]] = ..., top_n: _Optional[int] = ..., raw_scores: bool = ..., return_documents: bool = ..., truncate: _Optional[_Union[_types_pb2.Truncate, str]] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., special_tokens_as_text: bool = ...) -> None: ...

class RerankResponse(_message.Message):
    __slots__ = ("model", "results", "token_counts", "truncated", "timings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    results: _containers.RepeatedCompositeFieldContainer[RankedDocument]
    token_counts: _containers.RepeatedScalarFieldContainer[int]
    truncated: _containers.RepeatedScalarFieldContainer[bool]
    timings: Timings
    def __init__(self, model: _Optional[str] = ..., results: _Optional[_Iterable[_Union[RankedDocument, _Mapping]]] = ..., token_counts: _Optional[_Iterable[int]] = ..., truncated: _Optional[_Iterable[bool]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class RankedDocument(_message.Message):
    __slots__ = ("index", "score", "document")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    index: int
    score: float
    document: str
    def __init__(self, index: _Optional[int] = ..., score: _Optional[float] = ..., document: _Optional[str] = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ("model", "inputs", "labels", "label_template", "multi_label", "raw_scores", "top_k", "truncate", "priority", "special_tokens_as_text", "classifier", "min_score", "min_similarity", "vectors")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LABEL_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    MULTI_LABEL_FIELD_NUMBER: _ClassVar[int]
    RAW_SCORES_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_AS_TEXT_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    MIN_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    model: str
    inputs: _containers.RepeatedCompositeFieldContainer[ClassifyInput]
    labels: _containers.RepeatedScalarFieldContainer[str]
    label_template: str
    multi_label: bool
    raw_scores: bool
    top_k: int
    truncate: _types_pb2.Truncate
    priority: _types_pb2.Priority
    special_tokens_as_text: bool
    classifier: str
    min_score: float
    min_similarity: float
    vectors: _types_pb2.Matrix
    def __init__(self, model: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[ClassifyInput, _Mapping]]] = ..., labels: _Optional[_Iterable[str]] = ..., label_template: _Optional[str] = ..., multi_label: bool = ..., raw_scores: bool = ..., top_k: _Optional[int] = ..., truncate: _Optional[_Union[_types_pb2.Truncate, str]] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ..., special_tokens_as_text: bool = ..., classifier: _Optional[str] = ..., min_score: _Optional[float] = ..., min_similarity: _Optional[float] = ..., vectors: _Optional[_Union[_types_pb2.Matrix, _Mapping]] = ...) -> None: ...

class ClassifyInput(_message.Message):
    __slots__ = ("input", "pair")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PAIR_FIELD_NUMBER: _ClassVar[int]
    input: _types_pb2.Input
    pair: str
    def __init__(self, input: _Optional[_Union[_types_pb2.Input, _Mapping]] = ..., pair: _Optional[str] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("model", "results", "token_counts", "truncated", "timings", "classifier")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    model: str
    results: _containers.RepeatedCompositeFieldContainer[Classification]
    token_counts: _containers.RepeatedScalarFieldContainer[int]
    truncated: _containers.RepeatedScalarFieldContainer[bool]
    timings: Timings
    classifier: str
    def __init__(self, model: _Optional[str] = ..., results: _Optional[_Iterable[_Union[Classification, _Mapping]]] = ..., token_counts: _Optional[_Iterable[int]] = ..., truncated: _Optional[_Iterable[bool]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., classifier: _Optional[str] = ...) -> None: ...

class Classification(_message.Message):
    __slots__ = ("labels", "abstained", "similarity")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedCompositeFieldContainer[LabelScore]
    abstained: bool
    similarity: float
    def __init__(self, labels: _Optional[_Iterable[_Union[LabelScore, _Mapping]]] = ..., abstained: bool = ..., similarity: _Optional[float] = ...) -> None: ...

class LabelScore(_message.Message):
    __slots__ = ("label", "index", "score")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    label: str
    index: int
    score: float
    def __init__(self, label: _Optional[str] = ..., index: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class SimilarityRequest(_message.Message):
    __slots__ = ("model", "sources", "targets", "metric", "source_input_type", "target_input_type", "truncate", "dimensions", "priority")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SOURCE_INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    model: str
    sources: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    targets: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    metric: SimilarityMetric
    source_input_type: _types_pb2.InputType
    target_input_type: _types_pb2.InputType
    truncate: _types_pb2.Truncate
    dimensions: int
    priority: _types_pb2.Priority
    def __init__(self, model: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., targets: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., metric: _Optional[_Union[SimilarityMetric, str]] = ..., source_input_type: _Optional[_Union[_types_pb2.InputType, str]] = ..., target_input_type: _Optional[_Union[_types_pb2.InputType, str]] = ..., truncate: _Optional[_Union[_types_pb2.Truncate, str]] = ..., dimensions: _Optional[int] = ..., priority: _Optional[_Union[_types_pb2.Priority, str]] = ...) -> None: ...

class SimilarityResponse(_message.Message):
    __slots__ = ("model", "scores", "metric", "timings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    scores: _types_pb2.Matrix
    metric: SimilarityMetric
    timings: Timings
    def __init__(self, model: _Optional[str] = ..., scores: _Optional[_Union[_types_pb2.Matrix, _Mapping]] = ..., metric: _Optional[_Union[SimilarityMetric, str]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class TokenizeRequest(_message.Message):
    __slots__ = ("model", "texts", "prompt_name", "add_special_tokens", "special_tokens_as_text")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NAME_FIELD_NUMBER: _ClassVar[int]
    ADD_SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_AS_TEXT_FIELD_NUMBER: _ClassVar[int]
    model: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    prompt_name: str
    add_special_tokens: bool
    special_tokens_as_text: bool
    def __init__(self, model: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ..., prompt_name: _Optional[str] = ..., add_special_tokens: bool = ..., special_tokens_as_text: bool = ...) -> None: ...

class TokenizeResponse(_message.Message):
    __slots__ = ("model", "texts")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    texts: _containers.RepeatedCompositeFieldContainer[TokenizedText]
    def __init__(self, model: _Optional[str] = ..., texts: _Optional[_Iterable[_Union[TokenizedText, _Mapping]]] = ...) -> None: ...

class TokenizedText(_message.Message):
    __slots__ = ("ids", "tokens", "starts", "ends")
    IDS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    starts: _containers.RepeatedScalarFieldContainer[int]
    ends: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ..., tokens: _Optional[_Iterable[str]] = ..., starts: _Optional[_Iterable[int]] = ..., ends: _Optional[_Iterable[int]] = ...) -> None: ...

class DetokenizeRequest(_message.Message):
    __slots__ = ("model", "sequences", "keep_special_tokens")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    KEEP_SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    model: str
    sequences: _containers.RepeatedCompositeFieldContainer[_types_pb2.TokenIds]
    keep_special_tokens: bool
    def __init__(self, model: _Optional[str] = ..., sequences: _Optional[_Iterable[_Union[_types_pb2.TokenIds, _Mapping]]] = ..., keep_special_tokens: bool = ...) -> None: ...

class DetokenizeResponse(_message.Message):
    __slots__ = ("model", "texts")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...
