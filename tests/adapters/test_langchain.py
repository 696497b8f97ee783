"""The LangChain vector store: LangChain's own standard tests on a real server, and what they don't ask."""

import itertools
from datetime import UTC, datetime

import pytest
from langchain_core.documents import Document
from langchain_tests.integration_tests.vectorstores import EMBEDDING_SIZE, VectorStoreIntegrationTests

import nearfield
from nearfield.langchain import NearfieldVectorStore

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def client(server):
    with nearfield.Client(server.target) as client:
        yield client


class TestWithVectorsOfItsOwn(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, client):
        made = client.create_collection(f"langchain-{next(NUMBERS)}", dimensions=EMBEDDING_SIZE)
        yield NearfieldVectorStore(made, self.get_embeddings())
        client.delete_collection(made.name)


class TestWithVectorsOfTheServer(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, client):
        made = client.create_collection(f"langchain-{next(NUMBERS)}")
        yield NearfieldVectorStore(made)
        client.delete_collection(made.name)


TEXTS = ["a dog barks", "a cat purrs", "stocks fell sharply", "a puppy barks"]


@pytest.fixture
def store(client):
    kinds = ["animal", "animal", "money", "animal"]
    metadatas = [{"kind": kind, "n": number, "text": "of metadata", "id": 5} for number, kind in enumerate(kinds)]
    name = f"langchain-{next(NUMBERS)}"
    yield NearfieldVectorStore.from_texts(TEXTS, None, metadatas, ids=list("abcd"), client=client, collection=name)
    client.delete_collection(name)


def test_metadata_are_payload_and_filters_name_them(store):
    (found,) = store.similarity_search("dog", k=1, filter="kind = 'animal' and n < 3")
    assert found == Document(
        id="a", page_content="a dog barks", metadata={"kind": "animal", "n": 0, "text": "of metadata", "id": 5}
    )
    assert store.similarity_search("dog", k=4, filter="kind = 'money'")[0].id == "c"


def test_scores_and_relevance(store):
    found = store.similarity_search_with_score("a dog barks", k=4)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert found[0][1] == pytest.approx(1, abs=1e-3)
    relevant = store.similarity_search_with_relevance_scores("a dog barks", k=4, score_threshold=0.6)
    assert [one.id for one, _ in relevant] == ["a", "d", "b"]
    assert all(0 <= score <= 1 for _, score in relevant)


def test_by_words_and_both(client, store):
    name = store._collection.name
    words = NearfieldVectorStore(client.collection(name), mode="keyword")
    assert [one.id for one in words.similarity_search("stocks")] == ["c"]
    both = NearfieldVectorStore(client.collection(name), mode="hybrid")
    assert both.similarity_search("puppy", k=1)[0].id == "d"
    with pytest.raises(ValueError, match="bounds"):
        both.similarity_search_with_relevance_scores("puppy")


def test_differing_documents_come_first_with_mmr(store):
    assert [one.id for one in store.max_marginal_relevance_search("a dog barks", k=2, lambda_mult=1.0)] == ["a", "d"]
    assert store.max_marginal_relevance_search("a dog barks", k=2, lambda_mult=0.1)[1].id == "c"


def test_a_retriever(store):
    retriever = store.as_retriever(search_kwargs={"k": 2, "filter": "kind = 'animal'"})
    assert [one.id for one in retriever.invoke("dog")] == ["a", "d"]


async def test_async_methods(store):
    await store.aadd_documents(
        [Document(id="e", page_content="rain", metadata={"at": datetime(2026, 1, 2, tzinfo=UTC)})]
    )
    (found,) = await store.asimilarity_search("rain", k=1)
    assert found.metadata == {"at": datetime(2026, 1, 2, tzinfo=UTC)}
    assert await store.adelete(["e", "nothing"])
    assert await store.aget_by_ids(["e"]) == []


def test_tenants_are_apart(client, store):
    other = NearfieldVectorStore(client.collection(store._collection.name, "other"))
    assert other.similarity_search("dog") == []


def test_wrong_calls_are_told(client, store):
    with pytest.raises(ValueError, match="2 ids for 1 texts"):
        store.add_texts(["a"], ids=["a", "b"])
    with pytest.raises(ValueError, match="1 metadatas for 2 texts"):
        store.add_texts(["a", "b"], [{}])
    with pytest.raises(ValueError, match="ids are needed"):
        store.delete()
    with pytest.raises(ValueError, match='must be "dense"'):
        NearfieldVectorStore(client.collection("x"), TestWithVectorsOfItsOwn.get_embeddings(), mode="hybrid")
    with pytest.raises(TypeError, match="client is needed"):
        NearfieldVectorStore.from_texts(["a"], None)
    with pytest.raises(TypeError, match="colour"):
        store.similarity_search("a", colour=1)
    with pytest.raises(nearfield.NotFound):
        NearfieldVectorStore(client.collection("nowhere")).similarity_search("a")
