"""QLIKE: the loss of variance forecasts that stays right when volatility is only seen through a noisy proxy.

    L = v / f - log(v / f) - 1      v realised, f forecast variance (Patton 2011, "Volatility forecast comparison using
                                    imperfect volatility proxies", Journal of Econometrics 160)

0 for a perfect forecast, and dearer for a forecast that is too low than for one that is as much too high.
"""

import numpy as np


def qlike_rows(log_volatility: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """QLIKE of each row, from realised and forecast log volatilities (the label and predictions of `volatility`).

    Predictions of a log are its mean, not the log of a mean variance: every model and baseline here is read alike.
    """
    log_ratio = 2 * (log_volatility - forecast)
    return np.asarray(np.exp(log_ratio) - log_ratio - 1)
