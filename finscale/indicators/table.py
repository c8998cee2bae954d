"""The table of indicators: family x function x periods, with description and warm-up, tier by tier (SPEC 4).

Columns: name, function, what it is, rows before its first value, and the periods that each tier adds. A tuple
(n,) or ((a, b),) gives one feature per entry. Higher tiers hold no price levels: distances, ratios and
oscillators only.

Left out, because a feature may not repeat another (|correlation| > 0.9999 on SPY or NVDA) or be constant:
averages in price units beyond those of a20 (one another's copies); ROC and momentum (the return); CMO with
Wilder's smoothing (2 RSI - 100) and without (signed efficiency); the fast stochastic (100 + Williams %R); APO
(MACD); Donchian's and Ichimoku's lines (midprice); the change of the A/D line per volume (Chaikin money flow);
signs of crossovers and trends, which are constant on monthly bars (the spread or the distance carries the sign);
NVI, PVI and PVT as running sums (unbounded).
"""

from functools import partial

import talib

from finscale.indicators import momentum, moving_averages, price, trend, volatility, volume
from finscale.indicators.feature import Row, row

ma = moving_averages


def none() -> int:
    return 0


def one() -> int:
    return 1


def window(n: int, *_: float) -> int:
    """A window of n bars."""
    return n - 1


def span(n: int, *_: float) -> int:
    """A window of n changes, or a value n bars back."""
    return n


def slower(*periods: int) -> int:
    """The longest of several windows of bars."""
    return max(periods) - 1


TABLE: dict[str, tuple[Row, ...]] = {
    "price": (
        row("return_{}", price.simple_return, "return over {} bars", span,
            a50=(1, 2, 5, 10, 20), a200=(3, 60, 120), a500=(4, 15, 30, 40, 90, 200)),
        row("log_return_{}", price.log_return, "log return over {} bars", span, a500=(20, 60, 120)),
        row("body", price.body, "close over open, minus 1", none, a50=((),)),
        row("gap", price.gap, "open over the previous close, minus 1", one, a50=((),)),
        row("range", price.bar_range, "high minus low over the close", none, a50=((),)),
        row("close_location", price.close_location, "where the close lies in the bar, 0 to 1", none, a100=((),)),
        row("upper_shadow", price.upper_shadow, "high above the body over the close", none, a100=((),)),
        row("lower_shadow", price.lower_shadow, "body above the low over the close", none, a100=((),)),
        row("mean_body_{}", price.mean_body, "mean of body, {} bars", window, a500=(5, 10, 20, 50)),
        row("mean_gap_{}", price.mean_gap, "mean of gap, {} bars", span, a500=(5, 10, 20, 50)),
        row("drawdown_{}", price.drawdown, "close over the highest of {} closes, minus 1", window,
            a100=(20,), a200=(50, 100, 200), a500=(10, 150)),
        row("rise_{}", price.rise, "close over the lowest of {} closes, minus 1", window,
            a100=(20,), a200=(50, 100, 200), a500=(10, 150)),
        row("up_share_{}", price.up_share, "share of rising closes in {} bars", span, a200=(10, 20), a500=(5, 50, 100)),
        row("largest_return_{}", price.largest_return, "largest daily return of {} bars", span, a500=(10, 20, 60)),
        row("smallest_return_{}", price.smallest_return, "smallest daily return of {} bars", span, a500=(10, 20, 60)),
        row("return_per_risk_{}", price.return_per_risk, "return over root of summed squares, {} bars", span,
            a500=(10, 20, 60, 120)),
        row("autocorrelation_{}", price.autocorrelation, "first autocorrelation of log returns, {} bars",
            lambda n: n + 1, a500=(20, 60, 120)),
    ),
    "moving average": (
        row("sma_distance_{}", partial(ma.distance, talib.SMA), "close minus SMA {} over the close", window,
            a50=(5, 10, 20, 50, 100, 200), a500=(3, 15, 30, 75, 150)),
        row("ema_distance_{}", partial(ma.distance, talib.EMA), "close minus EMA {} over the close", window,
            a50=(20, 50), a100=(5, 10, 100, 200), a500=(3, 30, 75, 150)),
        row("wma_distance_{}", partial(ma.distance, talib.WMA), "close minus WMA {} over the close", window,
            a200=(10, 20, 50), a500=(5, 100, 200)),
        row("dema_distance_{}", partial(ma.distance, talib.DEMA), "close minus DEMA {} over the close",
            lambda n: 2 * (n - 1), a200=(10, 20), a500=(5, 50, 100)),
        row("tema_distance_{}", partial(ma.distance, talib.TEMA), "close minus TEMA {} over the close",
            lambda n: 3 * (n - 1), a200=(10, 20), a500=(5, 30, 50)),
        row("kama_distance_{}", partial(ma.distance, talib.KAMA), "close minus KAMA {} over the close", span,
            a200=(10, 30), a500=(50,)),
        row("trima_distance_{}", partial(ma.distance, talib.TRIMA), "close minus triangular average {} over the close",
            window, a500=(10, 20, 50)),
        row("t3_distance_{}", partial(ma.distance, talib.T3), "close minus T3 {} over the close",
            lambda n: 6 * (n - 1), a500=(5, 10)),
        row("hma_distance_{}", partial(ma.distance, talib.HMA), "close minus Hull average {} over the close",
            lambda n: n + int(n**0.5) - 2, a500=(9, 20, 50)),
        row("regression_distance_{}", partial(ma.distance, talib.LINEARREG), "close minus regression line {} over it",
            window, a500=(10, 20, 50, 100)),
        row("midprice_distance_{}", ma.midprice_distance, "close minus middle of {} bars over the close", window,
            a200=(9, 26, 52), a500=(20, 100)),
        row("sma_spread_{}_{}", partial(ma.spread, talib.SMA), "SMA {} minus SMA {} over the close", slower,
            a50=((5, 20), (20, 50), (50, 200)), a100=((10, 50), (20, 100)), a200=((5, 10), (10, 20), (100, 200)),
            a500=((10, 30), (20, 200), (50, 100))),
        row("ema_spread_{}_{}", partial(ma.spread, talib.EMA), "EMA {} minus EMA {} over the close", slower,
            a100=((5, 20), (20, 50)), a200=((50, 200),), a500=((8, 21), (10, 100), (20, 200))),
        row("sma_slope_{}_{}", partial(ma.slope, talib.SMA), "SMA {}, change over {} bars over the close",
            lambda n, k: n - 1 + k, a200=((20, 5), (50, 5), (200, 20)), a500=((10, 3), (100, 10), (20, 20), (50, 20))),
    ),
    "momentum": (
        row("rsi_{}", momentum.rsi, "relative strength index, {} bars", span,
            a50=(21, 50), a100=(7,), a200=(3, 9, 28), a500=(2, 5, 35, 100)),
        row("macd_signal_{}_{}_{}", momentum.macd_signal, "signal line of MACD {}/{}/{} over the close",
            lambda f, s, n: s + n - 2, a100=((12, 26, 9),), a500=((5, 35, 5), (24, 52, 18))),
        row("macd_histogram_{}_{}_{}", momentum.macd_histogram, "MACD {}/{}/{} minus its signal over the close",
            lambda f, s, n: s + n - 2, a50=((12, 26, 9),), a500=((5, 35, 5), (24, 52, 18))),
        row("ppo_{}_{}", momentum.ppo, "EMA {} minus EMA {} over the latter", slower, a50=((12, 26),), a500=((5, 35),)),
        row("stochastic_k_{}_{}_{}", momentum.stochastic_k, "stochastic {}/{}/{}, %K", lambda k, s, d: k + s + d - 3,
            a50=((14, 3, 3),), a200=((5, 3, 3), (50, 3, 3)), a500=((21, 5, 5), (100, 5, 5))),
        row("stochastic_d_{}_{}_{}", momentum.stochastic_d, "stochastic {}/{}/{}, %D", lambda k, s, d: k + s + d - 3,
            a100=((14, 3, 3),), a200=((5, 3, 3),), a500=((21, 5, 5), (100, 5, 5))),
        row("stochrsi_{}_{}_{}", momentum.stochrsi, "stochastic {}/{}/{} of the RSI, %K", lambda n, k, d: n + k + d - 2,
            a200=((14, 14, 3),), a500=((21, 14, 3), (7, 7, 3), (50, 20, 5))),
        row("stochrsi_d_{}_{}_{}", momentum.stochrsi_d, "stochastic {}/{}/{} of the RSI, %D",
            lambda n, k, d: n + k + d - 2, a500=((14, 5, 3), (14, 14, 3), (21, 14, 3))),
        row("williams_r_{}", momentum.williams_r, "Williams %R, {} bars", window,
            a100=(14,), a200=(5, 28, 50, 100), a500=(3, 10, 20, 200)),
        row("cci_{}", momentum.cci, "commodity channel index, {} bars", window,
            a50=(20,), a100=(14,), a200=(50,), a500=(5, 100)),
        row("trix_{}", momentum.trix, "rate of change of a triple EMA {}", lambda n: 3 * (n - 1) + 1,
            a100=(15,), a200=(5,), a500=(9, 30)),
        row("ultimate_{}_{}_{}", momentum.ultimate, "ultimate oscillator {}/{}/{}", lambda a, b, c: max(a, b, c),
            a100=((7, 14, 28),), a500=((4, 8, 16), (14, 28, 56))),
        row("tsi_{}_{}", momentum.tsi, "true strength index {}/{}", lambda a, b: a + b - 1,
            a200=((25, 13),), a500=((13, 7), (50, 25))),
        row("smi_{}_{}_{}", momentum.smi, "stochastic momentum index {}/{}/{}", lambda n, f, s: n + f + s - 2,
            a500=((13, 2, 25), (10, 3, 3), (20, 5, 5))),
        row("coppock_{}_{}_{}", momentum.coppock, "Coppock curve {}/{}/{}", lambda w, a, b: w + max(a, b) - 1,
            a500=((10, 11, 14), (5, 6, 8), (20, 22, 28))),
        row("awesome_{}_{}", momentum.awesome, "awesome oscillator {}/{} over the close", slower,
            a500=((5, 34), (3, 10), (10, 60))),
        row("balance_of_power_{}", momentum.balance_of_power, "mean balance of power, {} bars", window,
            a200=(14,), a500=(5, 50)),
        row("intraday_momentum_{}", momentum.intraday_momentum, "intraday momentum index, {} bars", window,
            a200=(14,), a500=(28, 50)),
        row("change_per_atr_{}_{}", momentum.change_per_atr, "change over {} bars per ATR {}", lambda n, a: max(n, a),
            a200=((1, 14), (5, 14), (20, 14)), a500=((2, 14), (10, 14), (60, 50))),
    ),
    "volatility": (
        row("natr_{}", volatility.natr, "ATR {} over the close, percent", span,
            a50=(14,), a100=(21,), a500=(5, 7, 50, 100)),
        row("true_range_ratio_{}", volatility.true_range_ratio, "true range over ATR {}", span, a100=(14,), a500=(50,)),
        row("atr_ratio_{}_{}", volatility.atr_ratio, "ATR {} over ATR {}", lambda a, b: max(a, b),
            a200=((5, 20), (14, 50)), a500=((7, 100), (20, 100))),
        row("bb_width_{}_{}", volatility.bollinger_width, "width of Bollinger bands {}/{} over their middle", window,
            a50=((20, 2.0),), a200=((50, 2.0),), a500=((10, 2.0), (100, 2.0))),
        row("bb_percent_b_{}_{}", volatility.bollinger_percent_b, "place in Bollinger bands {}/{}", window,
            a100=((10, 2.0), (50, 2.0)), a200=((100, 2.0),), a500=((5, 2.0), (30, 2.0))),
        row("keltner_position_{}_{}", volatility.keltner_position, "place in Keltner channel {}, ATR {}",
            lambda n, a: max(n - 1, a), a100=((20, 10),), a200=((50, 20),), a500=((10, 10), (100, 50))),
        row("volatility_{}", volatility.historical, "standard deviation of {} log returns", span,
            a50=(10, 20, 50), a200=(5, 100), a500=(30, 75, 150)),
        row("parkinson_{}", volatility.parkinson, "Parkinson volatility, {} bars", window,
            a100=(20,), a200=(10, 50), a500=(5, 100)),
        row("garman_klass_{}", volatility.garman_klass, "Garman-Klass volatility, {} bars", window,
            a100=(20,), a200=(10, 50), a500=(5, 100)),
        row("rogers_satchell_{}", volatility.rogers_satchell, "Rogers-Satchell volatility, {} bars", window,
            a200=(20,), a500=(10, 50)),
        row("yang_zhang_{}", volatility.yang_zhang, "Yang-Zhang volatility, {} bars", span, a200=(20,), a500=(10, 50)),
        row("volatility_ratio_{}_{}", volatility.volatility_ratio, "volatility {} over volatility {}",
            lambda a, b: max(a, b), a100=((10, 50),), a200=((5, 20), (20, 100)), a500=((5, 100), (50, 150))),
        row("skewness_{}", volatility.skewness, "skewness of {} log returns", span, a200=(20, 60), a500=(120,)),
        row("kurtosis_{}", volatility.kurtosis, "kurtosis of {} log returns", span, a200=(60,), a500=(20, 120)),
        row("downside_share_{}", volatility.downside_share, "share of falls in squared returns, {} bars", span,
            a200=(20,), a500=(10, 60)),
        row("volatility_of_range_{}", volatility.volatility_of_range, "variation of the bars' ranges, {} bars", window,
            a500=(10, 20, 60)),
        row("ulcer_{}", volatility.ulcer, "ulcer index, {} bars", lambda n: 2 * (n - 1), a200=(14, 50), a500=(100,)),
        row("mass_{}_{}", volatility.mass, "mass index {}/{}", lambda f, s: 2 * (f - 1) + s - 1,
            a500=((9, 25), (5, 10))),
        row("chaikin_volatility_{}_{}", volatility.chaikin_volatility, "EMA {} of the range, change over {} bars",
            lambda n, k: n - 1 + k, a500=((10, 10), (20, 20))),
        row("relative_volatility_{}_{}", volatility.relative_volatility, "relative volatility index {}/{}",
            lambda n, d: n + d - 2, a200=((14, 10),), a500=((7, 5), (28, 20))),
    ),
    "volume": (
        row("volume_ratio_{}", volume.volume_ratio, "volume over its mean, {} bars", window,
            a100=(5, 20, 50), a200=(10,), a500=(100, 200)),
        row("volume_change_{}", volume.volume_change, "log change of volume over {} bars", span,
            a100=(1,), a200=(5, 20), a500=(2, 10, 60)),
        row("volume_variation_{}", volume.volume_variation, "root mean square of log volume changes, {} bars", span,
            a500=(10, 20, 60)),
        row("vwap_distance_{}", volume.vwap_distance, "close minus VWAP {} over the close", window,
            a100=(20, 50), a200=(10,), a500=(5, 100, 200)),
        row("mfi_{}", volume.mfi, "money flow index, {} bars", span, a100=(14,), a200=(7, 28), a500=(50, 100)),
        row("cmf_{}", volume.cmf, "Chaikin money flow, {} bars", window, a100=(20,), a200=(10, 50), a500=(5, 100)),
        row("obv_change_{}", volume.obv_change, "change of OBV per volume, {} bars", span,
            a100=(10, 20), a200=(5, 50), a500=(100,)),
        row("adosc_ratio_{}_{}", volume.adosc_ratio, "Chaikin oscillator {}/{} over mean volume", slower,
            a100=((3, 10),), a500=((10, 40),)),
        row("volume_weighted_return_{}", volume.volume_weighted_return, "log return weighted by volume, {} bars", span,
            a200=(10, 50), a500=(5, 20, 100)),
        row("force_{}", volume.force, "force index {} over close and mean volume", span, a100=(13,), a500=(2, 50)),
        row("pvo_{}_{}", volume.pvo, "percentage volume oscillator {}/{}", slower, a200=((12, 26),), a500=((5, 50),)),
        row("price_volume_correlation_{}", volume.price_volume_correlation, "returns with volume, {} bars", span,
            a200=(20,), a500=(60, 120)),
        row("range_volume_correlation_{}", volume.range_volume_correlation, "ranges with log volume, {} bars", window,
            a500=(20, 60, 120)),
    ),
    "trend": (
        row("adx_{}", trend.adx, "average directional index, {} bars", lambda n: 2 * n - 1,
            a100=(7, 28), a500=(20, 50)),
        row("plus_di_{}", trend.plus_di, "positive directional indicator, {} bars", span, a100=(14,), a500=(7, 28)),
        row("minus_di_{}", trend.minus_di, "negative directional indicator, {} bars", span, a100=(14,), a500=(7, 28)),
        row("dx_{}", trend.dx, "directional movement index, {} bars", span, a200=(14,), a500=(28,)),
        row("aroon_up_{}", trend.aroon_up, "Aroon up, {} bars", span, a100=(25,), a500=(50, 100)),
        row("aroon_down_{}", trend.aroon_down, "Aroon down, {} bars", span, a100=(25,), a500=(50, 100)),
        row("aroon_oscillator_{}", trend.aroon_oscillator, "Aroon up minus down, {} bars", span,
            a100=(25,), a200=(14, 50), a500=(100, 200)),
        row("sar_distance_{}_{}", trend.sar_distance, "close minus parabolic SAR {}/{} over the close", lambda a, m: 1,
            a100=((0.02, 0.2),), a500=((0.01, 0.1),)),
        row("supertrend_distance_{}_{}", trend.supertrend_distance, "close minus supertrend {}/{} over the close", span,
            a100=((10, 3.0),), a500=((20, 5.0), (7, 2.0))),
        row("regression_slope_{}", trend.regression_slope, "regression slope of {} closes over the close", window,
            a100=(20,), a200=(10, 50, 100), a500=(5, 200)),
        row("time_correlation_{}", trend.time_correlation, "correlation of {} closes with time", window,
            a200=(20, 50, 100), a500=(10, 150)),
        row("vortex_{}", trend.vortex, "positive minus negative vortex, {} bars", span, a200=(14,), a500=(28, 50)),
        row("choppiness_{}", trend.choppiness, "choppiness index, {} bars", span, a200=(14, 50), a500=(28, 100)),
        row("vertical_horizontal_{}", trend.vertical_horizontal, "vertical horizontal filter, {} bars", span,
            a200=(28,), a500=(14, 100)),
        row("efficiency_{}", trend.efficiency, "net over total movement, {} bars", span,
            a200=(10, 28), a500=(5, 20, 50, 100, 200)),
        row("cycle_period", trend.cycle_period, "dominant cycle in bars", lambda: 32, a500=((),)),
        row("cycle_sine", trend.cycle_sine, "sine of the dominant cycle", lambda: 63, a500=((),)),
        row("cycle_lead_sine", trend.cycle_lead_sine, "leading sine of the dominant cycle", lambda: 63, a500=((),)),
        row("cycle_trendline_distance", trend.cycle_trendline_distance, "close minus Ehlers' trendline over it",
            lambda: 63, a500=((),)),
    ),
}  # fmt: skip
