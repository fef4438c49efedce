"""The forward pass in float64 NumPy, written from the GPT-2 and GPT-3 papers and not from our model."""

import math

import numpy as np


def layer_norm(x, scale, bias):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5) * scale + bias


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _weights(query, key, segment_ids, window):
    # [B, H, T, S]; the window is of keys, the query's own among them.
    scores = np.einsum("bthd,bshd->bhts", query, key) / math.sqrt(query.shape[-1])
    back = np.arange(query.shape[1])[:, None] - np.arange(query.shape[1])
    seen = (back >= 0) & (back < (window or np.inf)) & (segment_ids[:, :, None] == segment_ids[:, None, :])
    weights = np.exp(np.where(seen[:, None], scores, -np.inf) - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def attention(query, key, value, segment_ids, window):
    """[B, T, H, D] in float64."""
    query, key, value = (a.astype(np.float64) for a in (query, key, value))
    return np.einsum("bhts,bshd->bthd", _weights(query, key, segment_ids, window), value)


def attention_gradients(query, key, value, segment_ids, window, cotangent):
    """Of sum(attention * cotangent) with respect to query, key and value."""
    query, key, value, cotangent = (a.astype(np.float64) for a in (query, key, value, cotangent))
    weights = _weights(query, key, segment_ids, window)
    score_cotangent = np.einsum("bthd,bshd->bhts", cotangent, value)
    score_cotangent = (
        weights * (score_cotangent - (weights * score_cotangent).sum(-1, keepdims=True)) / math.sqrt(query.shape[-1])
    )
    return (
        np.einsum("bhts,bshd->bthd", score_cotangent, key),
        np.einsum("bhts,bthd->bshd", score_cotangent, query),
        np.einsum("bhts,bthd->bshd", weights, cotangent),
    )


def forward(params, tokens, heads, window=0):
    """Logits [T, V] of one document alone; params: our parameter tree as NumPy arrays.

    window: how many tokens, itself included, layers 1, 3, 5 and so on see; 0 for all.
    """
    x = params["token_embedding"][tokens].astype(np.float64) + params["position_embedding"][: len(tokens)]
    layers = params["blocks"]["query"]["kernel"].shape[0]
    width = x.shape[-1]
    for n in range(layers):

        def at(*path, n=n):
            node = params["blocks"]
            for key in path:
                node = node[key]
            return node[n].astype(np.float64)

        h = layer_norm(x, at("attention_norm", "scale"), at("attention_norm", "bias"))
        query, key, value = (
            (h @ at(name, "kernel") + at(name, "bias")).reshape(len(tokens), heads, -1)
            for name in ("query", "key", "value")
        )
        out = np.empty_like(query)
        for head in range(heads):
            for t in range(len(tokens)):
                first = max(0, t + 1 - window) if window and n % 2 else 0
                scores = key[first : t + 1, head] @ query[t, head] / math.sqrt(width // heads)
                weights = np.exp(scores - scores.max())
                out[t, head] = (weights / weights.sum()) @ value[first : t + 1, head]
        x = x + out.reshape(len(tokens), width) @ at("out", "kernel").reshape(width, width).T + at("out", "bias")
        h = layer_norm(x, at("mlp_norm", "scale"), at("mlp_norm", "bias"))
        h = gelu(h @ at("up", "kernel") + at("up", "bias"))
        x = x + h @ at("down", "kernel").T + at("down", "bias")
    x = layer_norm(x, params["final_norm"]["scale"], params["final_norm"]["bias"])
    return x @ params["token_embedding"].astype(np.float64).T
