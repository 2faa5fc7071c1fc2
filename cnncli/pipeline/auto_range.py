"""Whether a result is clipped to 0..1 where ``--range auto`` chooses which values are shown."""

from __future__ import annotations

from cnncli.io.images import Picture
from cnncli.network.graph import Network
from cnncli.render.finite_values import measure


def clips_by_default(network: Network, picture: Picture) -> bool:
    """Tell whether the range ``auto`` of a network's result is 0..1.

    So it is for 2-D filters and for what keeps a picture a picture, where the input lies in 0..1,
    but not behind layers that scale. For all other results see `render.layer_ranges`.

    Parameters
    ----------
    network : Network
    picture : Picture

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.network.layers import PoolLayer
    >>> picture = Picture(np.zeros((1, 4, 6, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> clips_by_default(Network.chain(PoolLayer()), picture)
    True
    """
    pictures = network.filters_channels or (network.keeps_channels and picture.is_picture)
    return pictures and not network.scales and lies_in_0_to_1(picture)


def lies_in_0_to_1(picture: Picture) -> bool:
    """Tell whether all finite values of a picture or array lie in 0..1.

    Examples
    --------
    >>> import numpy as np
    >>> pixels = np.array([0.0, 1.0, np.inf, np.nan]).reshape(1, 2, 2, 1)
    >>> lies_in_0_to_1(Picture(pixels, 1.0, False, False, (), "a.npy"))
    True
    """
    if picture.pixels.dtype.kind == "u":
        return True
    lo, hi = measure(picture.pixels).limits
    return lo >= 0 and hi <= picture.scale
