# %% right: as derived
def cache(n, windowed, full, window, size):
    return (full * n + windowed * min(n, window - 1)) * size


# %% right: layer by layer
def cache(n, windowed, full, window, size):
    kept = [n] * full + [n if n < window else window - 1] * windowed
    return sum(tokens * size for tokens in kept)


# %% wrong: windows are always full -> no window keeps more than there is
def cache(n, windowed, full, window, size):
    return (full * n + windowed * (window - 1)) * size


# %% wrong: the whole window -> the next token brings its own key along
def cache(n, windowed, full, window, size):
    return (full * n + windowed * min(n, window)) * size


# %% wrong: masked, and kept -> a mask frees nothing
def cache(n, windowed, full, window, size):
    return (full + windowed) * n * size


# %% wrong: windows everywhere -> global layers keep all
def cache(n, windowed, full, window, size):
    return (full + windowed) * min(n, window - 1) * size
