"""Two processes, each with a batch of its own, against one process that has both."""

import copy
import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from eagrctl.network.backbone import Backbone, BasicBlock, Block, Bottleneck, Features, Form
from eagrctl.network.norm import ActivatedBatchNorm

BATCHES = (3, 2)  # images of each process
STEPS = 2
PATIENCE = 60  # seconds

Results = dict[str, torch.Tensor]


class Recomputed(nn.Module):
    """A block that recomputes its activations while `recompute` is true."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        self.recompute = True

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.block(features, self.recompute)


CASES: dict[str, Callable[[], nn.Module]] = {
    "leaky": lambda: ActivatedBatchNorm(3),
    "no activation": lambda: ActivatedBatchNorm(3, slope=1.0),
    "block": lambda: BasicBlock(3, 8, stride=2, dilation=1, form=Form()),
    "recomputed block": lambda: Recomputed(Bottleneck(3, 8, stride=2, dilation=1, form=Form(residual="plain"))),
    "recomputed backbone": lambda: Backbone("resnet18", 0.125, recompute=True),
}


class Plain(nn.BatchNorm2d):
    """torch's own batch norm, then the activation."""

    def __init__(self, like: ActivatedBatchNorm) -> None:
        super().__init__(like.num_features, dtype=torch.float64)
        self.load_state_dict(like.state_dict())
        self.slope = like.slope

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(super().forward(features), self.slope)


def case(name: str, device: str = "cpu") -> nn.Module:
    torch.manual_seed(1)
    module = CASES[name]().double()
    for norm in module.modules():
        if isinstance(norm, ActivatedBatchNorm):
            nn.init.uniform_(norm.weight, -1, 1)
            nn.init.uniform_(norm.bias, -1, 1)
    return module.to(device)


def plain(module: nn.Module) -> nn.Module:
    """The same with torch's own batch norm, and without recomputation; names stay."""
    if isinstance(module, ActivatedBatchNorm):
        return Plain(module)
    module = copy.copy(module)
    module._modules = {name: plain(child) for name, child in module.named_children()}
    if hasattr(module, "recompute"):
        module.recompute = False
    return module


def images(process: int, step: int) -> torch.Tensor:
    """The processes' means and spreads differ, so that it matters whose statistics are taken."""
    generator = torch.Generator().manual_seed(10 * process + step)
    noise = torch.randn(BATCHES[process], 3, 17, 13, dtype=torch.float64, generator=generator)
    return noise * (1 + process) + process


def trained(module: nn.Module, batches: list[torch.Tensor]) -> Results:
    """Outputs, gradients and buffers; the loss is a sum over images, so that no process's images weigh more."""
    results: Results = {}
    device = next(module.parameters()).device
    for step, batch in enumerate(batches):
        features = batch.to(device, copy=True).requires_grad_()
        output = last(module(features))
        pull = (
            torch.linspace(-1, 1, output[0].numel(), dtype=output.dtype).view(output[0].shape).to(device)
            / output[0].numel()
        )
        (output.square() * pull).sum().backward()
        results |= {f"output {step}": output.detach(), f"image gradient {step}": features.grad}
    results |= {f"gradient {name}": parameter.grad for name, parameter in module.named_parameters()}
    results |= {f"buffer {name}": buffer for name, buffer in module.named_buffers()}
    return {name: result.cpu() for name, result in results.items()}


def last(output: torch.Tensor | Features) -> torch.Tensor:
    return output.conv5 if isinstance(output, Features) else output


def work(process: int, folder: Path, device: str) -> None:
    """What one process does."""
    torch.set_num_threads(1)
    timeout = timedelta(seconds=PATIENCE / 2)
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=process, world_size=len(BATCHES), timeout=timeout)
    for name in CASES:
        results = trained(case(name, device), [images(process, step) for step in range(STEPS)])
        torch.save(results, folder / f"{name} {process}.pt")
    if process == 0:
        # The other process takes no part in these: if they needed it, this one would wait for it until it gives up.
        norm = case("leaky", device)
        torch.save(norm.eval()(images(0, 0).to(device)).detach().cpu(), folder / "evaluated.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both processes, on one GPU where it is a GPU, have left what they found."""
    folder = tmp_path_factory.mktemp("processes")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(number, folder, request.param)) for number in range(len(BATCHES))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        for process in processes:
            process.start()
    for process in processes:
        process.join(PATIENCE)
    for process in processes:
        process.kill()  # does nothing to one that has ended
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_find_what_one_finds_on_their_batches_together(folder: Path, name: str) -> None:
    together = [torch.cat([images(process, step) for process in range(len(BATCHES))]) for step in range(STEPS)]
    wanted = trained(plain(case(name)), together)
    found = [torch.load(folder / f"{name} {process}.pt") for process in range(len(BATCHES))]
    assert all(results.keys() == wanted.keys() for results in found)
    for key, expected in wanted.items():
        parts = [results[key] for results in found]
        if key.startswith("buffer"):
            assert all(torch.allclose(part, expected, rtol=0, atol=1e-12) for part in parts), key
        else:
            joined = sum(parts) if key.startswith("gradient") else torch.cat(parts)
            assert torch.allclose(joined, expected, rtol=0, atol=1e-12), (key, (joined - expected).abs().max())
    counters = [buffer for key, buffer in wanted.items() if key.endswith("num_batches_tracked")]
    assert counters
    assert all(counter == STEPS for counter in counters)


def test_a_process_evaluates_by_itself(folder: Path) -> None:
    expected = plain(case("leaky")).eval()(images(0, 0))
    assert torch.allclose(torch.load(folder / "evaluated.pt"), expected, rtol=0, atol=1e-12)
