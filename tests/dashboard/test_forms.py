"""The pages that make things: a job's form, the datasets and one dataset."""

from playwright.sync_api import Page


def test_the_list_opens(page: Page) -> None:
    page.goto("/")
    page.wait_for_selector("#app:not([aria-busy])")
