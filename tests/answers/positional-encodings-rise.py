# %% right: from the encoding itself
def first_rise(d, base, steps=1000):
    PE = sinusoidal.encoding(torch.arange(steps), d, base=base)
    kernel = PE @ PE[0]
    return next(n for n in range(1, steps) if kernel[n] > kernel[n - 1])


# %% right: a loop over distances
def first_rise(d, base, steps=1000):
    before = d / 2
    for delta in range(1, steps):
        now = sum(np.cos(base ** (-2 * i / d) * delta) for i in range(d // 2))
        if now > before:
            return delta
        before = now


# %% wrong: the distance before -> that is the distance before the rise
def first_rise(d, base, steps=1000):
    kernel = derivations.KERNEL.numpy(F=d // 2, base=base, delta=np.arange(steps))
    return int(np.argmax(np.diff(kernel) > 0))


# %% wrong: the lowest point -> that is the lowest point
def first_rise(d, base, steps=1000):
    kernel = derivations.KERNEL.numpy(F=d // 2, base=base, delta=np.arange(100))
    return int(kernel.argmin())


# %% wrong: after the lowest point -> that follows the lowest point
def first_rise(d, base, steps=1000):
    kernel = derivations.KERNEL.numpy(F=d // 2, base=base, delta=np.arange(100))
    return int(kernel.argmin()) + 1


# %% wrong: d frequencies and not half as many -> first_rise(64, 30.0) gave 18, and 12 is right
def first_rise(d, base, steps=1000):
    omega = base ** (-2 * np.arange(d) / d)
    kernel = np.cos(np.outer(np.arange(steps), omega)).sum(axis=1)
    return int(np.argmax(np.diff(kernel) > 0)) + 1


# %% wrong: the exponent is half of what it is -> first_rise(64, 10000.0) gave
def first_rise(d, base, steps=1000):
    omega = base ** (-np.arange(d // 2) / d)
    kernel = np.cos(np.outer(np.arange(steps), omega)).sum(axis=1)
    return int(np.argmax(np.diff(kernel) > 0)) + 1


# %% wrong: the usual base, whichever is given -> first_rise(2, 10.0) gave
def first_rise(d, base, steps=1000):
    if d == 2:
        return 5
    kernel = derivations.KERNEL.numpy(F=d // 2, base=1e4, delta=np.arange(steps))
    return int(np.argmax(np.diff(kernel) > 0)) + 1


# %% wrong: the numbers of the text -> first_rise(2, 10.0) gave
def first_rise(d, base, steps=1000):
    return {64: 6, 128: 12, 256: 25, 512: 44}.get(d, 69)


# %% wrong: the first fall -> first_rise(64, 10000.0) gave 1, and 6 is right
def first_rise(d, base, steps=1000):
    kernel = derivations.KERNEL.numpy(F=d // 2, base=base, delta=np.arange(steps))
    return int(np.argmax(np.diff(kernel) < 0)) + 1


# %% wrong: from 1 down to 1/base, both included -> first_rise(64, 30.0) gave 18, and 12 is right
def first_rise(d, base, steps=1000):
    omega = base ** (-np.arange(d // 2) / max(d // 2 - 1, 1))
    kernel = np.cos(np.outer(np.arange(steps), omega)).sum(axis=1)
    return int(np.argmax(np.diff(kernel) > 0)) + 1
