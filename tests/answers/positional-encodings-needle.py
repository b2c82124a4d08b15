# %% right: the sum over the others, as it is written
def lead(slope, distance, n):
    others = sum(np.exp(-slope * j) for j in range(n) if j != distance)
    return np.log(others) + slope * distance


# %% right: from the weight that the key has without a lead
def lead(slope, distance, n):
    weights = np.exp(-slope * (np.arange(n) - distance))
    return np.log(weights.sum() - 1)


# %% right: with PyTorch
def lead(slope, distance, n):
    scores = -slope * torch.arange(n, dtype=torch.float64)
    scores[distance] = -torch.inf
    return slope * distance + scores.logsumexp(0)


# %% wrong: the key among the others -> the key is none of the others
def lead(slope, distance, n):
    return slope * distance + np.log(np.exp(-slope * np.arange(n)).sum())


# %% wrong: without a slope -> With lead(0.5, 0, 9) the key has 0.8409 of the weight, not half.
def lead(slope, distance, n):
    return np.log(n - 1)


# %% wrong: the lead after the slope -> With lead(0.1, 7, 40) the key has
def lead(slope, distance, n):
    others = np.delete(np.arange(n), distance)
    return np.log(np.exp(-slope * others).sum())


# %% wrong: for ever more tokens -> With lead(0.5, 0, 9) the key has 0.5046
def lead(slope, distance, n):
    if slope == 0:
        return np.log(n - 1)
    return np.log(np.exp(slope * distance) / (1 - np.exp(-slope)) - 1)


# %% wrong: a slope that lifts what is far -> With lead(0.5, 0, 9) the key has
def lead(slope, distance, n):
    others = np.delete(np.arange(n), distance)
    return -slope * distance + np.log(np.exp(slope * others).sum())


# %% wrong: as much as the best of the others -> gave 0, and 3.89182 is right
def lead(slope, distance, n):
    return slope * distance


# %% wrong: the factor and not its logarithm -> gave 49, and 3.89182 is right
def lead(slope, distance, n):
    others = np.delete(np.arange(n), distance)
    return np.exp(slope * distance) * np.exp(-slope * others).sum()


# %% wrong: logarithms of base two -> gave 5.61471, and 3.89182 is right
def lead(slope, distance, n):
    others = np.delete(np.arange(n), distance)
    return slope * distance + np.log2(np.exp(-slope * others).sum())
