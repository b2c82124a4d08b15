# %% right: one weight after the other
def factors(height, width, offset, alpha):
    def along(side, by):
        rows = []
        for here in range(side):
            row = [np.exp(-alpha * (there - here - by) ** 2) for there in range(side)]
            rows.append([weight / sum(row) for weight in row])
        return rows

    return along(height, offset[0]), along(width, offset[1])


# %% right: sums of the whole matrix
def factors(height, width, offset, alpha):
    n = height * width
    whole = head(np.eye(n), np.eye(n), offset, alpha, (height, width))
    whole = whole.reshape(height, width, height, width)
    return whole.sum(axis=3)[:, 0], whole.sum(axis=2)[0]


# %% wrong: rows and columns exchanged -> rows and columns are exchanged
def factors(height, width, offset, alpha):
    def along(side, by):
        places = np.arange(side)
        weights = np.exp(-alpha * (places[None] - places[:, None] - by) ** 2)
        return weights / weights.sum(axis=1, keepdims=True)

    return along(height, offset[1]), along(width, offset[0])


# %% wrong: aimed the other way -> it aims the other way
def factors(height, width, offset, alpha):
    def along(side, by):
        places = np.arange(side)
        weights = np.exp(-alpha * (places[None] - places[:, None] + by) ** 2)
        return weights / weights.sum(axis=1, keepdims=True)

    return along(height, offset[0]), along(width, offset[1])


# %% wrong: not normalised -> in part 1 of what it returns
def factors(height, width, offset, alpha):
    def along(side, by):
        places = np.arange(side)
        return np.exp(-alpha * (places[None] - places[:, None] - by) ** 2)

    return along(height, offset[0]), along(width, offset[1])


# %% wrong: a distance that is not squared -> in part 1 of what it returns
def factors(height, width, offset, alpha):
    def along(side, by):
        places = np.arange(side)
        weights = np.exp(-alpha * abs(places[None] - places[:, None] - by))
        return weights / weights.sum(axis=1, keepdims=True)

    return along(height, offset[0]), along(width, offset[1])


# %% wrong: half of alpha for each -> in part 1 of what it returns
def factors(height, width, offset, alpha):
    def along(side, by):
        places = np.arange(side)
        weights = np.exp(-alpha / 2 * (places[None] - places[:, None] - by) ** 2)
        return weights / weights.sum(axis=1, keepdims=True)

    return along(height, offset[0]), along(width, offset[1])


# %% wrong: columns of the matrix sum to one -> in part 1 of what it returns
def factors(height, width, offset, alpha):
    def along(side, by):
        places = np.arange(side)
        weights = np.exp(-alpha * (places[None] - places[:, None] - by) ** 2)
        return weights / weights.sum(axis=0, keepdims=True)

    return along(height, offset[0]), along(width, offset[1])
