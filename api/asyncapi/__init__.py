"""The AsyncAPI document: what goes over MQTT, and what webhooks send."""
