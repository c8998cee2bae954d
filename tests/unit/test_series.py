"""Series that are no prices: each value reaches a trading day only after it was public."""

import numpy as np
import pandas as pd
import pytest

from finscale.calendar import sessions
from finscale.data.series import PUBLICATION, on_sessions, rate_3m_note
from finscale.errors import InputError

DAYS = sessions(pd.Timestamp("2021-08-02"), pd.Timestamp("2021-10-29"))


def daily(first: str, last: str) -> pd.DataFrame:
    days = pd.bdate_range(first, last)
    return pd.DataFrame({"date": days, "value": np.arange(len(days), dtype=float)})


@pytest.mark.parametrize(
    ("name", "kind", "observed", "used"),
    [
        ("DGS10", "economic", "2021-08-10", "2021-08-12"),  # Tuesday's yield comes out on Wednesday after the close
        ("DGS10", "economic", "2021-08-13", "2021-08-16"),  # Friday's: Monday at the earliest by calendar days
        ("USD3MTD156N", "economic", "2021-08-10", "2021-08-11"),
        ("VIX", "volatility", "2021-08-10", "2021-08-11"),
        ("sentiment", "sentiment", "2021-08-10", "2021-08-18"),
    ],
)
def test_a_value_is_used_from_the_session_after_it_could_be_known(
    name: str, kind: str, observed: str, used: str
) -> None:
    column = "close" if kind == "volatility" else "value"
    frame = pd.DataFrame({"date": [pd.Timestamp(observed)], column: [1.0]})
    seen = on_sessions({name: (kind, frame)}, DAYS).iloc[:, 0]  # type: ignore[dict-item]
    assert seen.first_valid_index() == pd.Timestamp(used)


def test_a_week_of_searches_is_known_once_it_has_ended() -> None:
    week = pd.DataFrame(
        {"date": [pd.Timestamp("2021-08-08")], "week_end": [pd.Timestamp("2021-08-14")], "value": [3.0]}
    )
    seen = on_sessions({"search_interest": ("trends", week)}, DAYS)["search_interest"]
    assert seen.first_valid_index() == pd.Timestamp("2021-08-16")


def test_perturbation_no_session_sees_a_value_of_its_own_day_or_later() -> None:
    frame = daily("2021-07-01", "2021-10-29")
    for day in DAYS[10::7]:
        moved = frame.assign(value=frame["value"].where(frame["date"] < day, 1e6))
        for name in ("DGS10", "DFF", "USD3MTD156N"):
            before = on_sessions({name: ("economic", frame)}, DAYS)[:day]
            pd.testing.assert_frame_equal(on_sessions({name: ("economic", moved)}, DAYS)[:day], before)


def test_a_series_that_has_ended_is_missing_and_not_carried_on() -> None:
    seen = on_sessions({"DGS10": ("economic", daily("2021-07-01", "2021-08-31"))}, DAYS)["dgs10"]
    stale = PUBLICATION["DGS10"].stale_after
    assert seen[:"2021-09-10"].notna().all()
    assert seen[pd.Timestamp("2021-09-01") + pd.Timedelta(days=stale + 1) :].isna().all()


def test_sofr_continues_libor_and_the_join_is_told() -> None:
    libor, sofr = daily("2021-07-01", "2021-08-31"), daily("2021-07-01", "2021-10-29").assign(value=99.0)
    series = {"USD3MTD156N": ("economic", libor), "SOFR": ("economic", sofr)}
    seen = on_sessions(series, DAYS)  # type: ignore[arg-type]
    assert list(seen) == ["rate_3m"]
    assert seen["rate_3m"].notna().all()
    assert seen["rate_3m"][:"2021-09-01"].max() < 99
    assert seen["rate_3m"].iloc[-1] == 99
    assert rate_3m_note(series) == (  # type: ignore[arg-type]
        "rate_3m: USD3MTD156N to 2021-08-31, SOFR (overnight, secured; not rescaled) from 2021-09-01"
    )
    assert rate_3m_note({"USD3MTD156N": ("economic", libor)}) == (
        "rate_3m: USD3MTD156N to 2021-08-31; it ends there, for lack of SOFR"
    )


def test_sofr_without_a_value_after_libor_s_last_is_told() -> None:
    both = {
        "USD3MTD156N": ("economic", daily("2021-07-01", "2021-08-31")),
        "SOFR": ("economic", daily("2021-07-01", "2021-08-31")),
    }
    assert rate_3m_note(both) == "rate_3m: USD3MTD156N to 2021-08-31; SOFR has no later value"  # type: ignore[arg-type]
    empty = daily("2021-07-01", "2021-08-31").assign(value=np.nan)
    assert rate_3m_note({"USD3MTD156N": ("economic", empty)}) is None


def test_a_series_without_a_publication_lag_is_refused() -> None:
    with pytest.raises(InputError, match="GDP: no publication lag is known"):
        on_sessions({"GDP": ("economic", daily("2021-07-01", "2021-08-31"))}, DAYS)


def test_every_lag_has_its_reason() -> None:
    for publication in PUBLICATION.values():
        assert publication.days >= 0
        assert len(publication.reason) > 20
