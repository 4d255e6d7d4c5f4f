"""The cause in a message of torch, without the code around it."""

from __future__ import annotations

import pytest

from triton_operator.export.torch_message import sentence

SCRIPTING = """
Arguments for call are not valid.
The following variants are available:

  aten::softmax.int(Tensor self, int dim) -> Tensor:
  Expected a value of type 'int' for argument 'dim' but instead found type 'str'.

The original call is:
  File "/home/me/net.py", line 16
    def forward(s,x):
        return torch.softmax(x, dim="a")
               ~~~~~~~~~~~~~ <--- HERE
"""
CALLED = """
'Tensor (inferred)' object has no attribute or method 'foo'.:
  File "/home/me/net.py", line 41
def helper(y):
    return y.foo(1)
           ~~~~~ <--- HERE
'helper' is being compiled since it was called from 'I.forward'
  File "/home/me/net.py", line 39
    def forward(s,x):
        return helper(x)
               ~~~~~~~~ <--- HERE
"""
RUNNING = """The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__/net.py", line 10, in forward
    _0 = torch.relu((convolution).forward(x, ))
                     ~~~~~~~~~~~~~~~~~~~~ <--- HERE
    return _0
  def _conv_forward(self: __torch__.torch.nn.modules.conv.Conv2d,
  File "code/__torch__/torch/nn/modules/conv.py", line 29, in _conv_forward
    _1 = torch.conv2d(input, weight)
         ~~~~~~~~~~~~ <--- HERE
    return _1

Traceback of TorchScript, original code (most recent call last):
  File "/home/me/net.py", line 28, in forward
        return self.convolution(x)
               ~~~~~~~~~~~~~~~~ <--- HERE
RuntimeError: expected padding to be a single integer value, but got padding=[0, 0]
"""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            SCRIPTING,
            (
                "Arguments for call are not valid. aten::softmax.int(Tensor self, int dim) -> Tensor: Expected a value "
                "of type 'int' for argument 'dim' but instead found type 'str'. (net.py, line 16)"
            ),
        ),
        (CALLED, "'Tensor (inferred)' object has no attribute or method 'foo'. (net.py, line 41)"),
        (RUNNING, "expected padding to be a single integer value, but got padding=[0, 0] (net.py, line 28)"),
        ("one line", "one line"),
        ("", "RuntimeError"),
        ("\n \n~~~~\n", "RuntimeError"),
    ],
)
def test_the_cause_stands_in_one_line(message: str, expected: str) -> None:
    assert sentence(RuntimeError(message)) == expected


def test_a_long_message_keeps_both_ends() -> None:
    text = sentence(RuntimeError("first " + "x" * 5000 + " last"))
    assert text.startswith("first ")
    assert text.endswith(" last")
    assert len(text) < 600
