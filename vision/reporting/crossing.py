"""What to say of where the curves of the best of each kind cross."""

import math

from vision.evaluation.crossing import Crossing
from vision.evaluation.results import Study
from vision.reporting.verdict import PHRASES
from vision.reporting.words import SPACE, count


def sentence(study: Study, found: Crossing) -> str:
    """Who leads where, and how sure that is."""
    if found.first is None:
        return "The best of each kind are equal at every number of labels."
    other = "scratch" if found.first == "transfer" else "transfer"
    best = {kind: f"the best model {phrase}" for kind, phrase in PHRASES.items()}
    least, most = (about(x) for x in found.range)
    settled = f"The difference is clear at {found.clear} of {found.settings} settings."
    if not found.places:
        return (
            f"From {least} to {most} labels a class the curves do not cross: {best[found.first]} "
            f"leads throughout. {settled}"
        )
    if len(found.places) > 1:
        places = ", ".join(map(about, found.places))
        return (
            f"The curves cross {len(found.places)} times, at about {places} labels a class: the "
            f"lead is not settled. {settled}"
        )
    ends = (
        f"fewer than {least}" if found.low == 0 else about(found.low),
        f"more than {most}" if math.isinf(found.high) else about(found.high),
    )
    open_ended = found.low == 0 and math.isinf(found.high)
    doubt = ": they may not cross at all" if open_ended else ""
    return (
        f"The curves cross at about {about(found.places[0])} labels a class "
        f"(95{SPACE}% interval {ends[0]} to {ends[1]}{doubt}). Below, {best[found.first]} leads; "
        f"above, {best[other]} does. {settled}"
    )


def about(number: float) -> str:
    """Two significant digits: 46, 1,200."""
    return count(float(f"{number:.2g}"))
