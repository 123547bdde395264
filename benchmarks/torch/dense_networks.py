"""The two networks for every pixel, as `mm_core::dense` has them, in plain PyTorch: used by dense.py.

Sensors are lists of maps [batch, channels, height, width]; a mask [batch, sensors] says which of them a sample has.
"""

import torch, torch.nn as nn, torch.nn.functional as F


def conv_norm(a, b, kernel, stride=1, padding=0):
    return nn.Sequential(nn.Conv2d(a, b, kernel, stride, padding, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True))


def double(a, b):
    return nn.Sequential(conv_norm(a, b, 3, padding=1), conv_norm(b, b, 3, padding=1))


class UNet(nn.Module):
    """An encoder a sensor, the mean of those that are there at each depth, one decoder."""

    def __init__(self, channels, classes, widths):
        super().__init__()
        encoder = lambda c: nn.ModuleList(double(a, b) for a, b in zip([c, *widths], widths))
        self.encoders = nn.ModuleList(encoder(c) for c in channels)
        self.decoder = nn.ModuleList(double(a + b, a) for a, b in zip(widths, widths[1:]))
        self.head = nn.Conv2d(widths[0], classes, 1)

    def encode(self, x):
        maps = []
        for encoder, map in zip(self.encoders, x):
            levels = []
            for level, layers in enumerate(encoder):
                map = layers(F.max_pool2d(map, 2) if level else map)
                levels.append(map)
            maps.append(levels)
        return maps

    def fuse(self, maps, mask):
        share = mask / mask.sum(1, keepdim=True)
        fused = [sum(map * share[:, m, None, None, None] for m, map in enumerate(level)) for level in zip(*maps)]
        x = fused[-1]
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](torch.cat([F.interpolate(x, scale_factor=2), fused[level]], 1))
        return [self.head(x)]

    def forward(self, x, mask):
        return self.fuse(self.encode(x), mask)


class NonBottleneck1D(nn.Module):
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.conv3x1_1 = nn.Conv2d(a, b, (3, 1), (stride, 1), (1, 0))
        self.conv1x3_1 = nn.Conv2d(b, b, (1, 3), (1, stride), (0, 1))
        self.bn1 = nn.BatchNorm2d(b, eps=1e-3)
        self.conv3x1_2 = nn.Conv2d(b, b, (3, 1), 1, (1, 0))
        self.conv1x3_2 = nn.Conv2d(b, b, (1, 3), 1, (0, 1))
        self.bn2 = nn.BatchNorm2d(b, eps=1e-3)
        same = a == b and stride == 1
        self.downsample = None if same else nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1x3_1(F.relu(self.conv3x1_1(x)))))
        y = self.bn2(self.conv1x3_2(F.relu(self.conv3x1_2(y))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        hidden = channels // 16
        self.fc = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.fc(F.adaptive_avg_pool2d(x, 1))


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2))


class DecoderModule(nn.Module):
    def __init__(self, a, b, classes):
        super().__init__()
        self.conv3x3 = conv_norm(a, b, 3, padding=1)
        self.blocks = nn.Sequential(*(NonBottleneck1D(b, b) for _ in range(3)))
        self.side, self.upsample = nn.Conv2d(b, classes, 1), Upsample(b)

    def forward(self, x, skip):
        x = self.blocks(self.conv3x3(x))
        return self.upsample(x) + skip, self.side(x) if self.training else None


class EsaNet(nn.Module):
    """ResNet-34 encoders of NonBottleneck1D blocks, squeeze-excite fusion at five depths, pyramid pooling, a decoder with side outputs."""

    def __init__(self, channels, classes):
        super().__init__()
        widths = [64, 64, 128, 256, 512]
        stage = lambda a, b, blocks, stride: nn.Sequential(*(NonBottleneck1D(b if i else a, b, 1 if i else stride) for i in range(blocks)))
        encoder = lambda c: nn.ModuleList([conv_norm(c, 64, 7, 2, 3), stage(64, 64, 3, 1), stage(64, 128, 4, 2), stage(128, 256, 6, 2), stage(256, 512, 3, 2)])
        self.encoders = nn.ModuleList(encoder(c) for c in channels)
        self.gates = nn.ModuleList(nn.ModuleList(Gate(w) for _ in channels) for w in widths)
        self.skips = nn.ModuleList([conv_norm(64, 128, 1), conv_norm(128, 256, 1), conv_norm(256, 512, 1)])
        self.bins = [1, 5]
        self.branches = nn.ModuleList(conv_norm(512, 256, 1) for _ in self.bins)
        self.final = conv_norm(1024, 512, 1)
        self.modules_ = nn.ModuleList([DecoderModule(512, 512, classes), DecoderModule(512, 256, classes), DecoderModule(256, 128, classes)])
        self.last = nn.Conv2d(128, classes, 3, padding=1)
        self.upsamples = nn.Sequential(Upsample(classes), Upsample(classes))

    def forward(self, x, mask):
        height, width = x[0].shape[2:]
        pad = lambda map: F.pad(map, (0, -width % 32, 0, -height % 32)) if height % 32 or width % 32 else map
        own, skips = [pad(map) for map in x], []
        for level in range(5):
            if level == 1:
                own = [F.max_pool2d(map, 3, 2, 1) for map in own]
            own = [encoder[level](map) for encoder, map in zip(self.encoders, own)]
            fused = sum(gate(map * mask[:, m, None, None, None]) for m, (gate, map) in enumerate(zip(self.gates[level], own)))
            own[0] = fused
            if 1 <= level <= 3:
                skips.append(self.skips[level - 1](fused))
        pooled = [F.interpolate(branch(F.adaptive_avg_pool2d(fused, n)), size=fused.shape[2:]) for n, branch in zip(self.bins, self.branches)]
        x, sides = self.final(torch.cat([fused, *pooled], 1)), []
        for module, skip in zip(self.modules_, reversed(skips)):
            x, side = module(x, skip)
            sides.append(side)
        outputs = [self.upsamples(self.last(x)), *(side for side in reversed(sides) if side is not None)]
        return [map[:, :, : -(-height // factor), : -(-width // factor)] for map, factor in zip(outputs, [1, 8, 16, 32])]
