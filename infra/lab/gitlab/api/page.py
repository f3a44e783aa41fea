"""Pages of a list: offset pages with GitLab's X- headers and Link, and keyset pages by id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import Select, func, select

from infra.lab.gitlab.api.error import parameter
from infra.lab.gitlab.api.route import Request, Response

DEFAULT_SIZE = 20
LARGEST_SIZE = 100

T = TypeVar("T")


def paginate(
    request: Request,
    items: Select[T] | Sequence[T],
    show: Callable[[T], Any],
    *,
    load: Callable[[Sequence[T]], None] = lambda _: None,
) -> Response:
    """One page of `items` (a statement with its order, or a list), each as `show` makes it after `load` saw them all.

    With `pagination=keyset` (and a statement on a table with an id, ordered by id) the page comes with a Link only.
    """
    given = dict(parse_qsl(request.query, keep_blank_values=True))
    size = min(_natural(given, "per_page", DEFAULT_SIZE), LARGEST_SIZE)
    if given.get("pagination") == "keyset" and isinstance(items, Select):
        return _keyset(request, items, show, load, given, size)
    page = _natural(given, "page", 1)
    start = (page - 1) * size
    if isinstance(items, Select):
        total = request.session.scalar(select(func.count()).select_from(items.order_by(None).subquery())) or 0
        rows: Sequence[T] = request.session.scalars(items.offset(start).limit(size)).unique().all()
    else:
        total, rows = len(items), items[start : start + size]
    headers = _headers(request, page=page, size=size, total=total)
    load(rows)
    return Response([show(row) for row in rows], headers=headers)


def _headers(request: Request, *, page: int, size: int, total: int) -> dict[str, str]:
    last = max(1, -(-total // size))
    before = page - 1 if page > 1 else None
    after = page + 1 if page < last else None
    links = [("prev", before), ("next", after), ("first", 1), ("last", last)]
    return {
        "X-Page": str(page),
        "X-Per-Page": str(size),
        "X-Next-Page": str(after or ""),
        "X-Prev-Page": str(before or ""),
        "X-Total": str(total),
        "X-Total-Pages": str(last),
        "Link": ", ".join(
            f'<{_address(request, {"page": str(number), "per_page": str(size)})}>; rel="{rel}"'
            for rel, number in links
            if number is not None
        ),
    }


def _keyset(
    request: Request,
    items: Select[T],
    show: Callable[[T], Any],
    load: Callable[[Sequence[T]], None],
    given: dict[str, str],
    size: int,
) -> Response:
    if given.get("order_by", "id") != "id":
        raise parameter("order_by does not have a valid value")
    entity = items.column_descriptions[0]["entity"]
    descending = given.get("sort", "desc") == "desc"
    statement = items.order_by(None).order_by(entity.id.desc() if descending else entity.id.asc())
    for name, after in (("id_after", True), ("id_before", False)):
        if given.get(name):
            edge = _natural(given, name, 0)
            statement = statement.where(entity.id > edge if after else entity.id < edge)
    rows = request.session.scalars(statement.limit(size + 1)).unique().all()
    headers = {"X-Per-Page": str(size)}
    if len(rows) > size:
        edge_name = "id_before" if descending else "id_after"
        last: Any = rows[size - 1]
        headers["Link"] = f'<{_address(request, {edge_name: str(last.id)})}>; rel="next"'
    load(rows[:size])
    return Response([show(row) for row in rows[:size]], headers=headers)


def _address(request: Request, changed: dict[str, str]) -> str:
    """The request's address, on the external URL, with these parameters changed and no token in it."""
    hidden = {"private_token", "access_token", "job_token", *changed}
    kept = [(name, value) for name, value in parse_qsl(request.query, keep_blank_values=True) if name not in hidden]
    return request.instance.url(f"{request.path}?{urlencode([*kept, *changed.items()])}")


def _natural(given: dict[str, str], name: str, default: int) -> int:
    text = given.get(name) or str(default)
    if not text.isascii() or not text.lstrip("-").isdecimal() or len(text) > 18:
        raise parameter(f"{name} is invalid")
    return max(int(text), 1) if name != "id_after" else int(text)


def paginate_window(request: Request, fetch: Callable[[int, int], Sequence[T]], show: Callable[[T], Any]) -> Response:
    """One page of a list that is too long to count: `fetch(skip, limit)` gives its rows. No totals are told."""
    given = dict(parse_qsl(request.query, keep_blank_values=True))
    size = min(_natural(given, "per_page", DEFAULT_SIZE), LARGEST_SIZE)
    page = _natural(given, "page", 1)
    rows = fetch((page - 1) * size, size + 1)
    total = (page - 1) * size + len(rows)
    headers = _headers(request, page=page, size=size, total=total)
    for name in ("X-Total", "X-Total-Pages"):
        headers.pop(name)
    headers["Link"] = ", ".join(link for link in headers["Link"].split(", ") if 'rel="last"' not in link)
    return Response([show(row) for row in rows[:size]], headers=headers)
