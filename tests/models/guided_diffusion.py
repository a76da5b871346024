"""A minimal PyTorch U-Net with the module names and arithmetic of guided-diffusion's UNetModel, for parity tests."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class ResBlock(nn.Module):
    def __init__(self, c, out, width, scale_shift, resample=None):
        super().__init__()
        self.scale_shift, self.resample = scale_shift, resample
        self.in_layers = nn.Sequential(nn.GroupNorm(32, c), nn.SiLU(), nn.Conv2d(c, out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * out if scale_shift else out))
        conv = nn.Conv2d(out, out, 3, padding=1)
        self.out_layers = nn.Sequential(nn.GroupNorm(32, out), nn.SiLU(), nn.Dropout(0.0), conv)
        self.skip_connection = nn.Identity() if c == out else nn.Conv2d(c, out, 1)

    def forward(self, x, emb):
        norm, act, conv = self.in_layers
        h = act(norm(x))
        if self.resample == "up":
            x, h = (F.interpolate(a, scale_factor=2, mode="nearest") for a in (x, h))
        if self.resample == "down":
            x, h = F.avg_pool2d(x, 2), F.avg_pool2d(h, 2)
        h, e = conv(h), self.emb_layers(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, dim=1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + e)
        return self.skip_connection(x) + h


class AttentionBlock(nn.Module):
    def __init__(self, c, size, legacy):
        super().__init__()
        self.heads, self.size, self.legacy = c // size, size, legacy
        self.norm, self.qkv, self.proj_out = nn.GroupNorm(32, c), nn.Conv1d(c, 3 * c, 1), nn.Conv1d(c, c, 1)

    def forward(self, x):
        b, c, *space = x.shape
        x = x.reshape(b, c, -1)
        qkv = self.qkv(self.norm(x))
        if self.legacy:
            q, k, v = qkv.reshape(b * self.heads, 3 * self.size, -1).split(self.size, dim=1)
        else:
            q, k, v = (a.reshape(b * self.heads, self.size, -1) for a in qkv.chunk(3, dim=1))
        weights = torch.einsum("bct,bcs->bts", q, k).div(math.sqrt(self.size)).softmax(dim=-1)
        h = torch.einsum("bts,bcs->bct", weights, v).reshape(b, c, -1)
        return (x + self.proj_out(h)).reshape(b, c, *space)


class Downsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.op = nn.Conv2d(c, c, 3, stride=2, padding=1)

    def forward(self, x):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Sequence(nn.Sequential):
    def forward(self, x, emb):
        for layer in self:
            x = layer(x, emb) if isinstance(layer, ResBlock) else layer(x)
        return x


class UNetModel(nn.Module):
    """Image [b, 3, h, w], time [b] -> [b, 3, h, w]."""

    def __init__(
        self,
        model_channels,
        channel_mult,
        num_res_blocks,
        attention_resolutions,
        num_head_channels,
        legacy,
        updown,
        scale_shift,
    ):
        super().__init__()
        self.width = model_channels
        e = 4 * model_channels
        self.time_embed = nn.Sequential(nn.Linear(model_channels, e), nn.SiLU(), nn.Linear(e, e))
        c = int(channel_mult[0] * model_channels)
        self.input_blocks = nn.ModuleList([Sequence(nn.Conv2d(3, c, 3, padding=1))])
        widths = [c]

        def res(c, out, resample=None):
            return ResBlock(c, out, e, scale_shift, resample)

        def attend(level, c):
            return [AttentionBlock(c, num_head_channels, legacy)] if 2**level in attention_resolutions else []

        for level, m in enumerate(channel_mult):
            out = int(m * model_channels)
            for _ in range(num_res_blocks):
                self.input_blocks.append(Sequence(res(c, out), *attend(level, out)))
                c = out
                widths.append(c)
            if level < len(channel_mult) - 1:
                self.input_blocks.append(Sequence(res(c, c, "down") if updown else Downsample(c)))
                widths.append(c)
        self.middle_block = Sequence(res(c, c), AttentionBlock(c, num_head_channels, legacy), res(c, c))
        self.output_blocks = nn.ModuleList()
        for level, m in reversed(list(enumerate(channel_mult))):
            for i in range(num_res_blocks + 1):
                layers = [res(c + widths.pop(), int(m * model_channels))]
                c = int(m * model_channels)
                layers += attend(level, c)
                if level and i == num_res_blocks:
                    layers.append(res(c, c, "up") if updown else Upsample(c))
                self.output_blocks.append(Sequence(*layers))
        self.out = nn.Sequential(nn.GroupNorm(32, c), nn.SiLU(), nn.Conv2d(c, 3, 3, padding=1))

    def forward(self, x, time):
        half = self.width // 2
        angle = time[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
        emb = self.time_embed(torch.cat([angle.cos(), angle.sin()], dim=-1))
        skips = []
        for block in self.input_blocks:
            x = block(x, emb)
            skips.append(x)
        x = self.middle_block(x, emb)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], dim=1), emb)
        return self.out(x)
