# %% right: as derived
def lengths(lead, classes):
    return 1 + np.exp(lead), 1 + classes * np.exp(2 * lead)


# %% right: by plain numbers
def lengths(lead, classes):
    e = math.exp(lead)
    return [e + 1, classes * e * e + 1]


# %% wrong: as if weight were information -> what is read falls with the square
def lengths(lead, classes):
    return 1 + np.exp(lead), 1 + classes * np.exp(lead)


# %% wrong: no values -> more values make the noise of each smaller
def lengths(lead, classes):
    return 1 + np.exp(lead), 1 + np.exp(2 * lead)


# %% wrong: from the text, without the token -> the token itself is one of the n, here too
def lengths(lead, classes):
    return 1 + np.exp(lead), classes * np.exp(2 * lead)


# %% wrong: only the others -> the token itself is one of the n
def lengths(lead, classes):
    return np.exp(lead), classes * np.exp(2 * lead)


# %% wrong: a root -> SNR is a root, n is not
def lengths(lead, classes):
    return 1 + np.exp(lead), 1 + np.sqrt(classes) * np.exp(lead)
