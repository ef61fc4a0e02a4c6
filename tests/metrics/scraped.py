"""What Prometheus would read from a page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from django_websocket.metrics.declarations import PREFIX

Key = tuple[str, frozenset[tuple[str, str]]]


class Scraped:
    """The samples of one page; asked for by their names without the prefix, and by any of their labels."""

    def __init__(self, page: str) -> None:
        self.samples: dict[Key, float] = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples, f"{key} twice"
                self.samples[key] = sample.value

    def sum(self, name: str, **labels: str) -> float:
        """Of all samples that have these labels."""
        return sum(
            value
            for (sample, others), value in self.samples.items()
            if sample == PREFIX + name and labels.items() <= dict(others).items()
        )

    def values(self, name: str, label: str) -> dict[str, float]:
        """The sums by the values of ``label``."""
        found = {dict(labels)[label] for sample, labels in self.samples if sample == PREFIX + name}
        return {value: self.sum(name, **{label: value}) for value in found}

    def names(self) -> set[str]:
        """Those of our samples."""
        return {name for name, _ in self.samples if name.startswith(PREFIX)}
