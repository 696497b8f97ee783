import re
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nearfield_server.telemetry.loop_lag import watch_event_loop
from nearfield_server.telemetry.metrics import (
    DROP_REASONS,
    OTHER_RPC,
    REJECT_REASONS,
    STAGES,
    STATUSES,
    Metrics,
)
from nearfield_server.telemetry.search_metrics import MAX_NAMES
from nearfield_server.types import CollectionStats, IndexState, ModelState, Priority, Timings

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
RPCS = ["Embed", "EmbedStream"]


@dataclass
class View:
    items: dict = field(default_factory=lambda: {Priority.INTERACTIVE: 3, Priority.BULK: 7})
    tokens: dict = field(default_factory=lambda: {Priority.INTERACTIVE: 30, Priority.BULK: 70})
    oldest_age_seconds: float = 1.5


@pytest.fixture
def metrics():
    return Metrics(RPCS, version="1.2.3", effective_threads=4)


@pytest.fixture
def model(metrics):
    return metrics.for_model("m")


def shown(metrics):
    """Give every series as scraped: name and labels to value."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(metrics, name, **labels):
    return shown(metrics)[f"nearfield_{name}", frozenset(labels.items())]


def names(metrics):
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }


def test_every_metric_has_a_heading_and_there_is_none_more(metrics, model):
    assert sorted(re.findall(r"^### `([^`]+)`$", PAGE, re.MULTILINE)) == sorted(names(metrics))


@pytest.mark.parametrize("name", re.findall(r"^### `([^`]+)`$", PAGE, re.MULTILINE))
def test_headings_tell_kind_and_labels(metrics, model, name):
    said = re.search(rf"^### `{name}`\n\n(Counter|Gauge|Histogram)([^.]*)\.", PAGE, re.MULTILINE)
    assert said
    family = name.removesuffix("_total")
    (kind,) = (one.type for one in metrics.registry.collect() if one.name == family)
    assert said[1].lower() == kind
    labels = {
        label for (series, pairs) in shown(metrics) if series.startswith(name) for label, _ in pairs if label != "le"
    }
    assert all(f"`{label}`" in said[2] for label in labels)


def test_queries_in_the_docs_use_metrics_that_exist(metrics, model):
    series = {name for name, _ in shown(metrics)}
    assert set(re.findall(r"nearfield_[a-z_]+", PAGE)) - series <= names(metrics)


def test_all_series_exist_before_the_first_request(metrics, model):
    before = set(shown(metrics))
    metrics.request_started("Embed")
    metrics.request_done("Embed", "OK", 0.1)
    metrics.request_refused("Nonsense", "UNIMPLEMENTED")
    metrics.rejected("calls")
    metrics.stream_message("error")
    metrics.event_loop_lag(-1.0)
    model.observe_stages(Timings(0.1, 0.2, 0.3, 0.6))
    model.served(inputs=1, tokens=2)
    for reason in REJECT_REASONS:
        model.rejected(reason)
    for reason in DROP_REASONS:
        model.dropped(reason, 1)
    model.batch_done(1, 2, 3)
    model.batch_failed()
    model.worker_lost("stuck")
    model.watch_queue(View)
    assert set(shown(metrics)) == before
    assert sum(name == "nearfield_requests_total" for name, _ in before) == (len(RPCS) + 1) * 17
    assert len(set(STATUSES)) == 17


def test_values_start_at_zero(metrics, model):
    told = {"nearfield_effective_threads", "nearfield_process_resident_memory_bytes", "nearfield_build_info"}
    assert all(number == 0 for (name, _), number in shown(metrics).items() if name not in told)


def test_calls(metrics):
    metrics.request_started("Embed")
    assert value(metrics, "requests_in_progress", rpc="Embed") == 1
    metrics.request_done("Embed", "OK", 0.003)
    assert value(metrics, "requests_in_progress", rpc="Embed") == 0
    assert value(metrics, "requests_total", rpc="Embed", status="OK") == 1
    assert value(metrics, "request_seconds_bucket", rpc="Embed", le="0.005") == 1
    assert value(metrics, "request_seconds_bucket", rpc="Embed", le="0.0025") == 0


def test_unknown_rpcs_and_statuses_make_no_series(metrics):
    metrics.request_started("/x.Y/Z")
    assert value(metrics, "requests_in_progress", rpc=OTHER_RPC) == 1
    metrics.request_done("/x.Y/Z", "BANANA", 0.1)
    metrics.request_refused("/x.Y/Z", "UNIMPLEMENTED")
    assert value(metrics, "requests_in_progress", rpc=OTHER_RPC) == 0
    assert value(metrics, "requests_total", rpc=OTHER_RPC, status="UNKNOWN") == 1
    assert value(metrics, "requests_total", rpc=OTHER_RPC, status="UNIMPLEMENTED") == 1


def test_calls_refused_before_their_model(metrics):
    metrics.rejected("streams")
    assert value(metrics, "rejected_total", model="", reason="streams") == 1


def test_process(metrics):
    assert value(metrics, "effective_threads") == 4
    assert value(metrics, "process_resident_memory_bytes") > 1_000_000
    (labels,) = (dict(pairs) for name, pairs in shown(metrics) if name == "nearfield_build_info")
    assert labels["version"] == "1.2.3"
    assert labels.keys() == {"version", "onnxruntime", "python"}


def test_stages(metrics, model):
    model.observe_stages(Timings(tokenize=0.001, queue=0.01, compute=0.1, total=0.111))
    sums = [value(metrics, "stage_seconds_sum", model="m", stage=stage) for stage in STAGES]
    assert sums == [0.001, 0.01, 0.1, 0.111]


def test_batches(metrics, model):
    model.batch_done(4, 90, 100)
    model.batch_done(1, 7, 7)
    model.batch_done(1, 0, 0)
    assert value(metrics, "batch_items_sum", model="m") == 6
    assert value(metrics, "batch_tokens_sum", model="m") == 97
    assert value(metrics, "batch_padding_ratio_sum", model="m") == pytest.approx(0.1)
    assert value(metrics, "batch_padding_ratio_bucket", model="m", le="0.0") == 2
    model.batch_failed()
    model.batch_retried(2)
    model.items_failed(1)
    model.stale_run(5)
    model.bad_vector()
    counted = ("batch_failures", "batch_retries", "items_failed", "stale_items_run", "bad_vectors")
    assert [value(metrics, f"{name}_total", model="m") for name in counted] == [1, 2, 1, 5, 1]


def test_refusals_and_drops(metrics, model):
    model.rejected("queue_items")
    model.rejected("something new")
    model.dropped("expired", 3)
    assert value(metrics, "rejected_total", model="m", reason="queue_items") == 1
    assert value(metrics, "rejected_total", model="m", reason="other") == 1
    assert value(metrics, "dropped_items_total", model="m", reason="expired") == 3


def test_the_queue_is_read_when_scraped(metrics, model):
    view = View()
    model.watch_queue(lambda: view)
    assert value(metrics, "queue_items", model="m", priority="bulk") == 7
    assert value(metrics, "queue_tokens", model="m", priority="interactive") == 30
    view.oldest_age_seconds = 9.0
    assert value(metrics, "queue_oldest_age_seconds", model="m") == 9.0
    model.watch_speed(lambda: 1234.0)
    assert value(metrics, "tokens_per_second", model="m") == 1234.0


def test_model_and_workers(metrics, model):
    model.state(ModelState.LOADING)
    model.state(ModelState.READY)
    states = {state: value(metrics, "model_state", model="m", state=state.value) for state in ModelState}
    assert states == {state: float(state is ModelState.READY) for state in ModelState}
    model.workers(alive=1, configured=2)
    model.loaded(1.5)
    model.batch_token_budget(256)
    model.worker_lost("died")
    told = ("workers_alive", "workers_configured", "model_load_seconds", "batch_token_budget")
    assert [value(metrics, name, model="m") for name in told] == [1, 2, 1.5, 256]
    assert value(metrics, "worker_restarts_total", model="m", reason="died") == 1


def test_registries_are_apart(metrics, model):
    other = Metrics(RPCS, version="1", effective_threads=1)
    model.served(inputs=5, tokens=9)
    assert value(metrics, "tokens_total", model="m") == 9
    assert not any("model" in dict(pairs) and dict(pairs)["model"] for _, pairs in shown(other))


def test_no_count_is_lost_between_threads(metrics, model):
    def count():
        for _ in range(500):
            model.served(inputs=1, tokens=2)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert value(metrics, "inputs_total", model="m") == 2000


async def test_the_loop_watches_itself(metrics):
    class Enough(Exception):
        pass

    seen = []

    class Fake:
        def event_loop_lag(self, seconds):
            seen.append(seconds)
            if len(seen) == 3:
                raise Enough

    with pytest.raises(Enough):
        await watch_event_loop(Fake(), interval_seconds=0.0)
    assert all(one >= 0 for one in seen)
    metrics.event_loop_lag(0.003)
    assert value(metrics, "event_loop_lag_seconds_bucket", le="0.005") == 1


@dataclass
class Times:
    embed: float = 0.1
    engine: float = 0.2
    rank: float = 0.3
    rerank: float = 0.4
    fetch: float = 0.5
    total: float = 1.5


def test_searches_and_their_stages(metrics):
    metrics.search.searched("hybrid", Times())
    assert value(metrics, "searches_total", kind="hybrid") == 1
    assert value(metrics, "searches_total", kind="dense") == 0
    assert value(metrics, "search_stage_seconds_sum", stage="rerank") == 0.4
    assert value(metrics, "search_stage_seconds_count", stage="total") == 1


def figures(points, state=IndexState.READY):
    return CollectionStats(points=points, index_lag=2, index_state=state, index_message="", disk_bytes=10)


def test_figures_of_collections_are_read_when_they_are_scraped(metrics):
    metrics.search.watch(lambda: {"a": figures(5), "b": figures(1, IndexState.FAILED)})
    assert value(metrics, "collections") == 2
    assert value(metrics, "collection_points", collection="a") == 5
    assert value(metrics, "collection_index_lag", collection="b") == 2
    assert value(metrics, "collection_disk_bytes", collection="b") == 10
    assert value(metrics, "collection_index_state", collection="b", state="failed") == 1
    assert ("nearfield_collection_recall_ratio", frozenset({("collection", "a")})) not in shown(metrics)
    metrics.search.watch(lambda: {"a": replace(figures(5), recall=0.975)})
    assert value(metrics, "collection_recall_ratio", collection="a") == 0.975
    metrics.search.watch(lambda: {"a": figures(5), "b": figures(1, IndexState.FAILED)})
    assert value(metrics, "collection_index_state", collection="b", state="ready") == 0


def test_figures_that_cannot_be_read_hide_no_other_metric(metrics):
    def read():
        raise TimeoutError

    metrics.search.watch(read)
    assert value(metrics, "collections") == 0
    assert value(metrics, "effective_threads") == 4


def test_names_of_collections_are_bounded(metrics):
    names = [f"c{one}" for one in range(MAX_NAMES + 3)]
    for name in names:
        metrics.search.upserted(name, 2)
        metrics.search.deleted(name, 1)
    assert value(metrics, "points_upserted_total", collection="c0") == 2
    assert value(metrics, "points_upserted_total", collection="other") == 6
    assert value(metrics, "points_deleted_total", collection="other") == 3
    metrics.search.watch(lambda: {name: figures(1) for name in names})
    assert value(metrics, "collection_points", collection="other") == 3
    assert value(metrics, "collection_index_state", collection="other", state="ready") == 3
    # A collection that was deleted makes room.
    metrics.search.forget("c0")
    metrics.search.forget("never seen")
    metrics.search.upserted("new", 4)
    assert value(metrics, "points_upserted_total", collection="new") == 4
    assert ("nearfield_points_upserted_total", frozenset({("collection", "c0")})) not in shown(metrics)
