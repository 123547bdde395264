"""The three-sensor image networks of MMANet and DMRNet in PyTorch, under the parameter names of their published classes."""

import torch, torch.nn as nn, torch.nn.functional as F
from torchvision.models.resnet import BasicBlock

SENSORS = ["rgb", "depth", "ir"]


def names(count):
    return (SENSORS + [f"sensor{m}" for m in range(3, count)])[:count]


def blocks(inputs, outputs, stride):
    shortcut = None
    if stride > 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    return nn.Sequential(BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, channels // reduction), nn.ReLU(), nn.Linear(channels // reduction, channels), nn.Sigmoid())

    def forward(self, x):
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


def encoder():
    return nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
                         blocks(64, 64, 1), blocks(64, 128, 2), SqueezeExcite(128))


def shared(sensors, classes):
    return nn.Sequential(blocks(128 * sensors, 256, 2), blocks(256, 512, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


class Surf(nn.Module):
    """Encoders, masked features side by side, shared part: MMANet's teacher, and with `regularization` its student."""

    def __init__(self, sensors=3, classes=2, regularization=False):
        super().__init__()
        self.sensors = names(sensors)
        for name in self.sensors:
            setattr(self, f"special_bone_{name}", encoder())
        self.shared_bone = shared(sensors, classes)
        if regularization:
            self.auxi_bone = shared(sensors, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def encode(self, images):
        return [getattr(self, f"special_bone_{name}")(image) for name, image in zip(self.sensors, images)]

    def join(self, features, mask):
        return torch.cat([f * mask[:, m, None, None, None] for m, f in enumerate(features)], 1)

    def forward(self, images, mask):
        """Logits, the feature before pooling, and what both branches read."""
        joined = self.join(self.encode(images), mask)
        feature = self.shared_bone[:2](joined)
        return self.shared_bone[2:](feature), feature, joined

    def each_combination(self, images, masks):
        """Logits of every combination from one run of the encoders: the first layers behind the concatenation are sums over sensors."""
        first = self.shared_bone[0][0]
        width = lambda conv, m: conv.weight[:, 128 * m : 128 * (m + 1)]
        features = self.encode(images)
        main = [F.conv2d(f, width(first.conv1, m), stride=2, padding=1) for m, f in enumerate(features)]
        shortcut = [F.conv2d(f, width(first.downsample[0], m), stride=2) for m, f in enumerate(features)]
        logits = []
        for mask in masks:
            present = mask.nonzero().flatten().tolist()
            x = first.bn1(sum(main[m] for m in present)).relu()
            x = (first.bn2(first.conv2(x)) + first.downsample[1](sum(shortcut[m] for m in present))).relu()
            logits.append(self.shared_bone[1:](self.shared_bone[0][1](x)))
        return logits


class Dmrnet(Surf):
    """The shared part ends in two 1x1 convolutions, mean and log-variance; training classifies a sample, prediction the mean."""

    def __init__(self, sensors=3, classes=2):
        super().__init__(sensors, classes)
        self.shared_bone = self.shared_bone[:2]
        self.mu_dul_backbone = nn.Sequential(nn.Conv2d(512, 512, 1), nn.BatchNorm2d(512))
        self.logvar_dul_backbone = nn.Sequential(nn.Conv2d(512, 512, 1), nn.BatchNorm2d(512))
        self.head = nn.Sequential(nn.Linear(512, classes))

    def forward(self, images, mask):
        feature = self.shared_bone(self.join(self.encode(images), mask))
        mean, log_var = self.mu_dul_backbone(feature), self.logvar_dul_backbone(feature)
        z = mean + torch.randn_like(mean) * (log_var / 2).exp() if self.training else mean
        return self.head(z.mean((2, 3))), mean, log_var


def margin_aware_distillation(student, teacher, teacher_logits):
    gram = lambda f: F.normalize(f.flatten(1) @ f.flatten(1).t(), dim=1)
    p = teacher_logits.softmax(1)
    entropy = -(p * p.clamp_min(1e-12).log()).sum(1)
    return ((entropy / entropy.sum())[:, None] * (gram(student) - gram(teacher)) ** 2).sum()


def combinations(sensors):
    """All non-empty combinations, [2^sensors - 1, sensors]."""
    return torch.tensor([[(c >> m) & 1 for m in range(sensors)] for c in range(1, 2**sensors)], dtype=torch.float32)


def weak_combinations(sensors):
    """Where nothing is mined: the first two sensors, and each of them alone."""
    return combinations(sensors)[: min(3, 2**sensors - 1)]


def mmanet_loss(student, teacher, images, labels, mask, weak, lambda_mad=30.0, lambda_mar=0.5):
    """CE + MAD + MAR of a step (spec sections 2.2, 2.4, 2.5); `weak` [combinations, sensors]."""
    logits, feature, joined = student(images, mask)
    with torch.no_grad():
        teacher_logits, teacher_feature, _ = teacher(images, torch.ones_like(mask))
    each = F.cross_entropy(student.auxi_bone(joined), labels, reduction="none")
    is_weak = (mask[:, None] == weak[None]).all(2).any(1)
    mad = margin_aware_distillation(feature, teacher_feature, teacher_logits)
    return F.cross_entropy(logits, labels) + lambda_mad * mad + lambda_mar * (each * is_weak).mean()


def dmrnet_loss(network, images, labels, mask, hard, alpha=1e-3, beta=0.7):
    """CE + KL + the extra CE of hard combinations (spec section 2)."""
    logits, mean, log_var = network(images, mask)
    each = F.cross_entropy(logits, labels, reduction="none")
    kl = 0.5 * (log_var.exp() + mean**2 - log_var - 1).flatten(1).sum(1).mean()
    is_hard = (mask[:, None] == hard[None]).all(2).any(1)
    return each.mean() + alpha * kl + beta * (each * is_hard).mean()
