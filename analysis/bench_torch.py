"""The same U-Net and training step in PyTorch (diffusers' UNet2DModel), to time beside ours.

    python -m analysis.bench_torch --spec '{"shape": [64, 64, 1], "batch": 32, "unet": {...}}' --mode compile

`unet` holds the fields of `models.unet.UNet`, `shape` the image [h, w, c], `labels` the number of labels (default 0).
Prints one JSON object: images a second, seconds a step, the first step's seconds, parameters. With `--serve` it times
on demand instead: every line on standard input is a number of steps, every line out their seconds. The two frameworks'
thread pools disturb each other within one process, so a comparison starts one process for each and alternates between
them (`Peer`): the one not being timed waits on its input and uses no processor time.

This module and tests alone import PyTorch, which is not a dependency: `pip install -e .[bench]`.
"""

import argparse
import json
import math
import subprocess
import sys
import time

MODES = ("eager", "compile")


def unet2d_config(shape: list[int], unet: dict) -> dict:
    """Arguments of diffusers' UNet2DModel with the layers and parameters of our UNet behind its stem."""
    from models.unet import UNet

    net = UNet(**{name: tuple(value) if isinstance(value, list) else value for name, value in unet.items()})
    for name, value in {"skip_scale": 1, "residual_scale": 1, "fourier": None, "max_period": 1e4}.items():
        if getattr(net, name) != value:
            raise ValueError(f"unet.{name} {getattr(net, name)!r} has no counterpart in UNet2DModel; set it to {value}")
    if net.heads != 1 and net.head_channels is None:
        raise ValueError("unet.heads has no counterpart in UNet2DModel; set unet.head_channels")
    if not net.conv_resample and not net.resblock_updown:
        raise ValueError("unet.conv_resample False has no counterpart in UNet2DModel")
    down, up = block_types(len(net.multipliers), net.attention, net.resblock_updown)
    resample = "resnet" if net.resblock_updown else "conv"
    inner, outer = shape[-1] * net.patch**2, net.out_channels * net.patch**2
    if net.local_channels:
        inner = outer = net.local_channels * (net.patch // net.local_patch) ** 2
    return dict(
        in_channels=inner,
        out_channels=outer,
        block_out_channels=tuple(net.width(level) for level in range(len(net.multipliers))),
        layers_per_block=net.blocks,
        down_block_types=down,
        up_block_types=up,
        downsample_type=resample,
        upsample_type=resample,
        attention_head_dim=net.head_channels,
        add_attention=net.mid_attention,
        attn_norm_num_groups=net.norm_groups if net.mid_attention_norm else None,
        mid_block_scale_factor=1 / net.mid_residual_scale,
        resnet_time_scale_shift="scale_shift" if net.scale_shift else "default",
        norm_num_groups=net.norm_groups,
        norm_eps=net.norm_epsilon,
        downsample_padding=net.downsample_padding,
        flip_sin_to_cos=net.time_order == "cos_sin",
        freq_shift=net.freq_shift,
        time_embedding_dim=net.embedding_multiple * net.channels,
        dropout=net.dropout,
        class_embed_type="identity",  # the peer adds the embedded labels itself
    )


def block_types(levels: int, attention: tuple[int, ...], resnet: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of diffusers' blocks on the way down and on the way up."""
    plain = ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D") if resnet else ("DownBlock2D", "UpBlock2D")
    names = [("AttnDownBlock2D", "AttnUpBlock2D") if 2**i in attention else plain for i in range(levels)]
    return tuple(down for down, _ in names), tuple(up for _, up in reversed(names))


def build(shape: list[int], unet: dict, labels: int):
    """torch.nn.Module: (image [b, c, h, w], time [b], label [b, k]) -> [b, out, h, w], with our parameter count."""
    import torch
    from diffusers import UNet2DModel
    from diffusers.models.resnet import ResnetBlock2D
    from torch.nn.functional import pixel_shuffle, pixel_unshuffle

    config = unet2d_config(shape, unet)
    width, patch = config["time_embedding_dim"], unet.get("patch", 1)
    local, near = unet.get("local_channels", 0), unet.get("local_patch", 2)

    groups = config["norm_num_groups"]

    def resnet(channels: int):
        return ResnetBlock2D(
            in_channels=channels, out_channels=local, temb_channels=width, groups=math.gcd(groups, channels),
            groups_out=math.gcd(groups, local), time_embedding_norm=config["resnet_time_scale_shift"],
            eps=config["norm_eps"],
        )  # fmt: skip

    class PeerUNet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = UNet2DModel(**config)
            self.known = torch.nn.Parameter(0.5 * torch.randn(labels, width))
            self.null = torch.nn.Parameter(0.5 * torch.randn(labels, width))
            if local:
                self.conv_local = torch.nn.Conv2d(shape[-1] * near**2, local, 3, padding=1)
                self.down, self.up = resnet(local), resnet(2 * local)
                self.norm_out = torch.nn.GroupNorm(math.gcd(groups, local), local)
                self.conv_out = torch.nn.Conv2d(local, unet["out_channels"] * near**2, 3, padding=1)

        def forward(self, image, time, label):
            embedded = label.clamp(min=0) @ self.known + (label < 0).to(label.dtype) @ self.null
            if local:
                return self.around(image, time, embedded)
            image = pixel_unshuffle(image, patch) if patch > 1 else image
            out = self.net(image, time, class_labels=embedded, return_dict=False)[0]
            return pixel_shuffle(out, patch) if patch > 1 else out

        def around(self, image, time, embedded):
            """The residual blocks before and after the levels, see `local_channels` of our UNet."""
            condition = self.net.time_embedding(self.net.time_proj(time)) + embedded
            near_features = self.down(self.conv_local(pixel_unshuffle(image, near)), condition)
            far = pixel_unshuffle(near_features, patch // near)
            out = self.net(far, time, class_labels=embedded, return_dict=False)[0]
            joined = torch.cat([pixel_shuffle(out, patch // near), near_features], dim=1)
            out = torch.nn.functional.silu(self.norm_out(self.up(joined, condition)))
            return pixel_shuffle(self.conv_out(out), near)

    return PeerUNet()


class TorchStep:
    """One full training step in PyTorch: forward, mean squared error, backward, AdamW.

    On CUDA it computes in bfloat16 by autocast; memory format and fused optimiser are PyTorch's fastest on both.

    Args:
      spec: {"shape": [h, w, c], "batch": int, "unet": fields of our UNet, "labels": int (default 0)}.
      mode: "eager" or "compile".
      channels_last: memory format of weights and images.
    """

    def __init__(self, spec: dict, mode: str = "eager", channels_last: bool = True):
        import torch

        if mode not in MODES:
            raise ValueError(f"mode {mode!r}: use one of {', '.join(MODES)}")
        self.torch, self.device = torch, "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        layout = torch.channels_last if channels_last else torch.contiguous_format
        (h, w, c), b, k = spec["shape"], spec["batch"], spec.get("labels", 0)
        net = build(spec["shape"], spec["unet"], k).to(self.device, memory_format=layout)
        self.parameters = sum(p.numel() for p in net.parameters())
        self.optimizer = torch.optim.AdamW(net.parameters(), 1e-4, fused=True)
        self.net = torch.compile(net) if mode == "compile" else net
        self.image = torch.randn(b, c, h, w).to(self.device, memory_format=layout)
        self.target = torch.randn(b, spec["unet"]["out_channels"], h, w).to(self.device, memory_format=layout)
        self.time, self.label = 1000 * torch.rand(b, device=self.device), torch.ones(b, k, device=self.device)
        self.first_step = self.run(1)

    def run(self, n: int) -> float:
        """Takes `n` steps and returns their seconds."""
        cuda = self.device == "cuda"
        if cuda:
            self.torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(n):
            with self.torch.autocast(self.device, self.torch.bfloat16, enabled=cuda):
                out = self.net(self.image, self.time, self.label)
            loss = self.torch.nn.functional.mse_loss(out.float(), self.target)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        if cuda:
            self.torch.cuda.synchronize()
        return time.perf_counter() - start


class Peer:
    """A `TorchStep` in a process of its own, timed on demand: `run(n) -> seconds`, then `close()`.

    Args:
      spec, mode: see `TorchStep`.
      python: an interpreter that has torch and diffusers.
    """

    def __init__(self, spec: dict, mode: str = "eager", python: str = sys.executable, channels_last: bool = True):
        command = [python, "-m", "analysis.bench_torch", "--serve", "--mode", mode, "--spec", json.dumps(spec)]
        command += [] if channels_last else ["--channels-first"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.info = json.loads(self._line())

    def _line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the PyTorch peer ended with code {self.process.wait()}; its message is above")
        return line

    def run(self, n: int) -> float:
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spec", required=True, help="JSON: shape, batch, unet, labels")
    parser.add_argument("--mode", choices=MODES, default="eager")
    parser.add_argument("--channels-first", action="store_true", help="NCHW memory format")
    parser.add_argument("--steps", type=int, default=10, help="steps to time")
    parser.add_argument("--serve", action="store_true", help="time as many steps as each line of standard input says")
    options = parser.parse_args(arguments)
    spec = json.loads(options.spec)
    step = TorchStep(spec, options.mode, not options.channels_first)
    step.run(2)
    info = {"mode": options.mode, "device": step.device, "parameters": step.parameters, "first_step": step.first_step}
    if options.serve:
        print(json.dumps(info), flush=True)
        for line in sys.stdin:
            print(step.run(int(line)), flush=True)
        return
    seconds = step.run(options.steps) / options.steps
    print(json.dumps(info | {"seconds_per_step": seconds, "images_per_second": spec["batch"] / seconds}))


if __name__ == "__main__":
    main()
