import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """More of them sum in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
