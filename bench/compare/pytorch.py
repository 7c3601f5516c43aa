"""Compares coil's training step with that of the same model in PyTorch, in turns on one machine.

    go build -o /tmp/coil ./cmd/coil
    python bench/compare/pytorch.py --coil /tmp/coil [--rows default,text-8k] [--rounds 3] [--seconds 10]

Needs PyTorch 2. Each measurement is a process of its own: a step to warm up, then steps for some seconds, and the largest memory
that it held. Rounds go through all rows and both programs in turn; the table has medians. Both use the same number of threads.
The model is a decoder with norms before attention and feed-forward, learned positions, biases and GELU in its tanh form, one layer
in six loops, trained by AdamW with gradients clipped to a norm of 1.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

# name: width, heads, length, batch, vocabulary
ROWS = {
    "default": (64, 4, 64, 64, 8),
    "bench-b": (128, 4, 64, 64, 64),
    "bench-a": (256, 8, 256, 16, 64),
    "long": (256, 8, 2048, 8, 64),
    "wide": (768, 12, 1024, 4, 64),
    "text-8k": (384, 6, 512, 8, 8192),
    "text-32k": (256, 8, 256, 16, 32768),
    "text-150k": (256, 8, 256, 16, 150000),
}
LOOPS = 6


def config(width, heads, length, batch, vocabulary):
    return f"""[model]
layers = "1x{LOOPS}"
width = {width}
heads = {heads}
hidden = {4 * width}
norm = "layernorm"
norm_place = "pre"
activation = "gelu"
positions = "learned"
bias = true
tied = false
init_std = 0.02
[task]
name = "noise"
[task.noise]
vocabulary = {vocabulary}
length = {length}
[train]
steps = 50
batch = {batch}
optimizer = "adamw"
rate = 1e-3
warmup = 0
schedule = "constant"
beta1 = 0.9
beta2 = 0.95
eps = 1e-8
weight_decay = 0.1
clip = 1.0
[evaluate]
every = 0
examples = {batch}
final = {batch}
[checkpoint]
every = 0
"""


def torch_steps(row, threads, seconds):
    """Trains for some seconds and prints tokens a second and the largest memory, as JSON."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    width, heads, length, batch, vocabulary = ROWS[row]
    torch.set_num_threads(threads)
    torch.manual_seed(1)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, width)
            self.positions = nn.Parameter(0.02 * torch.randn(length, width))
            self.norm1, self.norm2, self.norm = (nn.LayerNorm(width) for _ in range(3))
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.head = nn.Linear(width, vocabulary, bias=False)

        def forward(self, tokens, targets):
            x = self.embedding(tokens) + self.positions
            for _ in range(LOOPS):
                q, k, v = (z.view(batch, length, heads, -1).transpose(1, 2) for z in self.qkv(self.norm1(x)).chunk(3, -1))
                a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + self.out(a.transpose(1, 2).reshape(batch, length, width))
                x = x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
            return F.cross_entropy(self.head(self.norm(x)).reshape(-1, vocabulary), targets.reshape(-1))

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    data = torch.randint(vocabulary, (batch, length + 1))

    def step():
        loss = model(data[:, :-1], data[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    step()
    begin, steps = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        step()
        steps += 1
    rate = steps * batch * length / (time.perf_counter() - begin)
    print(json.dumps({"rate": rate, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def run(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coil", default="coil", help="the program")
    parser.add_argument("--rows", default=",".join(ROWS), help="rows to compare, with commas between them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--torch", help=argparse.SUPPRESS)  # run PyTorch's side of this row
    o = parser.parse_args()
    if o.torch:
        torch_steps(o.torch, o.threads, o.seconds)
        return
    rows = o.rows.split(",")
    found = {row: [] for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            with open(os.path.join(folder, row + ".toml"), "w") as f:
                f.write(config(*ROWS[row]))
        for _ in range(o.rounds):
            for row in rows:
                theirs = run([sys.executable, __file__, "--torch", row, "--threads", str(o.threads), "--seconds", str(o.seconds)])
                ours = run([o.coil, "bench", os.path.join(folder, row + ".toml"), "--only", "steps", "--rounds", "1", "--seconds", str(o.seconds),
                            "--workers", str(o.threads), "--json"])
                found[row].append((theirs, ours))
    median = statistics.median
    print(f"{'':10} {'PyTorch':>10} {'coil':>10} {'ratio':>6} {'of peak':>8} {'PyTorch':>9} {'coil':>9} {'planned':>9}")
    print(f"{'':10} {'tokens/s':>10} {'tokens/s':>10} {'':6} {'':8} {'MiB':>9} {'MiB':>9} {'MiB':>9}")
    for row, pairs in found.items():
        steps = [ours["steps"][0] for _, ours in pairs]
        for s in steps:
            taken = [r["seconds"] for r in s["rounds"]]
            s["rate"] = s["tokens"] / median(taken)
            s["share"] = median(s["flops"] / r["seconds"] / max(r["peak_before"], r["peak_after"]) for r in s["rounds"])
        rates = [s["rate"] for s in steps]
        print(f"{row:10} {median(t['rate'] for t, _ in pairs):10,.0f} {median(rates):10,.0f} "
              f"{median(r / t['rate'] for r, (t, _) in zip(rates, pairs)):6.2f} {median(s['share'] for s in steps):8.2f} "
              f"{max(t['memory'] for t, _ in pairs) / 2**20:9,.0f} {max(o['peak_resident_bytes'] for _, o in pairs) / 2**20:9,.0f} "
              f"{steps[0]['memory_bytes'] / 2**20:9,.0f}")


if __name__ == "__main__":
    main()
