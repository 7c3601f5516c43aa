"""Writes torch_parity.json: a looped transformer built from PyTorch's own functions, for torch_test.go to compare with.

    python3 torch_parity.py > torch_parity.json

Weights, tokens and targets are formulas that both sides compute. Everything is float64.
"""

import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

LOOPS, WIDTH, HEADS, HIDDEN, VOCABULARY, LENGTH, BATCH = 3, 16, 2, 24, 13, 8, 18
CLIP = 0.5
LAYER = "layers.0."
SHAPES = {
    "embedding.weight": (VOCABULARY, WIDTH),
    LAYER + "attention.norm.gain": (WIDTH,),
    LAYER + "attention.norm.bias": (WIDTH,),
    LAYER + "attention.qkv.weight": (WIDTH, 3 * WIDTH),
    LAYER + "attention.qkv.bias": (3 * WIDTH,),
    LAYER + "attention.out.weight": (WIDTH, WIDTH),
    LAYER + "attention.out.bias": (WIDTH,),
    LAYER + "feedforward.norm.gain": (WIDTH,),
    LAYER + "feedforward.norm.bias": (WIDTH,),
    LAYER + "feedforward.in.weight": (WIDTH, HIDDEN),
    LAYER + "feedforward.in.bias": (HIDDEN,),
    LAYER + "feedforward.out.weight": (HIDDEN, WIDTH),
    LAYER + "feedforward.out.bias": (WIDTH,),
    "norm.gain": (WIDTH,),
    "norm.bias": (WIDTH,),
    "head.weight": (WIDTH, VOCABULARY),
}


def weight(name, shape):
    """0.3·sin(0.7·i + 0.013·i² + phase), rounded to float32; the phase is the sum of the name's bytes. Gains add 1."""
    phase = sum(name.encode())
    values = [0.3 * math.sin(0.7 * i + 0.013 * i * i + phase) for i in range(math.prod(shape))]
    if name.endswith(".gain"):
        values = [1 + v for v in values]
    return torch.tensor(values, dtype=torch.float32).double().reshape(shape).requires_grad_()


def batch():
    """Token k of the batch is (k² + 3k) mod 13, its target (k² + 5k + 1) mod 13, and every fifth target is ignored."""
    k = torch.arange(BATCH * LENGTH)
    tokens, targets = (k * k + 3 * k) % VOCABULARY, (k * k + 5 * k + 1) % VOCABULARY
    targets[k % 5 == 4] = -1
    return tokens.reshape(BATCH, LENGTH), targets.reshape(BATCH, LENGTH)


def rotate(x):
    """Rotary positions on [batch, head, position, w], pairing j with j + w/2."""
    w = x.shape[-1]
    angle = torch.outer(torch.arange(LENGTH, dtype=torch.float64), 10000.0 ** (-2 * torch.arange(w // 2) / w))
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()), dim=-1)


def forward(p, tokens):
    x = p["embedding.weight"][tokens]
    for _ in range(LOOPS):
        name = LAYER + "attention."
        h = F.layer_norm(x, (WIDTH,), p[name + "norm.gain"], p[name + "norm.bias"], 1e-5)
        qkv = F.linear(h, p[name + "qkv.weight"].T, p[name + "qkv.bias"])
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in qkv.chunk(3, dim=-1))
        h = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        h = h.transpose(1, 2).flatten(-2)
        x = x + F.linear(h, p[name + "out.weight"].T, p[name + "out.bias"])
        name = LAYER + "feedforward."
        h = F.layer_norm(x, (WIDTH,), p[name + "norm.gain"], p[name + "norm.bias"], 1e-5)
        h = F.gelu(F.linear(h, p[name + "in.weight"].T, p[name + "in.bias"]), approximate="tanh")
        x = x + F.linear(h, p[name + "out.weight"].T, p[name + "out.bias"])
    x = F.layer_norm(x, (WIDTH,), p["norm.gain"], p["norm.bias"], 1e-5)
    return x @ p["head.weight"]


def main():
    p = {name: weight(name, shape) for name, shape in SHAPES.items()}
    tokens, targets = batch()
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for w in p.values() if w.dim() > 1], "weight_decay": 0.1},
            {"params": [w for w in p.values() if w.dim() == 1], "weight_decay": 0.0},
        ],
        lr=2e-3, betas=(0.9, 0.95), eps=1e-5)
    result = {"torch": torch.__version__, "losses": []}
    for step in range(10):
        optimizer.zero_grad()
        logits = forward(p, tokens)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        loss.backward()
        if step == 0:
            result["logits"] = logits[0].tolist()
            result["norms"] = {name: w.grad.norm().item() for name, w in p.items()}
        result["losses"].append(loss.item())
        # Not clip_grad_norm_, which adds 1e-6 to the norm.
        norm = torch.stack([w.grad.norm() for w in p.values()]).norm()
        for w in p.values():
            w.grad *= min(1.0, CLIP / norm.item())
        optimizer.step()
    print(json.dumps(result, indent=1))


main()
