"""Makes reference_fp32.npy and reference_tokens.jsonl from sentences.jsonl with the reference implementation.

Run it in an environment of its own, since Nearfield needs no torch (torch first, so that nothing replaces it):

    pip install torch==2.13.0 && pip install sentence-transformers==6.2.0 torch==2.13.0
    python tests/golden/make_reference.py FOLDER

FOLDER is the model folder with model.safetensors, as sentence-transformers/all-MiniLM-L6-v2 publishes it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

HERE = Path(__file__).parent
MAX_TOKENS = 256


def make_tokens(model_folder: Path, texts: list[str]) -> None:
    """Writes {id, ids cut at 256 tokens, n_tokens before the cut}, specials counted."""
    tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]
    tokenizer.enable_truncation(MAX_TOKENS)
    with (HERE / "reference_tokens.jsonl").open("w", encoding="utf-8") as out:
        for row, encoding in enumerate(tokenizer.encode_batch(texts)):
            out.write(json.dumps({"id": row, "ids": encoding.ids, "n_tokens": lengths[row]}) + "\n")


def make_vectors(model_folder: Path, texts: list[str]) -> None:
    """Writes float32 [rows, 384], L2-normalised, each text computed alone: padding can't touch the reference."""
    torch.manual_seed(0)
    model = SentenceTransformer(str(model_folder), device="cpu")
    if model.max_seq_length != MAX_TOKENS:
        raise SystemExit(f"max_seq_length is {model.max_seq_length}, expected {MAX_TOKENS}")
    vectors = model.encode(texts, batch_size=1, normalize_embeddings=True, convert_to_numpy=True)
    np.save(HERE / "reference_fp32.npy", np.asarray(vectors, dtype=np.float32))


def main() -> None:
    """Reads sentences.jsonl, writes both files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model_folder", type=Path)
    model_folder = parser.parse_args().model_folder
    lines = (HERE / "sentences.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    make_tokens(model_folder, texts)
    make_vectors(model_folder, texts)


if __name__ == "__main__":
    main()
