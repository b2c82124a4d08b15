"""What a row of a panel shows, as ``figures.rows`` draws it."""


def marks_of(axes, row):
    """The means of a row, by whether they are hollow, and its crosses."""
    own = [line for line in axes.lines if len(line.get_xdata()) == 1]
    own = [line for line in own if round(line.get_ydata()[0]) == row]
    means = {
        line.get_markerfacecolor() == "none": line.get_xdata()[0]
        for line in own
        if line.get_marker() == "o"
    }
    return means, [line.get_xdata()[0] for line in own if line.get_marker() == "x"]
