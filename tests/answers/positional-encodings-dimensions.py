# %% right: singular values of the commutator
def dimension(frequencies):
    d = 2 * len(frequencies)
    R = np.zeros((d, d))
    for i, w in enumerate(frequencies):
        R[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [
            [np.cos(w), -np.sin(w)],
            [np.sin(w), np.cos(w)],
        ]
    basis = np.eye(d * d).reshape(-1, d, d)
    commutators = (basis @ R - R @ basis).reshape(d * d, d * d)
    return int((np.linalg.svd(commutators)[1] < 1e-9).sum())


# %% right: pairs of eigenvalues that are equal
def dimension(frequencies):
    angles = np.concatenate([frequencies, -np.asarray(frequencies)])
    values = np.exp(1j * angles)
    return int(np.isclose(np.abs(np.subtract.outer(values, values)), 0, atol=1e-9).sum())


# %% wrong: what is lost and not what is left -> so many are lost
def dimension(frequencies):
    d = 2 * len(frequencies)
    R = np.zeros((d, d))
    for i, w in enumerate(frequencies):
        R[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [
            [np.cos(w), np.sin(w)],
            [-np.sin(w), np.cos(w)],
        ]
    return int(np.linalg.matrix_rank(np.kron(R.T, R.T) - np.eye(d * d), tol=1e-9))


# %% wrong: two for each pair -> equal frequencies mix
def dimension(frequencies):
    return 2 * len(frequencies)


# %% wrong: equal frequencies mix, and nothing else -> leaves all four numbers of a pair free
def dimension(frequencies):
    return sum(2 * frequencies.count(w) ** 2 for w in set(frequencies))


# %% wrong: 0 and π are free, each pair for itself -> pairs that do not turn mix, too
def dimension(frequencies):
    still = sum(abs(np.sin(w)) < 1e-9 for w in frequencies)
    others = [w for w in frequencies if abs(np.sin(w)) > 1e-9]
    return 4 * still + sum(2 * others.count(w) ** 2 for w in set(others))


# %% wrong: no aliasing -> on whole tokens these are the same
def dimension(frequencies):
    still = [frequencies.count(0.0), frequencies.count(np.pi)]
    others = [w for w in frequencies if w not in (0.0, np.pi)]
    return sum((2 * m) ** 2 for m in still) + sum(2 * others.count(w) ** 2 for w in set(others))


# %% wrong: two that turn in opposite directions do not mix -> turning the other way
def dimension(frequencies):
    turns = [w if w < np.pi + 1e-9 else 2 * np.pi - w for w in frequencies]
    still = [turns.count(0.0), turns.count(np.pi)]
    others = np.array([w for w in turns if w not in (0.0, np.pi)])
    return sum((2 * m) ** 2 for m in still) + 2 * int(
        (np.abs(np.subtract.outer(others, others)) < 1e-9).sum()
    )


# %% wrong: angles in degrees -> is right
def dimension(frequencies):
    angles = np.radians(np.concatenate([frequencies, -np.asarray(frequencies)]))
    values = np.exp(1j * angles)
    return int(np.isclose(np.abs(np.subtract.outer(values, values)), 0, atol=1e-9).sum())
