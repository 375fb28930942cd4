"""The canteen's day and month among the box's pages: drawn in the page, and as pictures to keep."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from edusense.box.pages.source import PagesSource
    from edusense.meals.drawing import Drawing

__all__ = ["CanteenRoutes"]


class CanteenRoutes:
    """Where the canteen's day and month are.

    Args:
        source: the box, as far as pages see it.
        page: makes a page of a template.
    """

    def __init__(self, source: PagesSource, page: Callable[..., Response]) -> None:
        self._source, self._page = source, page

    def routes(self) -> list[Route]:
        """The paths."""
        return [
            Route("/canteen", self._day),
            Route("/canteen/month", self._month),
            Route("/canteen/day.png", self._day_picture),
            Route("/canteen/month.png", self._month_picture),
        ]

    async def _day(self, request: Request) -> Response:
        day = self._asked(request, "day", "%Y-%m-%d")
        if day is None:
            return _no_day()
        drawing = await run_in_threadpool(self._source.canteen_day, day)
        before, after = (day + datetime.timedelta(days=step) for step in (-1, 1))
        return self._shown(
            drawing,
            f"{day:%d.%m.%Y}",
            before=f"/canteen?day={before}",
            after=f"/canteen?day={after}" if after <= self._source.today else None,
            picture=f"/canteen/day.png?day={day}",
            other=f"/canteen/month?month={day:%Y-%m}",
            other_name="the month",
        )

    async def _month(self, request: Request) -> Response:
        first = self._asked(request, "month", "%Y-%m")
        if first is None:
            return _no_day()
        first = first.replace(day=1)
        drawing = await run_in_threadpool(self._source.canteen_month, first)
        before = first - datetime.timedelta(days=1)
        after = (first + datetime.timedelta(days=31)).replace(day=1)
        return self._shown(
            drawing,
            f"{first:%m.%Y}",
            before=f"/canteen/month?month={before:%Y-%m}",
            after=f"/canteen/month?month={after:%Y-%m}" if after <= self._source.today else None,
            picture=f"/canteen/month.png?month={first:%Y-%m}",
            other="/canteen",
            other_name="today",
        )

    async def _day_picture(self, request: Request) -> Response:
        day = self._asked(request, "day", "%Y-%m-%d")
        if day is None:
            return _no_day()
        drawing = await run_in_threadpool(self._source.canteen_day, day)
        return Response(await run_in_threadpool(drawing.to_png), media_type="image/png")

    async def _month_picture(self, request: Request) -> Response:
        first = self._asked(request, "month", "%Y-%m")
        if first is None:
            return _no_day()
        drawing = await run_in_threadpool(self._source.canteen_month, first)
        return Response(await run_in_threadpool(drawing.to_png), media_type="image/png")

    def _shown(self, drawing: Drawing, when: str, **links: str | None) -> Response:
        # The drawing escapes whatever it was given.
        svg = Markup(drawing.to_svg())  # noqa: S704
        return self._page("canteen.html", school=self._source.school, when=when, svg=svg, **links)

    def _asked(self, request: Request, name: str, form: str) -> datetime.date | None:
        """The day or month that was asked for, the present one by default; None for what is none."""
        text = request.query_params.get(name)
        if text is None:
            return self._source.today
        try:
            found = datetime.datetime.strptime(text, form).date()  # noqa: DTZ007 - a day at the school has no zone
        except ValueError:
            return None
        # Far ends of the calendar have no day before or after them.
        return found if 1970 <= found.year <= 9000 else None


def _no_day() -> Response:
    return PlainTextResponse("write 2026-10-05 or 2026-10\n", 400)
