"""How fast the features are: python -m tests.bench.features

Median of 5, one run, one machine: all 2000 features of one asset; the ten assets of tier D as the stage makes
them, on two processes, with the memory they take; and the same indicators one by one through pandas-ta-classic's
DataFrame accessor. The peer's calls compute what the features named beside them need, and no more.
"""

import multiprocessing
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pandas_ta_classic  # noqa: F401, gives frames their .ta
from tabulate import tabulate

from finscale.indicators.arrays import Bars
from finscale.indicators.catalogue import CATALOGUES, compute
from stages.features import Params, write_features
from tests.conftest import REAL

ASSETS = ("SPY", "DIA", "QQQ", "AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA")
RUNS = 5

Call = tuple[str, str, dict[str, object]]  # feature, the peer's indicator, its arguments
PEER: list[Call] = [
    *((f"return_{n}", "percent_return", {"length": n}) for n in (1, 2, 5, 10, 20)),
    *((f"log_return_{n}", "log_return", {"length": n}) for n in (20, 60)),
    *((f"sma_distance_{n}", "sma", {"length": n}) for n in (5, 10, 20, 50, 100, 200)),
    *((f"ema_distance_{n}", "ema", {"length": n}) for n in (5, 10, 20, 50, 100, 200)),
    *((f"wma_distance_{n}", "wma", {"length": n}) for n in (10, 20, 50)),
    *((f"dema_distance_{n}", "dema", {"length": n}) for n in (10, 20)),
    *((f"tema_distance_{n}", "tema", {"length": n}) for n in (10, 20)),
    *((f"kama_distance_{n}", "kama", {"length": n}) for n in (10, 30)),
    *((f"hma_distance_{n}", "hma", {"length": n}) for n in (9, 20, 50)),
    *((f"midprice_distance_{n}", "midprice", {"length": n}) for n in (9, 26, 52)),
    *((f"rsi_{n}", "rsi", {"length": n}) for n in (7, 21, 50)),
    ("macd_histogram_12_26_9", "macd", {}),
    ("ppo_12_26", "ppo", {"mamode": "ema"}),
    ("stochastic_k_14_3_3", "stoch", {}),
    ("stochrsi_14_14_3", "stochrsi", {}),
    *((f"williams_r_{n}", "willr", {"length": n}) for n in (5, 14, 28)),
    *((f"cci_{n}", "cci", {"length": n}) for n in (14, 20, 50)),
    ("trix_15", "trix", {"length": 15}),
    ("ultimate_7_14_28", "uo", {}),
    ("tsi_25_13", "tsi", {}),
    ("coppock_10_11_14", "coppock", {}),
    ("awesome_5_34", "ao", {}),
    *((f"up_share_{n}", "psl", {"length": n}) for n in (10, 20)),
    *((f"natr_{n}", "natr", {"length": n}) for n in (14, 21)),
    ("bb_percent_b_50_2.0", "bbands", {"length": 50, "std": 2}),
    ("bb_width_20_2.0", "bbands", {"length": 20, "std": 2}),
    ("keltner_position_20_10", "kc", {"length": 20}),
    ("ulcer_14", "ui", {"length": 14}),
    ("mass_9_25", "massi", {}),
    ("relative_volatility_14_10", "rvi", {"length": 14}),
    ("mfi_14", "mfi", {"length": 14}),
    ("cmf_20", "cmf", {"length": 20}),
    ("pvo_12_26", "pvo", {}),
    ("force_13", "efi", {"length": 13}),
    ("obv", "obv", {}),
    ("adosc_ratio_3_10", "adosc", {}),
    ("adx_14", "adx", {"length": 14}),
    ("aroon_oscillator_25", "aroon", {"length": 25}),
    ("sar_distance_0.02_0.2", "psar", {}),
    ("supertrend_distance_10_3.0", "supertrend", {"length": 10, "multiplier": 3.0}),
    ("vortex_14", "vortex", {}),
    ("choppiness_14", "chop", {}),
    ("vertical_horizontal_28", "vhf", {"length": 28}),
    ("efficiency_10", "er", {"length": 10}),
]


def read(symbol: str) -> pd.DataFrame:
    return pd.read_csv(REAL / f"ohlcv/{symbol}.csv", parse_dates=["date"]).set_index("date").astype(float)


def median(work: Callable[[], object]) -> tuple[float, float]:
    """Median wall and processor seconds of RUNS runs, after one to warm up."""
    work()
    walls, processors = [], []
    for _ in range(RUNS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return statistics.median(walls), statistics.median(processors)


def ours(bars: pd.DataFrame) -> None:
    arrays, by_name = Bars.of(bars), {feature.name: feature for feature in CATALOGUES["as_is"]}
    for name, _, _ in PEER:
        by_name[name].function(arrays, *by_name[name].parameters)


def peer(bars: pd.DataFrame) -> None:
    for _, indicator, arguments in PEER:
        getattr(bars.ta, indicator)(**arguments)


def panel(daily: pd.DataFrame) -> None:
    params = Params(quality="a", tier="a2000", timescale="daily")
    with tempfile.TemporaryDirectory() as folder:
        write_features(Path(folder) / "features.parquet", daily, None, params)


class Memory(threading.Thread):
    """Samples the memory of this process and its children (Linux): anonymous pages, in KiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._stop_now = threading.Event()

    def __enter__(self) -> "Memory":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join()

    def run(self) -> None:
        while not self._stop_now.wait(0.02):
            processes = ["self", *(str(child.pid) for child in multiprocessing.active_children())]
            self.peak = max(self.peak, sum(anonymous_memory(process) for process in processes))


def anonymous_memory(process: str) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:  # a worker that has just ended
        return 0
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))


def main() -> None:
    spy = read("SPY").iloc[-8000:]
    daily = pd.concat([read(asset).reset_index().assign(asset=asset) for asset in ASSETS], ignore_index=True)
    one, one_cpu = median(lambda: compute(spy, "a2000"))
    same, same_cpu = median(lambda: ours(spy))
    theirs, theirs_cpu = median(lambda: peer(spy))
    rows = [
        ("2000 features, 8000 days, one asset", one, one_cpu, "at most 2 s"),
        (f"{len(PEER)} indicators, finscale", same, same_cpu, ""),
        (
            f"{len(PEER)} indicators, pandas-ta-classic accessor",
            theirs,
            theirs_cpu,
            f"{theirs / same:.1f} times finscale's",
        ),
    ]
    with Memory() as memory:
        ten, joining = median(lambda: panel(daily))
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = joining + (workers.ru_utime + workers.ru_stime) / (RUNS + 1)
    rows.append((f"2000 features, {len(daily)} days of 10 assets, written", ten, processor, "at most 12 s"))
    print(tabulate(rows, headers=["median of 5", "wall s", "processor s", ""], floatfmt=".4f"))
    print(f"peak memory of the ten assets, all processes together: {memory.peak / 2**20:.2f} GiB (at most 1)")


if __name__ == "__main__":
    main()
