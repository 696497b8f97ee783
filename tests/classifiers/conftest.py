import grpc
import numpy as np
import pytest

from nearfield.v1 import cluster_pb2, cluster_pb2_grpc, embed_pb2, embed_pb2_grpc, types_pb2

TEXTS = {
    "animals": ["a dog barks", "the cat sleeps", "birds sing at dawn", "a horse gallops", "fish swim in the pond"],
    "money": [
        "stocks fell again",
        "the bank raised rates",
        "inflation is high",
        "she paid the bill",
        "profits doubled",
    ],
    "weather": [
        "rain is coming",
        "a storm hit the coast",
        "snow fell all night",
        "the sun shines",
        "fog in the valley",
    ],
}
EXAMPLES = [(text, label) for label, texts in TEXTS.items() for text in texts]


def matrix(rows):
    rows = np.asarray(rows, "<f4")
    return types_pb2.Matrix(rows=rows.shape[0], cols=rows.shape[1], data=rows.tobytes())


class Service:
    """The rpcs, as short as tests want them."""

    def __init__(self, target):
        self.channel = grpc.insecure_channel(target)
        self.cluster = cluster_pb2_grpc.ClusterServiceStub(self.channel)
        self.embed = embed_pb2_grpc.EmbedServiceStub(self.channel)

    def train(self, name, examples=(), parts=1, vectors=None, labels=None, **options):
        messages = [cluster_pb2.TrainClassifierRequest(options={"name": name, **options})]
        if vectors is not None:
            items = cluster_pb2.LabelledItems(items={"vectors": matrix(vectors)}, labels=labels)
            messages.append(cluster_pb2.TrainClassifierRequest(examples=items))
        examples = list(examples)
        for part in np.array_split(np.arange(len(examples)), parts) if examples else ():
            some = [examples[row] for row in part]
            items = cluster_pb2.LabelledItems(
                items={"inputs": [{"text": text} for text, _ in some]}, labels=[label for _, label in some]
            )
            messages.append(cluster_pb2.TrainClassifierRequest(examples=items))
        return self.cluster.TrainClassifier(iter(messages)).classifier

    def classify(self, name, texts=(), **options):
        inputs = [{"input": {"text": text}} for text in texts]
        return self.embed.Classify(embed_pb2.ClassifyRequest(classifier=name, inputs=inputs, **options))


@pytest.fixture(scope="session")
def connect():
    opened = []

    def connect(target):
        opened.append(Service(target))
        return opened[-1]

    yield connect
    for one in opened:
        one.channel.close()


@pytest.fixture(scope="session")
def service(server, connect):
    return connect(server.target)


@pytest.fixture(scope="session")
def examples():
    return EXAMPLES


@pytest.fixture(scope="session")
def trained(service):
    return service.train("subjects", EXAMPLES, description="what it is about")
