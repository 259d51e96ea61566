"""A plain PyTorch MoViNet in the op sequence of the seed repository: nn.Conv3d, BatchNorm3d and Swish on
contiguous (N, C, T, H, W) float32: the peer that training and evaluation are timed against (tests/bench/step.py).

    python movinet_eager.py --variant A0 --batch 1 --frames 50 --size 172 --steps 3 --threads 1 [--compile] [--channels-last] [--bf16] [--exact]

prints one JSON line: peak resident memory (bytes; per clip = (batch 4 - batch 1) / 3) and CPU seconds per clip for forward+backward+Adam (training) and for forward (evaluation).
Parameter names equal the seed's state_dict ("backbone.blocks.b0_l0.deep.conv_1.conv3d.weight", "heads.0.0.0...").
"""
import argparse, json, math, os, resource, time
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

CONFIGS = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "goldens", "movinet_configs.json")))


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


def same_pad(x, stride, kernel):
    """TensorFlow 'SAME' padding of height and width (the geometry that the published weights expect)."""
    pads = []
    for size, s, k in ((x.shape[-1], stride[2], kernel[2]), (x.shape[-2], stride[1], kernel[1])):
        total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class Conv(nn.Module):
    """conv_1.{conv3d, norm}: convolution, optional batch norm, optional activation."""

    def __init__(self, cin, cout, kernel=(1, 1, 1), stride=(1, 1, 1), padding=(0, 0, 0), groups=1, norm=True, act=None, bias=False, tf_like=False):
        super().__init__()
        self.tf, self.kernel, self.stride = tf_like, kernel, stride
        if tf_like:
            padding = ((kernel[0] - 1) // 2, 0, 0)
        layers = {"conv3d": nn.Conv3d(cin, cout, tuple(kernel), tuple(stride), tuple(padding), groups=groups, bias=bias)}
        if norm:
            layers["norm"] = nn.BatchNorm3d(cout, eps=0.001)
        self.conv_1 = nn.Sequential()
        for name, layer in layers.items():
            self.conv_1.add_module(name, layer)
        self.act = act

    def forward(self, x):
        if self.tf:
            x = same_pad(x, self.stride, self.kernel)
        x = self.conv_1(x)
        return x if self.act is None else self.act(x)


def divisible(v, d=8):
    n = max(d, int(v + d / 2) // d * d)
    return n + d if n < 0.9 * v else n


class SqueezeExcite(nn.Module):
    def __init__(self, c):
        super().__init__()
        squeezed = divisible(c // 4)
        self.fc1 = Conv(c, squeezed, norm=False, bias=True)
        self.fc2 = Conv(squeezed, c, norm=False, bias=True)
        self.act = Swish()

    def forward(self, x):
        scale = F.adaptive_avg_pool3d(x, 1)
        return torch.sigmoid(self.fc2(self.act(self.fc1(scale)))) * x


class TfPool(nn.Module):
    """Average pooling with 'SAME' padding, kernel (1,3,3), stride (1,2,2), border cells averaged over what exists."""

    def forward(self, x):
        if x.shape[-1] % 2:
            return F.avg_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1), count_include_pad=False)
        x = F.avg_pool3d(F.pad(x, (0, 1, 0, 1)), (1, 3, 3), (1, 2, 2)).clone()
        x[..., -1] = x[..., -1] * 1.5
        x[..., -1, :] = x[..., -1, :] * 1.5
        return x


class Block(nn.Module):
    def __init__(self, r, tf):
        super().__init__()
        cin, mid, cout = r["input"], r["expanded"], r["output"]
        self.expand = Conv(cin, mid, act=Swish(), tf_like=tf)
        self.deep = Conv(mid, mid, r["kernel"], r["stride"], r["padding"], groups=mid, act=Swish(), tf_like=tf)
        self.se = SqueezeExcite(mid)
        self.project = Conv(mid, cout, tf_like=tf)
        strides = r["stride"] != [1, 1, 1]
        self.res = None
        if strides or cin != cout:
            pool = [TfPool() if tf else nn.AvgPool3d((1, 3, 3), tuple(r["stride"]), tuple(r["pool_padding"]))] if strides else []
            self.res = nn.Sequential(*pool, Conv(cin, cout, tf_like=tf))
        self.alpha = nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        shortcut = x if self.res is None else self.res(x)
        return shortcut + self.alpha * self.project(self.se(self.deep(self.expand(x))))


class Backbone(nn.Module):
    def __init__(self, cfg, dropout, tf):
        super().__init__()
        s, l = cfg["stem"], cfg["last"]
        self.conv1 = Conv(s["input"], s["output"], s["kernel"], s["stride"], s["padding"], act=Swish(), tf_like=tf)
        self.blocks = nn.Sequential()
        for i, stage in enumerate(cfg["stages"]):
            for j, row in enumerate(stage):
                self.blocks.add_module(f"b{i}_l{j}", Block(row, tf))
        self.conv7 = Conv(l["input"], l["output"], act=Swish(), tf_like=tf)
        self.conv9 = nn.Sequential(Conv(l["output"], cfg["hidden"], norm=False, bias=True, tf_like=tf), Swish(), nn.Dropout(dropout))

    def forward(self, x):
        return self.conv9(F.adaptive_avg_pool3d(self.conv7(self.blocks(self.conv1(x))), 1))


class MoViNet(nn.Module):
    def __init__(self, variant="A0", classes=5, dropout=0.2, tf_like=False):
        super().__init__()
        cfg = CONFIGS[variant]
        self.backbone = Backbone(cfg, dropout, tf_like)
        self.heads = nn.ModuleList([nn.Sequential(nn.Sequential(Conv(cfg["hidden"], classes, norm=False, bias=True, tf_like=tf_like)))])

    def forward(self, x):
        features = self.backbone(x)
        return self.heads[0](features).flatten(1), features


# ---- the deterministic fill that every golden uses (see goldens/README.md) ----
def fnv1a32(s):
    h = 2166136261
    for c in s.encode():
        h = ((h ^ c) * 16777619) & 0xFFFFFFFF
    return h


def unit(name, n, salt=0):
    m = np.uint64(0xFFFFFFFF)
    v = (np.arange(n, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(fnv1a32(name)) + np.uint64(salt) * np.uint64(97531)) & m
    v = ((v ^ (v >> np.uint64(16))) * np.uint64(0x45D9F3B)) & m
    v = v ^ (v >> np.uint64(16))
    return (v >> np.uint64(8)).astype(np.float64) / 2**24


def fill(model, salt=0):
    with torch.no_grad():
        for k, t in model.state_dict().items():
            if k.endswith("num_batches_tracked"):
                continue
            u = unit(k, t.numel(), salt)
            if k.endswith("running_var") or k.endswith("norm.weight"):
                v = 0.5 + u
            elif k.endswith("running_mean") or k.endswith("bias"):
                v = 0.2 * (2 * u - 1)
            elif k.endswith("alpha"):
                v = 0.5 + 0.5 * u
            else:
                v = (2 * u - 1) * math.sqrt(3.0 / int(np.prod(t.shape[1:])))
            t.copy_(torch.from_numpy(v.astype(np.float32)).view(t.shape))
    return model


def tensor(name, shape):
    return torch.from_numpy((2 * unit(name, int(np.prod(shape))) - 1).astype(np.float32)).view(shape)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--variant", default="A0"); p.add_argument("--batch", type=int, default=1)
    p.add_argument("--frames", type=int, default=50); p.add_argument("--size", type=int, default=172)
    p.add_argument("--steps", type=int, default=3); p.add_argument("--threads", type=int, default=1)
    p.add_argument("--compile", action="store_true"); p.add_argument("--channels-last", action="store_true")
    p.add_argument("--bf16", action="store_true"); p.add_argument("--device", default="cpu")
    p.add_argument("--exact", action="store_true", help="have cuDNN compute 32-bit floats as such, and the same bytes in every run")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    if a.exact:
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    m = fill(MoViNet(a.variant)).to(a.device).train()
    x = tensor("bench", (a.batch, 3, a.frames, a.size, a.size)).to(a.device)
    if a.channels_last:
        m, x = m.to(memory_format=torch.channels_last_3d), x.to(memory_format=torch.channels_last_3d)
    y = F.one_hot(torch.arange(a.batch) % 5, 5).float().to(a.device)
    opt = torch.optim.Adam(m.parameters(), lr=1e-4, weight_decay=5e-4)
    f = torch.compile(m) if a.compile else m

    def step():
        with torch.autocast(torch.device(a.device).type, dtype=torch.bfloat16, enabled=a.bf16):
            loss = F.binary_cross_entropy_with_logits(f(x)[0].float(), y)
        loss.backward(); opt.step(); opt.zero_grad()

    def infer():
        with torch.no_grad(), torch.autocast(torch.device(a.device).type, dtype=torch.bfloat16, enabled=a.bf16):
            f(x)

    def clock(fn):
        fn(); best = []
        for _ in range(a.steps):
            w, c = time.perf_counter(), time.process_time()
            fn()
            if a.device != "cpu":
                torch.cuda.synchronize()
            best.append((time.process_time() - c, time.perf_counter() - w))
        return min(b[0] for b in best) / a.batch, min(b[1] for b in best) / a.batch

    train = clock(step); m.eval(); evaluate = clock(infer)
    print(json.dumps({"peer": "pytorch " + torch.__version__, **vars(a), "train_cpu_s_per_clip": round(train[0], 6), "train_wall_s_per_clip": round(train[1], 6),
                      "eval_cpu_s_per_clip": round(evaluate[0], 6), "eval_wall_s_per_clip": round(evaluate[1], 6), "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      **({"peak_gpu_bytes": torch.cuda.max_memory_allocated()} if a.device != "cpu" else {})}))


if __name__ == "__main__":
    main()
