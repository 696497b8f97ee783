"""A small CLIP in the two layouts that its users have: one graph of both towers, as optimum exports it, and a graph for
each, as the ONNX repositories of the hub have them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import onnx
import small_tokenizers
import torch
from models import export
from onnx.utils import Extractor
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

__all__ = ["BUILDERS"]

SIZE = 32
_TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def clip_model(folder: Path) -> CLIPModel:
    """Write a CLIP without graphs into `folder` and give it."""
    tokenizer = small_tokenizers.clip()
    tokenizer.model_max_length = 40
    end = tokenizer.eos_token_id
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 40, "eos_token_id": end, "pad_token_id": end}
    torch.manual_seed(11)
    model = CLIPModel(
        CLIPConfig(
            text_config=_TOWER | text | {"bos_token_id": tokenizer.bos_token_id, "initializer_factor": 8.0},
            vision_config=_TOWER | {"image_size": SIZE, "patch_size": 8, "initializer_factor": 8.0},
            projection_dim=24,
        )
    ).eval()
    torch.nn.init.constant_(model.logit_scale, math.log(100.0))  # where training ends: it is held below 100
    processor = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    CLIPProcessor(processor, tokenizer).save_pretrained(folder)
    model.save_pretrained(folder)
    return model


def build_one_graph(folder: Path) -> None:
    """One graph of both towers."""
    clip_model(folder)
    export(folder, "feature-extraction")


def build_two_graphs(folder: Path) -> None:
    """`text_model.onnx` and `vision_model.onnx`, whose vectors aren't normalised: the parts of optimum's one graph."""
    build_one_graph(folder)
    whole = folder / "onnx" / "model.onnx"
    model = onnx.load(whole)
    text_inputs = ["input_ids", "attention_mask"]
    for file, inputs, output in (
        ("text_model.onnx", text_inputs, "text_embeds"),
        ("vision_model.onnx", ["pixel_values"], "image_embeds"),
    ):
        (division,) = [node for node in model.graph.node if output in node.output]
        raw = division.input[0]
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(raw, onnx.TensorProto.FLOAT, ["batch", 24]))
        part = Extractor(model).extract_model(inputs, [raw])
        for node in part.graph.node:
            node.output[:] = [output if name == raw else name for name in node.output]
        part.graph.output[0].name = output
        onnx.save(part, folder / "onnx" / file)
    whole.unlink()


BUILDERS: dict[str, Callable[[Path], None]] = {"clip": build_one_graph, "clip-towers": build_two_graphs}
