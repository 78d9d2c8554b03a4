"""The page at /: a user's history beside what is recommended, by title; nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import TOKEN, load_system, make_system, serving

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright: the dev extra")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: the page is not opened")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


def rows(page: Any, table: str) -> list[str]:
    """The rows of a table but for its head, with spaces between cells."""
    texts = page.locator(f"#{table} tr").all_inner_texts()
    return [" ".join(text.split()) for text in texts[1:]]


def test_history_stands_beside_recommendations_with_titles(
    browser: Any, study: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    model = load_system(make_system(), tmp_path / "same")
    with serving(study, "--token-file", tmp_path / "token") as (_, url, _):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda asked: errors.append(asked.url) if url not in asked.url else None)
        page.goto(url)
        page.fill("#user", "3")
        page.click("text=Recommend")
        page.wait_for_function("document.querySelector('#problem').textContent != ''")
        assert "a token is needed" in page.inner_text("#problem")

        page.fill("#token", TOKEN)
        page.fill("#k", "4")
        page.click("#user-form button")
        page.wait_for_selector("text=Recommended for 3")
        past = [model.called(item) for item in model.history(3)[:4]]
        assert rows(page, "left") == [f"{name} similar" for name in past]
        listed = model.recommend([3], k=4)
        assert rows(page, "right") == [
            f"{row.rank} {row.item_name} {row.score:.3f} similar" for row in listed.itertuples()
        ]
        assert page.inner_text("#problem") == ""
        assert "toy: 20 users, 15 items" in page.inner_text("#about")

        page.fill("#search", "thing 12")
        page.click("#history-form button")
        page.click("#found button")
        page.wait_for_selector("text=Recommended for somebody new")
        assert rows(page, "left") == ["Thing 12 similar"]
        new = model.recommend_for_history([120], k=4)["item_name"].tolist()
        assert [row.split(" ", 1)[1].rsplit(" ", 2)[0] for row in rows(page, "right")] == new

        page.goto(f"{url}/docs")
        page.wait_for_selector('[data-path="/history/{user}"]')
        assert errors == []
