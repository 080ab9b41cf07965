"""Cuts rows by the plan of a decision. What it does not understand lets nothing out."""

import datetime

COMPARISONS = {
    "eq": lambda value, bound: value == bound,
    "neq": lambda value, bound: value != bound,
    "lt": lambda value, bound: value < bound,
    "lteq": lambda value, bound: value <= bound,
    "gt": lambda value, bound: value > bound,
    "gteq": lambda value, bound: value >= bound,
    "isAnyOf": lambda value, bounds: value in bounds,
}
# Parts of a plan that cut() carries out, and those that must be empty for it.
CARRIED_OUT = {"columns", "masks", "rowFilter", "named", "limit", "byteLimit"}


class NotUnderstood(Exception):
    """The plan asks for something that this program cannot do."""


def cut(rows, columns, decision, claims):
    """Yields what may leave of `rows` (dicts of text, empty text for a missing value), as dicts.

    columns: names in the data. claims: what is known of whoever gets the rows, for filters: {"participantId": "did:…"}.
    Raises NotUnderstood before the first row.
    """
    plan = decision["plan"]
    for part, value in plan.items():
        if part not in CARRIED_OUT and value is not None:
            raise NotUnderstood("the plan asks for %s, which this program cannot do" % part)
    granted = columns if plan["columns"] == "all" else plan["columns"]
    needed = set(granted) | set(plan["named"])
    if decision["role"] == "provider":
        needed |= set(plan["masks"]) | _columns_of(plan["rowFilter"])
    missing = sorted(needed - set(columns))
    if missing:
        raise NotUnderstood("the data have no column %s, which the plan names" % ", ".join(missing))
    # A consumer's data were filtered and masked by their provider: a mask twice would be another one.
    masks = {} if decision["role"] == "consumer" else {c: _mask(plan["masks"][c]) for c in granted if c in plan["masks"]}
    keep = (lambda row: True) if decision["role"] == "consumer" else _filter(plan["rowFilter"], claims)
    return _rows(rows, granted, masks, keep, plan["limit"])


def _rows(rows, granted, masks, keep, limit):
    left = limit
    for row in rows:
        if left == 0:
            return
        if keep(row):
            yield {column: masks.get(column, _same)(row[column]) for column in granted}
            left = None if left is None else left - 1


def _same(value):
    return value


def _columns_of(condition):
    if condition is None:
        return set()
    if "column" in condition:
        return {condition["column"]}
    return set().union(*(_columns_of(part) for part in condition.get("and", condition.get("or", []))))


def _filter(condition, claims):
    if condition is None:
        return lambda row: True
    if "and" in condition:
        parts = [_filter(part, claims) for part in condition["and"]]
        return lambda row: all(part(row) for part in parts)
    if "or" in condition:
        parts = [_filter(part, claims) for part in condition["or"]]
        return lambda row: any(part(row) for part in parts)
    compare = COMPARISONS.get(condition.get("operator"))
    bound = condition.get("value")
    if isinstance(bound, dict):
        bound = claims.get(bound.get("claim"))
    if compare is None or bound is None:
        raise NotUnderstood("the row filter %r cannot be checked" % condition)
    read = _reader(bound[0] if isinstance(bound, list) else bound)
    column = condition["column"]
    # A missing value fulfils no comparison, as in SQL.
    return lambda row: row[column] != "" and compare(read(row[column]), bound)


def _reader(bound):
    if isinstance(bound, bool):
        return lambda text: text.lower() == "true"
    return float if isinstance(bound, (int, float)) else str


def _mask(mask):
    method = mask["method"]
    if method == "null":
        return lambda value: ""
    if method == "constant":
        return lambda value: mask["value"]
    if method == "truncate" and "step" in mask:
        return lambda value: value if value == "" else repr(float(value) // mask["step"] * mask["step"])
    if method == "truncate" and mask["unit"] in ("day", "month", "year"):
        return lambda value: value if value == "" else _begin(value, mask["unit"])
    if method == "generalise":
        return lambda value: _ancestor(value, mask["parents"], mask.get("levels", 1))
    # A keyed hash needs the provider's key.
    raise NotUnderstood("this program cannot mask by %s" % method)


def _begin(value, unit):
    date = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    date = date.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit != "day":
        date = date.replace(day=1)
    return (date.replace(month=1) if unit == "year" else date).isoformat()


def _ancestor(value, parents, levels):
    for _ in range(levels):
        value = parents.get(value, "")
    return value
