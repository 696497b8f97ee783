"""What a type checker knows of the client; never run. `test_types` has mypy read it."""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
from PIL.Image import Image as PillowImage

import nearfield


def vectors(client: nearfield.Client, picture: PillowImage, ids: npt.NDArray[np.int64]) -> None:
    assert_type(client.embed("text"), npt.NDArray[Any])
    assert_type(client.embed(["text"], model="m", output_dtype="int8"), npt.NDArray[Any])
    assert_type(client.embed(picture), npt.NDArray[Any])
    assert_type(client.embed([nearfield.Image("a.png"), picture, "text", [1, 2], ids]), npt.NDArray[Any])
    assert_type(client.embed(["text"], chunking=nearfield.Chunking(pooling="mean")), nearfield.EmbeddedChunks)
    assert_type(client.embed(["text"], outputs=("dense", "sparse"), model="m"), nearfield.EmbeddedOutputs)
    assert_type(client.embed_sparse("text", max_terms=3), nearfield.SparseVectors)
    assert_type(client.embed_multi(["text"], input_type="query")[0], npt.NDArray[Any])
    for result in client.embed_stream(["text", picture], outputs=["sparse"], ordered=True):
        assert_type(result.sparse, nearfield.SparseVectors | None)
    assert_type(client.similarity(picture, ["text"], metric="dot"), npt.NDArray[Any])


def clusters(client: nearfield.Client, rows: npt.NDArray[np.float32], ids: list[int]) -> None:
    found = client.cluster(["text"], k=2, method="kmeans", on_progress=lambda job: print(job.fraction))
    assert_type(found, nearfield.Clustering)
    assert_type(found.labels, npt.NDArray[np.int32])
    assert_type(found.failures[0], nearfield.NearfieldError)
    assert_type(client.cluster(rows, ids=ids, texts=["text"], names=["a"]), nearfield.Clustering)
    assert_type(client.cluster([[0.5, 0.5], [0.25, 0.5]]), nearfield.Clustering)
    assert_type(client.cluster(collection="c", filter="a = 1"), nearfield.Clustering)
    assert_type(client.start_clustering("c", linkage="ward"), nearfield.ClusteringJob)
    for job in client.watch_clustering("id"):
        assert_type(job.error, nearfield.NearfieldError | None)
    assert_type(client.assign("id", rows), nearfield.Assignment)
    assert_type(client.clusterings(), list[nearfield.ClusteringInfo])


async def others(client: nearfield.AsyncClient) -> None:
    assert_type(await client.embed(["text"]), npt.NDArray[Any])
    assert_type(await client.embed(["text"], outputs=["multi"]), nearfield.EmbeddedOutputs)
    assert_type(await client.rerank("query", ["document"], top_n=1), list[nearfield.RankedDocument])
    assert_type(await client.classify(["text"], labels=["a"]), list[list[nearfield.LabelScore]])
    assert_type(await client.cluster(["text"], k=1), nearfield.Clustering)
    assert_type(await client.wait_clustering("id", 10.0), nearfield.Clustering)
    assert_type(await client.classify(["text"], classifier="a", min_score=0.5), list[nearfield.Labels])
    assert_type(await client.load_model("m", "2", keep_previous=True), nearfield.Model)
    assert_type(await client.set_alias("default", "m"), dict[str, str])
    async for model in client.watch_models():
        assert_type(model.outputs, tuple[str, ...])


def refused(client: nearfield.Client) -> None:
    client.cluster(["text"], method="dbscan")  # type: ignore[arg-type]
    client.start_clustering("c", texts=["text"])  # type: ignore[call-arg]
    client.embed("text", chunking=3)  # type: ignore[call-overload]
    client.embed("text", outputs=["thick"])  # type: ignore[list-item]
    client.rerank("query", ["document"], top_k=3)  # type: ignore[call-arg]
