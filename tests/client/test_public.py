"""The public list is exact, both clients offer the same, and the client stands alone."""

import importlib.resources
import inspect
import subprocess
import sys

import nearfield

PUBLIC = [
    "Aborted",
    "AlreadyExists",
    "Assignment",
    "AsyncClient",
    "AsyncCollection",
    "Cancelled",
    "Chunk",
    "Chunking",
    "Classifier",
    "ClassifierLabel",
    "ClassifierTrial",
    "ClassifyOptions",
    "Client",
    "ClientOptions",
    "Cluster",
    "ClusterCallOptions",
    "ClusterDrift",
    "ClusterExample",
    "ClusterKeyword",
    "ClusterLayer",
    "ClusterLimits",
    "ClusterLineage",
    "ClusterMerge",
    "ClusterOptions",
    "ClusterQuality",
    "ClusterTrial",
    "Clustering",
    "ClusteringInfo",
    "ClusteringJob",
    "Collection",
    "CollectionInfo",
    "CollectionOptions",
    "DataLoss",
    "DeadlineExceeded",
    "DeduplicateOptions",
    "DuplicateGroup",
    "DuplicateVerdict",
    "EmbedOptions",
    "EmbedResult",
    "EmbeddedChunks",
    "EmbeddedOutputs",
    "FailedPrecondition",
    "Fusion",
    "GeoPoint",
    "Group",
    "Hit",
    "HitScores",
    "Image",
    "InternalError",
    "InvalidArgument",
    "LabelScore",
    "Labels",
    "Limits",
    "Model",
    "MultiOptions",
    "MultiVectors",
    "NearfieldError",
    "NotFound",
    "OutOfRange",
    "OutputOptions",
    "PermissionDenied",
    "PlaceOptions",
    "Point",
    "PointId",
    "ProjectOptions",
    "Projection",
    "ProjectionProgress",
    "Quantization",
    "RankedDocument",
    "RecommendOptions",
    "ReembedOptions",
    "Reembedding",
    "RerankOptions",
    "ResourceExhausted",
    "RetryPolicy",
    "RowError",
    "ScrollOptions",
    "SearchOptions",
    "SearchStreamResult",
    "SimilarityOptions",
    "Snapshot",
    "SnapshotProgress",
    "SparseOptions",
    "SparseVectors",
    "StreamOptions",
    "StreamResult",
    "Timings",
    "Tls",
    "TokenizeOptions",
    "TokenizedText",
    "TrainOptions",
    "TrainedOptions",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UnknownError",
    "UpdateOptions",
    "UpsertOptions",
    "UpsertResult",
]


def test_the_public_list_is_exact():
    assert sorted(nearfield.__all__) == sorted(PUBLIC)
    members = inspect.getmembers(nearfield, lambda value: not inspect.ismodule(value))
    visible = {name for name, _ in members if not name.startswith("_")}
    assert visible == set(PUBLIC)


def test_everything_public_is_documented_in_place():
    assert all(getattr(nearfield, name).__doc__ for name in PUBLIC)


def test_both_clients_have_the_same_methods_and_arguments():
    def methods(kind):
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in vars(kind).items()
            if callable(method) and not name.startswith("_")
        }

    assert methods(nearfield.Client) == methods(nearfield.AsyncClient)
    assert "embed" in methods(nearfield.Client)


def test_importing_it_imports_no_model_runtime():
    code = "import sys, nearfield; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    foreign = set(loaded) - set(sys.stdlib_module_names)
    assert not {"onnxruntime", "tokenizers", "nearfield_server"} & foreign
    assert {"nearfield", "grpc", "numpy"} <= foreign


def test_the_package_says_that_it_is_typed():
    assert importlib.resources.files("nearfield").joinpath("py.typed").is_file()
