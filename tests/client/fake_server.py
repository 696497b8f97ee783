"""A small real gRPC server whose vectors tell which text they are of, and which fails as it was told to."""

# ruff: noqa: N802 - the methods are named after the RPCs

import threading
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from nearfield.v1 import embed_pb2, embed_pb2_grpc, model_pb2, model_pb2_grpc, types_pb2

WIDTH = 4
_DTYPES = {0: "<f4", 1: "<f4", 2: "<f2", 3: "i1", 4: "u1", 5: "i1", 6: "u1"}


def make_status(code, message="", *details):
    status = Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def retry_info(seconds):
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1e9))
    return info


def reason(word, **metadata):
    return error_details_pb2.ErrorInfo(reason=word, domain="nearfield", metadata=metadata)


def violation(field, description):
    return error_details_pb2.BadRequest(
        field_violations=[error_details_pb2.BadRequest.FieldViolation(field=field, description=description)]
    )


def vector_of(message, width=WIDTH):
    """[number of characters, ids or bytes, the first of them, 0, …]: tells inputs apart."""
    if message.HasField("image"):
        value = list(message.image)
    else:
        value = list(map(ord, message.text)) if message.HasField("text") else list(message.token_ids.ids)
    row = np.zeros(width, np.float32)
    row[: min(2, width)] = [len(value), value[0] if value else 0][: min(2, width)]
    return row


def sparse_matrix(texts, max_terms=0):
    """A weight for each code point of a text: how often it occurs; with `max_terms` the most frequent ones."""
    counts = [Counter(map(ord, text)) for text in texts]
    rows = [sorted(one.most_common(max_terms or None)) for one in counts]
    flat = [pair for row in rows for pair in row]
    return types_pb2.SparseMatrix(
        cols=1000,
        row_counts=map(len, rows),
        indices=np.array([pair[0] for pair in flat], "<u4").tobytes(),
        values=np.array([pair[1] for pair in flat], "<f4").tobytes(),
    )


def multi_matrix(texts, width=WIDTH, dtype=1):
    """A vector per character: [code point, 1, 0, …]."""
    ids = [ord(character) for text in texts for character in text]
    vectors = np.zeros((len(ids), width), _DTYPES[dtype])
    vectors[:, 0] = np.array(ids) % 128
    vectors[:, 1] = 1
    return types_pb2.MultiMatrix(
        vectors=types_pb2.Matrix(dtype=dtype or 1, rows=len(ids), cols=width, data=vectors.tobytes()),
        row_counts=map(len, texts),
        token_ids=np.array(ids, "<u4").tobytes(),
    )


def chunks_of(texts, size):
    """Chunks of `size` characters."""
    return [
        types_pb2.Chunk(
            input_index=index, start=at, end=min(at + size, len(text)), token_count=min(size, len(text) - at) + 2
        )
        for index, text in enumerate(texts)
        for at in range(0, len(text) or 1, size)
    ]


class FakeServer(embed_pb2_grpc.EmbedServiceServicer, model_pb2_grpc.ModelServiceServicer):
    """`script[rpc]` is a queue: each call takes one entry; a Status fails it, None lets it pass, a function decides."""

    def __init__(self):
        self.calls = Counter()
        self.requests = []
        self.metadata = []
        self.deadlines = []
        self.script = {}
        self.stream_script = deque()
        self.watch_script = deque()
        self.aliases = {}
        self.bad_texts = {}
        self.streams_ended = threading.Semaphore(0)
        self.streams_completed = threading.Semaphore(0)
        self.unary_started = threading.Semaphore(0)
        self.unary_cancelled = threading.Event()
        self.hold = None
        self.health = "SERVING"
        self.model = model_pb2.Model(
            name="toy",
            version="0123456789ab",
            is_default=True,
            state=model_pb2.MODEL_STATE_READY,
            dimensions=WIDTH,
            max_tokens=512,
            vocab_size=1000,
            pooling=model_pb2.POOLING_MEAN,
            similarity=embed_pb2.SIMILARITY_METRIC_COSINE,
            prompts={"query": "query: "},
            limits=model_pb2.Limits(
                max_inputs=8,
                max_text_bytes=10_000,
                max_request_bytes=100_000,
                max_response_bytes=100_000,
                stream_window_inputs=64,
                max_request_tokens=100_000,
            ),
        )

    def fail(self, rpc, *entries):
        self.script.setdefault(rpc, deque()).extend(entries)

    def _begin(self, rpc, request, context):
        self.calls[rpc] += 1
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.deadlines.append(context.time_remaining())
        entry = self.script[rpc].popleft() if self.script.get(rpc) else None
        if callable(entry):
            entry = entry(request, context)
        if entry is not None:
            abort(context, entry)

    def Embed(self, request, context):
        self._begin("Embed", request, context)
        if self.hold is not None:
            context.add_callback(self.unary_cancelled.set)
            self.unary_started.release()
            self.hold.wait(10)
        for index, message in enumerate(request.inputs):
            self._refuse_bad(f"inputs[{index}].text", message.text, index, context)
        return self.embedded(request.inputs, request)

    def embedded(self, inputs, options):
        texts = [one.text for one in inputs]
        pooled = options.chunking.pooling == types_pb2.CHUNK_POOLING_MEAN
        chunks = chunks_of(texts, options.chunking.max_tokens or 512) if options.HasField("chunking") else []
        if chunks and not pooled:
            inputs = [types_pb2.Input(text=texts[one.input_index][one.start : one.end]) for one in chunks]
        reply = self._dense(inputs, options)
        reply.chunks.extend(chunks)
        reply.cached_rows = sum(one.text == "cached" for one in inputs)
        if types_pb2.OUTPUT_KIND_SPARSE in options.outputs:
            reply.sparse.CopyFrom(sparse_matrix(texts))
        if types_pb2.OUTPUT_KIND_MULTI in options.outputs:
            reply.multi.CopyFrom(multi_matrix(texts))
        if options.outputs and types_pb2.OUTPUT_KIND_DENSE not in options.outputs:
            reply.ClearField("embeddings")
        return reply

    def _dense(self, inputs, options):
        width = options.dimensions or self.model.dimensions
        dtype = _DTYPES[options.output_dtype]
        rows = np.stack([vector_of(one, width) for one in inputs]).astype(dtype)
        if options.output_dtype in {5, 6}:
            rows = rows[:, : (width + 7) // 8]
        reply = embed_pb2.EmbedResponse(
            model="toy",
            embeddings=types_pb2.Matrix(
                dtype=options.output_dtype or 1, rows=len(rows), cols=rows.shape[1], data=rows.tobytes()
            ),
            token_counts=[len(one.text or one.token_ids.ids) + 2 for one in inputs],
            truncated=[len(one.text) > 500 for one in inputs],
            warnings=[
                embed_pb2.InputWarning(index=index, reason=embed_pb2.INPUT_WARNING_REASON_NO_TOKENS)
                for index, one in enumerate(inputs)
                if one.HasField("text") and not one.text.strip()
            ],
        )
        reply.timings.compute.FromMilliseconds(5)
        if options.output_dtype in {3, 4}:
            reply.quantization.scale = 0.5
        return reply

    def EmbedStream(self, requests, context):
        self._begin("EmbedStream", None, context)
        context.add_callback(self.streams_ended.release)
        options = None
        for request in requests:
            if options is None:
                options = request.options
                self.requests.append(request)
                if not request.inputs:
                    continue
            self.calls["message"] += 1
            self.requests.append(request)
            entry = self.stream_script.popleft() if self.stream_script else None
            if entry == "drop":
                abort(context, make_status(grpc.StatusCode.UNAVAILABLE, "draining", retry_info(0.001)))
            if isinstance(entry, Status):
                yield embed_pb2.EmbedStreamResponse(id=request.id, error=entry)
                continue
            if callable(entry):
                yield from entry(self, request, options)
                continue
            yield self.answer(request, options)
        # Only a half-close leads here; a cancelled call raises above.
        self.streams_completed.release()

    def answer(self, request, options):
        for index, message in enumerate(request.inputs):
            if message.text in self.bad_texts:
                field = f"inputs[{index}].text"
                text = f"{field}: {self.bad_texts[message.text]}"
                status = make_status(grpc.StatusCode.INVALID_ARGUMENT, text, reason("X"), violation(field, "bad"))
                return embed_pb2.EmbedStreamResponse(id=request.id, error=status)
        return embed_pb2.EmbedStreamResponse(id=request.id, result=self.embedded(request.inputs, options))

    def EmbedSparse(self, request, context):
        self._begin("EmbedSparse", request, context)
        for index, one in enumerate(request.inputs):
            self._refuse_bad(f"inputs[{index}].text", one.text, index, context)
        texts = [one.text for one in request.inputs]
        weights = sparse_matrix(texts, request.max_terms)
        ids = np.frombuffer(weights.indices, "<u4")
        return embed_pb2.EmbedSparseResponse(
            model="toy",
            embeddings=weights,
            terms=map(chr, ids) if request.return_terms else (),
            token_counts=map(len, texts),
            truncated=[len(text) > 500 for text in texts],
        )

    def EmbedMulti(self, request, context):
        self._begin("EmbedMulti", request, context)
        texts = [one.text for one in request.inputs]
        scale = types_pb2.Quantization(scale=0.5) if request.output_dtype in {3, 4} else None
        return embed_pb2.EmbedMultiResponse(
            quantization=scale,
            model="toy",
            embeddings=multi_matrix(texts, request.dimensions or WIDTH, request.output_dtype),
            token_counts=[len(text) + 2 for text in texts],
            truncated=[False] * len(texts),
        )

    def Rerank(self, request, context):
        """Score by the number of the query's characters that a document has."""
        self._begin("Rerank", request, context)
        for index, text in enumerate(request.documents):
            self._refuse_bad(f"documents[{index}]", text, index, context)
        scores = [sum(character in text for character in request.query) for text in request.documents]
        order = sorted(range(len(scores)), key=lambda index: -scores[index])[: request.top_n or None]
        return embed_pb2.RerankResponse(
            model="toy",
            results=[embed_pb2.RankedDocument(index=index, score=scores[index]) for index in order],
            token_counts=[len(request.query) + len(text) for text in request.documents],
            truncated=[len(text) > 500 for text in request.documents],
        )

    def Classify(self, request, context):
        """Score a label by how often its first letter is in the text and its pair."""
        self._begin("Classify", request, context)
        labels = list(request.labels or self.model.labels)
        results = []
        for one in request.inputs:
            text = one.input.text + one.pair
            scores = [text.count(label[0]) for label in labels]
            order = sorted(range(len(labels)), key=lambda at, scores=scores: -scores[at])[: request.top_k or None]
            results.append(
                embed_pb2.Classification(
                    labels=[embed_pb2.LabelScore(label=labels[at], index=at, score=scores[at]) for at in order]
                )
            )
        return embed_pb2.ClassifyResponse(
            model="toy", results=results, token_counts=[3] * len(results), truncated=[False] * len(results)
        )

    def Similarity(self, request, context):
        """Score by the dot product of the first two components of `vector_of`."""
        self._begin("Similarity", request, context)
        for name in ("sources", "targets"):
            for index, one in enumerate(getattr(request, name)):
                self._refuse_bad(f"{name}[{index}]", one.text, index, context)
        rows = np.stack([vector_of(one) for one in request.sources])
        cols = np.stack([vector_of(one) for one in request.targets]) if request.targets else rows
        data = (rows @ cols.T).astype("<f4")
        scores = types_pb2.Matrix(dtype=types_pb2.DTYPE_FLOAT32, rows=len(rows), cols=len(cols), data=data.tobytes())
        return embed_pb2.SimilarityResponse(model="toy", scores=scores, metric=1)

    def _refuse_bad(self, field, text, index, context):
        if text in self.bad_texts:
            wrong = self.bad_texts[text]
            details = (reason("INVALID_INPUT", index=str(index)), violation(field, wrong))
            abort(context, make_status(grpc.StatusCode.INVALID_ARGUMENT, f"{field}: {wrong}", *details))

    def Tokenize(self, request, context):
        self._begin("Tokenize", request, context)
        return embed_pb2.TokenizeResponse(
            model="toy",
            texts=[
                embed_pb2.TokenizedText(
                    ids=map(ord, text), tokens=list(text), starts=range(len(text)), ends=range(1, len(text) + 1)
                )
                for text in request.texts
            ],
        )

    def Detokenize(self, request, context):
        self._begin("Detokenize", request, context)
        return embed_pb2.DetokenizeResponse(
            model="toy", texts=["".join(map(chr, one.ids)) for one in request.sequences]
        )

    def ListModels(self, request, context):
        self._begin("ListModels", request, context)
        return model_pb2.ListModelsResponse(models=[self.model], aliases=self._aliases())

    def _aliases(self):
        return [model_pb2.Alias(alias=name, target=self.aliases[name]) for name in sorted(self.aliases)]

    def LoadModel(self, request, context):
        self._begin("LoadModel", request, context)
        self.model.repository_version = request.version or "2"
        return model_pb2.LoadModelResponse(model=self.model)

    def UnloadModel(self, request, context):
        self._begin("UnloadModel", request, context)
        unloaded = model_pb2.Model()
        unloaded.CopyFrom(self.model)
        unloaded.state = model_pb2.MODEL_STATE_UNLOADED
        return model_pb2.UnloadModelResponse(model=unloaded)

    def SetAlias(self, request, context):
        self._begin("SetAlias", request, context)
        if request.target:
            self.aliases[request.alias] = request.target
        else:
            self.aliases.pop(request.alias)
        return model_pb2.SetAliasResponse(aliases=self._aliases())

    def GetModel(self, request, context):
        self._begin("GetModel", request, context)
        if request.name not in {"", "toy"}:
            resource = error_details_pb2.ResourceInfo(resource_type="nearfield.v1.Model", resource_name=request.name)
            abort(
                context,
                make_status(
                    grpc.StatusCode.NOT_FOUND,
                    "no model of that name is served; did you mean toy?",
                    reason("MODEL_NOT_FOUND"),
                    resource,
                ),
            )
        return model_pb2.GetModelResponse(model=self.model)

    def WatchModels(self, request, context):
        self._begin("WatchModels", request, context)
        context.add_callback(self.streams_ended.release)
        yield model_pb2.WatchModelsResponse(model=self.model)
        if self.watch_script:
            abort(context, self.watch_script.popleft())
        changed = model_pb2.Model()
        changed.CopyFrom(self.model)
        changed.state = model_pb2.MODEL_STATE_UNLOADING
        yield model_pb2.WatchModelsResponse(model=changed)

    def Check(self, request, context):
        self._begin("Check", request, context)
        status = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"].index(self.health)
        return bytes([8, status]) if status else b""


def abort(context, status):
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()), ("x-request-id", "req-1")))
    context.abort(next(code for code in grpc.StatusCode if code.value[0] == status.code), status.message)


def start(fake, address="127.0.0.1:0", credentials=None):
    """Give a started server and its target."""
    server = grpc.server(ThreadPoolExecutor(16), options=(("grpc.so_reuseport", 0),))
    embed_pb2_grpc.add_EmbedServiceServicer_to_server(fake, server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(fake, server)
    check = grpc.unary_unary_rpc_method_handler(fake.Check)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check}),))
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    # One family only: "localhost" means two ports of one number, of which another process may have the second.
    host = "localhost" if credentials else "127.0.0.1"
    return server, address if address.startswith("unix:") else f"{host}:{port}"
