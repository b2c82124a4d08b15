# %% right: as derived
def field(widths, strides):
    pixels, apart = 1, 1
    for width, stride in zip(widths, strides):
        pixels += (width - 1) * apart
        apart *= stride
    return pixels


# %% right: from the last layer down
def field(widths, strides):
    pixels = 1
    for width, stride in zip(reversed(widths), reversed(strides)):
        pixels = (pixels - 1) * stride + width
    return pixels


# %% wrong: no strides -> a stride makes taps of later layers lie further apart
def field(widths, strides):
    return 1 + sum(width - 1 for width in widths)


# %% wrong: its own stride, too -> a layer's own stride moves its outputs, not its taps
def field(widths, strides):
    pixels, apart = 1, 1
    for width, stride in zip(widths, strides):
        apart *= stride
        pixels += (width - 1) * apart
    return pixels


# %% wrong: without the first -> how many pixels: the first counts, too
def field(widths, strides):
    pixels, apart = 0, 1
    for width, stride in zip(widths, strides):
        pixels += (width - 1) * apart
        apart *= stride
    return pixels


# %% wrong: all taps -> each layer adds one tap less than it has
def field(widths, strides):
    return sum(widths)
