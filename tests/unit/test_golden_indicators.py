"""Values agree with TA-Lib where it has the indicator and with pandas-ta-classic elsewhere, on real SPY bars."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pandas_ta_classic  # noqa: F401, gives frames their .ta
import pytest
import talib

from finscale.indicators.catalogue import compute
from tests.conftest import real

Reference = Callable[[pd.DataFrame], pd.Series]


@pytest.fixture(scope="module")
def spy() -> pd.DataFrame:
    return real("SPY")


@pytest.fixture(scope="module")
def features(spy: pd.DataFrame) -> pd.DataFrame:
    return compute(spy, "a500")


def close(b: pd.DataFrame) -> np.ndarray:
    return b["close"].to_numpy()


def hlc(b: pd.DataFrame) -> tuple[np.ndarray, ...]:
    return tuple(b[name].to_numpy() for name in ("high", "low", "close"))


def volume(b: pd.DataFrame) -> np.ndarray:
    return b["volume"].to_numpy()


def away(average: Callable[[np.ndarray, int], np.ndarray], period: int) -> Reference:
    return lambda b: (close(b) - average(close(b), period)) / close(b)


TALIB: dict[str, Reference] = {
    "return_20": lambda b: talib.ROCP(close(b), 20),
    "sma_distance_50": away(talib.SMA, 50),
    "ema_distance_100": away(talib.EMA, 100),
    "wma_distance_20": away(talib.WMA, 20),
    "dema_distance_20": away(talib.DEMA, 20),
    "tema_distance_20": away(talib.TEMA, 20),
    "kama_distance_30": away(talib.KAMA, 30),
    "trima_distance_50": away(talib.TRIMA, 50),
    "t3_distance_10": away(talib.T3, 10),
    "hma_distance_20": away(talib.HMA, 20),
    "regression_distance_20": away(talib.LINEARREG, 20),
    "rsi_21": lambda b: talib.RSI(close(b), 21),
    "macd_histogram_12_26_9": lambda b: 100 * talib.MACD(close(b), 12, 26, 9)[2] / close(b),
    "stochastic_k_14_3_3": lambda b: talib.STOCH(*hlc(b), 14, 3, 0, 3, 0)[0],
    "stochastic_d_14_3_3": lambda b: talib.STOCH(*hlc(b), 14, 3, 0, 3, 0)[1],
    "williams_r_14": lambda b: talib.WILLR(*hlc(b), 14),
    "cci_20": lambda b: talib.CCI(*hlc(b), 20),
    "trix_15": lambda b: talib.TRIX(close(b), 15),
    "ultimate_7_14_28": lambda b: talib.ULTOSC(*hlc(b)),
    "tsi_25_13": lambda b: talib.TSI(close(b), 25, 13),
    "natr_14": lambda b: talib.NATR(*hlc(b), 14),
    "true_range_ratio_14": lambda b: talib.TRANGE(*hlc(b)) / talib.ATR(*hlc(b), 14),
    "efficiency_20": lambda b: talib.CMOU(close(b), 20) / 100,
    "vertical_horizontal_28": lambda b: talib.VHF(close(b), 28),
    "time_correlation_50": lambda b: talib.CORREL(close(b), np.arange(float(len(b))), 50),
    "regression_slope_50": lambda b: 100 * talib.LINEARREG_SLOPE(close(b), 50) / close(b),
    "adx_28": lambda b: talib.ADX(*hlc(b), 28),
    "plus_di_14": lambda b: talib.PLUS_DI(*hlc(b), 14),
    "aroon_oscillator_25": lambda b: talib.AROONOSC(*hlc(b)[:2], 25),
    "sar_distance_0.02_0.2": lambda b: 1 - talib.SAR(*hlc(b)[:2], 0.02, 0.2) / close(b),
    "supertrend_distance_10_3.0": lambda b: 1 - talib.SUPERTREND(*hlc(b), 10, 3.0)[0] / close(b),
    "mfi_14": lambda b: talib.MFI(*hlc(b), volume(b), 14),
    "cmf_20": lambda b: talib.CMF(*hlc(b), volume(b), 20),
    "pvo_12_26": lambda b: talib.PVO(volume(b), 12, 26),
    "volatility_20": lambda b: talib.STDDEV(talib.LN(talib.ROCR(close(b), 1)), 20) * np.sqrt(20 / 19),
}

PANDAS_TA: dict[str, Reference] = {
    "return_5": lambda b: b.ta.percent_return(length=5),
    "log_return_20": lambda b: b.ta.log_return(length=20),
    "up_share_10": lambda b: b.ta.psl(length=10) / 100,
    "choppiness_14": lambda b: b.ta.chop(length=14),
    "ulcer_14": lambda b: b.ta.ui(length=14),
    "ppo_12_26": lambda b: b.ta.ppo(fast=12, slow=26, mamode="ema").iloc[:, 0],
    "bb_width_20_2.0": lambda b: b.ta.bbands(length=20, std=2, ddof=0)["BBB_20_2.0"] / 100,
    "bb_percent_b": lambda b: b.ta.bbands(length=20, std=2, ddof=0)["BBP_20_2.0"],
    "coppock_10_11_14": lambda b: b.ta.coppock(length=10, fast=11, slow=14),
    "mass_9_25": lambda b: b.ta.massi(fast=9, slow=25),
    "vortex_14": lambda b: b.ta.vortex(length=14).iloc[:, 0] - b.ta.vortex(length=14).iloc[:, 1],
    "awesome_5_34": lambda b: b.ta.ao(fast=5, slow=34) / b["close"],
    "aroon_up_25": lambda b: b.ta.aroon(length=25)["AROONU_25"],
    "midprice_distance_26": lambda b: 1 - b.ta.midprice(length=26) / b["close"],
}


@pytest.mark.parametrize("name", TALIB)
def test_values_agree_with_ta_lib(name: str, spy: pd.DataFrame, features: pd.DataFrame) -> None:
    check_agree(features[name].to_numpy(), np.asarray(TALIB[name](spy)))


@pytest.mark.parametrize("name", PANDAS_TA)
def test_values_agree_with_pandas_ta_classic(name: str, spy: pd.DataFrame, features: pd.DataFrame) -> None:
    check_agree(features[name].to_numpy(), PANDAS_TA[name](spy).to_numpy(dtype=float))


def check_agree(ours: np.ndarray, reference: np.ndarray) -> None:
    both = ~np.isnan(ours) & ~np.isnan(reference)
    assert both.sum() > 8000
    np.testing.assert_allclose(ours[both], reference[both], rtol=1e-9, atol=1e-9)


def test_estimators_of_variance_are_their_papers_formulas(spy: pd.DataFrame, features: pd.DataFrame) -> None:
    log = np.log(spy[["open", "high", "low", "close"]])
    high_low, close_open = log["high"] - log["low"], log["close"] - log["open"]
    parkinson = np.sqrt((high_low**2).rolling(20).mean() / (4 * np.log(2)))
    garman_klass = np.sqrt((0.5 * high_low**2 - (2 * np.log(2) - 1) * close_open**2).rolling(20).mean())
    overnight = log["open"] - log["close"].shift()
    drift_free = (log["high"] - log["close"]) * (log["high"] - log["open"])
    drift_free += (log["low"] - log["close"]) * (log["low"] - log["open"])
    k = 0.34 / (1.34 + 21 / 19)
    yang_zhang = np.sqrt(
        overnight.rolling(20).var() + k * close_open.rolling(20).var() + (1 - k) * drift_free.rolling(20).mean()
    )
    check_agree(features["parkinson_20"].to_numpy(), parkinson.to_numpy())
    check_agree(features["garman_klass_20"].to_numpy(), garman_klass.to_numpy())
    check_agree(features["yang_zhang_20"].to_numpy(), yang_zhang.to_numpy())


def test_moments_and_ranks_are_those_of_pandas(spy: pd.DataFrame, features: pd.DataFrame) -> None:
    returns = np.log(spy["close"]).diff()
    n = 60
    skewness = returns.rolling(n).skew() * (n - 2) / np.sqrt(n * (n - 1))
    check_agree(features["skewness_60"].to_numpy(), skewness.to_numpy())
    # G2 = (n-1)/((n-2)(n-3)) ((n+1) g2 + 6)  =>  g2 + 3 is the plain fourth standardised moment
    excess = (returns.rolling(n).kurt() * (n - 2) * (n - 3) / (n - 1) - 6) / (n + 1)
    check_agree(features["kurtosis_60"].to_numpy(), (excess + 3).to_numpy())
