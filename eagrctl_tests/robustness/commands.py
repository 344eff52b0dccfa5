"""The commands that are run on damaged files: what each needs, what is damaged of it, and what it may write."""

from dataclasses import dataclass

from eagrctl_tests.robustness.materials import PREPARE, TRAIN

CPU = ("--gpus", "0")


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        line: what stands behind `eagrctl`.
        needs: what it is given, by name in the materials.
        damaged: patterns of the files of which one or two are damaged.
        writes: the files and folders that it may write.
        often: how often it is drawn, beside others.
    """

    line: tuple[str, ...]
    needs: tuple[str, ...]
    damaged: tuple[str, ...]
    writes: tuple[str, ...] = ()
    often: int = 4

    @property
    def name(self) -> str:
        """`dataset merge`."""
        groups = ("dataset", "weights", "runs", "landmarks", "detector", "benchmark", "prepare")
        return " ".join(self.line[: 1 + (self.line[0] in groups and len(self.line) > 1)])


def _prepare(dataset: str, raw: str, *more: str, damaged: str = "**/*", often: int = 4) -> Command:
    return Command(
        ("prepare", dataset, f"raw/{raw}", *PREPARE, "-o", "out", *more),
        (f"raw/{raw}",),
        (f"raw/{raw}/{damaged}",),
        ("out", "out.partial"),
        often,
    )


REPORTS = tuple(part for ending in ("md", "csv", "tex", "json", "html") for part in ("--report", f"report.{ending}"))
REPORT_FILES = tuple(REPORTS[1::2])
PARSE = ("parse", "--gpus", "0", "--workers", "1", "-o", "results")
NET = ("--weights", "nets/net.pt", "--no-detect")
RUN = ("runs/run", "data")
RUN_FILES = ("runs/run/*.*",)

COMMANDS = (
    _prepare("celebamask-hq", "merged"),
    _prepare("celebamask-hq", "official"),
    _prepare("helen", "smith", "--no-align"),
    _prepare("helen", "smith", damaged="**/*.txt"),
    _prepare("helen", "star", damaged="**/*"),
    _prepare("helen", "star", damaged="landmarks.txt", often=2),
    _prepare("lapa", "lapa"),
    _prepare("lapa", "lapa", "--align", damaged="**/*.txt"),
    _prepare("folder", "folder"),
    _prepare("folder", "folder", "--align", "--landmarks", "raw/folder/five.txt", damaged="*.t*"),
    Command((*PARSE, *NET, "photos"), ("photos", "nets/net.pt"), ("photos/*",), ("results",), 12),
    Command(
        (*PARSE, *NET, "photos"),
        ("photos", "nets/net.pt", "results"),
        ("results/*.json", "results/*"),
        ("results",),
        10,
    ),
    Command(
        (*PARSE, *NET, "--force", "photos"), ("photos", "nets/net.pt", "results"), ("results/*.json",), ("results",)
    ),
    Command((*PARSE, *NET, "clip.mp4"), ("clip.mp4", "nets/net.pt"), ("clip.mp4",), ("results",), 8),
    Command((*PARSE, *NET, "--list", "list.txt"), ("photos", "nets/net.pt", "list.txt"), ("list.txt",), ("results",)),
    Command(
        (*PARSE, "--no-detect", "--weights", "nets/net.pt", "face.jpg"),
        ("face.jpg", "nets/net.pt"),
        ("nets/*",),
        ("results",),
    ),
    Command(
        (*PARSE, "--no-detect", "--weights", "nets/net.safetensors", "face.jpg"),
        ("face.jpg", "nets/net.safetensors"),
        ("nets/*",),
        ("results",),
    ),
    Command(
        (*PARSE, "--weights", "nets/net.pt", "--predictor", "points.dat", "face.jpg"),
        ("face.jpg", "nets/net.pt", "points.dat"),
        ("points.dat",),
        ("results",),
    ),
    Command(
        (*PARSE, "--weights", "nets/net.pt", "--detector", "finders/own.safetensors", "face.jpg"),
        ("face.jpg", "nets/net.pt", "finders/own.safetensors"),
        ("finders/*",),
        ("results",),
    ),
    Command(
        (*PARSE, "--weights", "nets/net.pt", "--detector", "finders/yunet.onnx", "face.jpg"),
        ("face.jpg", "nets/net.pt", "finders/yunet.onnx"),
        ("finders/*",),
        ("results",),
    ),
    Command(
        ("detector", "prepare", "raw/merged", "real", "-o", "out", "--workers", "1"),
        ("raw/merged", "real"),
        ("real/*.jsonl", "real/*/*"),
        ("out",),
    ),
    Command(
        ("detector", "train", "material", "-r", "detector.toml", "-o", "new", *CPU),
        ("material", "detector.toml"),
        ("material/*", "detector.toml"),
        ("new",),
        2,
    ),
    Command(
        ("detector", "evaluate", "finders/own.safetensors", "--data", "material", "--composites", "1"),
        ("material", "finders/own.safetensors"),
        ("material/*", "finders/*"),
        (),
        2,
    ),
    Command(("dataset", "info", "data"), ("data",), ("data/index.json", "data/*"), (), 6),
    Command(("dataset", "verify", "data"), ("data",), ("data/*",), (), 6),
    Command(
        ("dataset", "browse", "data", "--count", "2", "-o", "sheet.png"), ("data",), ("data/*.h5",), ("sheet.png",)
    ),
    Command(
        ("dataset", "merge", "parts/1", "parts/2", "-o", "out"),
        ("parts",),
        ("parts/1/*", "parts/*/*.json"),
        ("out", "out.partial"),
        6,
    ),
    Command(
        ("train", "-r", "recipe.toml", "--data", "data", "-o", "new", *TRAIN),
        ("recipe.toml", "data"),
        ("recipe.toml",),
        ("new",),
        6,
    ),
    Command(
        ("train", "-r", "recipe.toml", "--data", "data", "-o", "new", *TRAIN),
        ("recipe.toml", "data"),
        ("data/*",),
        ("new",),
    ),
    Command(
        ("train", "-r", "recipe.toml", "--data", "data", "-o", "new", "--pretrained", "nets/net.pt", *TRAIN),
        ("recipe.toml", "data", "nets/net.pt"),
        ("nets/*",),
        ("new",),
        3,
    ),
    Command(
        ("train", "-r", "recipe.toml", "--data", "data", "-o", "new", "--pretrained", "nets/resnet.pth", *TRAIN),
        ("recipe.toml", "data", "nets/resnet.pth"),
        ("nets/*",),
        ("new",),
        2,
    ),
    Command(("train", "--resume", "-o", "runs/run", *TRAIN), RUN, RUN_FILES, ("runs/run",), 8),
    Command(("runs",), ("runs",), RUN_FILES, (), 8),
    Command(("runs", "show", "run"), ("runs",), RUN_FILES, ("runs/run",)),
    Command(
        ("ablate", "pooling", "-r", "recipe.toml", "--data", "data", "--dry-run", "--timed-steps", "0", *CPU),
        ("recipe.toml", "data"),
        ("recipe.toml", "data/index.json"),
        (),
        4,
    ),
    Command(("evaluate", "runs/run", *REPORTS, *CPU), RUN, (*RUN_FILES, "data/*"), REPORT_FILES, 8),
    Command(
        ("evaluate", "runs/run", "--save-predictions", "drawn", "--picture", "faces.png", *CPU),
        RUN,
        ("data/*.h5",),
        ("drawn", "faces.png"),
    ),
    Command(
        ("score", "predictions", "data", *REPORTS, "--workers", "0"),
        ("predictions", "data"),
        ("predictions/*", "data/*.h5"),
        REPORT_FILES,
        6,
    ),
    Command(
        (
            "score",
            "raw/merged/labels",
            "raw/merged/labels",
            "--dataset",
            "celebamask-hq",
            "--scheme",
            "map.toml",
            "--workers",
            "0",
        ),
        ("raw/merged", "map.toml"),
        ("map.toml", "raw/merged/labels/*"),
        (),
        6,
    ),
    Command(
        ("export", "nets/net.pt", "--format", "torch", "-o", "net.pt2"), ("nets/net.pt",), ("nets/*",), ("net.pt2",), 1
    ),
    Command(
        ("visualise", "face.jpg", "--checkpoint", "nets/net.pt", "-o", "figure.png", *CPU),
        ("face.jpg", "nets/net.pt"),
        ("face.jpg", "nets/*"),
        ("figure.png",),
        2,
    ),
    Command(("weights", "info", "nets/net.safetensors"), ("nets/net.safetensors",), ("nets/*",), (), 8),
    Command(("weights", "info", "nets/net.pt"), ("nets/net.pt",), ("nets/*",), (), 6),
    Command(("weights", "info", "runs/run"), ("runs",), RUN_FILES, (), 2),
    Command(
        ("weights", "import", "nets/resnet.pth", "-o", "out.safetensors"),
        ("nets/resnet.pth",),
        ("nets/*",),
        ("out.safetensors",),
        6,
    ),
    Command(
        ("weights", "export", "nets/net.safetensors", "-o", "out.safetensors", "--half"),
        ("nets/net.safetensors",),
        ("nets/*",),
        ("out.safetensors",),
    ),
    Command(
        ("landmarks", "evaluate", "astronaut", "--predictor", "points.dat"),
        ("astronaut", "points.dat"),
        ("points.dat", "astronaut/*"),
        (),
        2,
    ),
    Command(
        ("complexity", "-r", "recipe.toml", "--runs", "0", "--json", "out.json", *CPU),
        ("recipe.toml",),
        ("recipe.toml",),
        ("out.json",),
        3,
    ),
    Command(("doctor",), ("data", "runs"), ("runs/run/*", "data/*"), ("tried",), 1),
    Command(("benchmark", "evaluate", "runs/run", "--images", "2", *CPU), RUN, (*RUN_FILES, "data/*"), (), 1),
)
