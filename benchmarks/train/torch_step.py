"""
Training steps of the benchmark's decoder in PyTorch, the peer of `bench.mjs --torch`.

Reads the shape as JSON from the first argument; each line on standard input asks for one step, whose seconds it prints.
The decoder is the same: RMS norms, rotary positions, joined projections, a gated feed-forward, embeddings that are
also the output's weights; the step is the same: loss, gradients, their norm clipped to 1, AdamW.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

shape = json.loads(sys.argv[1])
width, layers, heads, head_dim = (shape[name] for name in ("width", "layers", "heads", "headDim"))
inner, feed_forward, vocabulary = heads * head_dim, shape["feedForward"], shape["vocabulary"]
batch, sequence = shape["batch"], shape["sequence"]
torch.set_num_threads(shape["threads"])
torch.manual_seed(0)


def parameter(*size):
    return torch.nn.Parameter(torch.randn(*size) * 0.02)


def ones():
    return torch.nn.Parameter(torch.ones(width))


blocks = [
    {
        "norm": ones(),
        "qkv": parameter(3 * inner, width),
        "out": parameter(width, inner),
        "norm2": ones(),
        "gate_up": parameter(2 * feed_forward, width),
        "down": parameter(width, feed_forward),
    }
    for _ in range(layers)
]
embedding, last = parameter(vocabulary, width), ones()
everything = [embedding, last] + [value for block in blocks for value in block.values()]
optimizer = torch.optim.AdamW(
    [
        {"params": [p for p in everything if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in everything if p.dim() == 1], "weight_decay": 0.0},
    ],
    lr=1e-4,
    betas=(0.9, 0.95),
    foreach=True,
)

angles = torch.outer(
    torch.arange(sequence).float(), 10000.0 ** (-torch.arange(0, head_dim, 2).float() / head_dim)
)
cos, sin = angles.cos(), angles.sin()
hidden = torch.full((sequence, sequence), float("-inf")).triu(1)
ids = (torch.arange(batch * sequence) * 7919 % vocabulary).view(batch, sequence)


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * weight


def rotate(x):
    first, second = x[..., : head_dim // 2], x[..., head_dim // 2 :]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def loss_of():
    x = F.embedding(ids, embedding)
    for block in blocks:
        joined = F.linear(norm(x, block["norm"]), block["qkv"])
        query, key, value = joined.view(batch, sequence, 3, heads, head_dim).permute(2, 0, 3, 1, 4)
        scores = rotate(query) @ rotate(key).transpose(-1, -2) * head_dim**-0.5 + hidden
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, sequence, inner)
        x = x + F.linear(mixed, block["out"])
        gate, up = F.linear(norm(x, block["norm2"]), block["gate_up"]).chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, block["down"])
    return F.cross_entropy(F.linear(norm(x, last), embedding).view(-1, vocabulary), ids.view(-1))


print(json.dumps({"version": torch.__version__}), flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(everything, 1.0)
    optimizer.step()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "loss": loss.item()}), flush=True)
