"""What is still being measured."""

# Experiments whose records are still being measured. It only gets shorter.
UNDER_WAY = {
    "log_n",
}
