"""The page of jobs beside one another."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Opener
from tests.system import Client


def test_two_jobs_of_one_seed_have_the_same_start_and_their_differences_listed(
    open_page: Opener, client: Client, assert_accessible: Callable[[Page], None]
) -> None:
    specs = [{"name": name, "learning_rate": rate} for name, rate in (("sgd", 0.1), ("adam", 0.01))]
    ids = [client.run("iris", name=one["name"], optimizer=one, training={"max_epochs": 4})[0]["id"] for one in specs]
    page = open_page(f"/ui/compare?jobs={','.join(ids)}")
    expect(page.locator("#start")).to_contain_text("Same start")
    fields = page.locator("#comparison tbody th code").all_inner_texts()
    assert {"/optimizer/name", "/optimizer/learning_rate"} <= set(fields)
    assert "/seed" not in fields
    expect(page.locator("#comparison tbody tr").filter(has_text="validation loss").locator("td", has_text="(best)")).to_have_count(1)
    assert_accessible(page)
    page.get_by_role("button", name="Take sgd away").click()
    expect(page.locator("#comparison thead a")).to_have_count(1)
    assert ids[0] not in page.url


def test_losses_of_different_kinds_share_no_axis(open_page: Opener, client: Client) -> None:
    small = {"training": {"max_epochs": 2}}
    ids = [client.run(name, name=f"{name} beside another" * 4, **small)[0]["id"] for name in ("iris", "diabetes")]
    page = open_page(f"/ui/compare?jobs={','.join(ids)}")
    expect(page.locator("#start")).to_contain_text("the curves are those of cross-entropy (nats)")
    expect(page.locator("figure").first).to_have_attribute("data-series", "2")
    expect(page.locator("#comparison tbody td", has_text="(best)")).to_have_count(0)


def test_many_jobs_of_long_names_stay_within_the_page(open_page: Opener, client: Client) -> None:
    ids = [client.run("iris", name=f"{number} {'a long name ' * 14}", training={"max_epochs": 1})[0]["id"] for number in range(8)]
    for phone in (False, True):
        page = open_page(f"/ui/compare?jobs={','.join(ids[:7])}", phone=phone)
        expect(page.locator("#comparison thead a")).to_have_count(7)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_varied_network_and_what_the_best_one_came_to_are_told(open_page: Opener, client: Client) -> None:
    variants = [{"label": str(width), "set": {"/network/hidden_units": [width]}} for width in (2, 16)]
    spec = {"training": {"max_epochs": 3}, "plan": {"name": "comparison", "variants": variants}}
    compared = client.until(client.submit("iris", name="two widths", **spec)["id"], "succeeded")
    single = client.run("iris", name="one width", training={"max_epochs": 3})[0]
    page = open_page(f"/ui/compare?jobs={compared['id']},{single['id']}")
    rows = page.locator("#comparison tbody tr")
    expect(rows.filter(has_text="network").locator("td").first).to_have_text("MLP, varied")
    expect(rows.filter(has_text="parameters").locator("td").first).to_have_text("19 to 131")
    loss = client.job(compared["id"])["outcome"]["val_loss"]
    shown = rows.filter(has_text="validation loss").locator("td").first.inner_text().removesuffix(" (best)")
    assert abs(float(shown) - loss) < 1e-3
