# %% right: powers of a pseudo-inverse
def continued(table, more):
    shift = np.linalg.pinv(table[:-1]) @ table[1:]
    return np.stack([table[-1] @ np.linalg.matrix_power(shift, k + 1) for k in range(more)])


# %% right: columns in place of rows, and only some of them
def continued(table, more):
    E = table.T
    step = np.linalg.lstsq(E[:, :-1].T, E[:, 1:].T, rcond=1e-12)[0].T
    found = [step @ E[:, -1]]
    while len(found) < more:
        found.append(step @ found[-1])
    return np.array(found)


# %% wrong: begins with the last row -> the last row is there already
def continued(table, more):
    shift = np.linalg.lstsq(table[:-1], table[1:], rcond=None)[0]
    return np.stack([table[-1] @ np.linalg.matrix_power(shift, k) for k in range(more)])


# %% wrong: the last row again and again -> that repeats the last row
def continued(table, more):
    return np.tile(table[-1], (more, 1))


# %% wrong: the table again -> that begins again with the first row
def continued(table, more):
    return np.resize(table, (more, table.shape[1]))


# %% wrong: a straight line -> the rows lie on no straight line
def continued(table, more):
    step = table[-1] - table[-2]
    return np.stack([table[-1] + (k + 1) * step for k in range(more)])


# %% wrong: the shift back -> is right (at [0, 0]
def continued(table, more):
    shift = np.linalg.lstsq(table[1:], table[:-1], rcond=None)[0]
    return np.stack([table[-1] @ np.linalg.matrix_power(shift, k + 1) for k in range(more)])


# %% wrong: the shift from the wrong side -> is right (at [0, 0]
def continued(table, more):
    shift = np.linalg.lstsq(table[:-1], table[1:], rcond=None)[0]
    return np.stack([np.linalg.matrix_power(shift, k + 1) @ table[-1] for k in range(more)])


# %% wrong: one step for each of the last rows -> is right
def continued(table, more):
    shift = np.linalg.lstsq(table[:-1], table[1:], rcond=None)[0]
    return np.resize(table[-1] @ shift, (more, table.shape[1]))


# %% wrong: table and all -> should return an array of shape (100, 8), and returned an array of shape (140, 8)
def continued(table, more):
    shift = np.linalg.lstsq(table[:-1], table[1:], rcond=None)[0]
    rows = list(table)
    for _ in range(more):
        rows.append(rows[-1] @ shift)
    return np.stack(rows)


# %% wrong: without its disguise -> is right (at [0, 0]
def continued(table, more):
    n, d = table.shape
    return sinusoidal.encoding(torch.arange(n, n + more), d).numpy()
