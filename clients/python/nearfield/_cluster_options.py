"""What callers may choose about clusterings, by keyword, as typed dictionaries. Every key may be left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias, TypedDict

from nearfield._cluster_types import ClusteringJob
from nearfield._options import InputType, Truncate
from nearfield._search_types import FilterLike, Id
from nearfield._types import Array, Inputs

__all__ = ["ClusterCallOptions", "ClusterInputs", "ClusterMethod", "ClusterOptions", "Linkage"]

ClusterMethod: TypeAlias = Literal["kmeans", "density", "agglomerative"]
Linkage: TypeAlias = Literal["average", "complete", "single", "ward"]
ClusterInputs: TypeAlias = Inputs | Iterable[Array] | Iterable[Sequence[float]]
"""Texts, token ids or images as `embed` takes them; or vectors: rows of numbers with a decimal point."""


class ClusterOptions(TypedDict, total=False):
    """How to cluster. Every key may be left out.

    Keys:
        method: "kmeans" (the default), "density", which leaves noise and has layers, or "agglomerative".
        k: how many clusters, not with "density"; None: chosen ("kmeans") or by `distance_threshold`.
        min_k: "kmeans" without `k`: the least number to try.
        max_k: "kmeans" without `k`: the greatest number to try.
        seed: start of all random choices; the same seed gives the same result.
        distance_threshold: "agglomerative" without `k`: groups further apart aren't joined.
        linkage: "agglomerative": what the distance of two groups is; "average" by default.
        target_clusters: "density": the layer with a number of clusters nearest to this is the one shown.
        min_cluster_size: "density": items in the smallest cluster of the finest layer; 5 by default.
        noise_level: "density": 0 (cluster as much as possible) to 1 (only what is certain); 0.5 by default.
        assign_noise: "density": put noise into the cluster of the nearest centroid.
        nearest_items: examples given of each cluster, 1 to 100; 5 by default.
        keywords: keywords of each cluster, 1 to 50, 10 by default; 0 gives none.
        max_words: words in the longest keyword, 1 to 4; 2 by default.
        languages: languages (ISO 639-1) whose stop words are no keywords; none: those of the texts.
        stop_words: more stop words.
        names: names to choose from: each cluster gets the one that is nearest to its centroid.
        previous: id of a kept clustering, whose clusters keep their ids where they go on.
        keep_seconds: time to keep the clustering for, so that `clustering`, `assign` and `previous` find it; 0 doesn't
            keep it. Of `start_clustering`: 0 is the server's default.
        timeout: seconds for the whole call; None is no limit.
    """

    method: ClusterMethod
    k: int | None
    min_k: int | None
    max_k: int | None
    seed: int
    distance_threshold: float | None
    linkage: Linkage | None
    target_clusters: int | None
    min_cluster_size: int | None
    noise_level: float | None
    assign_noise: bool
    nearest_items: int | None
    keywords: int | None
    max_words: int | None
    languages: Sequence[str]
    stop_words: Sequence[str]
    names: Sequence[str]
    previous: str
    keep_seconds: float
    timeout: float | None


class ClusterCallOptions(ClusterOptions, total=False):
    """What to cluster beside the inputs, and how: keys of `ClusterOptions` and these.

    Keys:
        ids: what the caller calls the inputs, a str or int each.
        texts: texts beside vectors, one each: they name the clusters.
        collection: a collection whose points to cluster, in place of inputs.
        tenant: whose points.
        filter: which points: an expression, or the proto's Filter.
        model: model that embeds the inputs; "" is the server's default.
        input_type: what the texts are for; None is "clustering".
        dimensions: width to cut the vectors to; None keeps all.
        truncate: what happens to texts over the model's limit; "end" by default.
        on_progress: called with how far it is, about twice a second. Not with `collection`.
    """

    ids: Iterable[Id] | None
    texts: Iterable[str] | None
    collection: str | None
    tenant: str
    filter: FilterLike | None
    model: str
    input_type: InputType | None
    dimensions: int | None
    truncate: Truncate
    on_progress: Callable[[ClusteringJob], object] | None
