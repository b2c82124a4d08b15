"""Several documents in one row, kept apart by a mask: what their positions have to be."""

import pytest
import torch
from helpers.tensors import assert_close, normal

from attention_limits.attention import dense
from attention_limits.positions import alibi, learned, rotary, sinusoidal

LENGTHS = (9, 7)
ANEW = torch.cat([torch.arange(n) for n in LENGTHS])
DOCUMENT = torch.arange(2).repeat_interleave(torch.tensor(LENGTHS))
TOGETHER = DOCUMENT[:, None] == DOCUMENT  # which pairs belong to one document
TABLE = normal(20, 8, seed=1)


def at_inputs(encode):
    def attended(x, mask=None, **where):
        y = encode(x, **where)
        return dense.attend(y, y, y, causal=True, mask=mask)

    return attended


def turned(x, mask=None, positions=None):
    """Rotary, in two heads: the positions of each row are those of all its heads."""
    heads = x.unflatten(-1, (2, -1)).movedim(-2, 1)
    where = {} if positions is None else {"positions": positions[:, None]}
    q = rotary.apply(heads, **where)
    return dense.attend(q, q, heads, causal=True, mask=mask).movedim(1, -2).flatten(-2)


def sloped(x, mask=None, positions=None):
    bias = alibi.bias(
        x.shape[-2],
        x.shape[-2],
        alibi.slopes(1, dtype=x.dtype),
        positions_q=positions,
        positions_k=positions,
    )
    return dense.attend(x[:, None], x[:, None], x[:, None], causal=True, mask=mask, bias=bias)[:, 0]


WAYS = {
    "sinusoidal": at_inputs(sinusoidal.apply),
    "learned": at_inputs(lambda x, **where: learned.apply(x, TABLE, **where)),
    "rotary": turned,
    "alibi": sloped,
}


@pytest.mark.parametrize("attended", WAYS.values(), ids=WAYS)
def test_positions_that_start_anew_make_documents_as_if_alone(attended):
    """A document would depend on how long the one before it in its row is."""
    rows = normal(3, sum(LENGTHS), 8)
    packed = attended(rows, mask=TOGETHER, positions=ANEW.expand(3, -1))
    alone = torch.cat([attended(one) for one in rows.split(LENGTHS, dim=-2)], dim=-2)
    assert_close(packed, alone)


@pytest.mark.parametrize("name", WAYS)
def test_positions_that_go_on_matter_where_scores_are_not_relative(name):
    """The page says which encodings need positions that start anew."""
    rows, attended = normal(3, sum(LENGTHS), 8), WAYS[name]
    packed = attended(rows, mask=TOGETHER)
    alone = torch.cat([attended(one) for one in rows.split(LENGTHS, dim=-2)], dim=-2)
    if name in ("rotary", "alibi"):
        assert_close(packed, alone)
    else:
        assert_close(packed[:, :9], alone[:, :9])
        assert (packed - alone)[:, 9:].abs().max() > 0.1
