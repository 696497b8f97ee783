"""The LlamaIndex vector store on a real server. LlamaIndex has no standard tests: its own filters are the measure."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

import nearfield
from nearfield.llama_index import NearfieldVectorStore, filter_of

NUMBERS = itertools.count()
TEXTS = {"a": "a dog barks", "b": "a cat purrs", "c": "stocks fell sharply", "d": "a puppy barks"}
KINDS = {"a": "animal", "b": "animal", "c": "money", "d": "animal"}


@pytest.fixture(scope="module")
def client(server):
    with nearfield.Client(server.target) as client:
        yield client


def node(id_, text, document="doc", embedding=None, **metadata):
    relationships = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)}
    return TextNode(id_=id_, text=text, embedding=embedding, metadata=metadata, relationships=relationships)


@pytest.fixture
def store(client):
    made = client.create_collection(f"llama-{next(NUMBERS)}")
    store = NearfieldVectorStore(made, server_embeds=True)
    nodes = [node(id_, text, f"doc-{KINDS[id_]}", kind=KINDS[id_]) for id_, text in TEXTS.items()]
    assert store.add(nodes) == list(TEXTS)
    yield store
    client.delete_collection(made.name)


def asked(text, k=2, **fields):
    return VectorStoreQuery(query_str=text, similarity_top_k=k, **fields)


def only(key, value, operator=FilterOperator.EQ):
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


def test_nodes_come_back_as_they_were(store):
    found = store.query(asked("a dog", k=1))
    assert found.ids == ["a"]
    (back,) = found.nodes
    assert (back.node_id, back.text, back.ref_doc_id) == ("a", "a dog barks", "doc-animal")
    assert back.metadata == {"kind": "animal"}
    assert found.similarities[0] > 0.5
    assert [one.node_id for one in store.get_nodes()] == list(TEXTS)
    assert [one.node_id for one in store.get_nodes(["c", "a", "nothing"])] == ["a", "c"]
    assert [one.node_id for one in store.get_nodes(["c", "a"], only("kind", "money"))] == ["c"]


def test_modes(store):
    modes = VectorStoreQueryMode
    assert store.query(asked("stocks", mode=modes.TEXT_SEARCH)).ids == ["c"]
    assert store.query(asked("stocks", mode=modes.SPARSE)).ids == ["c"]
    assert store.query(asked("puppy", k=1, mode=modes.HYBRID)).ids == ["d"]
    assert store.query(asked("puppy", k=1, mode=modes.HYBRID, alpha=0.0)).ids == ["d"]
    assert store.query(asked("a dog barks", mode=modes.MMR, mmr_threshold=1.0)).ids == ["a", "d"]
    assert store.query(asked("a dog barks", mode=modes.MMR, mmr_threshold=0.1)).ids == ["a", "c"]
    with pytest.raises(ValueError, match="isn't served"):
        store.query(asked("a", mode=modes.SVM))
    with pytest.raises(ValueError, match="no query_str"):
        store.query(VectorStoreQuery(query_embedding=[1.0]))


def test_what_may_be_found(store):
    assert store.query(asked("a", 4, filters=only("kind", "money"))).ids == ["c"]
    assert store.query(asked("a dog", 4, node_ids=["b", "c"])).ids == ["b", "c"]
    assert set(store.query(asked("a dog", 4, doc_ids=["doc-animal"])).ids) == {"a", "b", "d"}
    assert len(store.query(asked("a dog", 4, node_ids=[])).ids) == 4  # as LlamaIndex means it
    assert store.get_nodes([]) == []


def test_deleting(store):
    store.delete_nodes(["a"])
    store.delete_nodes(filters=only("kind", "money"))
    assert [one.node_id for one in store.get_nodes()] == ["b", "d"]
    with pytest.raises(ValueError, match="needed"):
        store.delete_nodes()
    store.delete("doc-animal")
    assert store.get_nodes() == []
    store.add([node("x", "text")])
    store.clear()
    assert store.get_nodes() == []


class Letters(BaseEmbedding):
    """Counts a few letters."""

    def _get_text_embedding(self, text):
        return [text.count(letter) + 0.1 for letter in "aeiot"]

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


def test_an_index_with_vectors_of_its_own(client):
    made = client.create_collection(f"llama-{next(NUMBERS)}", dimensions=5)
    store = NearfieldVectorStore(made)
    index = VectorStoreIndex.from_vector_store(store, embed_model=Letters())
    for id_, text in TEXTS.items():
        index.insert(Document(id_=id_, text=text, metadata={"kind": KINDS[id_]}))
    retriever = index.as_retriever(similarity_top_k=1, filters=only("kind", "money"))
    assert [one.text for one in retriever.retrieve("aaa")] == ["stocks fell sharply"]
    index.delete_ref_doc("c")
    assert retriever.retrieve("aaa") == []
    with pytest.raises(ValueError, match="server_embeds"):
        store.query(asked("a", mode=VectorStoreQueryMode.HYBRID))
    with pytest.raises(ValueError, match="no query_embedding"):
        store.query(asked("a"))
    with pytest.raises(ValueError, match="no embedding"):
        store.add([node("x", "text")])
    client.delete_collection(made.name)


METADATA = [
    {"n": 1, "word": "a", "tags": ["x", "y"]},
    {"n": 2, "word": "b", "tags": ["y"]},
    {"n": 2.5, "word": "a b", "tags": []},
    {"n": -1, "word": "", "a.b": "dotted"},
    {"word": "a", "tags": ["x"]},
    {},
]
NUMBER, WORD = st.sampled_from([-1, 1, 2, 2.5, 3]), st.sampled_from(["a", "b", "a b", "z"])
TAG = st.sampled_from(["x", "y", "z"])


def conditions(key, values, *operators):
    return st.builds(MetadataFilter, key=st.just(key), value=values, operator=st.sampled_from(operators))


Operator = FilterOperator
ONE = st.one_of(
    conditions("n", NUMBER, Operator.EQ, Operator.NE, Operator.GT, Operator.GTE, Operator.LT, Operator.LTE),
    conditions("word", WORD, Operator.EQ, Operator.NE),
    conditions("a.b", st.just("dotted"), Operator.EQ, Operator.NE),
    conditions("word", st.lists(WORD, max_size=3), Operator.IN, Operator.NIN),
    conditions("tags", st.lists(TAG, max_size=3), Operator.ANY),
    conditions("tags", st.lists(TAG, min_size=1, max_size=3), Operator.ALL),
    conditions("tags", TAG, Operator.CONTAINS),
    conditions("tags", st.none(), Operator.IS_EMPTY),
)


@pytest.fixture(scope="module")
def filtered(client):
    made = client.create_collection(f"llama-{next(NUMBERS)}", dimensions=2)
    store = NearfieldVectorStore(made)
    store.add([node(str(at), "", embedding=[1.0, at], **metadata) for at, metadata in enumerate(METADATA)])
    return store


@settings(max_examples=150)
@given(filters=st.lists(ONE, min_size=1, max_size=3), condition=st.sampled_from(FilterCondition))
def test_filters_choose_what_llama_index_chooses(filtered, filters, condition):
    asked_for = MetadataFilters(filters=filters, condition=condition)
    chosen = {one.node_id for one in filtered.get_nodes(filters=asked_for)}
    expected = build_metadata_filter_fn(lambda at: METADATA[int(at)], asked_for)
    assert chosen == {str(at) for at in range(len(METADATA)) if expected(str(at))}


def test_filters_nest_and_wrong_ones_are_told(filtered):
    inner = MetadataFilters(filters=[only("n", 1), only("n", 2)], condition=FilterCondition.OR)
    both = MetadataFilters(filters=[inner, MetadataFilter(key="word", value="a")])
    assert [one.node_id for one in filtered.get_nodes(filters=both)] == ["0"]
    words = only("word", "B", FilterOperator.TEXT_MATCH_INSENSITIVE)
    assert [one.node_id for one in filtered.get_nodes(filters=words)] == ["1", "2"]
    assert filter_of(MetadataFilters(filters=[])) is None
    for key, value, operator, message in (
        ("n", "1", FilterOperator.GT, "needs a number"),
        ("n", 1, FilterOperator.IN, "needs a list"),
        ("n", [1], FilterOperator.EQ, "needs a single value"),
        ("n", None, FilterOperator.EQ, "needs a single value"),
    ):
        with pytest.raises(ValueError, match=message):
            filter_of(only(key, value, operator))
