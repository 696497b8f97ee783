"""`nearfield classify`: which labels fit texts."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield_server.cli.classify_output import show, show_trained
from nearfield_server.cli.connect import (
    DEFAULT_TARGET,
    JsonOption,
    LocalOption,
    ModelOption,
    TargetOption,
    connected,
    local_models,
)
from nearfield_server.cli.failures import CliError, reporting
from nearfield_server.cli.texts import FileOption, TextFieldOption, read_texts

__all__ = ["classify"]

_MAX_TEXTS = 1_000_000


def classify(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts.", metavar="TEXT...")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels", metavar="LABEL,...", help="Labels to choose from, with any encoder; else the model's own."
        ),
    ] = None,
    classifier: Annotated[
        str, typer.Option("--classifier", metavar="NAME[@VERSION]", help="A trained classifier, in place of a model.")
    ] = "",
    min_score: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="With --classifier: abstain below this score.")
    ] = None,
    min_similarity: Annotated[
        float | None, typer.Option(min=-1.0, max=1.0, help="With --classifier: abstain below this similarity.")
    ] = None,
    label_template: Annotated[
        str, typer.Option(help="Sentence to put labels into, with {} for the label.", metavar="TEXT")
    ] = "",
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Several labels can be right: score each for itself.")
    ] = False,
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", min=1, help="Print the best TOP_K labels only.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Scores without the model's activation function.")] = False,
    file: FileOption = "",
    text_field: TextFieldOption = "text",
    model: ModelOption = "",
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the labels of each text with their scores, greatest first.

    A classifier has labels of its own; with --labels any encoder chooses among them. With --classifier a trained one
    (`nearfield classifiers train`) chooses among those of its examples, or abstains.
    """
    with reporting():
        name, served = local_models(model, local=local)
        given = [*(texts or ()), *(read_texts(file, text_field, at_most=_MAX_TEXTS) if file else ())]
        if not given:
            raise CliError("give texts, or --file FILE (- is stdin)")
        chosen = [label.strip() for some in labels or () for label in some.split(",") if label.strip()]
        if classifier and (chosen or label_template or multi_label or raw or model):
            raise CliError("--classifier brings its own model and labels: it goes without options about those")
        if not classifier and (min_score is not None or min_similarity is not None):
            raise CliError("--min-score and --min-similarity go with --classifier")
        with connected(target, local=local, models=served) as connection:
            if classifier:
                answers = connection.client.classify(
                    given, classifier=classifier, min_score=min_score, min_similarity=min_similarity, top_k=top_k
                )
                show_trained(given, answers, as_json=as_json)
                return
            about = connection.model(name)
            if about is not None and about.outputs and "scores" not in about.outputs and not chosen:
                raise CliError(f"model {about.name} has no labels of its own; name some: --labels LABEL,LABEL")
            found = connection.client.classify(
                given,
                model=name,
                labels=chosen,
                label_template=label_template,
                multi_label=multi_label,
                raw_scores=raw,
                top_k=top_k,
            )
        show(given, found, as_json=as_json)
