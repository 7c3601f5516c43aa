"""Writes torch_parity.json: looped transformers built from PyTorch's own functions, for torch_test.go to compare with.

    python3 torch_parity.py > torch_parity.json

Weights, tokens and targets are formulas that both sides compute. Everything is float64.
"""

import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

LOOPS, WIDTH, HIDDEN, VOCABULARY, LENGTH, BATCH = 3, 16, 24, 13, 8, 18
CLIP = 0.5
LAYER = "layers.0."
MESSAGES = ["query", "key", "value", "feedforward"]

# What each model has that the first, the default, has not.
MODELS = {
    "default": {},
    "shared keys": {"kv_heads": 1, "head_width": 6, "scale": 0.3, "qkv_bias": False},
    "head norms": {"heads": 4, "kv_heads": 2, "qk_norm": True, "softcap": 1.5},
    "hard": {"hard": True},
    "restart": {"carry_rank": 5, "qkv_bias": False},
    "streams": {"streams": 3},
    "loop ends": {"loop_norm": True, "residual_scale": 1 / LOOPS, "decay": True},
}


class Model:
    def __init__(self, heads=2, kv_heads=None, head_width=None, scale=None, qkv_bias=True, qk_norm=False, softcap=None, hard=False,
                 loop_norm=False, residual_scale=1, decay=False, carry_rank=None, streams=None):
        self.heads, self.kv_heads, self.w = heads, kv_heads or heads, head_width or WIDTH // heads
        self.scale, self.qk_norm, self.softcap, self.hard = scale, qk_norm, softcap, hard
        self.loop_norm, self.residual_scale, self.decay, self.carry_rank, self.streams = loop_norm, residual_scale, decay, carry_rank, streams
        columns = (self.heads + 2 * self.kv_heads) * self.w
        shapes = {
            "embedding.weight": (VOCABULARY, WIDTH),
            LAYER + "attention.norm.gain": (WIDTH,),
            LAYER + "attention.norm.bias": (WIDTH,),
            LAYER + "attention.qkv.weight": (WIDTH, columns),
            LAYER + "attention.out.weight": (self.heads * self.w, WIDTH),
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
        if qkv_bias:
            shapes[LAYER + "attention.qkv.bias"] = (columns,)
        if qk_norm:
            shapes[LAYER + "attention.q_norm.gain"] = shapes[LAYER + "attention.k_norm.gain"] = (self.w,)
        if loop_norm:
            shapes["loop_norm.gain"] = shapes["loop_norm.bias"] = (WIDTH,)
        if decay:
            shapes["injection.input.weight"] = (WIDTH, WIDTH)
            shapes["injection.decay"] = shapes["injection.step"] = (WIDTH,)
        if carry_rank:
            shapes[LAYER + "message.queries"] = (len(MESSAGES), WIDTH)
            for kind in MESSAGES:
                shapes[LAYER + f"message.{kind}.down.weight"] = (2 * WIDTH, carry_rank)
                shapes[LAYER + f"message.{kind}.up.weight"] = (carry_rank, 2 * WIDTH)
        if streams:
            shapes["hyper_connections.embedding.weight"] = (LOOPS, WIDTH)
            for purpose in ("read", "keep", "write"):
                shapes[f"hyper_connections.{purpose}.weight"] = (LOOPS * streams * WIDTH, streams)
                shapes[f"hyper_connections.{purpose}.scale"] = (LOOPS, 1)
                shapes[f"hyper_connections.{purpose}.bias"] = (LOOPS, streams)
        self.p = {name: weight(name, shape) for name, shape in shapes.items()}

    def decays(self, name):
        """Whether weights decay: matrices do, but for injection that decays the state."""
        return name.endswith(".weight") and not (self.decay and name.startswith("injection."))

    def norm(self, x, name):
        return F.layer_norm(x, (WIDTH,), self.p[name + ".gain"], self.p[name + ".bias"], 1e-5)

    def receive(self, x, kind, before):
        """x with what a message of the states of the loop before adds to it."""
        if before is None:
            return x
        p, name = self.p, LAYER + f"message.{kind}."
        states = unit(torch.stack(before, dim=-2))
        query = p[LAYER + "message.queries"][MESSAGES.index(kind)].expand(*x.shape[:-1], 1, WIDTH)
        message = F.scaled_dot_product_attention(query, states, states).squeeze(-2)
        gates = torch.cat((unit(x), unit(message)), dim=-1) @ p[name + "down.weight"] @ p[name + "up.weight"]
        forget, hear = gates.tanh().chunk(2, dim=-1)
        return (1 - forget) * x + hear * message

    def attention(self, x, before=None):
        p, name = self.p, LAYER + "attention."
        columns = [self.heads * self.w, self.kv_heads * self.w, self.kv_heads * self.w]
        bias = p.get(name + "qkv.bias")
        biases = [None] * 3 if bias is None else bias.split(columns)
        q, k, v = (F.linear(self.norm(self.receive(x, kind, before), name + "norm"), w.T, b)
                   for kind, w, b in zip(MESSAGES, p[name + "qkv.weight"].split(columns, dim=-1), biases))
        q, k, v = (t.unflatten(-1, (-1, self.w)).transpose(1, 2) for t in (q, k, v))
        if self.qk_norm:
            q = F.rms_norm(q, (self.w,), p[name + "q_norm.gain"], 1e-5)
            k = F.rms_norm(k, (self.w,), p[name + "k_norm.gain"], 1e-5)
        q, k = rotate(q), rotate(k)
        if self.hard:
            h = hard(q, k, v)
        else:
            h = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale, enable_gqa=True)
        return F.linear(h.transpose(1, 2).flatten(-2), p[name + "out.weight"].T, p[name + "out.bias"])

    def feedforward(self, x, before=None):
        p, name = self.p, LAYER + "feedforward."
        h = F.linear(self.norm(self.receive(x, "feedforward", before), name + "norm"), p[name + "in.weight"].T, p[name + "in.bias"])
        return F.linear(F.gelu(h, approximate="tanh"), p[name + "out.weight"].T, p[name + "out.bias"])

    def restart(self, given):
        """Loops that each begin with the input, and hear from the one before."""
        before = None
        for _ in range(LOOPS):
            x = given + self.attention(given, before)
            x = x + self.feedforward(x, before)
            before = [given, x]
        return x

    def stream(self, x):
        """Loops that read from and write to streams."""
        p, name, n = self.p, "hyper_connections.", self.streams
        y = x.unsqueeze(-2).repeat_interleave(n, dim=-2)
        for t in range(LOOPS):
            z = unit(y.flatten(-2))
            read, keep, write = (
                torch.sigmoid(p[name + f"{purpose}.scale"][t] * (z @ p[name + f"{purpose}.weight"].unflatten(0, (LOOPS, -1))[t]) + p[name + f"{purpose}.bias"][t])
                for purpose in ("read", "keep", "write"))
            x = (read.unsqueeze(-2) @ y).squeeze(-2)
            x = x + self.attention(x)
            x = x + self.feedforward(x) + p[name + "embedding.weight"][t]
            y = keep.unsqueeze(-1) * y + 2 * write.unsqueeze(-1) * x.unsqueeze(-2)
        return y.mean(dim=-2)

    def forward(self, tokens):
        p = self.p
        x = p["embedding.weight"][tokens]
        if self.carry_rank:
            return self.logits(self.restart(x))
        if self.streams:
            return self.logits(self.stream(x))
        if self.decay:
            given, x = x @ p["injection.input.weight"], torch.zeros_like(x)
            step = F.softplus(p["injection.step"])
            fall = torch.exp(-step * torch.exp(p["injection.decay"]))
        for _ in range(LOOPS):
            if self.decay:
                x = x * fall + step * given
            x = x + self.residual_scale * self.attention(x)
            x = x + self.residual_scale * self.feedforward(x)
            if self.loop_norm:
                x = self.norm(x, "loop_norm")
        return self.logits(x)

    def logits(self, x):
        logits = self.norm(x, "norm") @ self.p["head.weight"]
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)


def unit(x):
    """x divided by its root mean square."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-5)


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


def hard(q, k, v):
    """The value of each query's largest product with a key, of equal ones the newest. argmax finds the oldest."""
    scores = (q @ k.transpose(-1, -2)).masked_fill(torch.ones(LENGTH, LENGTH).triu(1).bool(), -math.inf)
    chosen = LENGTH - 1 - scores.flip(-1).argmax(-1)
    return v.gather(-2, chosen.unsqueeze(-1).expand(*chosen.shape, v.shape[-1]))


def train(model):
    p = model.p
    tokens, targets = batch()
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for name, w in p.items() if model.decays(name)], "weight_decay": 0.1},
            {"params": [w for name, w in p.items() if not model.decays(name)], "weight_decay": 0.0},
        ],
        lr=2e-3, betas=(0.9, 0.95), eps=1e-5)
    result = {"losses": []}
    for step in range(10):
        optimizer.zero_grad()
        logits = model.forward(tokens)
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
    return result


def main():
    models = {name: train(Model(**options)) for name, options in MODELS.items()}
    print(json.dumps({"torch": torch.__version__, "models": models}, indent=1))


main()
