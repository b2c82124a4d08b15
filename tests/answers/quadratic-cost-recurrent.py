# %% right: a sum that runs through all tokens
def read_linearly(q, k, v):
    state = np.cumsum(positive(k)[:, :, None] * v[:, None, :], axis=0)
    total = np.cumsum(positive(k), axis=0)
    numerator = (positive(q)[:, :, None] * state).sum(axis=1)
    return numerator / (positive(q) * total).sum(axis=1)[:, None]


# %% right: the total as one more column of the values
def read_linearly(q, k, v):
    values, state, rows = np.column_stack([v, np.ones(len(v))]), 0.0, []
    for query, key, value in zip(positive(q), positive(k), values):
        state = state + key[:, None] * value
        read = query @ state
        rows.append(read[:-1] / read[-1])
    return rows


# %% wrong: all scores -> Right, but of order n²
def read_linearly(q, k, v):
    scores = np.tril(positive(q) @ positive(k).T)
    return scores @ v / scores.sum(axis=1, keepdims=True)


# %% wrong: the state from the beginning at each token -> Right, but of order n²
def read_linearly(q, k, v):
    keys, rows = positive(k), []
    for i, query in enumerate(positive(q), 1):
        state, total = keys[:i].T @ v[:i], keys[:i].sum(axis=0)
        rows.append(query @ state / (query @ total))
    return np.stack(rows)


# %% wrong: later tokens are seen, too -> each token sees the later ones
def read_linearly(q, k, v):
    state, total = positive(k).T @ v, positive(k).sum(axis=0)
    return positive(q) @ state / (positive(q) @ total)[:, None]


# %% wrong: not normalised -> divide by the query times the sum of keys
def read_linearly(q, k, v):
    state, rows = np.zeros((k.shape[1], v.shape[1])), []
    for query, key, value in zip(positive(q), positive(k), v):
        state = state + np.outer(key, value)
        rows.append(query @ state)
    return np.stack(rows)


# %% wrong: a token does not see itself -> gave NaN, which is no number
def read_linearly(q, k, v):
    state, total, rows = np.zeros((k.shape[1], v.shape[1])), np.zeros(k.shape[1]), []
    for query, key, value in zip(positive(q), positive(k), v):
        rows.append(query @ state / (query @ total))
        state, total = state + np.outer(key, value), total + key
    return np.stack(rows)


# %% wrong: without features -> is right (at [
def read_linearly(q, k, v):
    state, total, rows = np.zeros((k.shape[1], v.shape[1])), np.zeros(k.shape[1]), []
    for query, key, value in zip(q, k, v):
        state, total = state + np.outer(key, value), total + key
        rows.append(query @ state / (query @ total))
    return np.stack(rows)


# %% wrong: the mean over tokens -> is right (at [
def read_linearly(q, k, v):
    state, rows = np.zeros((k.shape[1], v.shape[1])), []
    for i, (query, key, value) in enumerate(zip(positive(q), positive(k), v), 1):
        state = state + np.outer(key, value)
        rows.append(query @ state / i)
    return np.stack(rows)


# %% wrong: keys and values change places in the state -> is right (at [
def read_linearly(q, k, v):
    state, total, rows = np.zeros((k.shape[1], v.shape[1])), np.zeros(k.shape[1]), []
    for query, key, value in zip(positive(q), positive(k), v):
        state, total = state + np.resize(np.outer(value, key), state.shape), total + key
        rows.append(query @ state / (query @ total))
    return np.stack(rows)
