"""The protos' enums and the server's have the same members."""

import pytest

from nearfield.v1 import cluster_pb2, embed_pb2, model_pb2, search_pb2, types_pb2
from nearfield_server import types
from nearfield_server.core.classifiers import nouns as classifiers
from nearfield_server.core.clustering import jobs, nouns
from nearfield_server.core.dedup import nouns as dedup_nouns
from nearfield_server.core.projection.nouns import Way
from nearfield_server.rpc import enums

TABLES = [
    (types_pb2.DType, types.DType, enums.DTYPES),
    (types_pb2.InputType, types.InputType, enums.INPUT_TYPES),
    (types_pb2.Truncate, types.Truncate, enums.TRUNCATES),
    (types_pb2.Priority, types.Priority, enums.PRIORITIES),
    (embed_pb2.SimilarityMetric, types.SimilarityMetric, enums.METRICS),
    (model_pb2.ModelState, types.ModelState, {number: state for state, number in enums.STATES.items()}),
    (types_pb2.OutputKind, types.OutputKind, enums.OUTPUTS),
    (types_pb2.ChunkPooling, types.ChunkPooling, enums.CHUNK_POOLINGS),
    (model_pb2.Pooling, types.Pooling, {number: pooling for pooling, number in enums.POOLINGS.items()}),
    (search_pb2.Durability, types.Durability, enums.DURABILITIES),
    (search_pb2.VectorQuantization, types.VectorQuantization, enums.QUANTIZATIONS),
    (search_pb2.FieldType, types.FieldType, enums.FIELD_TYPES),
    (search_pb2.UpsertMode, types.UpsertMode, enums.UPSERT_MODES),
    (search_pb2.IndexState, types.IndexState, {number: state for state, number in enums.INDEX_STATES.items()}),
    (cluster_pb2.ClusterMethod, nouns.Method, enums.CLUSTER_METHODS),
    (cluster_pb2.DuplicateLevel, dedup_nouns.Level, enums.DUPLICATE_LEVELS),
    (cluster_pb2.DuplicateKind, dedup_nouns.Kind, {number: kind for kind, number in enums.DUPLICATE_KINDS.items()}),
    (cluster_pb2.ClassifierMethod, classifiers.Method, enums.CLASSIFIER_METHODS),
    (cluster_pb2.Linkage, nouns.Linkage, enums.LINKAGES),
    (cluster_pb2.ClusterChange, nouns.Change, {number: change for change, number in enums.CLUSTER_CHANGES.items()}),
    (cluster_pb2.ClusteringState, jobs.JobState, {number: state for state, number in enums.CLUSTER_STATES.items()}),
    (cluster_pb2.ProjectionMethod, Way, enums.PROJECTION_METHODS),
]


@pytest.mark.parametrize(("proto", "own", "table"), TABLES, ids=lambda one: getattr(one, "__name__", ""))
def test_tables_are_complete(proto, own, table):
    assert set(table) == set(proto.values()) - {0}
    assert set(table.values()) == set(own)
    for number, member in table.items():
        assert proto.Name(number).endswith(f"_{member.name}")


def test_the_ways_back():
    assert {number: member for member, number in enums.TO_CLASSIFIER_METHOD.items()} == enums.CLASSIFIER_METHODS
    assert {number: member for member, number in enums.TO_INPUT_TYPE.items()} == enums.INPUT_TYPES
    assert {number: member for member, number in enums.TO_DTYPE.items()} == enums.DTYPES
    assert {number: member for member, number in enums.TO_METRIC.items()} == enums.METRICS
    assert {number: member for member, number in enums.TO_DURABILITY.items()} == enums.DURABILITIES
    assert {number: member for member, number in enums.TO_FIELD_TYPE.items()} == enums.FIELD_TYPES
    assert {number: member for member, number in enums.TO_QUANTIZATION.items()} == enums.QUANTIZATIONS
    assert {number: member for member, number in enums.TO_PROJECTION_METHOD.items()} == enums.PROJECTION_METHODS
