#!/usr/bin/env python3
"""Writes muon.json: weights before and after three steps of Muon and NorMuon in PyTorch, in float64.

Muon is torch.optim.Muon; only its Newton-Schulz iteration is replaced by Polar Express (arXiv 2505.16932, algorithm 1, five
steps). NorMuon is algorithm 1 of arXiv 2510.05491 with the same iteration. PyTorch's weights are [outputs, inputs], those of the
file [inputs, outputs], as coil has them. Each matrix of a parameter is a weight of its own here.

    python3 muon.py > muon.json        (torch 2.9 or later)
"""
import json
import math

import torch
import torch.optim._muon as torch_muon

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
STEPS, SLACK = 3, 1.01
COEFFICIENTS = [
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
]


def polar_express(g, *ignored):
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (SLACK * x.norm() + 1e-7)
    for a, b, c in COEFFICIENTS:
        a, b, c = a / SLACK, b / SLACK**3, c / SLACK**5
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if g.shape[0] > g.shape[1] else x


torch_muon._zeropower_via_newtonschulz = polar_express


def single(x):
    """Numbers that float32 holds."""
    return x.to(torch.float32).to(torch.float64)


def numbers(x):
    """All elements, to nine digits, which are enough for a float32."""
    return [float("%.9g" % v) for v in x.flatten().tolist()]


def scale(rule, outputs, inputs):
    return math.sqrt(max(1, outputs / inputs)) if rule == "keller" else 0.2 * math.sqrt(max(outputs, inputs))


def normuon(w, grads, rates, rule, decay, beta1, beta2):
    outputs, inputs = w.shape
    m, v = torch.zeros_like(w), torch.zeros(outputs)
    for g, rate in zip(grads, rates):
        m = beta1 * m + (1 - beta1) * g
        o = polar_express(beta1 * m + (1 - beta1) * g)
        v = beta2 * v + (1 - beta2) * o.square().mean(dim=1)
        o = o / (v.sqrt() + 1e-8)[:, None]
        o = o * math.sqrt(min(outputs, inputs)) / o.norm()
        w = w - rate * (decay * w + scale(rule, outputs, inputs) * o)
    return w, m, v


def muon(w, grads, rates, rule, decay, beta1):
    w = torch.nn.Parameter(w.clone())
    o = torch.optim.Muon([w], lr=1.0, weight_decay=decay, momentum=beta1, nesterov=True,
                         adjust_lr_fn={"match": "match_rms_adamw", "keller": "original"}[rule])
    for g, rate in zip(grads, rates):
        o.param_groups[0]["lr"] = rate
        # PyTorch's decay is 1 - lr·decay with the plain rate, as coil's.
        w.grad = g.clone()
        o.step()
    return w.detach(), o.state[w]["momentum_buffer"], None


def cautious(w, grads, rates, rule, decay, beta1):
    m = torch.zeros_like(w)
    for g, rate in zip(grads, rates):
        m = beta1 * m + (1 - beta1) * g
        o = polar_express(beta1 * m + (1 - beta1) * g)
        w = w - rate * (decay * w * (o * w >= 0) + scale(rule, *w.shape) * o)
    return w, m, None


cases = []
for optimizer, rule, careful in [("muon", "match", False), ("muon", "keller", False), ("muon", "match", True), ("normuon", "match", False), ("normuon", "keller", False)]:
    parameters = []
    for inputs, parts in [(8, [8, 8, 8]), (6, [10, 10]), (14, [6]), (1, [5]), (30, [70])]:
        if inputs == 30 and (optimizer, rule, careful) != ("muon", "match", False):
            continue
        matrices = []
        for outputs in parts:
            w = single(0.3 * torch.randn(outputs, inputs))
            grads = [single(torch.randn(outputs, inputs) * 10.0 ** -k) for k in range(STEPS)]
            matrices.append((w, grads))
        parameters.append((inputs, parts, matrices))
    # The numbers of the configuration and the clipping factors are float32 in coil.
    decay, beta1, beta2 = (float(torch.tensor(x, dtype=torch.float32)) for x in (0.1, 0.95, 0.9))
    rates, factors = [0.125, 0.0625, 0.03125], [1.0, 0.5, 0.25]
    out = []
    for inputs, parts, matrices in parameters:
        done = []
        for w, grads in matrices:
            scaled = [f * g for f, g in zip(factors, grads)]
            if optimizer == "normuon":
                done.append(normuon(w, scaled, rates, rule, decay, beta1, beta2))
            elif careful:
                done.append(cautious(w, scaled, rates, rule, decay, beta1))
            else:
                done.append(muon(w, scaled, rates, rule, decay, beta1))
        join = lambda xs: numbers(torch.cat(xs, dim=0).T)
        p = {"inputs": inputs, "parts": parts, "before": join([w for w, _ in matrices]),
             "gradients": [join([g[k] for _, g in matrices]) for k in range(STEPS)],
             "after": join([d[0] for d in done]), "momentum": join([d[1] for d in done])}
        if optimizer == "normuon":
            p["neurons"] = numbers(torch.cat([d[2] for d in done]))
        out.append(p)
    cases.append({"optimizer": optimizer, "rule": rule, "cautious": careful, "rates": rates, "factors": factors, "parameters": out})

# The polar factor itself, by a singular value decomposition.
x = single(torch.randn(12, 20))
u, s, v = torch.linalg.svd(x, full_matrices=False)
# How far the polynomials leave any singular value between the least and the largest possible from 1.
values = torch.linspace(float(s.min() / x.norm()), 1, 100_000) / SLACK
for a, b, c in COEFFICIENTS:
    values = a / SLACK * values + b / SLACK**3 * values**3 + c / SLACK**5 * values**5
print(json.dumps({"torch": torch.__version__, "cases": cases,
                  "polar": {"matrix": numbers(x), "rows": 12, "factor": numbers(u @ v), "off": float((values - 1).abs().max())}},
                 separators=(",", ":")))
