"""`eagrctl prepare`: a raw dataset -> shards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import DATA, RAW, Force, Quiet, Size, Workers, all_cores

if TYPE_CHECKING:
    from eagrctl.data.source import Source

app = typer.Typer(
    no_args_is_help=True,
    help="""Turn a raw dataset into a prepared one: samples of one size, edge masks, HDF5 shards, and an index.

```text
eagrctl prepare celebamask-hq DOWNLOAD
eagrctl prepare synthetic --train 400
```""",
    short_help="Turn a raw dataset into shards that train and evaluate read.",
)

Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder to write. Default: data/NAME.")
]


@app.command("celebamask-hq")
def celebamask_hq(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="The download: raw masks, or images/ and labels/.", show_default=True),
    ] = RAW / "celebamask-hq",
    output: Output = None,
    size: Size = 473,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Accept fewer faces than the official split, and list those that are unusable."),
    ] = False,
    workers: Workers = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Prepare CelebAMask-HQ, as downloaded or with label maps already merged.

    Two layouts are read: the official one (CelebA-HQ-img/, CelebAMask-HQ-mask-anno/ and the mapping file, split as in
    the paper), and images/ with labels/ in official ids, split by train.txt, val.txt and test.txt where they exist.

    CelebAMask-HQ is for non-commercial research only.

    ```text
    eagrctl prepare celebamask-hq ~/downloads/CelebAMask-HQ
    eagrctl prepare celebamask-hq DOWNLOAD --partial --output data/some-faces
    ```
    """
    from eagrctl.data.celebamask_hq import open_celebamask_hq

    opened = open_celebamask_hq(source, partial)
    console.message("CelebAMask-HQ may be used for non-commercial research only; so may networks trained on it.")
    _prepare(opened, output, size, workers, partial, force, quiet)


@app.command("synthetic")
def synthetic(
    output: Output = None,
    size: Size = 473,
    train: Annotated[int, typer.Option("--train", metavar="N", min=1, help="Faces to train on.")] = 2000,
    val: Annotated[int, typer.Option("--val", metavar="N", min=1, help="Faces to validate on.")] = 230,
    test: Annotated[int, typer.Option("--test", metavar="N", min=1, help="Faces to test on.")] = 100,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Another seed paints other faces.")] = 0,
    workers: Workers = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Paint faces with exact labels: no download, no licence. As many as Helen has, in its 11 classes.

    ```text
    eagrctl prepare synthetic
    eagrctl prepare synthetic --train 400 --val 40 --test 60 --size 241
    ```
    """
    from eagrctl.data.synthetic import SyntheticSource

    source = SyntheticSource({"train": train, "val": val, "test": test}, seed=seed, size=size)
    _prepare(source, output, size, workers, False, force, quiet)


def _prepare(
    source: "Source", output: Path | None, size: int, workers: int | None, partial: bool, force: bool, quiet: bool
) -> None:
    from eagrctl.data.prepare import prepare

    output = output or DATA / source.provenance.dataset
    with console.progress(quiet) as report:
        index = prepare(
            source, output, size, all_cores() if workers is None else workers, partial, force=force, report=report
        )
    provenance = index.provenance
    console.table(
        ("split", "samples", "skipped", "shards", "size"),
        [
            (
                name,
                f"{split.count:,}",
                f"{len(split.skipped):,}",
                f"{len(split.shards):,}",
                f"{sum(shard.bytes for shard in split.shards) / 1e6:,.0f} MB",
            )
            for name, split in index.splits.items()
        ],
        title=f"{provenance.dataset} ({provenance.variant}), {size} x {size}, split by {provenance.split_rule}",
    )
    console.written([output / "index.json"])
    if any(split.skipped for split in index.splits.values()):
        console.message(f"Skipped samples and the reasons are listed in {output / 'index.json'}")
