"""Positional encodings as parts of a Transformer: where each of them comes in, and what it learns.

A part has three hooks, of which it uses those that its place wants:

- ``at_inputs(x, where)``: the tokens, (s, batch, n, d_model), once;
- ``turned(x, where)``: queries, and keys, (s, batch, h, n, d), in each layer;
- ``bias(where)``: what is added to the scores of all layers, (..., h, n, n).

``where`` says where the tokens stand.  Shaw's encoding, whose bias depends on the queries of a
layer, has a table in each and a hook of its own.
"""

from attention_limits.models.encodings.encoding import Encoding, Where
from attention_limits.models.encodings.inputs import Learned, LstmGenerated, Sinusoidal
from attention_limits.models.encodings.products import Rotary
from attention_limits.models.encodings.scores import Alibi, RelativeBias, Shaw, TimeAware

__all__ = ["ENCODINGS", "Encoding", "Shaw", "Where"]

ENCODINGS: dict[str, type[Encoding]] = {
    "none": Encoding,
    "sinusoidal": Sinusoidal,
    "learned": Learned,
    "rotary": Rotary,
    "alibi": Alibi,
    "relative_bias": RelativeBias,
    "shaw": Shaw,
    "time_aware": TimeAware,
    "lstm_generated": LstmGenerated,
}
