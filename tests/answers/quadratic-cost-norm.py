# %% right: row by row
def normalise_back(x, u):
    rows = []
    for row, grad in zip(x, u):
        square = row @ row
        rows.append((grad - row * (row @ grad) / square) / np.sqrt(square))
    return np.array(rows)


# %% right: by PyTorch's product with the Jacobian
def normalise_back(x, u):
    rows = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.normalize(rows, dim=-1)
    (found,) = torch.autograd.grad(y, rows, torch.tensor(u))
    return found.numpy()


# %% right: in plain Python
def normalise_back(x, u):
    found = []
    for row, grad in zip(x.tolist(), u.tolist()):
        length = sum(a * a for a in row) ** 0.5
        along = sum(a * b for a, b in zip(row, grad)) / length**2
        found.append([(b - a * along) / length for a, b in zip(row, grad)])
    return found


# %% right: with einsum
def normalise_back(x, u):
    length = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    along = np.einsum("ij,ij->i", x, u)[:, None]
    return u / length - x * along / length**3


# %% wrong: the Jacobians are written out -> Right, but of order n² a row
def normalise_back(x, u):
    length = np.linalg.norm(x, axis=-1)[:, None, None]
    y = x[:, :, None] / length
    jacobian = (np.eye(x.shape[-1]) - y * y.transpose(0, 2, 1)) / length
    return np.einsum("rij,ri->rj", jacobian, u)


# %% wrong: one Jacobian at a time -> Right, but of order n² a row
def normalise_back(x, u):
    found = []
    for row, grad in zip(x, u):
        y = row / np.sqrt((row * row).sum())
        found.append((np.eye(len(row)) - np.outer(y, y)) @ grad / np.sqrt((row * row).sum()))
    return np.stack(found)


# %% wrong: one row of a Jacobian at a time, which never holds much -> Right, but of order n² a row
def normalise_back(x, u):
    found = np.zeros_like(u)
    for r, (row, grad) in enumerate(zip(x, u)):
        length = np.sqrt((row * row).sum())
        for i in range(len(row)):
            of_i = -row * row[i] / length**3
            of_i[i] += 1 / length
            found[r, i] = (of_i * grad).sum()
    return found


# %% wrong: two loops over a row in plain Python -> Right, but of order n² a row
def normalise_back(x, u):
    found = []
    for row, grad in zip(x.tolist(), u.tolist()):
        n, length = len(row), sum(a * a for a in row) ** 0.5
        out = [0.0] * n
        for i in range(n):
            for j in range(n):
                out[j] += grad[i] * ((i == j) / length - row[i] * row[j] / length**3)
        found.append(out)
    return found


# %% wrong: PyTorch writes the Jacobian out -> Right, but of order n² a row
def normalise_back(x, u):
    def unit(row):
        return row / row.norm()

    rows = [torch.tensor(row) for row in x]
    full = [torch.autograd.functional.jacobian(unit, row) for row in rows]
    return np.stack([(torch.tensor(g) @ J).numpy() for g, J in zip(u, full)])


# %% wrong: nothing is removed -> what points along x has to go
def normalise_back(x, u):
    return u / np.linalg.norm(x, axis=-1, keepdims=True)


# %% wrong: not divided by the length -> divide by the length of each row
def normalise_back(x, u):
    y = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return u - y * (u * y).sum(-1, keepdims=True)


# %% wrong: one length for all rows -> is right (at [0, 0]
def normalise_back(x, u):
    length = np.linalg.norm(x)
    y = x / length
    return (u - y * (u * y).sum(-1, keepdims=True)) / length


# %% wrong: x in place of y -> is right (at [0, 0]
def normalise_back(x, u):
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return (u - x * (u * x).sum(-1, keepdims=True)) / length


# %% wrong: what is removed is added -> is right (at [0, 0]
def normalise_back(x, u):
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    y = x / length
    return (u + y * (u * y).sum(-1, keepdims=True)) / length
