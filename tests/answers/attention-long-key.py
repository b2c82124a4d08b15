# %% right: the softmax by hand
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    k = rng.standard_normal((keys, d))
    k = k / np.sqrt((k**2).sum(axis=1, keepdims=True))
    k[-1] = c * k[-1]
    scores = k @ rng.standard_normal((d, queries)) / np.sqrt(d)
    weights = np.exp(scores - scores.max(axis=0))
    return (weights[-1] / weights.sum(axis=0)).mean()


# %% right: with PyTorch, and new keys for each part of the queries
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    random = torch.Generator().manual_seed(seed)
    k = torch.nn.functional.normalize(torch.randn(10, keys, d, generator=random), dim=-1)
    q = torch.randn(10, queries // 10, d, generator=random)
    k[:, 0] *= c
    return (q @ k.mT / d**0.5).softmax(-1)[..., 0].mean()


# %% wrong: the factor itself -> gave 16, and 0.1703 is right
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    return c


# %% wrong: without the root of d -> divide by the root of d
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    k[0] *= c
    weights = np.exp(q @ k.T)
    return (weights[:, 0] / weights.sum(-1)).mean()


# %% wrong: keys of any length -> keep other keys at length 1
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    k[0] *= c
    return attend(q, k, np.eye(keys)[:, :1]).mean()


# %% wrong: queries of length 1 -> and 0.1703 is right: queries have normal entries
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    k[0] *= c
    return attend(q, k, np.eye(keys)[:, :1]).mean()


# %% wrong: the largest weight -> and 0.1703 is right
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    k[0] *= c
    return attend(q, k, np.eye(keys)[:, :1]).max()


# %% wrong: no key is lengthened -> so much has each key if none is longer
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    k[0] *= c
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    return attend(q, k, np.eye(keys)[:, :1]).mean()


# %% wrong: a key that is shorter than the others -> and 0.1703 is right
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    k[1:] *= c
    return attend(q, k, np.eye(keys)[:, :1]).mean()


# %% wrong: the mean of weights that are not normalised -> and 0.1703 is right
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    return np.exp(c * q @ k[0] / np.sqrt(d)).mean()


# %% wrong: the softmax of mean scores -> gave
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    k[0] *= c
    weights = np.exp((q @ k.T / np.sqrt(d)).mean(axis=0))
    return weights[0] / weights.sum()


# %% wrong: one weight for each query -> should return a number
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, d)), rng.standard_normal((keys, d))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    k[0] *= c
    return attend(q, k, np.eye(keys)[:, 0])


# %% wrong: sixteen dimensions, whatever is asked for -> gave
def weight_of_long_key(c, d=16, keys=64, queries=2000, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((queries, 16)), rng.standard_normal((keys, 16))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    k[0] *= c
    return attend(q, k, np.eye(keys)[:, :1]).mean()
