"""Small models with random weights, as transformers and sentence-transformers save them, for tests of the exporter.

Torch and its companions are imported inside the functions: only the slow tests need them.
"""

import json
import string
import warnings

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from nearfield_server.export.samples import verification_texts

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HIDDEN, POSITIONS, WIDTH = 32, 140, 16
_SHAPE = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}
_DISTIL = {"dim": HIDDEN, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
_MODERN = {"global_attn_every_n_layers": 2, "local_attention": 16, "reference_compile": False}


def word_pieces(size=500):
    """BERT's kind of tokenizer, trained on our own sentences."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(verification_texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def write_tokenizer(folder, *, token_types=True, max_tokens=100, size=500):
    tokenizer = word_pieces(size)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    inputs = ["input_ids", "attention_mask"] + (["token_type_ids"] if token_types else [])
    rewrite(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        model_max_length=max_tokens,
        model_input_names=inputs,
        **dict(zip(names, SPECIAL, strict=True)),
    )


def rewrite(file, **values):
    known = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(known | values))


def write_transformer(folder, kind, config, *, token_types=True, **settings):
    """Save `transformers.<kind>` with random weights and a tokenizer; give the folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        torch.manual_seed(5)
        vocabulary = word_pieces().get_vocab_size()
        made = getattr(transformers, kind)(
            getattr(transformers, config)(**_SHAPE | {"vocab_size": vocabulary} | settings)
        )
        made.save_pretrained(folder)
    write_tokenizer(folder, token_types=token_types)
    return folder


def write_modules(folder, *modules):
    """modules.json from pairs (type, path)."""
    rows = [{"idx": at, "name": str(at), "path": path, "type": kind} for at, (kind, path) in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(rows))


def write_pooling(folder, mode, path="1_Pooling"):
    keys = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "lasttoken": "lasttoken"}
    switches = {f"pooling_mode_{value}": name == mode for name, value in keys.items()}
    rewrite(folder / path / "config.json", word_embedding_dimension=HIDDEN, **switches)


def write_dense(folder, path, *, bias=False, activation="torch.nn.modules.linear.Identity"):
    random = np.random.default_rng(2)
    tensors = {"linear.weight": random.normal(0, HIDDEN**-0.5, (WIDTH, HIDDEN)).astype(np.float32)}
    if bias:
        tensors["linear.bias"] = random.normal(0, 0.1, WIDTH).astype(np.float32)
    rewrite(
        folder / path / "config.json", in_features=HIDDEN, out_features=WIDTH, bias=bias, activation_function=activation
    )
    save_file(tensors, folder / path / "model.safetensors")


_ST = "sentence_transformers.models"


def sentence_encoder(folder, mode="mean", *, dense=False, normalize=True, kind="Bert", **settings):
    write_transformer(folder, f"{kind}Model", f"{kind}Config", **settings)
    write_pooling(folder, mode)
    modules = [(f"{_ST}.Transformer", ""), (f"{_ST}.Pooling", "1_Pooling")]
    if dense:
        write_dense(folder, "2_Dense", bias=True, activation="torch.nn.modules.activation.Tanh")
        modules.append((f"{_ST}.Dense", "2_Dense"))
    if normalize:
        modules.append((f"{_ST}.Normalize", "3_Normalize"))
        (folder / "3_Normalize").mkdir(exist_ok=True)
    write_modules(folder, *modules)
    rewrite(folder / "sentence_bert_config.json", max_seq_length=90, do_lower_case=False)
    rewrite(
        folder / "config_sentence_transformers.json",
        prompts={"query": "query: "},
        default_prompt_name=None,
        similarity_fn_name="cosine",
    )


def splade(folder):
    write_transformer(folder, "BertForMaskedLM", "BertConfig")


def colbert(folder):
    """As PyLate saves it."""
    write_transformer(folder, "BertModel", "BertConfig")
    write_dense(folder, "1_Dense")
    write_modules(folder, (f"{_ST}.Transformer", ""), ("pylate.models.Dense.Dense", "1_Dense"))
    rewrite(
        folder / "config_sentence_transformers.json",
        model_type="ColBERT",
        query_length=32,
        document_length=80,
        skiplist_words=list(string.punctuation),
    )


def stanford_colbert(folder):
    write_transformer(folder, "BertModel", "BertConfig")
    tensors = {f"bert.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
    weight = np.random.default_rng(4).normal(0, HIDDEN**-0.5, (WIDTH, HIDDEN)).astype(np.float32)
    save_file(tensors | {"linear.weight": weight}, folder / "model.safetensors", {"format": "pt"})
    rewrite(folder / "config.json", architectures=["HF_ColBERT"])
    rewrite(folder / "artifact.metadata", dim=WIDTH, query_token_id="[CLS]", doc_token_id="[SEP]", doc_maxlen=80)


def reranker(folder):
    write_transformer(folder, "BertForSequenceClassification", "BertConfig", num_labels=1)


def classifier(folder):
    labels = {0: "calm", 1: "glad", 2: "cross"}
    names = {label: index for index, label in labels.items()}
    write_transformer(
        folder, "RobertaForSequenceClassification", "RobertaConfig", token_types=False, id2label=labels, label2id=names
    )


def clip(folder):
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"vocab_size": word_pieces().get_vocab_size(), "max_position_embeddings": 100, "eos_token_id": 3}
    vision = {"image_size": 32, "patch_size": 8}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch  # noqa: PLC0415
        from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel  # noqa: PLC0415

        torch.manual_seed(9)
        config = CLIPConfig(
            text_config=tower | text | {"bos_token_id": 2, "pad_token_id": 0, "initializer_factor": 8.0},
            vision_config=tower | vision | {"initializer_factor": 8.0},
            projection_dim=24,
        )
        CLIPModel(config).save_pretrained(folder)
        sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
        CLIPImageProcessor(**sizes).save_pretrained(folder)
    write_tokenizer(folder, token_types=False)


BUILDERS = {
    "bert": sentence_encoder,
    "bert-cls-dense": lambda folder: sentence_encoder(folder, "cls", dense=True, normalize=False),
    "roberta-plain": lambda folder: write_transformer(folder, "RobertaModel", "RobertaConfig", token_types=False),
    "mpnet": lambda folder: sentence_encoder(folder, "max", kind="MPNet", token_types=False),
    "distilbert": lambda folder: sentence_encoder(folder, "lasttoken", kind="DistilBert", token_types=False, **_DISTIL),
    "modernbert": lambda folder: sentence_encoder(folder, "cls", kind="ModernBert", token_types=False, **_MODERN),
    "splade": splade,
    "colbert": colbert,
    "colbert-stanford": stanford_colbert,
    "reranker": reranker,
    "classifier": classifier,
    "clip": clip,
}
