# %% right: by the exponentials of the page
def sharpness(lost, dimensions):
    root = (1 - lost) ** (1 / dimensions)
    return -np.log((1 - root) / (1 + root))


# %% right: by bisection
def sharpness(lost, dimensions):
    low, high = 0.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        if 1 - np.tanh(middle / 2) ** dimensions > lost:
            low = middle
        else:
            high = middle
    return high


# %% wrong: the simpler bound -> this is the simpler bound
def sharpness(lost, dimensions):
    return np.log(4 / lost)


# %% wrong: whatever the dimensions -> this many dimensions were not asked for
def sharpness(lost, dimensions):
    return 2 * np.arctanh(1 - lost)


# %% wrong: alpha for its half -> tanh has half of alpha in it
def sharpness(lost, dimensions):
    return np.arctanh((1 - lost) ** (1 / dimensions))


# %% wrong: what is lost for what is kept -> so sharp a head would keep this share
def sharpness(lost, dimensions):
    return 2 * np.arctanh(lost ** (1 / dimensions))


# %% wrong: neighbours alone -> sharpness(0.1, 3) gave
def sharpness(lost, dimensions):
    return np.log(2 * dimensions / lost)
