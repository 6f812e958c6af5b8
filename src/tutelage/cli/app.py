"""The command line: one file a command, imported when it is called, so that ``--help`` answers at once."""

from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer

from tutelage.cli.annotate_commands import annotate
from tutelage.cli.data_commands import inspect
from tutelage.cli.options import Adapter, DryRun, Json, Offline, Out, Quiet, RecipePath, Round, RunPath, Set, Split
from tutelage.cli.recipe_commands import recipes
from tutelage.errors import InputErrors, Problem
from tutelage.launch import place

app = typer.Typer(
    name="tutelage",
    help="Turn a language model, a few expert examples and a teacher into an instruction-tuned model, with evidence.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
)
app.add_typer(annotate, name="annotate")
app.add_typer(recipes, name="recipe")


@app.callback(invoke_without_command=True)
def tutelage(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version or, without a command, the help."""
    if version:
        typer.echo(f"tutelage {metadata.version('tutelage')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    elif context.invoked_subcommand != "tune" and (count := place().count) > 1:
        what, remedy = "this command runs in one process", "start it without torchrun; tune alone is for several"
        raise InputErrors(context.invoked_subcommand, [Problem(what, received=f"{count}", remedy=remedy)])


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The new folder.", metavar="FOLDER")],
    name: Annotated[str | None, typer.Option(help="Name of the recipe (default: the folder's).")] = None,
    model: Annotated[str | None, typer.Option(help="The starting model (default: default).")] = None,
    data: Annotated[Path | None, typer.Option(help="Your rows (JSONL, JSON, CSV); the file is copied in.")] = None,
    check: Annotated[str | None, typer.Option(help="How answers are checked: exact, contains, numeric, ...")] = None,
    own_check: Annotated[bool, typer.Option("--own-check", help="Write checks.py, a check of your own.")] = False,
    own_task: Annotated[bool, typer.Option("--own-task", help="Write task.py, a task of your own.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take flags and defaults.")] = False,
) -> None:
    """Make a recipe and data of your own. Nothing that exists is overwritten."""
    from tutelage.cli.init import Wishes, init_command

    wishes = Wishes(name=name, model=model, data=data, check=check, own_check=own_check, own_task=own_task)
    init_command(folder, wishes, ask=not yes)


app.command()(inspect)


@app.command()
def preview(
    target: Annotated[Path, typer.Argument(help="A recipe, a run's folder or a data file.", metavar="TARGET")],
    model: Annotated[str | None, typer.Option("--model", help="Whose chat template (default: the recipe's).")] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many rows to show.")] = 3,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=2, help="Longest row.")] = None,
    settings: Set = None,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Show what a model would learn from. Rendered chats with the trained tokens marked, lengths, rows too long."""
    from tutelage.cli.preview import preview_command

    preview_command(target, settings or [], model=model, rows=rows, max_tokens=max_tokens, json=json, offline=offline)


@app.command()
def run(
    recipe: RecipePath,
    out: Out = None,
    settings: Set = None,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
    dry_run: DryRun = False,
) -> None:
    """Run the whole loop. Called again after an interruption it goes on where it stopped."""
    from tutelage.cli.run import run_command

    run_command(recipe, out=out, settings=settings or [], quiet=quiet, json=json, offline=offline, dry_run=dry_run)


@app.command()
def construct(
    recipe: RecipePath,
    round: Round = 1,
    out: Out = None,
    settings: Set = None,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Make the data of one round of a run. The command `run` goes on from there."""
    from tutelage.cli.construct import construct_command

    construct_command(recipe, round, out=out, settings=settings or [], quiet=quiet, json=json, offline=offline)


@app.command()
def curate(
    data: Annotated[Path, typer.Argument(help="A data file, or a recipe for a round of its run.", metavar="DATA")],
    out: Out = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Whose steps, and whose items to keep out.")] = None,
    round: Round = 1,
    settings: Set = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that share a file's rows (default: all cores).")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Keep the rows that may be learned from. Every dropped row keeps its reason.

    A file may be larger than memory: its rows lie in the output folder while it works.
    """
    from tutelage.cli.curate import curate_command

    curate_command(
        data,
        out=out,
        recipe=recipe,
        round=round,
        settings=settings or [],
        workers=workers,
        quiet=quiet,
        json=json,
        offline=offline,
    )


@app.command()
def tune(
    recipe: Annotated[Path | None, typer.Argument(help="The recipe, a YAML file.", metavar="[RECIPE]")] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Tune on this file or hub:owner/name, not on a round's rows or tune.data."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The starting model (default: the recipe's).")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The run's folder (default: runs/<name>); with --data that of the weights."),
    ] = None,
    round: Annotated[int | None, typer.Option("--round", min=1, help="The round (default: 1).")] = None,
    settings: Set = None,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Tune on rows of a round or a file, or on own answers.

    The rows of a round are those that its curation kept; a file, or a data set of the hub, is what tune.data or --data
    names. Objectives that learn from the model's own answers (grpo) ask it what the recipe's tasks ask.
    """
    from tutelage.cli.tune import Tuning, tune_command

    tuning = Tuning(recipe=recipe, data=data, model=model, out=out, round=round, settings=settings or [])
    tune_command(tuning, quiet=quiet, json=json, offline=offline)


@app.command()
def evaluate(
    target: Annotated[str, typer.Argument(help="A recipe, a run's folder or a model.", metavar="TARGET")],
    adapter: Adapter = None,
    split: Split = "test",
    per_cell: Annotated[int, typer.Option("--per-cell", min=1, help="Items a cell.")] = 50,
    task: Annotated[list[str] | None, typer.Option("--task", help="Only this task; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Keep answers and scores here.")] = None,
    settings: Set = None,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Score a model on a split. Prints its cells with 95 % intervals."""
    from tutelage.cli.evaluate import Evaluation, evaluate_command

    wanted = Evaluation(
        target=target, adapter=adapter, split=split, per_cell=per_cell, tasks=task or [], settings=settings or []
    )
    evaluate_command(wanted, out=out, quiet=quiet, json=json, offline=offline)


@app.command()
def score(
    pairs: Annotated[Path, typer.Argument(help="Pairs of answers (JSONL, JSON, CSV).", metavar="PAIRS")],
    reward: Annotated[Path, typer.Option("--reward", help="What a tuning for rewards left in weights/.")],
    model: Annotated[
        str | None, typer.Option("--model", help="Base of an adapter, or its recipe (default: the one it names).")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Score held-out pairs with a reward model. Prints how often it agrees, with the 95 % interval."""
    from tutelage.cli.score import score_command

    score_command(pairs, reward=reward, model=model, quiet=quiet, json=json, offline=offline)


@app.command()
def reflect(run: RunPath, json: Json = False) -> None:
    """Say what a run found weak, planned and decided."""
    from tutelage.cli.reflect import reflect_command

    reflect_command(run, json=json)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="A run's folder or what evaluate --out wrote.", metavar="BEFORE")],
    after: Annotated[Path, typer.Argument(help="The same for the other model.", metavar="AFTER")],
    before_label: Annotated[str | None, typer.Option(help="Which model of BEFORE, e.g. start or 'round 1'.")] = None,
    after_label: Annotated[str | None, typer.Option(help="Which model of AFTER (default: the promoted).")] = None,
    any_engine: Annotated[bool, typer.Option("--any-engine", help="Even if dtype or batch size differ.")] = False,
    json: Json = False,
) -> None:
    """Compare two models on the same items, in pairs."""
    from tutelage.cli.compare import compare_command

    compare_command(before, after, labels=(before_label, after_label), any_engine=any_engine, json=json)


@app.command()
def ablate(
    recipe: RecipePath,
    by: Annotated[Literal["paradigm", "source"], typer.Option("--by", help="What is left out at a time.")] = "paradigm",
    only: Annotated[list[str] | None, typer.Option("--only", help="This group alone; may be repeated.")] = None,
    matched: Annotated[
        bool, typer.Option("--matched", help="Also leave out as many drawn rows: what is beyond the number?")
    ] = False,
    out: Out = None,
    settings: Set = None,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
    dry_run: DryRun = False,
) -> None:
    """Say what each source of rows gave to a finished run. The start is tuned again without it, and compared.

    Each tuning and test takes about as long as the run's own; called again it goes on where it stopped.
    """
    from tutelage.cli.ablate import Wanted, ablate_command

    wanted = Wanted(by=by, only=only or [], matched=matched)
    ablate_command(
        recipe, wanted, out=out, settings=settings or [], quiet=quiet, json=json, offline=offline, dry_run=dry_run
    )


@app.command()
def report(
    run: RunPath,
    redact: Annotated[bool, typer.Option("--redact", help="Leave out the text of records.")] = False,
    json: Json = False,
) -> None:
    """Write the report of a run: one self-contained page."""
    from tutelage.cli.report import report_command

    report_command(run, redact=redact, json=json)


@app.command()
def chat(
    target: Annotated[str, typer.Argument(help="A run's folder (its promoted model) or a model.", metavar="TARGET")],
    adapter: Adapter = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Longest answer, in tokens.")] = 256,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0 is greedy.")] = 0.0,
    system: Annotated[str, typer.Option("--system", help="A system turn before everything.")] = "",
    offline: Offline = False,
) -> None:
    """Talk to a model. /reset starts anew, /exit leaves."""
    from tutelage.cli.chat import chat_command

    chat_command(
        target, adapter=adapter, max_tokens=max_tokens, temperature=temperature, system=system, offline=offline
    )


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder, or what `tune` wrote.", metavar="RUN")],
    out: Annotated[Path, typer.Argument(help="The new folder.", metavar="OUT")],
    round: Annotated[int | None, typer.Option("--round", min=1, help="This round's candidate.")] = None,
    start: Annotated[bool, typer.Option("--start", help="The untuned model; needs --merged.")] = False,
    merged: Annotated[bool, typer.Option("--merged", help="A whole model, the adapter added into it.")] = False,
    dtype: Annotated[
        Literal["auto", "bfloat16", "float32"], typer.Option("--dtype", help="Of merged weights (auto: the run's).")
    ] = "auto",
    gguf: Annotated[
        bool, typer.Option("--gguf", help="Also gguf/model.gguf (Llama alone; not run in llama.cpp).")
    ] = False,
    ollama: Annotated[bool, typer.Option("--ollama", help="Also gguf/Modelfile (not run in Ollama).")] = False,
    push: Annotated[
        str | None, typer.Option("--push", metavar="ID", help="Send it to a hub (our tests send to one on loopback).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")] = False,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Write a tuned model for other programs. Whole or not at all, read again and compared first.

    The promoted model of a run, or what `tune` made of rows of your own: a PEFT adapter, or with --merged a plain
    transformers folder, with a model card and the lines that load or serve it.
    """
    from tutelage.cli.export import export_command
    from tutelage.cli.sending import Sending
    from tutelage.pipeline.export import Wanted

    wanted = Wanted(round=round, start=start, merged=merged, dtype=dtype, gguf=gguf, ollama=ollama)
    export_command(run, out, wanted, Sending(push, sure=yes), quiet=quiet, json=json, offline=offline)


@app.command()
def dataset(
    source: Annotated[Path, typer.Argument(help="A run's folder, or a file or folder of rows.", metavar="SOURCE")],
    out: Annotated[Path, typer.Argument(help="The new folder.", metavar="OUT")],
    round: Annotated[
        int | None, typer.Option("--round", min=1, help="The run's round (default: the promoted model's, or the last).")
    ] = None,
    license: Annotated[str, typer.Option("--license", metavar="SPDX", help="License of the rows.")] = "",
    name: Annotated[str, typer.Option("--name", help="Name on the card (default: the source's).")] = "",
    push: Annotated[
        str | None, typer.Option("--push", metavar="ID", help="Send it to a hub (our tests send to one on loopback).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")] = False,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Write rows as a data set for other people. Parquet with lineage and a card; whole or not at all.

    Of a run they are the rows that a round's curation kept. What was written is read again and compared.
    """
    from tutelage.cli.dataset import dataset_command
    from tutelage.cli.sending import Sending
    from tutelage.pipeline.dataset import Wanted

    wanted = Wanted(round=round, license=license, name=name)
    dataset_command(source, out, wanted, Sending(push, sure=yes), quiet=quiet, json=json, offline=offline)


@app.command()
def doctor(
    model: Annotated[str, typer.Argument(help="A model, a recipe or a run's folder.", metavar="MODEL")],
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None, typer.Option("--device", help="Where to look (default: auto).")
    ] = None,
    adapter: Adapter = None,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Check a model before you tune or trust it. On your machine, with numbers; the exit code is 1 if a check fails.

    Chat template and loss mask, tied embeddings, sampler against trainer, packing, memory of a step, micro-batches, our
    layers against plain transformers and PEFT, saving and merging.
    """
    from tutelage.cli.doctor import doctor_command

    doctor_command(model, adapter=adapter, device=device, json=json, offline=offline)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(help="Where the runs are.", metavar="[FOLDER]")] = Path("runs"),
    json: Json = False,
) -> None:
    """List the runs in a folder."""
    from tutelage.cli.runs import runs_command

    runs_command(folder, json=json)


@app.command()
def methods(json: Json = False) -> None:
    """List objectives and methods of tuning.

    With paper, formula, when to take which, trained share and cost; those of the literature that are not built, too.
    """
    from tutelage.cli.methods import methods_command

    methods_command(json=json)
