"""What a configuration may be, beyond tests/api: what an update may keep that a new one may not have."""

import pytest

from tests.apiserver.webhooks.world import GROUP, MERGE, run

CONFIGS = f"{GROUP}/validatingwebhookconfigurations"
BROKEN = [{"name": "a", "expression": "tru"}]
KEPT = {
    "conditions": ({"matchConditions": BROKEN}, "webhooks[0].matchConditions[0].expression"),
    "side effects": ({"sideEffects": "Some"}, "webhooks[0].sideEffects"),
    "versions": ({"admissionReviewVersions": ["v9"]}, "webhooks[0].admissionReviewVersions"),
}


@pytest.mark.parametrize("fields, field", KEPT.values(), ids=KEPT)
def test_what_is_stored_may_stay(fields, field):
    """Source: ValidateValidatingWebhookConfigurationUpdate."""

    async def main(world):
        hook = world.hook(**fields)
        refused = await world("POST", CONFIGS, {"metadata": {"name": "c"}, "webhooks": [hook]})
        assert [c["field"] for c in refused.body["details"]["causes"]] == [field]
        stored = {"metadata": {"name": "c", "uid": "u"}, "webhooks": [hook]}
        await world.api.store("validatingwebhookconfigurations", stored)
        changed = {"webhooks": [{**hook, "timeoutSeconds": 7}]}
        assert (await world("PATCH", f"{CONFIGS}/c", changed, type=MERGE)).status == 200
        wrong = {"webhooks": [{**hook, "timeoutSeconds": 99}]}
        refused = await world("PATCH", f"{CONFIGS}/c", wrong, type=MERGE)
        assert [c["field"] for c in refused.body["details"]["causes"]] == ["webhooks[0].timeoutSeconds"]

    run(main)


def test_conditions_that_change_are_checked():
    async def main(world):
        hook = world.hook(matchConditions=[{"name": "a", "expression": "true"}])
        await world("POST", CONFIGS, {"metadata": {"name": "c"}, "webhooks": [hook]})
        changed = {"webhooks": [{**hook, "matchConditions": BROKEN}]}
        refused = await world("PATCH", f"{CONFIGS}/c", changed, type=MERGE)
        assert "compilation failed: ERROR: <input>:1:1: undeclared reference to 'tru'" in refused.body["message"]

    run(main)
