"""`eagrctl dataset`: look at, check and join prepared datasets."""

from pathlib import Path
from typing import Annotated

import typer

from eagrctl.cli import console
from eagrctl.cli.options import DATA, Force, Prepared, Quiet, argument, option

app = typer.Typer(
    no_args_is_help=True,
    help="""Look at, check and join prepared datasets.

```text
eagrctl dataset info
eagrctl dataset verify data/helen
eagrctl dataset browse data/helen --output faces.png
eagrctl dataset merge data/lapa-*-of-16 --output data/lapa
```""",
    short_help="Look at, check and join prepared datasets.",
)


@app.command("info")
def info(data: Prepared = None, quiet: Quiet = False) -> None:
    """Show counts, size on disk, provenance, and the share of pixels that each class has.

    ```text
    eagrctl dataset info
    eagrctl dataset info data/celebamask-hq
    ```
    """
    from eagrctl.data.index import ShardIndex, newest_dataset
    from eagrctl.data.labels import in_full
    from eagrctl.data.verify import class_shares

    index = ShardIndex.load(data or newest_dataset(DATA), partial=True)
    with console.progress(quiet) as listener:
        shares = class_shares(index, listener)
    console.index(index)
    for name, value in {"alignment": index.alignment, **index.provenance.settings}.items():
        console.result(f"{name}: {value}")
    console.table(
        ("id", "class", *(f"{name} %" for name in shares)),
        [
            (str(number), in_full(name), *(f"{100 * share[number]:.2f}" for share in shares.values()))
            for number, name in enumerate(index.classes)
        ],
        title="Share of pixels, in the source frame",
    )
    for text in index.warnings:
        console.result(f"Warning: {text}")


@app.command("verify")
def verify(data: Prepared = None, quiet: Quiet = False) -> None:
    """Compare every shard with its hash, and every sample with what it promises: shapes, label ranges, edges.

    ```text
    eagrctl dataset verify data/helen
    ```
    """
    from eagrctl.data.index import ShardIndex, newest_dataset
    from eagrctl.data.verify import verify_dataset

    index = ShardIndex.load(data or newest_dataset(DATA), partial=True)
    with console.progress(quiet) as listener:
        verify_dataset(index, listener)
    total = sum(split.count for split in index.splits.values())
    console.result(f"{index.root}: {total:,} samples are whole")


@app.command("browse")
def browse(
    data: Prepared = None,
    output: Annotated[Path, option("--output -o", "FILE.png", "Picture to write.", (".png",))] = Path("samples.png"),
    split: Annotated[str | None, option("--split", "NAME", "Split to look at. Default: the first.")] = None,
    count: Annotated[int, option("--count", "N", "Samples, spread over the split.", min=1, max=400)] = 24,
) -> None:
    """Draw a contact sheet: samples with their labels, and with labels and edges laid over the photo.

    ```text
    eagrctl dataset browse data/helen --split val --output faces.png
    ```
    """
    from eagrctl.data.index import ShardIndex, newest_dataset
    from eagrctl.drawing.pictures import contact_sheet, save_picture

    index = ShardIndex.load(data or newest_dataset(DATA), partial=True)
    name = split or next(iter(index.splits))
    total = index.split(name).count
    count = min(count, total)
    samples = [index.read(name, total * number // count) for number in range(count)]
    save_picture(contact_sheet(samples, index.labels), output)
    console.written([output])


@app.command("merge")
def merge(
    parts: Annotated[list[Path], argument("PART", "Folders that prepare --slice made.")],
    output: Annotated[Path, option("--output -o", "DIR", "Folder to write.")],
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Join parts that were prepared with --slice, on one machine or many, into one dataset.

    ```text
    eagrctl dataset merge data/lapa-*-of-16 --output data/lapa
    ```
    """
    from eagrctl.data.merge import merge_parts

    with console.progress(quiet) as listener:
        index = merge_parts(parts, output, force, listener)
    console.index(index)
    console.written([output / "index.json"])
