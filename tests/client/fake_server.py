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
    """[number of characters or ids, first code point or id, 0, …]: tells inputs apart."""
    value = list(map(ord, message.text)) if message.HasField("text") else list(message.token_ids.ids)
    row = np.zeros(width, np.float32)
    row[: min(2, width)] = [len(value), value[0] if value else 0][: min(2, width)]
    return row


class FakeServer(embed_pb2_grpc.EmbedServiceServicer, model_pb2_grpc.ModelServiceServicer):
    """`script[rpc]` is a queue: each call takes one entry; a Status fails it, None lets it pass, a function decides."""

    def __init__(self):
        self.calls = Counter()
        self.requests = []
        self.metadata = []
        self.deadlines = []
        self.script = {}
        self.stream_script = deque()
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
            if message.text in self.bad_texts:
                field = f"inputs[{index}].text"
                abort(
                    context,
                    make_status(
                        grpc.StatusCode.INVALID_ARGUMENT,
                        f"{field}: {self.bad_texts[message.text]}",
                        reason("INVALID_INPUT", index=str(index)),
                        violation(field, self.bad_texts[message.text]),
                    ),
                )
        return self.embedded(request.inputs, request)

    def embedded(self, inputs, options):
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

    def Similarity(self, request, context):
        self._begin("Similarity", request, context)
        rows, cols = len(request.sources), len(request.targets or request.sources)
        data = np.arange(rows * cols, dtype="<f4").tobytes()
        scores = types_pb2.Matrix(dtype=types_pb2.DTYPE_FLOAT32, rows=rows, cols=cols, data=data)
        return embed_pb2.SimilarityResponse(model="toy", scores=scores, metric=1)

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
        return model_pb2.ListModelsResponse(models=[self.model])

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
