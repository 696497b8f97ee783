"""Every way in which a model folder is broken or hostile, and what the server says of it: `CASES[name]`."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from folders import FILES, WIDTH, graph, node, tokenizer_json
from onnx import TensorProto, helper
from onnx.external_data_helper import set_external_data

__all__ = ["ACCEPTED", "CASES", "GIGANTIC", "Case"]

MANIFEST = "nearfield.yaml"
ONNX = r"onnx/model\.onnx: "
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a2146' * 8}\nsize 90405214\n"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefghi", "bcdefghij", strict=True)
)


@dataclass(frozen=True, slots=True)
class Case:
    """What is written instead of the good files, and the message (a regular expression)."""

    message: str
    files: dict[str, Any] = field(default_factory=dict)
    model: onnx.ModelProto | bytes | None = None
    after: Callable[[Path], None] | None = None


def _good() -> bytes:
    return graph().SerializeToString()


def _linked(name: str) -> Callable[[Path], None]:
    def link(folder: Path) -> None:
        outside = folder.with_name(f"{folder.name}-outside")
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    return link


def _external(location: str, *, offset: int = 0, length: int = 112, write: int | None = None) -> dict[str, Any]:
    """Give a graph whose table lies in the file `location`, and a function that writes `write` bytes of it."""
    made = graph()
    (tensor,) = [one for one in made.graph.initializer if one.name == "table"]
    set_external_data(tensor, location, offset=offset, length=length)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL

    def beside(folder: Path) -> None:
        if write is not None:
            (folder / "onnx" / location).write_bytes(b"\0" * write)

    return {"model": made, "after": beside}


def _external_link(folder: Path) -> None:
    outside = folder.with_name(f"{folder.name}-secret")
    outside.write_bytes(b"\0" * 112)
    (folder / "onnx" / "weights.bin").symlink_to(outside)


def _loop(trips: int) -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Identity", ["going"], ["on"]), node("Sin", ["carried"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("trip", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    return graph(
        steps=[node("Loop", ["trips", "", "looked_up"], ["last_hidden_state"], body=body)],
        constants={"trips": np.array(trips)},
    )


def _deep_if(depth: int) -> onnx.ModelProto:
    """Conditions within conditions."""

    def leaf(name: str, output: str, *steps: onnx.NodeProto) -> onnx.GraphProto:
        return helper.make_graph(steps, name, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)])

    then = leaf("leaf", "y0", node("Identity", ["looked_up"], ["y0"]))
    for at in range(1, depth):
        other = leaf(f"else{at}", f"z{at}", node("Neg", ["looked_up"], [f"z{at}"]))
        chosen = node("If", ["yes"], [f"y{at}"], then_branch=then, else_branch=other)
        then = leaf(f"then{at}", f"y{at}", chosen)
    other = leaf("else", "z", node("Neg", ["looked_up"], ["z"]))
    chosen = node("If", ["yes"], ["last_hidden_state"], then_branch=then, else_branch=other)
    return graph(steps=[node("Cast", ["seen"], ["yes"], to=TensorProto.BOOL), chosen])


def _sha(*, file: str = "onnx/model.onnx") -> dict[str, str]:
    return {MANIFEST: f"sha256: {{{file}: {hashlib.sha256(b'something else').hexdigest()}}}"}


def _config(**values: Any) -> dict[str, Any]:
    return {"config.json": FILES["config.json"] | values}


_DEEP = "[" * 100_000
_LONG_NUMBER = '{"max_position_embeddings": ' + "9" * 5000 + "}"
_NAN = '{"hidden_size": NaN, "vocab_size": NaN, "max_position_embeddings": NaN}'
_UNSTATED = {"sentence_bert_config.json": None}
_CLASSIFIER = {"architectures": ["BertForSequenceClassification"], "num_labels": WIDTH}
_LOGITS = graph(
    steps=[node("ReduceMean", ["looked_up", "axis"], ["last_hidden_state"], keepdims=0)],
    constants={"axis": np.array([1])},
    shape=("batch", WIDTH),
)
_EXTREME = {"max_position_embeddings": 10**30}

CASES = {
    # The graph's file.
    "onnx-empty": Case(ONNX, model=b""),
    "onnx-one-byte": Case(ONNX, model=b"\x08"),
    "onnx-text": Case(ONNX, model=b"this is no graph\n"),
    "onnx-html": Case(ONNX, model=b"<!doctype html><html><body>404</body></html>"),
    "onnx-lfs-pointer": Case(ONNX, model=LFS.encode()),
    "onnx-pickle": Case(ONNX, model=pickle.dumps({"weights": [1.0]})),
    **{f"onnx-cut-{part}": Case(ONNX, model=_good()[: len(_good()) * part // 100]) for part in (5, 30, 60, 90, 99)},
    "onnx-folder": Case("onnx", after=lambda at: ((at / "onnx/model.onnx").unlink(), (at / "onnx/model.onnx").mkdir())),
    "onnx-missing": Case("no ONNX file", after=lambda folder: (folder / "onnx/model.onnx").unlink()),
    "onnx-link": Case(r"onnx/model\.onnx: leads out of", after=_linked("onnx/model.onnx")),
    "onnx-unreadable-link": Case(
        "onnx",
        after=lambda at: (at / "onnx/model.onnx").unlink() or (at / "onnx/model.onnx").symlink_to("/proc/self/mem"),
    ),
    "sha-of-the-graph": Case(r"onnx/model\.onnx: SHA-256 is", _sha()),
    "sha-of-the-tokenizer": Case(r"tokenizer\.json: SHA-256 is", _sha(file="tokenizer.json")),
    "sha-of-nothing": Case("absent: .*missing", _sha(file="absent")),
    # External data.
    "external-parent": Case(ONNX, **_external("../../secret")),
    "external-absolute": Case(ONNX, **_external("/etc/passwd")),
    "external-missing": Case(ONNX, **_external("weights.bin")),
    "external-short": Case(ONNX, **_external("weights.bin", write=50)),
    "external-beyond": Case(ONNX, **_external("weights.bin", offset=1 << 60, write=112)),
    "external-negative": Case(ONNX, **_external("weights.bin", offset=-8, write=112)),
    "external-link": Case(ONNX, model=_external("weights.bin")["model"], after=_external_link),
    # Operators.
    "custom-operator": Case(
        ONNX + ".*(Nasty|custom)",
        model=graph(
            steps=[node("Nasty", ["looked_up"], ["last_hidden_state"], domain="com.evil")], opsets=["com.evil"]
        ),
    ),
    "no-such-operator": Case(ONNX, model=graph(steps=[node("Explode", ["looked_up"], ["last_hidden_state"])])),
    "cycle": Case(
        ONNX,
        model=graph(
            steps=[
                node("Add", ["looked_up", "b"], ["last_hidden_state"]),
                node("Identity", ["last_hidden_state"], ["b"]),
            ]
        ),
    ),
    "inputs-unknown": Case("inputs that texts don't give: (depth|pixel)", model=graph(inputs=("input_ids", "depth"))),
    "output-missing": Case(r"nearfield\.yaml: .*no output nothing", {MANIFEST: "output: {name: nothing}"}),
    "not-finite": Case(ONNX + ".*not finite", model=graph(weights=np.full((7, WIDTH), np.nan, np.float32))),
    "wrong-width": Case("dimensions: 5, but the graph gives 4", {MANIFEST: "dimensions: 5"}),
    "wrong-rows": Case(
        ONNX + ".*shape",
        model=graph(steps=[node("Concat", ["looked_up", "looked_up"], ["last_hidden_state"], axis=0)]),
    ),
    "loop-for-ever": Case(ONNX + "not loaded and run within", model=_loop(1 << 62)),
    # The manifest.
    "manifest-unknown-key": Case(
        r"nearfield\.yaml: poolin: unknown key, did you mean pooling", {MANIFEST: "poolin: cls"}
    ),
    "manifest-parent": Case(
        r"nearfield\.yaml: files\.model: .*within the model", {MANIFEST: "files: {model: ../x.onnx}"}
    ),
    "manifest-absolute": Case(r"nearfield\.yaml: .*within the model", {MANIFEST: "files: {tokenizer: /etc/passwd}"}),
    "manifest-parent-precision": Case(r"nearfield\.yaml: .*within", {MANIFEST: "files: {precisions: {fp32: ../../x}}"}),
    "manifest-link": Case(r"nearfield\.yaml: leads out of", {MANIFEST: "license: MIT"}, after=_linked(MANIFEST)),
    "manifest-object": Case(r"nearfield\.yaml: can't be read", {MANIFEST: "!!python/object/apply:os.system [id]"}),
    "manifest-laughs": Case(r"nearfield\.yaml: ", {MANIFEST: LAUGHS}),
    "manifest-laughing-prompts": Case(
        r"nearfield\.yaml: ", {MANIFEST: LAUGHS.replace("\na", "\nx") + "prompts: {query: *j}"}
    ),
    "manifest-deep": Case(r"nearfield\.yaml: ", {MANIFEST: _DEEP}),
    "manifest-binary": Case(r"nearfield\.yaml: can't be read", {MANIFEST: bytes(range(256))}),
    "manifest-list": Case(r"nearfield\.yaml: ", {MANIFEST: "- 1\n- 2"}),
    # The tokenizer.
    "tokenizer-missing": Case(r"tokenizer\.json: no such file", {"tokenizer.json": None}),
    "tokenizer-empty": Case(r"tokenizer\.json: ", {"tokenizer.json": ""}),
    "tokenizer-cut": Case(r"tokenizer\.json: ", {"tokenizer.json": tokenizer_json()[:300]}),
    "tokenizer-lfs-pointer": Case(r"tokenizer\.json: ", {"tokenizer.json": LFS}),
    "tokenizer-deep": Case(r"tokenizer\.json: ", {"tokenizer.json": _DEEP}),
    "tokenizer-bad-regex": Case(
        r"tokenizer\.json: ",
        {"tokenizer.json": tokenizer_json(normalizer={"type": "Replace", "pattern": {"Regex": "(("}, "content": ""})},
    ),
    "tokenizer-ids-beyond-the-graph": Case(
        r"tokenizer\.json|onnx/model\.onnx",
        {
            "tokenizer.json": tokenizer_json()
            .replace('"ids":[2]', '"ids":[9999]')
            .replace('"ids": [2]', '"ids": [9999]')
        },
    ),
    "tokenizer-link": Case(r"tokenizer\.json: leads out of", after=_linked("tokenizer.json")),
    # The small files.
    "config-no-json": Case(r"config\.json: can't be read as JSON", {"config.json": "{'hidden_size': 4}"}),
    "config-binary": Case(r"config\.json: can't be read as JSON", {"config.json": b"\xff\xfe\x00"}),
    "config-list": Case(r"config\.json: holds list where dict", {"config.json": [1]}),
    "config-deep": Case(r"config\.json: ", {"config.json": _DEEP}),
    "config-long-number": Case(r"config\.json: ", {"config.json": _LONG_NUMBER} | _UNSTATED),
    "config-nan": Case(r"config\.json|nearfield\.yaml", {"config.json": _NAN} | _UNSTATED),
    "config-text-positions": Case(r"nearfield\.yaml: no file tells", _config(max_position_embeddings="64") | _UNSTATED),
    "config-negative-positions": Case(
        r"nearfield\.yaml: no file tells", _config(max_position_embeddings=-1) | _UNSTATED
    ),
    "modules-wrong-entries": Case(r"modules\.json: ", {"modules.json": [1, None, "x"]}),
    "modules-outside": Case("leads out of", {"modules.json": [{"path": "../../x", "type": "a.Pooling"}]}),
    "modules-path-no-text": Case(
        r"modules\.json|Pooling|config\.json|nearfield\.yaml",
        {"modules.json": [{"path": ["x"], "type": "a.Pooling"}], "1_Pooling/config.json": None},
    ),
    "pooling-of-a-wrong-type": Case(
        r"1_Pooling/config\.json: |nearfield\.yaml: ", {"1_Pooling/config.json": {"pooling_mode": {"mean": 1}}}
    ),
    "prompts-list": Case(
        r"config_sentence_transformers\.json: ", {"config_sentence_transformers.json": {"prompts": ["q"]}}
    ),
    "prompts-number": Case(
        r"config_sentence_transformers\.json: ", {"config_sentence_transformers.json": {"prompts": {"query": 5}}}
    ),
    "default-prompt-list": Case(
        r"config_sentence_transformers\.json: ",
        {"config_sentence_transformers.json": {"prompts": {"q": ""}, "default_prompt_name": ["q"]}},
    ),
    # Labels.
    "labels-list": Case(r"config\.json: id2label", _config(**_CLASSIFIER, id2label=["a", "b", "c", "d"]), _LOGITS),
    "labels-names": Case(r"config\.json: id2label", _config(**_CLASSIFIER, id2label={"a": "b"}), _LOGITS),
    "labels-gap": Case(r"config\.json: id2label", _config(**_CLASSIFIER, id2label={"0": "a", "2": "b"}), _LOGITS),
    "labels-too-few": Case(r"config\.json: id2label has 1", _config(**_CLASSIFIER, id2label={"0": "a"}), _LOGITS),
    "labels-same": Case(
        r"config\.json: id2label", _config(**_CLASSIFIER, id2label=dict.fromkeys("0123", "a")), _LOGITS
    ),
    "labels-null": Case(r"config\.json: id2label", _config(**_CLASSIFIER, id2label=dict.fromkeys("0123")), _LOGITS),
    "labels-count": Case(r"config\.json: ", _config(**_CLASSIFIER | {"num_labels": "many"}), _LOGITS),
}
GIGANTIC = Case(r"config\.json|nearfield\.yaml", _config(**_EXTREME) | _UNSTATED)
"""A limit of 10^30 tokens, on which calibration stumbles: served by a server of its own."""


def _code(folder: Path) -> None:
    """Put Python and pickles there that would leave a trace if anything ran them."""
    trace = folder.with_name(f"{folder.name}-was-run")
    code = f"open({str(trace)!r}, 'w').close()\n"
    for name in ("modeling_evil.py", "configuration_evil.py", "handler.py", "sitecustomize.py", "onnx/evil.py"):
        (folder / name).write_text(code)

    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (f"touch {trace}",)

    for name in (
        "pytorch_model.bin",
        "training_args.bin",
        "optimizer.pt",
        "artifact.pkl",
        "1_Pooling/pytorch_model.bin",
    ):
        (folder / name).write_bytes(pickle.dumps(Evil()))


ACCEPTED = {
    "code-beside": Case(
        "",
        _config(
            auto_map={"AutoModel": "modeling_evil.Evil", "AutoConfig": "configuration_evil.Evil"},
            trust_remote_code=True,
        ),
        after=_code,
    ),
    "many-nodes": Case(
        "",
        model=graph(
            steps=[node("Neg", [f"x{at}" if at else "looked_up"], [f"x{at + 1}"]) for at in range(30_000)]
            + [node("Identity", ["x30000"], ["last_hidden_state"])]
        ),
    ),
    "if-in-if": Case("", model=_deep_if(20)),  # protobuf lets them be no deeper
    "laughs-in-free-fields": Case("", {MANIFEST: "parity:\n" + "".join(f"  {line}\n" for line in LAUGHS.splitlines())}),
    "odd-facts": Case(
        "",
        {
            "tokenizer_config.json": {"model_max_length": 1e30, "pad_token": 7, "mask_token": None},
            "config.json": FILES["config.json"] | {"pad_token_id": "x", "sentence_transformers": "5.0", "id2label": 3},
            "config_sentence_transformers.json": {"prompts": None, "similarity_fn_name": 3},
        },
    ),
}
