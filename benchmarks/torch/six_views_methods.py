"""The methods of the default bench in PyTorch: the same networks, losses and draws as ours, each written as its authors' loops do.

A method is a class with `parameters()`, `loss(x, y, epoch, progress)` (a training step's loss), `predict(x, mask)` (logits or log-probabilities
of one combination, `mask` [batch, views]), and, where it mines, `end_of_epoch(epoch, x, y)` on held-out samples. Absent views are encoded
and their features multiplied by 0, as in the published code; the frozen teacher runs in every step.
"""

import torch, torch.nn as nn, torch.nn.functional as F

CLASSES, WIDTH = 10, 64


def layer(inputs, outputs, relu=True):
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), *([nn.ReLU()] if relu else []))


def encoder(inputs):
    return nn.Sequential(layer(inputs, 128), layer(128, WIDTH))


def trunk(views):
    return nn.Sequential(layer(WIDTH * views, 256), layer(256, 128))


def combinations(views):
    """All non-empty combinations, [2^views - 1, views]; combination c is row c - 1 and has view m if bit m of c is set."""
    return torch.tensor([[(c >> m) & 1 for m in range(views)] for c in range(1, 2**views)], dtype=torch.float32)


def index_of(mask):
    return (mask @ 2.0 ** torch.arange(mask.shape[1])).long() - 1


def draw(masks, count):
    return masks[torch.randint(len(masks), (count,))]


def softened_kl(student, teacher, temperature=2.0):
    log_p, log_q = F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
    return temperature**2 * F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)


class Fusion(nn.Module):
    """Encoders, trunk, head; complete training samples, or (`dropout`) a random combination each; absent features 0 or the mean's."""

    def __init__(self, widths, dropout=False, imputation=False, teacher=None):
        super().__init__()
        self.encoders = nn.ModuleList(encoder(w) for w in widths)
        self.trunk, self.head = trunk(len(widths)), nn.Linear(128, CLASSES)
        self.masks = combinations(len(widths))
        self.dropout, self.imputation, self.teacher = dropout, imputation, [teacher]  # a list: no parameters of ours

    def encode(self, x):
        return [e(v) for e, v in zip(self.encoders, x)]

    def fuse(self, features, mask):
        feature = self.trunk(torch.cat([f * mask[:, i : i + 1] for i, f in enumerate(features)], 1))
        return self.head(feature), feature

    def forward(self, x, mask):
        return self.fuse(self.encode(x), mask)

    def predict(self, x, mask):
        if self.imputation:  # standardised: the training mean is 0
            x = [v * mask[:, i : i + 1] for i, v in enumerate(x)]
            mask = torch.ones_like(mask)
        return self(x, mask)[0]

    def draw(self, x):
        return draw(self.masks, len(x[0])) if self.dropout else torch.ones(len(x[0]), len(x))

    def teach(self, x):
        with torch.no_grad():
            return self.teacher[0](x, torch.ones(len(x[0]), len(x)))

    def loss(self, x, y, epoch, progress):
        logits, _ = self(x, self.draw(x))
        loss = F.cross_entropy(logits, y)
        return loss if self.teacher[0] is None else loss + softened_kl(logits, self.teach(x)[0])


class Ensemble(nn.Module):
    """A network for each of `subsets`: `average` of the present views' predictions, or the one trained for the combination."""

    def __init__(self, widths, subsets, average):
        super().__init__()
        self.subsets, self.average = subsets, average
        self.members = nn.ModuleList(Fusion([widths[m] for m in s]) for s in subsets)

    def loss(self, x, y, epoch, progress):
        return sum(net.loss([x[m] for m in s], y, epoch, progress) for s, net in zip(self.subsets, self.members))

    def predict(self, x, mask):
        present = mask[0].nonzero().flatten().tolist()
        speaks = lambda s: set(s) <= set(present) if self.average else s == present
        full = lambda s: torch.ones(len(mask), len(s))
        each = [net.predict([x[m] for m in s], full(s)).softmax(1) for s, net in zip(self.subsets, self.members) if speaks(s)]
        return (sum(each) / len(each) + 1e-12).log()

    def evaluated(self, masks):
        return masks if self.average else [m for m in masks if m.nonzero().flatten().tolist() in self.subsets]


class Mmanet(Fusion):
    """Margin-aware distillation, and a second combination a sample drawn from the mined weak ones, from epoch 5 on."""

    def __init__(self, widths, teacher):
        super().__init__(widths, dropout=True, teacher=teacher)
        self.distances, self.weak = torch.zeros(len(self.masks) - 1), None

    def loss(self, x, y, epoch, progress):
        logits, feature = self(x, self.draw(x))
        loss = F.cross_entropy(logits, y)
        if epoch < 5:
            return loss
        teacher_logits, teacher_feature = self.teach(x)
        weak_logits, _ = self(x, draw(self.weak, len(y)))
        return loss + 10 * margin_aware_distillation(feature, teacher_feature, teacher_logits) + F.cross_entropy(weak_logits, y)

    def end_of_epoch(self, epoch, x, y):
        if 1 <= epoch < 4:  # mean over held-out samples of KL(p_full || p_c)
            each = [self.predict(x, m.expand(len(y), -1)).log_softmax(1) for m in self.masks]
            self.distances += torch.stack([F.kl_div(p, each[-1], reduction="batchmean", log_target=True) for p in each[:-1]])
        if epoch == 4:
            self.weak = self.masks[self.distances.topk(16).indices]


def margin_aware_distillation(student, teacher, teacher_logits):
    gram = lambda f: F.normalize(f.flatten(1) @ f.flatten(1).t(), dim=1)
    p = teacher_logits.softmax(1)
    entropy = -(p * p.clamp_min(1e-12).log()).sum(1)
    return ((entropy / entropy.sum())[:, None] * (gram(student) - gram(teacher)) ** 2).sum()


class Dmrnet(Fusion):
    """A distribution for each (sample, combination); from epoch 6 on a second combination a sample, drawn from the mined hard ones."""

    def __init__(self, widths):
        super().__init__(widths, dropout=True)
        self.mean, self.log_var = layer(128, 128, relu=False), layer(128, 128, relu=False)
        self.sums, self.counts, self.hard = torch.zeros(len(self.masks)), torch.zeros(len(self.masks)), None

    def sample(self, x, mask):
        _, feature = self(x, mask)
        mean, log_var = self.mean(feature), self.log_var(feature)
        return self.head(mean + torch.randn_like(mean) * (log_var / 2).exp()), mean, log_var

    def predict(self, x, mask):
        return self.head(self.mean(self(x, mask)[1]))

    def loss(self, x, y, epoch, progress):
        mask = self.draw(x)
        logits, mean, log_var = self.sample(x, mask)
        each = F.cross_entropy(logits, y, reduction="none")
        loss = each.mean() + 1e-3 * gaussian_kl(mean, log_var)
        if epoch < 6:
            self.sums.index_add_(0, index_of(mask), each.detach())
            self.counts.index_add_(0, index_of(mask), torch.ones(len(y)))
            return loss
        return loss + F.cross_entropy(self.sample(x, draw(self.hard, len(y)))[0], y)

    def end_of_epoch(self, epoch, x, y):
        if epoch == 5:
            scores = self.sums / self.counts.clamp_min(1)
            self.hard = self.masks[scores.topk(16).indices]
            errors = torch.stack([(self.predict(x, m.expand(len(y), -1)).argmax(1) != y).float().mean() for m in self.masks])
            self.correlation = torch.corrcoef(torch.stack([scores.argsort().argsort(), errors.argsort().argsort()]).float())[0, 1]


def gaussian_kl(mean, log_var):
    return 0.5 * (log_var.exp() + mean**2 - log_var - 1).sum(1).mean()


class Udml(nn.Module):
    """Weights from estimated noise levels and measured dependence (`dynamic`), or all 1; both trained on the same noisy inputs."""

    def __init__(self, widths, dynamic):
        super().__init__()
        views = len(widths)
        self.encoders = nn.ModuleList(encoder(w) for w in widths)
        self.mean = nn.ModuleList(layer(WIDTH, WIDTH, relu=False) for _ in widths)
        self.log_var = nn.ModuleList(layer(WIDTH, WIDTH, relu=False) for _ in widths)
        self.head = nn.Linear(WIDTH * views, CLASSES)
        if dynamic:
            self.noise_encoders = nn.ModuleList(encoder(w) for w in widths)
            self.estimators = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, 128), nn.ReLU(), nn.Linear(128, 1)) for _ in widths)
        self.dynamic, self.masks, self.dependence = dynamic, combinations(views), None

    def encode(self, x, mask):
        """Each view's share of the logits [batch, views, classes], log-levels [batch, views], KL."""
        parts, kl, weights = [], 0.0, self.head.weight.split(WIDTH, 1)
        for i, (e, v) in enumerate(zip(self.encoders, x)):
            feature = e(v)
            mean, log_var = self.mean[i](feature), self.log_var[i](feature)
            z = mean + torch.randn_like(mean) * (log_var / 2).exp() if self.training else mean
            parts.append((z * mask[:, i : i + 1]) @ weights[i].t())
            each = 0.5 * (log_var.exp() + mean**2 - log_var - 1).sum(1)
            kl = kl + (each * mask[:, i]).sum() / mask[:, i].sum().clamp_min(1)
        levels = [s(e(v)) for s, e, v in zip(self.estimators, self.noise_encoders, x)] if self.dynamic else []
        return torch.stack(parts, 1), torch.cat(levels, 1) if self.dynamic else torch.zeros_like(mask), kl

    def weights(self, log_level, mask, top=10.0):
        if not self.dynamic:
            return mask
        dependence = torch.ones(mask.shape[1]) if self.dependence is None else self.dependence
        score = (-log_level - dependence.log()).masked_fill(mask == 0, -torch.inf)
        weights = score.softmax(1) * mask.sum(1, keepdim=True)
        # The noisier the cleanest view, the more even the weights.
        cleanest = (log_level.masked_fill(mask == 0, torch.inf).amin(1, keepdim=True) / 2).exp()
        contrast = ((cleanest - top) / (1 - top)).clamp(0, 1) ** 4
        return contrast * weights + (1 - contrast) * mask

    def fuse(self, parts, weights):
        scaled = parts * (1 + weights)[:, :, None]
        return scaled.sum(1) + self.head.bias, scaled + self.head.bias

    def predict(self, x, mask):
        parts, log_level, _ = self.encode(x, mask)
        return self.fuse(parts, self.weights(log_level, mask))[0]

    def loss(self, x, y, epoch, progress):
        mask = draw(self.masks, len(y))
        x, levels = inject_noise(x)
        parts, log_level, kl = self.encode(x, mask)
        detached = log_level.detach() if progress >= 1 / 3 else torch.zeros_like(log_level)
        logits, lone = self.fuse(parts, self.weights(detached, mask))
        each = F.cross_entropy(lone.flatten(0, 1), y.repeat_interleave(mask.shape[1]), reduction="none")
        loss = F.cross_entropy(logits, y) + 0.5 * (each * mask.flatten()).mean() + 1e-4 * kl
        if self.dynamic:
            loss = loss + 3 * ((log_level / 2 - levels.log()) ** 2).mean(0).sum()
            with torch.no_grad():
                measured = (parts.abs().sum(2) * mask).sum(0) / mask.sum(0).clamp_min(1)
                self.dependence = measured.clamp_min(1e-6) if self.dependence is None else 0.95 * self.dependence + 0.05 * measured
        return loss


def inject_noise(x, top=10.0, std=0.4):
    """Half of the samples clean, half of the views of the others; a quarter of the noisy ones dead or stuck, at the top level."""
    count, views = len(x[0]), len(x)
    noisy = (torch.rand(count, 1) < 0.5) & (torch.rand(count, views) < 0.5)
    constant = noisy & (torch.rand(count, views) < 0.25)
    levels = torch.where(noisy, 1 + (top - 1) * torch.rand(count, views), 1.0)
    value = torch.where(torch.rand(count, views) < 0.5, 0.0, torch.empty(count, views).uniform_(-3, 3))
    x = [v + std * (levels[:, i : i + 1] - 1) * torch.randn_like(v) for i, v in enumerate(x)]
    x = [torch.where(constant[:, i : i + 1], value[:, i : i + 1], v) for i, v in enumerate(x)]
    return x, torch.where(constant, top + 1, levels)


class ModDistill(nn.Module):
    """Own branch, restored branch (each missing feature from the mean of the present ones), cross translation, joint adaptation."""

    def __init__(self, widths, teacher):
        super().__init__()
        views = len(widths)
        self.encoders, self.own = nn.ModuleList(encoder(w) for w in widths), trunk(views)
        self.restorers, self.restored = nn.ModuleList(layer(WIDTH, WIDTH) for _ in widths), trunk(views)
        self.translate = nn.ModuleList(nn.Linear(128, 64) for _ in range(2))
        self.join, self.trunk, self.head = nn.Linear(128, 128), layer(128, 128), nn.Linear(128, CLASSES)
        self.restored_head, self.masks, self.teacher = nn.Linear(128, CLASSES), combinations(views), [teacher]

    def branches(self, x, mask):
        features = [e(v) * mask[:, i : i + 1] for i, (e, v) in enumerate(zip(self.encoders, x))]
        mean = sum(features) / mask.sum(1, keepdim=True)
        completed = [torch.where(mask[:, i : i + 1] > 0, f, r(mean)) for i, (f, r) in enumerate(zip(features, self.restorers))]
        return self.own(torch.cat(features, 1)), self.restored(torch.cat(completed, 1))

    def fuse(self, own, restored):
        joint_own, joint_restored = (torch.cat([t(f).relu() for t in self.translate], 1) for f in (own, restored))
        fused = (self.join((joint_own + joint_restored) / 2) + (own + restored) / 2).relu()
        return self.head(self.trunk(fused)), joint_own, joint_restored

    def predict(self, x, mask):
        return self.fuse(*self.branches(x, mask))[0]

    def loss(self, x, y, epoch, progress):
        own, restored = self.branches(x, draw(self.masks, len(y)))
        logits, joint_own, joint_restored = self.fuse(own, restored)
        reconstruction = F.mse_loss(joint_own, own.detach()) + F.mse_loss(joint_restored, restored.detach())
        with torch.no_grad():
            teacher_logits, teacher_feature = self.teacher[0](x, torch.ones(len(y), len(x)))
        adaptation = 2 * mmd(restored, teacher_feature) + softened_kl(self.restored_head(restored), teacher_logits)
        rise = 2 / (1 + torch.exp(torch.tensor(-10 * min(progress / 0.1, 1.0)))) - 1
        return F.cross_entropy(logits, y) + rise * adaptation + 0.1 * reconstruction


def mmd(a, b):
    rows, n = torch.cat([a, b]), len(a)
    squares = (rows**2).sum(1)
    distances = (squares[:, None] + squares[None] - 2 * rows @ rows.t()).clamp_min(0)
    width = distances.detach().sum() / (4 * n * n - 2 * n)
    kernel = sum(torch.exp(-distances / (width * 2.0**i)) for i in range(-2, 3))
    return (kernel[:n, :n] + kernel[n:, n:] - kernel[:n, n:] - kernel[n:, :n]).mean()


def build(method, widths, teacher):
    views = list(range(len(widths)))
    return {
        "full-only": lambda: Fusion(widths),
        "modality-dropout": lambda: Fusion(widths, dropout=True),
        "mean-imputation": lambda: Fusion(widths, imputation=True),
        "late-fusion": lambda: Ensemble(widths, [[m] for m in views], average=True),
        "per-combination": lambda: Ensemble(widths, [[m] for m in views] + [views], average=False),
        "mmanet": lambda: Mmanet(widths, teacher),
        "logit-distillation": lambda: Fusion(widths, dropout=True, teacher=teacher),
        "static-fusion-noise": lambda: Udml(widths, dynamic=False),
        "dmrnet": lambda: Dmrnet(widths),
        "udml": lambda: Udml(widths, dynamic=True),
        "mod-distill": lambda: ModDistill(widths, teacher),
    }[method]()
