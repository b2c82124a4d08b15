"""What is still being measured."""

# Experiments whose records are still being measured. It only gets shorter.
UNDER_WAY = {
    "most_recent",
    "three_back",
    "first_token",
    "cures",
    "fine_tuning",
    "log_n",
    "without_positions",
    "score_frequencies",
    "relative_share",
    "encoding_time",
}
