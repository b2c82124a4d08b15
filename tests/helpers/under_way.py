"""What is still being measured."""

# Experiments whose records are still being measured. It only gets shorter.
UNDER_WAY = {
    "fine_tuning",
    "log_n",
    "encoding_time",
}
