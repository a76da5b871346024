"""The small network that reads images: one architecture for findings and for factors."""

import flax.linen as nn

FEATURES, WIDTHS, LAST = 128, (32, 64), 4


class Reader(nn.Module):
    """Images [b, h, w, c] in [-1, 1] -> (features [b, FEATURES], outputs [b, k]).

    Patches of 8 pixels every 4, then convolutions of stride 2 until a side is LAST at most; place is kept. Outputs are
    0 at first: of many factors most are not in the image, and random outputs for them would drown the others.
    """

    outputs: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.GroupNorm(8)(nn.Conv(WIDTHS[0], (8, 8), strides=4)(x)))
        while max(x.shape[1:3]) > LAST:
            x = nn.relu(nn.GroupNorm(8)(nn.Conv(WIDTHS[1], (3, 3), strides=2)(x)))
        features = nn.relu(nn.Dense(FEATURES)(x.reshape(len(x), -1)))
        return features, nn.Dense(self.outputs, kernel_init=nn.initializers.zeros)(features)
