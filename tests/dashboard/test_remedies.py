"""From a diagnosis to a comparison of what it suggests, and back to what helped."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Opener
from tests.system import Client

OVERFITTED = {
    "dataset": "noisy_sine",
    "network": {"name": "mlp", "hidden_units": [64, 64]},
    "split": {"name": "holdout", "val_fraction": 0.9},
}
EXPLODES = {"dataset": "diabetes", "optimizer": {"name": "sgd", "learning_rate": 1e6}}


def _ended(client: Client, **spec: Any) -> dict[str, Any]:
    return client.until(client.submit(**spec)["id"], "succeeded", "failed")


@pytest.mark.parametrize(
    ("verdict", "spec"),
    [
        ("overfitting", {**OVERFITTED, "training": {"max_epochs": 150}, "optimizer": {"name": "adam", "learning_rate": 0.02}}),
        ("still_improving", {"dataset": "digits", "training": {"max_epochs": 3}, "metadata": {"term": "autumn"}}),
        ("diverged", EXPLODES),
        ("underfitting", {"dataset": "iris", "training": {"max_epochs": 2}, "optimizer": {"name": "sgd", "learning_rate": 1e-6}}),
    ],
)
def test_what_a_diagnosis_suggests_is_compared_with_what_was_by_two_clicks(
    open_page: Opener, client: Client, verdict: str, spec: dict[str, Any]
) -> None:
    job = _ended(client, **spec)
    [fit] = client.get(f"/v1/jobs/{job['id']}/fits")["items"]
    assert fit["diagnosis"]["verdict"] == verdict
    labels = [one["label"] for one in fit["diagnosis"]["remedies"]]
    assert labels

    page = open_page(f"/ui/jobs/{job['id']}")
    expect(page.get_by_role("region", name="Diagnosis", exact=True)).to_contain_text(", ".join(labels))
    page.get_by_role("link", name="Compare what helps").click()
    expect(page.locator("#state")).to_contain_text("It can run")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/ui/jobs/job_*")
    made = client.until(page.url.rsplit("/", 1)[-1], "succeeded", "failed")
    assert [one["label"] for one in made["spec"]["plan"]["variants"]] == ["unchanged", *labels]
    kept = ("network", "optimizer", "training", "split", "seed", "dataset", "metadata")
    assert {name: made["spec"][name] for name in kept} == {name: job["spec"][name] for name in kept}


def test_of_a_variant_its_own_settings_are_what_is_compared_with(open_page: Opener, client: Client) -> None:
    variants = [{"label": "wide", "set": {"/network/hidden_units": [32]}}, {"label": "narrow", "set": {"/network/hidden_units": [8]}}]
    job = _ended(client, dataset="digits", training={"max_epochs": 2}, plan={"name": "comparison", "variants": variants})
    page = open_page(f"/ui/jobs/{job['id']}")
    page.get_by_role("button", name="Show narrow").click()
    expect(page.get_by_role("region", name="Diagnosis").get_by_role("heading")).to_have_text("Diagnosis of narrow")
    page.get_by_role("link", name="Compare what helps").click()
    expect(page.locator("#state")).to_contain_text("It can run")
    expect(page.get_by_label("Hidden units", exact=True).first).to_have_value("8")


def test_members_of_an_ensemble_are_no_jobs_of_their_own(open_page: Opener, client: Client) -> None:
    job = _ended(client, dataset="iris", training={"max_epochs": 1}, plan={"name": "bagging", "members": 2})
    page = open_page(f"/ui/jobs/{job['id']}")
    expect(page.get_by_role("region", name="Diagnosis", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Compare what helps")).to_have_count(0)


def test_the_form_says_what_it_compares_and_leads_back_and_to_the_variants(open_page: Opener, client: Client) -> None:
    job = _ended(client, **EXPLODES)
    count = len(client.fit(job["id"])["diagnosis"]["remedies"])
    page = open_page(f"/ui/new?from={job['id']}&fit=1")
    origin = page.locator("#origin")
    expect(origin).to_contain_text(f"Compares {count} changes that the diagnosis of fit on diabetes suggests with the fit as it is.")
    expect(origin.get_by_role("link")).to_have_attribute("href", f"/ui/jobs/{job['id']}")
    origin.get_by_role("button", name="Go to the variants").click()
    expect(page.get_by_role("group", name="Variants")).to_be_focused()
    page.get_by_role("button", name="will overfit").click()
    expect(origin).to_be_empty()
    page.get_by_role("button", name="Undo").click()
    expect(origin).to_contain_text("Compares")


@pytest.mark.parametrize("plan", ["fit", "bagging"])
def test_where_there_is_nothing_to_try_the_form_says_so_and_holds_the_job(open_page: Opener, client: Client, plan: str) -> None:
    job = _ended(client, dataset="iris", training={"max_epochs": 1}, plan={"name": plan, **({"members": 2} if plan == "bagging" else {})})
    page = open_page()
    if plan == "fit":
        fit = client.fit(job["id"])
        fit["diagnosis"].update(verdict="good_fit", remedies=[])
        page.route("**/fits/1", lambda route: route.fulfill(json=fit))
    page.goto(f"/ui/new?from={job['id']}&fit=1")
    expect(page.locator("#origin")).to_contain_text("There is nothing to try: ")
    expect(page.locator("#origin")).to_contain_text("“good fit”" if plan == "fit" else "fits of bagging are no jobs of their own")
    expect(page.locator("#state")).to_contain_text("It can run")
    assert "variants" not in page.locator("#twins code").inner_text()
