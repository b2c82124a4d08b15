# %% right: with a large negative number
def causal_attend(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[1])
    scores[np.triu_indices(len(q), k=1)] = -1e9
    scores = scores - scores.max(axis=1, keepdims=True)
    weights = np.exp(scores)
    return (weights / weights.sum(axis=1)[:, None]) @ v


# %% right: query by query
def causal_attend(q, k, v):
    rows = []
    for i, query in enumerate(q):
        scores = k[: i + 1] @ query / len(query) ** 0.5
        weights = np.exp(scores - scores.max())
        rows.append(weights @ v[: i + 1] / weights.sum())
    return np.stack(rows)


# %% right: with PyTorch
def causal_attend(q, k, v):
    scores = torch.tensor(q @ k.T / np.sqrt(q.shape[-1]))
    hidden = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -torch.inf).softmax(-1) @ torch.tensor(v)


# %% wrong: without a mask -> each query sees every key
def causal_attend(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


# %% wrong: the mask the other way round -> it sees later keys
def causal_attend(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    scores = np.where(np.tri(len(q), dtype=bool).T, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


# %% wrong: without the root of d -> divide by the root of d
def causal_attend(q, k, v):
    scores = np.where(np.tri(len(q), dtype=bool), q @ k.T, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


# %% wrong: a mask behind the softmax -> weights do not sum to 1
def causal_attend(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.tril(weights / weights.sum(-1, keepdims=True)) @ v


# %% wrong: a mask by products leaves scores of zero -> is right (at [0,
def causal_attend(q, k, v):
    scores = np.tril(q @ k.T / np.sqrt(q.shape[-1]))
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


# %% wrong: a mask of 0 times infinity -> 0 · ∞ is NaN: choose with np.where
def causal_attend(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    scores = scores + np.triu(np.ones_like(scores), 1) * -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


# %% wrong: its own key is hidden, too -> gave NaN, which is no number
def causal_attend(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    scores = np.where(np.tri(len(q), k=-1, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


# %% wrong: no maximum is taken off -> gave NaN, which is no number
def causal_attend(q, k, v):
    scores = np.where(np.tri(len(q), dtype=bool), q @ k.T / np.sqrt(q.shape[-1]), -np.inf)
    weights = np.exp(scores)
    return weights / weights.sum(-1, keepdims=True) @ v


# %% wrong: weights that sum to 1 over queries -> is right (at [0,
def causal_attend(q, k, v):
    scores = np.where(np.tri(len(q), dtype=bool), q @ k.T / np.sqrt(q.shape[-1]), -np.inf)
    weights = np.exp(scores - scores.max(0, keepdims=True))
    return weights / weights.sum(0, keepdims=True) @ v


# %% wrong: the queries are scaled in place -> changes its argument 1 in place
def causal_attend(q, k, v):
    q /= np.sqrt(q.shape[-1])
    scores = np.where(np.tri(len(q), dtype=bool), q @ k.T, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v
