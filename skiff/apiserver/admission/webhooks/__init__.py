"""Admission webhooks: MutatingWebhookConfigurations and ValidatingWebhookConfigurations at work.

`configuration` keeps them compiled; `review` is what is sent and what comes back; `calling` asks one webhook about one
request; `mutating` and `validating` are the two plugins. Source: apiserver pkg/admission/plugin/webhook.
"""
