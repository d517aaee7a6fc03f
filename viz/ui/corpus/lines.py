"""Every head of a profile as a line over its measures, each the median over the texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from model.profile.rows import QUANTILES, quantiles
from viz.ui.corpus import one_head, profiles
from viz.ui.language import say
from viz.ui.shared import figure_footer, parallel
from viz.ui.shared.side_bar import site_name

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from model.profile.read import Profile

_MEDIAN = QUANTILES.index(0.5)


def show(profile: Profile, numbers: Callable[[str], np.ndarray]) -> None:
    """numbers: the quantiles [5, head] of a measure over the texts."""
    parallel.show("corpus", lambda: _lines(profile, medians(profile, numbers)))


def medians(profile: Profile, numbers: Callable[[str], np.ndarray]) -> pd.DataFrame:
    """A row a head: "site", "head", and of every measure its median over the texts, NaN where it does not apply."""
    import pandas as pd

    table = pd.DataFrame(profile.heads, columns=["site", "head"])
    return table.assign(**{measure: numbers(measure)[_MEDIAN] for measure in profile.measures})


def _lines(profile: Profile, table: pd.DataFrame) -> parallel.Heads:
    rows = {site: site_name(site) for site in dict.fromkeys(table["site"])}
    return parallel.Heads(
        "corpus", table, parallel.axes(profile.measures, rows), (profile.name, str(profile.about["made_of"])),
        say("corpus.parallel_sentence", heads=len(table), texts=f"{len(profile.texts):,}"), profiles.check(profile),
        figure_footer.safe(profile.about["model"]), (medians, quantiles), one_head.same_model(profile),
    )  # fmt: skip
